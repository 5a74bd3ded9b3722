package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// DefaultPageSize is how many entries a page has where nothing is asked for.
	DefaultPageSize = 100
	// maxHistory is how many statements of an entry are shown.
	maxHistory = 1000
)

// Host publishes statements. An intake does.
type Host interface {
	// Submit appends events to the log and returns when all are durable.
	Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error)
}

// Log tells how far the log goes. An eventlog.Log does.
type Log interface {
	Bounds(ctx context.Context, topic string, partition int32) (first, next int64, err error)
}

// Config is what a Server works with.
type Config struct {
	Directory *Directory
	Keyring   *event.Keyring
	Host      Host
	Log       Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server answers skein.directory.v1.DirectoryService.
type Server struct {
	directoryv1.UnimplementedDirectoryServiceServer
	cfg Config
}

// NewServer makes a server.
func NewServer(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{cfg: cfg}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { directoryv1.RegisterDirectoryServiceServer(r, s) }

// Get reads an entry.
func (s *Server) Get(ctx context.Context, req *directoryv1.GetRequest) (*directoryv1.GetResponse, error) {
	v, err := s.view(ctx, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	defer v.close()
	at, err := s.moment(req.GetAt())
	if err != nil {
		return nil, err
	}
	all, err := v.statements(ctx, req.GetKind(), req.GetId())
	if err != nil {
		return nil, err
	}
	held, until := holding(all, at)
	switch {
	case held == nil:
		return nil, rpc.NotFound(fmt.Errorf("directory: there is no %s %q at %s", req.GetKind(), req.GetId(), momentOf(at)))
	case held.entry.GetStated().GetRemoved():
		return nil, rpc.NotFound(fmt.Errorf("directory: %s %q is removed since %s", req.GetKind(), req.GetId(), momentOf(held.from)))
	}
	return &directoryv1.GetResponse{Entry: v.show(*held, until)}, nil
}

// List reads the entries that hold at a moment.
func (s *Server) List(ctx context.Context, req *directoryv1.ListRequest) (*directoryv1.ListResponse, error) {
	v, err := s.view(ctx, req.GetMinPositions())
	if err != nil {
		return nil, err
	}
	defer v.close()
	at, err := s.moment(req.GetAt())
	if err != nil {
		return nil, err
	}
	token := pageToken{query: queryOf(v.tenant, req.GetKind(), req.GetAt()), at: at, before: v.next}
	within := kv.Prefix(kindKey(v.tenant, req.GetKind()))
	if req.GetPageToken() != "" {
		query := token.query
		token, err = decodePageToken(req.GetPageToken())
		if err == nil && (token.query != query || req.GetKind() != "" && req.GetKind() != token.kind) {
			err = errForeignToken
		}
		if err != nil {
			return nil, rpc.InvalidField("page_token", err)
		}
		within.Start = kv.Prefix(entryKey(v.tenant, token.kind, token.id)).End
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = DefaultPageSize
	}
	resp := &directoryv1.ListResponse{}
	var all []statement // of one entry
	full := func() bool {
		if held, until := holding(all, token.at); held != nil && !held.entry.GetStated().GetRemoved() {
			if len(resp.GetEntries()) == size {
				last := resp.GetEntries()[size-1].GetStated()
				token.kind, token.id = last.GetKind(), last.GetId()
				resp.NextPageToken = token.encode()
				return true
			}
			resp.Entries = append(resp.Entries, v.show(*held, until))
		}
		all = all[:0]
		return false
	}
	err = statements(ctx, v, v.tenant, within, func(st statement) bool {
		if len(all) > 0 && (all[0].kind != st.kind || all[0].id != st.id) && full() {
			return false
		}
		if st.offset < token.before { // later pages go by what the first one saw
			all = append(all, st)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("directory: list: %w", err)
	}
	if resp.GetNextPageToken() == "" {
		full()
	}
	return resp, nil
}

// History reads everything that was stated of an entry.
func (s *Server) History(ctx context.Context, req *directoryv1.HistoryRequest) (*directoryv1.HistoryResponse, error) {
	v, err := s.view(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer v.close()
	all, err := v.statements(ctx, req.GetKind(), req.GetId())
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, rpc.NotFound(fmt.Errorf("directory: there never was a %s %q", req.GetKind(), req.GetId()))
	}
	resp := &directoryv1.HistoryResponse{}
	until := (*timestamppb.Timestamp)(nil)
	for i, st := range slices.Backward(all) {
		if i+1 < len(all) {
			until = all[i+1].entry.GetStated().GetValidFrom() // its own moment, where it is replaced
		}
		resp.Entries = append(resp.Entries, v.show(st, until))
		if len(resp.GetEntries()) == maxHistory {
			break
		}
	}
	return resp, nil
}

// view is what can be read of a tenant at one moment.
type view struct {
	kv.Snapshot
	tenant    string
	partition int32
	next      int64 // offset
}

// view waits for positions and reads what is there then. Close it.
func (s *Server) view(ctx context.Context, positions []*eventv1.Position) (*view, error) {
	want := make([]eventlog.Position, 0, len(positions))
	for _, p := range positions {
		want = append(want, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
	}
	return s.viewAfter(ctx, want...)
}

// whole is view once all is folded that the log holds of the tenant by now.
func (s *Server) whole(ctx context.Context, tenant string) (*view, error) {
	partition := s.cfg.Directory.partition(tenant)
	_, next, err := s.cfg.Log.Bounds(ctx, event.TopicDirectory, partition)
	switch {
	case err != nil:
		return nil, fmt.Errorf("directory: find the end of the log: %w", err)
	case next == 0:
		return s.viewAfter(ctx)
	}
	return s.viewAfter(ctx, eventlog.Position{Topic: event.TopicDirectory, Partition: partition, Offset: next - 1})
}

func (s *Server) viewAfter(ctx context.Context, want ...eventlog.Position) (*view, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	x := s.cfg.Directory
	if err := x.Wait(ctx, want...); err != nil {
		return nil, err
	}
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("directory: read the directory: %w", err)
	}
	v := &view{Snapshot: snap, tenant: caller.Tenant, partition: x.partition(caller.Tenant)}
	applied, err := projection.Applied(ctx, snap, event.TopicDirectory, x.partitions)
	if err != nil {
		v.close()
		return nil, err
	}
	v.next = applied[v.partition]
	return v, nil
}

func (v *view) close() { _ = v.Close() } // nothing is written through a snapshot

// statements are those of an entry, in order of their moments; of one moment, of their positions in the log.
func (v *view) statements(ctx context.Context, kind, id string) ([]statement, error) {
	if strings.IndexByte(id, 0) >= 0 {
		return nil, rpc.InvalidField("id", errors.New("has a control character"))
	}
	var all []statement
	err := statements(ctx, v, v.tenant, kv.Prefix(entryKey(v.tenant, kind, id)), func(s statement) bool {
		all = append(all, s)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("directory: read %s %q: %w", kind, id, err)
	}
	return all, nil
}

// seen tells which events were folded; nil for one that was not.
func (v *view) seen(ctx context.Context, ids []event.ID) ([]*seen, error) {
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = eventKey(v.tenant, id)
	}
	values, err := v.GetMany(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("directory: look for events: %w", err)
	}
	all := make([]*seen, len(ids))
	for i, value := range values {
		if value == nil {
			continue
		}
		s, err := decodeSeen(value)
		if err != nil {
			return nil, err
		}
		all[i] = &s
	}
	return all, nil
}

// holding gives the statement that counts at a moment, nil where there is none, and until when it does.
func holding(all []statement, at int64) (held *statement, until *timestamppb.Timestamp) {
	for i := range all {
		if all[i].from > at {
			return held, all[i].entry.GetStated().GetValidFrom()
		}
		held = &all[i]
	}
	return held, nil
}

func (v *view) show(s statement, until *timestamppb.Timestamp) *directoryv1.Entry {
	s.entry.ValidUntil, s.entry.Position = until, v.position(s.offset)
	return s.entry
}

func (v *view) position(offset int64) *eventv1.Position {
	return &eventv1.Position{Topic: event.TopicDirectory, Partition: v.partition, Offset: offset}
}

// moment reads as of when something is asked; now where that is absent.
func (s *Server) moment(at *timestamppb.Timestamp) (int64, error) {
	if at == nil {
		return s.cfg.Now().UnixNano(), nil
	}
	if err := at.CheckValid(); err != nil {
		return 0, rpc.InvalidField("at", errors.New("is no valid time"))
	}
	if y := at.AsTime().Year(); y < minYear || y > maxYear {
		return 0, rpc.InvalidField("at", fmt.Errorf("is in the year %d: it must be in %d to %d", y, minYear, maxYear))
	}
	return at.AsTime().UnixNano(), nil
}

func timeOf(nanos int64) time.Time { return time.Unix(0, nanos).UTC() }

func momentOf(nanos int64) string { return timeOf(nanos).Format(time.RFC3339Nano) }
