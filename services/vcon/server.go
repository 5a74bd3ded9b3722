// Package vcon gives conversations out and takes them in as vCons (IETF draft-ietf-vcon-vcon-core). One vCon holds a conversation with all
// its channels. docs/vcon.md says what becomes of what. It keeps nothing: conversations and their events are read from whoever holds
// them, and what is imported goes the way of every other event.
package vcon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	vconv1 "github.com/skein-cx/skein/proto/skein/vcon/v1"
)

// Config is what a Server works with. Conversations, Blobs, Host, Keyring and Reader must be set.
type Config struct {
	Conversations Conversations
	// Blobs holds recordings and files, and contents that are too large for the log.
	Blobs event.Blobs
	// Host takes in what is imported.
	Host    channel.Host
	Keyring *event.Keyring
	// Signer signs what is exported. Without one, it is given out unsigned only.
	Signer *Signer
	// Reader reads what is imported.
	Reader *Reader
	// BlobURL is the https address of a blob, for media by reference. Without it, there are none.
	BlobURL func(key string) string
	// MaxMedia is how many bytes of recordings and files a vCon holds inline. 6 MiB unless set: signed, they take about twice as much.
	MaxMedia int
}

// Server answers skein.vcon.v1.VconService.
type Server struct {
	vconv1.UnimplementedVconServiceServer
	cfg Config
}

// NewServer makes a server.
func NewServer(cfg Config) *Server {
	if cfg.MaxMedia == 0 {
		cfg.MaxMedia = 6 << 20
	}
	return &Server{cfg: cfg}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { vconv1.RegisterVconServiceServer(r, s) }

// The reasons of refusals.
const (
	reasonNotConfigured = "NOT_CONFIGURED"
	reasonTooLarge      = "TOO_LARGE"
	reasonUnsigned      = "UNSIGNED"
	reasonNotTrusted    = "NOT_TRUSTED"
)

// Export gives a conversation as a vCon.
func (s *Server) Export(ctx context.Context, req *vconv1.ExportRequest) (*vconv1.ExportResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	x := &exporter{ids: s.cfg.Keyring.Tenant(caller.Tenant), blobs: s.cfg.Blobs, url: s.cfg.BlobURL, notes: req.GetNotes(), room: s.cfg.MaxMedia}
	switch req.GetMedia() {
	case vconv1.Media_MEDIA_REFERENCE:
		x.media = mediaReference
	case vconv1.Media_MEDIA_OMITTED:
		x.media = mediaOmitted
	default:
		x.media = mediaInline
	}
	switch {
	case req.GetSigned() && s.cfg.Signer == nil:
		return nil, rpc.Refused(reasonNotConfigured, errors.New("vcon: export: this server has no certificate to sign with"))
	case x.media == mediaReference && x.url == nil:
		return nil, rpc.Refused(reasonNotConfigured, errors.New("vcon: export: this server knows no public https address of its files"))
	}
	if x.conversation, err = s.cfg.Conversations.Get(ctx, caller.Tenant, req.GetConversationId()); err != nil {
		return nil, err
	}
	v, err := x.export(ctx, s.cfg.Conversations, caller.Tenant)
	if errors.Is(err, errTooLarge) {
		return nil, rpc.Refused(reasonTooLarge, errTooLarge)
	}
	if err != nil {
		return nil, err
	}
	raw, err := v.Encode()
	if err != nil {
		return nil, err
	}
	if req.GetSigned() {
		if raw, err = s.cfg.Signer.Sign(raw, v.UUID); err != nil {
			return nil, err
		}
	}
	return &vconv1.ExportResponse{Vcon: raw, MediaType: MediaType, Uuid: v.UUID, Notes: noted(x.leftOut)}, nil
}

// Import takes a vCon in.
func (s *Server) Import(ctx context.Context, req *vconv1.ImportRequest) (*vconv1.ImportResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	for i, a := range req.GetCompany() {
		if _, err := event.Normalise(a); err != nil {
			return nil, rpc.InvalidField(fmt.Sprintf("company[%d]", i), err)
		}
	}
	result, err := s.cfg.Reader.Import(ctx, s.cfg.Host, req.GetVcon(), Options{
		Tenant: caller.Tenant, Inbox: req.GetInbox(), Company: req.GetCompany(), Region: req.GetRegion(), Keyring: s.cfg.Keyring,
	})
	var malformed *PathError
	switch {
	case errors.As(err, &malformed):
		return nil, rpc.Invalid(event.Violation{Field: malformed.Path, Reason: malformed.Reason})
	case errors.Is(err, ErrUnsigned):
		return nil, rpc.Refused(reasonUnsigned, err)
	case errors.Is(err, ErrNotTrusted):
		return nil, rpc.Refused(reasonNotTrusted, err)
	case err != nil:
		return nil, err
	}
	return &vconv1.ImportResponse{
		Uuid: result.UUID, ThreadIds: result.Threads, Events: int32(len(result.Acknowledgements)), Positions: lastOf(result.Acknowledgements),
		Signer: result.Signer, Notes: noted(result.Notes),
	}, nil
}

func noted(notes []Note) []*vconv1.Note {
	var all []*vconv1.Note
	for _, n := range notes {
		all = append(all, &vconv1.Note{Path: n.Path, Text: n.Text})
	}
	return all
}

// lastOf gives the last position in each partition, in order.
func lastOf(acks []channel.Acknowledgement) []*eventv1.Position {
	last := map[eventlog.Position]int64{}
	for _, a := range acks {
		at := eventlog.Position{Topic: a.Position.Topic, Partition: a.Position.Partition}
		last[at] = max(last[at], a.Position.Offset)
	}
	var all []*eventv1.Position
	for _, at := range slices.SortedFunc(maps.Keys(last), func(a, b eventlog.Position) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	}) {
		all = append(all, &eventv1.Position{Topic: at.Topic, Partition: at.Partition, Offset: last[at]})
	}
	return all
}
