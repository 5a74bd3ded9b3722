package weibo

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// pageSize is how many items are asked for at once: the most that the documents allow.
	pageSize = 200
	// maxPages is how often is asked before a list counts as endless.
	maxPages = 200
	// defaultDepth is how many items the API gives out at least before it may end: the documents say "about 1000"
	// (https://open.weibo.com/wiki/Statuses/mentions/en).
	defaultDepth = 1000
	// maxPage is how large an answer may be.
	maxPage = 32 << 20
	// callTimeout is how long a call of the API may take.
	callTimeout = 30 * time.Second
	// batch is how many events are handed in at once.
	batch = 500
	// patience is how many intervals an error makes a list wait at most.
	patience = 10
)

// reader reads one list of an account.
type reader struct {
	*Channel
	*account
	list
	refused map[[sha256.Size]byte]bool // items without an id that were kept already
}

// poll reads an account's lists until ctx ends.
func (c *Channel) poll(ctx context.Context, a *account) {
	var readers []*reader
	for _, l := range lists() {
		readers = append(readers, &reader{c, a, l, map[[sha256.Size]byte]bool{}})
	}
	wait := time.NewTimer(0)
	defer wait.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		intervals, failed := 1, false
		for _, r := range readers {
			err := r.poll(ctx)
			if ctx.Err() != nil {
				return
			}
			r.report(err)
			if err != nil {
				c.log.WarnContext(ctx, "comments or mentions cannot be read", "inbox", a.Inbox, "list", r.name, "error", err)
				intervals, failed = max(intervals, min(1<<min(failures, patience), patience)), true
			}
			if isLimit(err) {
				intervals = patience
				break // the others would fail as well
			}
		}
		if failures++; !failed {
			failures = 0
		}
		wait.Reset(time.Duration(intervals) * c.cfg.PollInterval)
	}
}

// report notes how a list does.
func (r *reader) report(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := r.cursorName()
	was, known := r.states[key]
	if known && (was.Err == nil) == (err == nil) {
		was.Err = err
		r.states[key] = was
		return
	}
	r.states[key] = channel.Status{Tenant: r.Tenant, Inbox: r.Inbox, Source: r.APIURL + " " + r.name, Err: err, Since: r.now()}
}

// errNotRead is how a list does before it was read for the first time.
var errNotRead = errors.New("it was not read yet")

// Statuses implements channel.Reporter: it tells of the lists that are polled.
func (c *Channel) Statuses() []channel.Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []channel.Status
	for _, a := range c.order {
		if !a.Posts {
			continue
		}
		for _, l := range lists() {
			r := &reader{Channel: c, account: a, list: l}
			s, ok := c.states[r.cursorName()]
			if !ok {
				s = channel.Status{Tenant: a.Tenant, Inbox: a.Inbox, Source: a.APIURL + " " + l.name, Err: errNotRead}
			}
			all = append(all, s)
		}
	}
	return all
}

func (r *reader) cursorName() string {
	return "social.weibo/" + r.Tenant + "/" + r.Inbox + "/" + r.UID + "/" + r.name
}

// item is one of a list, with where it stands.
type item struct {
	cursor
	raw json.RawMessage
}

// poll reads what is new in the list, hands it in, the oldest first, and moves the cursor behind it.
func (r *reader) poll(ctx context.Context) error {
	stored, err := r.cfg.Cursors.Cursor(ctx, r.cursorName())
	if err != nil {
		return fmt.Errorf("social/weibo: %w", err)
	}
	was := parseCursor(stored)
	items, complete, err := r.since(ctx, was)
	if err != nil || len(items) == 0 {
		return err
	}
	var all []*eventv1.Submission
	raws := map[*eventv1.Submission]json.RawMessage{}
	if !complete {
		all = append(all, r.gap(was, items[0].cursor))
	}
	for _, it := range items {
		got, err := r.read(r.account, it.raw)
		if err != nil {
			if err := r.keep(ctx, it.raw, err); err != nil {
				return err
			}
			continue
		}
		for _, s := range got {
			raws[s] = it.raw
		}
		all = append(all, got...)
	}
	for part := range slices.Chunk(all, batch) {
		if err := r.submit(ctx, part, raws); err != nil {
			return err
		}
	}
	is := items[len(items)-1].cursor
	if err := r.cfg.Cursors.MoveCursor(ctx, r.cursorName(), stored, is.String()); err != nil {
		return fmt.Errorf("social/weibo: %w", err)
	}
	return nil
}

// submit hands events in. Those that the log will never take are kept, and cost none of the others.
func (r *reader) submit(ctx context.Context, part []*eventv1.Submission, raws map[*eventv1.Submission]json.RawMessage) error {
	_, err := r.host.Submit(ctx, r.Tenant, part...)
	var invalid *event.InvalidError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &invalid):
		return fmt.Errorf("social/weibo: %w", err)
	case len(part) > 1:
		for _, s := range part {
			if err := r.submit(ctx, []*eventv1.Submission{s}, raws); err != nil {
				return err
			}
		}
		return nil
	}
	return r.keep(ctx, raws[part[0]], err)
}

// keep puts an item that was not understood among the dead letters.
func (r *reader) keep(ctx context.Context, raw json.RawMessage, why error) error {
	rejection := channel.Rejection{
		Tenant: r.Tenant, Provider: Provider, Inbox: r.Inbox, Reason: fmt.Sprintf("social/weibo: %s: %v", r.name, why), Raw: r.alone(raw),
	}
	if err := r.host.Reject(ctx, rejection); err != nil {
		return fmt.Errorf("social/weibo: keep what was not understood: %w", err)
	}
	return nil
}

// gap tells that something may be missing between two items.
func (r *reader) gap(from, until cursor) *eventv1.Submission {
	gap := &eventv1.SourceGapDetected{Source: r.name, Reason: "the API does not go back as far as to what was read before"}
	s := &eventv1.Submission{
		Type: event.TypeSourceGapDetected, Channel: eventv1.Channel_CHANNEL_SOCIAL_POST, Provider: Provider, Inbox: r.Inbox,
		Thread: "list/" + r.name, NativeId: strconv.FormatUint(from.id, 10) + "/" + strconv.FormatUint(until.id, 10),
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM},
		Content: &eventv1.Content{Body: &eventv1.Content_SourceGapDetected{SourceGapDetected: gap}},
	}
	if from.at > 0 {
		gap.From = timestamppb.New(time.Unix(from.at, 0))
	}
	if until.at > 0 {
		gap.Until = timestamppb.New(time.Unix(until.at, 0))
		s.OccurredAt = gap.GetUntil()
	}
	return s
}

// since gives the items behind a cursor, the oldest first. It asks for the item of the cursor as well: where that comes, nothing is
// missing; where it does not, it was deleted, or the API has ended before it, which it does after many items only.
func (r *reader) since(ctx context.Context, was cursor) (items []item, complete bool, err error) {
	below := uint64(0) // everything
	met, stuck, n := was.id == 0, false, 0
	seen := map[uint64]bool{}
	for range maxPages {
		page, err := r.page(ctx, max(was.id, 1)-1, below)
		if err != nil {
			return nil, false, err
		}
		n += len(page)
		lowest, old := uint64(0), 0
		for _, raw := range page {
			at, ok := place(raw)
			if !ok {
				if err := r.keepOnce(ctx, raw); err != nil {
					return nil, false, err
				}
				continue
			}
			if lowest == 0 || at.id < lowest {
				lowest = at.id
			}
			switch {
			case at.id <= was.id:
				met = true
			case at.at > 0 && at.at < r.Since.Unix():
				old++
			case !seen[at.id]:
				seen[at.id] = true
				items = append(items, item{at, raw})
			}
		}
		switch {
		case old > 0 && old == len(page):
			met, lowest = true, 0 // nothing further back is wanted
		case below != 0 && lowest > below:
			stuck, lowest = true, 0 // it does not go back at all
		}
		if lowest <= max(was.id, 1) {
			break
		}
		below = lowest - 1
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.id, b.id) })
	return items, met || n < r.depth && !stuck, nil
}

// keepOnce keeps an item that has no place in the list, and so comes again with each reading.
func (r *reader) keepOnce(ctx context.Context, raw json.RawMessage) error {
	hash := sha256.Sum256(raw)
	if r.refused[hash] {
		return nil
	}
	if err := r.keep(ctx, raw, errors.New("it has no id")); err != nil {
		return err
	}
	if len(r.refused) > 10*pageSize {
		clear(r.refused)
	}
	r.refused[hash] = true
	return nil
}

// page asks for the items above one id and up to another, of which the API gives the highest; 0 stands for no limit.
func (r *reader) page(ctx context.Context, above, upTo uint64) ([]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	query := url.Values{"since_id": {strconv.FormatUint(above, 10)}, "count": {strconv.Itoa(pageSize)}}
	if upTo != 0 {
		query.Set("max_id", strconv.FormatUint(upTo, 10))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.APIURL+"/2/"+r.name+".json?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("social/weibo: %w", err)
	}
	request.Header.Set("Authorization", "OAuth2 "+r.AccessToken) // https://open.weibo.com/wiki/授权机制说明
	answer, err := r.cfg.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("social/weibo: %s: %w", r.name, err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("social/weibo: %s: %w", r.name, err)
	case len(raw) > maxPage:
		return nil, fmt.Errorf("social/weibo: %s: the answer is larger than %d bytes", r.name, maxPage)
	}
	items, err := r.items(answer.StatusCode, raw)
	if err != nil {
		return nil, fmt.Errorf("social/weibo: %s: %w", r.name, err)
	}
	return items, nil
}

// items reads an answer of the list.
func (l list) items(status int, raw []byte) ([]json.RawMessage, error) {
	if f := failureOf(status, raw); f != nil {
		return nil, f
	}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("[]")) { // so Weibo says that there is nothing
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("the answer is not as it should be: %w", err)
	}
	at, ok := fields[l.field]
	if !ok {
		return nil, errors.New("the answer has no " + l.field)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(at, &items); err != nil {
		return nil, fmt.Errorf("%s: %w", l.field, err)
	}
	return items, nil
}
