package directory

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/rpc"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider, inbox and thread under which the server publishes statements.
const (
	provider = "skein"
	inbox    = "skein"
	thread   = "directory"
)

var errRequestID = errors.New("another request has it: choose a new one for each request")

// Put states entries.
func (s *Server) Put(ctx context.Context, req *directoryv1.PutRequest) (*directoryv1.PutResponse, error) {
	if err := auth.RequireDirectory(ctx); err != nil {
		return nil, err
	}
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	p := &put{Server: s, req: req, caller: caller}
	if err := p.name(); err != nil {
		return nil, err
	}
	now := timestamppb.New(s.cfg.Now())
	if resp, err := p.before(ctx, &now); resp != nil || err != nil {
		return resp, err
	}
	if wrong := p.read(now); len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	wrong, err := p.judge(ctx)
	if err != nil {
		return nil, err
	}
	if len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	if req.GetDryRun() {
		return &directoryv1.PutResponse{EventIds: make([]string, len(p.outcomes)), Outcomes: p.outcomes}, nil
	}
	return p.publish(ctx)
}

// put is one call that states entries.
type put struct {
	*Server
	req    *directoryv1.PutRequest
	caller auth.Identity
	ids    []event.ID // that the events of the entries have, or would have
	mark   string     // begins the correlation id of the request's events; how many they are ends it

	made     []*seen // of each entry its event, where an earlier attempt has written it
	count    int     // of events that an earlier attempt was going to write; 0 for no such attempt
	entries  []*eventv1.DirectoryUpdated
	order    []int // of the entries, by their moments
	outcomes []directoryv1.Outcome
}

// name derives the ids of the request's events, and what tells it from other requests.
func (p *put) name() error {
	h := sha256.New()
	for _, e := range p.req.GetEntries() {
		b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(e)
		if err != nil {
			return rpc.InvalidField("entries", errors.New("are not valid UTF-8"))
		}
		_, _ = h.Write(strconv.AppendInt(nil, int64(len(b)), 10)) // a hash never fails
		_, _ = h.Write(append([]byte{':'}, b...))
	}
	p.mark = thread + ":" + hex.EncodeToString(h.Sum(nil)[:16]) + ":"
	made := p.cfg.Keyring.Tenant(p.caller.Tenant)
	in := made.Thread(inbox, thread)
	p.ids = make([]event.ID, len(p.req.GetEntries()))
	for i := range p.ids {
		p.ids[i] = made.Event(in, p.req.GetRequestId(), event.TypeDirectoryUpdated, uint32(i), nil)
	}
	return nil
}

// before gives the answer to a request that was made before; nil where it was not, or where not all of it was written. Then now becomes the
// moment that it had. It waits until all is folded that the log holds: an attempt that was cut off did not wait for what it wrote.
func (p *put) before(ctx context.Context, now **timestamppb.Timestamp) (*directoryv1.PutResponse, error) {
	v, err := p.whole(ctx, p.caller.Tenant)
	if err != nil {
		return nil, err
	}
	defer v.close()
	if p.made, err = v.seen(ctx, p.ids); err != nil {
		return nil, err
	}
	written := 0
	for i, m := range p.made {
		if m == nil {
			continue
		}
		count, ours := strings.CutPrefix(m.correlation, p.mark)
		if p.count, err = strconv.Atoi(count); !ours || err != nil {
			return nil, rpc.InvalidField("request_id", errRequestID)
		}
		written++
		if p.req.GetEntries()[i].GetValidFrom() == nil {
			*now = timestamppb.New(timeOf(m.from))
		}
	}
	if written == 0 || written < p.count {
		return nil, nil //nolint:nilnil // there is something to do
	}
	return p.answer(ctx, v)
}

// read gives the entries their usual form, and tells what is wrong with each of them alone.
func (p *put) read(now *timestamppb.Timestamp) (wrong []event.Violation) {
	type stated struct {
		kind, id string
		from     int64
	}
	first := map[stated]int{}
	for i, submitted := range p.req.GetEntries() {
		field := fmt.Sprintf("entries[%d]", i)
		e, violation := usual(submitted, now)
		if violation.Reason != "" {
			wrong = append(wrong, event.Violation{Field: field + "." + violation.Field, Reason: violation.Reason})
			continue
		}
		for _, w := range check(e) {
			wrong = append(wrong, event.Violation{Field: strings.TrimSuffix(field+"."+w.Field, "."), Reason: w.Reason})
		}
		key := stated{e.GetKind(), e.GetId(), e.GetValidFrom().AsTime().UnixNano()}
		if j, twice := first[key]; twice {
			wrong = append(wrong, event.Violation{Field: field, Reason: fmt.Sprintf("states %s %q from the same moment on as entries[%d]", key.kind, key.id, j)})
		}
		first[key] = i
		p.entries = append(p.entries, e)
	}
	return wrong
}

// judge tells what comes of each entry, and which references of those that are to be written lead nowhere.
func (p *put) judge(ctx context.Context) (wrong []event.Violation, err error) {
	if err := p.cfg.Directory.look(ctx); err != nil {
		return nil, err
	}
	book, err := p.cfg.Directory.Book(ctx, p.caller.Tenant)
	if err != nil {
		return nil, err
	}
	d := &draft{book: book, changed: map[ref][]directory.Version{}}
	p.order = make([]int, len(p.entries))
	for i := range p.order {
		p.order[i] = i
	}
	// In order of their moments, so that each is compared with what those before it say.
	slices.SortStableFunc(p.order, func(a, b int) int {
		return cmp.Compare(p.entries[a].GetValidFrom().AsTime().UnixNano(), p.entries[b].GetValidFrom().AsTime().UnixNano())
	})
	p.outcomes = make([]directoryv1.Outcome, len(p.entries))
	for _, i := range p.order {
		e := p.entries[i]
		from := e.GetValidFrom().AsTime().UnixNano()
		if p.outcomes[i] = outcome(d.at(e.GetKind(), e.GetId(), from), e); p.outcomes[i] != directoryv1.Outcome_OUTCOME_SAME {
			d.state(e, from)
		}
	}
	for i, e := range p.entries {
		if p.outcomes[i] == directoryv1.Outcome_OUTCOME_SAME {
			continue
		}
		from := e.GetValidFrom().AsTime().UnixNano()
		for _, r := range references(e) {
			if d.at(r.kind, r.id, from) == nil {
				wrong = append(wrong, event.Violation{
					Field: fmt.Sprintf("entries[%d].%s", i, r.field), Reason: fmt.Sprintf("there is no %s %q at %s", r.kind, r.id, momentOf(from)),
				})
			}
		}
	}
	return wrong, nil
}

// outcome tells what comes of a statement where an entry said something before; nil for nothing.
func outcome(before, e *eventv1.DirectoryUpdated) directoryv1.Outcome {
	switch {
	case e.GetRemoved() && before == nil, same(before, e):
		return directoryv1.Outcome_OUTCOME_SAME
	case e.GetRemoved():
		return directoryv1.Outcome_OUTCOME_REMOVED
	case before == nil:
		return directoryv1.Outcome_OUTCOME_ADDED
	}
	return directoryv1.Outcome_OUTCOME_CHANGED
}

// draft is a book with changes of some entries.
type draft struct {
	book    *directory.Book
	changed map[ref][]directory.Version
}

type ref struct{ kind, id string }

// at gives what an entry says at a moment; nil where there is none.
func (d *draft) at(kind, id string, nanos int64) *eventv1.DirectoryUpdated {
	versions, changed := d.changed[ref{kind, id}]
	if !changed {
		return d.book.At(kind, id, nanos)
	}
	for _, v := range slices.Backward(versions) {
		if v.From <= nanos {
			if v.Stated.GetRemoved() {
				return nil
			}
			return v.Stated
		}
	}
	return nil
}

func (d *draft) state(e *eventv1.DirectoryUpdated, from int64) {
	of := ref{e.GetKind(), e.GetId()}
	versions, changed := d.changed[of]
	if !changed {
		versions = slices.Clone(d.book.Versions(of.kind, of.id))
	}
	n, found := slices.BinarySearchFunc(versions, from, func(v directory.Version, at int64) int { return cmp.Compare(v.From, at) })
	if found {
		versions[n].Stated = e
	} else {
		versions = slices.Insert(versions, n, directory.Version{From: from, Stated: e})
	}
	d.changed[of] = versions
}

// publish writes what changes, waits until it is folded, and tells what came of it.
func (p *put) publish(ctx context.Context) (*directoryv1.PutResponse, error) {
	var written []int
	for _, i := range p.order {
		if p.outcomes[i] != directoryv1.Outcome_OUTCOME_SAME && p.made[i] == nil {
			written = append(written, i)
		}
	}
	if len(written) > 0 {
		submissions := make([]*eventv1.Submission, len(written))
		for n, i := range written {
			submissions[n] = p.submission(i, cmp.Or(p.count, len(written)))
		}
		acks, err := p.cfg.Host.Submit(ctx, p.caller.Tenant, submissions...)
		if err != nil {
			return nil, asRequested(err, written)
		}
		positions := make([]eventlog.Position, len(acks))
		for i, a := range acks {
			positions[i] = a.Position
		}
		if err := p.cfg.Directory.Wait(ctx, positions...); err != nil {
			return nil, err
		}
	}
	v, err := p.view(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer v.close()
	if p.made, err = v.seen(ctx, p.ids); err != nil {
		return nil, err
	}
	for _, i := range written {
		if p.made[i] == nil {
			return nil, fmt.Errorf("directory: event %s was not folded: look among the dead letters", p.ids[i])
		}
		if !strings.HasPrefix(p.made[i].correlation, p.mark) {
			return nil, rpc.InvalidField("request_id", errRequestID)
		}
	}
	return p.answer(ctx, v)
}

// submission is the event of an entry.
func (p *put) submission(i, count int) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: event.TypeDirectoryUpdated, Provider: provider, Inbox: inbox, Thread: thread, NativeId: p.req.GetRequestId(), Ordinal: uint32(i),
		CorrelationId: p.mark + strconv.Itoa(count), Actor: p.req.GetActor(),
		Content: &eventv1.Content{Body: &eventv1.Content_DirectoryUpdated{DirectoryUpdated: p.entries[i]}},
	}
	if s.GetActor() == nil {
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM, Id: p.caller.ActorID()}
	}
	return s
}

// asRequested names fields as the request does: what a submission has beside them is the server's.
func asRequested(err error, written []int) error {
	invalid, ok := errors.AsType[*event.InvalidError](err)
	if !ok {
		return err
	}
	violations := slices.Clone(invalid.Violations)
	for i := range violations {
		var n int
		of, field, found := strings.Cut(violations[i].Field, "].")
		if _, err := fmt.Sscanf(of, "submissions[%d", &n); !found || err != nil || n >= len(written) {
			continue
		}
		switch within, stated := strings.CutPrefix(field, "content.directory_updated."); {
		case stated:
			field = fmt.Sprintf("entries[%d].%s", written[n], within)
		case field == "native_id":
			field = "request_id"
		}
		violations[i].Field = field
	}
	return rpc.Invalid(violations...)
}

// answer tells what came of a request whose events are in p.made.
func (p *put) answer(ctx context.Context, v *view) (*directoryv1.PutResponse, error) {
	resp := &directoryv1.PutResponse{}
	last := int64(-1)
	for i, m := range p.made {
		id, what := "", directoryv1.Outcome_OUTCOME_SAME
		if m != nil {
			id = p.ids[i].String()
			last = max(last, m.offset)
			var err error
			if what, err = p.came(ctx, v, i, m); err != nil {
				return nil, err
			}
		}
		resp.EventIds, resp.Outcomes = append(resp.EventIds, id), append(resp.Outcomes, what)
	}
	if last >= 0 {
		resp.Position = v.position(last)
	}
	return resp, nil
}

// came tells what came of an entry that was written.
func (p *put) came(ctx context.Context, v *view, i int, m *seen) (directoryv1.Outcome, error) {
	if i < len(p.outcomes) && p.outcomes[i] != directoryv1.Outcome_OUTCOME_SAME {
		return p.outcomes[i], nil // this attempt has written it
	}
	e, wrong := usual(p.req.GetEntries()[i], timestamppb.New(timeOf(m.from)))
	if wrong.Reason != "" {
		return 0, errDamaged // it was good when it was written
	}
	all, err := v.statements(ctx, e.GetKind(), e.GetId())
	if err != nil {
		return 0, err
	}
	all = slices.DeleteFunc(all, func(s statement) bool { return s.offset >= m.offset })
	held, _ := holding(all, m.from)
	if held == nil || held.entry.GetStated().GetRemoved() {
		return outcome(nil, e), nil
	}
	return outcome(held.entry.GetStated(), e), nil
}
