// Package channeltest helps to test channel adapters: a Host that keeps everything in memory and refuses what the real
// one refuses. It needs no log, no disk and no clock.
package channeltest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// ReceivedAt is when every event of a Host was taken in.
var ReceivedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// partitions of each topic.
const partitions = 8

// Host is a channel.Host in memory. It checks and compiles submissions as Skein does, under a key that is always the
// same, so that ids are the same in every run. It is safe for concurrent use.
type Host struct {
	compiler *event.Compiler
	keyring  *event.Keyring
	broken   error // why there is none of these: every call returns it

	mu         sync.Mutex
	failure    error
	events     []Event
	byID       map[string]int
	conflicts  []Event
	blobs      map[string][]byte
	rejections []channel.Rejection
	next       map[eventlog.Position]int64 // offsets by topic and partition
	changed    chan struct{}               // closed at the next change
}

var _ channel.Host = (*Host)(nil)

// Event is what became of a submission.
type Event struct {
	Tenant     string
	Submission *eventv1.Submission
	Event      *eventv1.Event
	Content    *eventv1.Content
}

// NewHost makes an empty host.
func NewHost() *Host {
	h := &Host{
		byID: map[string]int{}, blobs: map[string][]byte{}, next: map[eventlog.Position]int64{}, changed: make(chan struct{}),
	}
	if h.keyring, h.broken = event.NewKeyring(bytes.NewReader(make([]byte, 1<<10))); h.broken == nil {
		var rules protovalidate.Validator
		if rules, h.broken = submissionRules(); h.broken == nil {
			h.compiler, h.broken = event.NewCompiler(h.keyring, event.WithValidator(rules))
		}
	}
	return h
}

// submissionRules are what a submission must hold to. They take as long to prepare as many tests take altogether, so all hosts share them.
var submissionRules = sync.OnceValues(func() (protovalidate.Validator, error) {
	return protovalidate.New(protovalidate.WithMessages(&eventv1.Submission{}))
})

// Fail makes every call fail with an error, until it is called with nil. With channel.ErrRetry the host is one whose log
// or disk does not answer; with another error one that will never take what it is given.
func (h *Host) Fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failure = err
}

// begin tells whether a call can go on.
func (h *Host) begin(ctx context.Context, what string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := cmp.Or(h.broken, h.failure); err != nil {
		return fmt.Errorf("channeltest: %s: %w", what, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("channeltest: %s: %w", what, err)
	}
	return nil
}

// Submit implements channel.Host.
func (h *Host) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if err := h.begin(ctx, "submit"); err != nil {
		return nil, err
	}
	compiled := make([]event.Compiled, len(submissions))
	for i, s := range submissions {
		var err error
		if compiled[i], err = h.compiler.Compile(tenant, proto.CloneOf(s), ReceivedAt); err != nil {
			return nil, fmt.Errorf("channeltest: submissions[%d]: %w", i, err)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	acks := make([]channel.Acknowledgement, len(compiled))
	for i, c := range compiled {
		at := eventlog.Position{Topic: c.Topic(), Partition: eventlog.Partition(c.Key(), partitions)}
		offset := h.next[at]
		h.next[at]++
		at.Offset = offset
		acks[i] = channel.Acknowledgement{EventID: c.Event.GetId(), ThreadID: c.Event.GetThreadId(), Position: at}

		e := Event{tenant, proto.CloneOf(submissions[i]), c.Event, c.Content}
		first, known := h.byID[c.Event.GetId()]
		switch {
		case !known:
			h.byID[c.Event.GetId()] = len(h.events)
			h.events = append(h.events, e)
		case !bytes.Equal(h.events[first].Event.GetDigest(), c.Event.GetDigest()):
			h.conflicts = append(h.conflicts, e)
		}
	}
	h.notify()
	return acks, nil
}

// PutBlob implements channel.Host.
func (h *Host) PutBlob(ctx context.Context, info channel.BlobInfo, r io.Reader) (*eventv1.Blob, error) {
	if err := h.begin(ctx, "store a blob"); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("channeltest: read a blob: %w", err)
	}
	hash := sha256.Sum256(data)
	thread := h.keyring.Tenant(info.Tenant).Thread(info.Inbox, info.Thread)
	ref := &eventv1.Blob{
		Key:  info.Tenant + "/" + thread.String() + "/" + hex.EncodeToString(hash[:]),
		Size: int64(len(data)), Sha256: hash[:], MediaType: info.MediaType,
	}
	if ref.MediaType == "" {
		ref.MediaType = http.DetectContentType(data)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blobs[ref.GetKey()] = data
	return ref, nil
}

// Reject implements channel.Host.
func (h *Host) Reject(ctx context.Context, r channel.Rejection) error {
	if err := h.begin(ctx, "reject"); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r.Raw = bytes.Clone(r.Raw)
	h.rejections = append(h.rejections, r)
	h.notify()
	return nil
}

// Events are those that were taken in, each once, in their order.
func (h *Host) Events() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// Conflicts are the submissions that gave the id of an earlier event and said something else. Skein keeps the earlier
// one and puts the other among the dead letters, so an adapter must cause none by handing the same payload in twice.
func (h *Host) Conflicts() []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.conflicts)
}

// Rejections are the payloads that were rejected.
func (h *Host) Rejections() []channel.Rejection {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.rejections)
}

// Blob gives the bytes that a reference means; false where there are none.
func (h *Host) Blob(ref *eventv1.Blob) ([]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	data, ok := h.blobs[ref.GetKey()]
	return bytes.Clone(data), ok
}

// WaitEvents waits until there are at least n events, and gives them.
func (h *Host) WaitEvents(ctx context.Context, n int) ([]Event, error) {
	for {
		h.mu.Lock()
		events, changed := slices.Clone(h.events), h.changed
		h.mu.Unlock()
		if len(events) >= n {
			return events, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return events, fmt.Errorf("channeltest: wait for %d events, there are %d: %w", n, len(events), ctx.Err())
		}
	}
}

// now gives the events, and what is closed when there are more.
func (h *Host) now() (events []Event, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events, h.changed // only ever appended to
}

// index is an event's place among those that were taken in.
func (h *Host) index(e Event) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byID[e.Event.GetId()]
}

func (h *Host) notify() {
	close(h.changed)
	h.changed = make(chan struct{})
}
