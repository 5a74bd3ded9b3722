package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0123456789+/" //nolint:gosec // of the tests alone
	hookNotes  = 600
	// hookThreads are those that note has.
	hookThreads = 20
)

// hook is a receiver of webhooks as its author would write it: it checks the signature, and passes over what it has by its id.
type hook struct {
	*httptest.Server
	mu       sync.Mutex
	answer   int               // the status of all answers
	tried    int               // requests
	notes    map[string]string // what was accepted, by webhook-id
	threads  map[string][]int  // the notes of each thread, in the order in which they came
	repeated int
	wrong    []string
}

// newHook answers each delivery with a status; 0 leaves all without an answer until the test ends.
func newHook(t *testing.T, answer int) *hook {
	t.Helper()
	h := &hook{answer: answer, notes: map[string]string{}, threads: map[string][]int{}}
	checker, err := standardwebhooks.NewWebhook(hookSecret)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed
		}
		status := h.take(r, body, checker)
		if status == 0 {
			select {
			case <-ended:
			case <-r.Context().Done():
			}
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(h.Close)
	t.Cleanup(func() { close(ended) })
	return h
}

func (h *hook) take(r *http.Request, body []byte, checker *standardwebhooks.Webhook) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := r.Header.Get("Webhook-Id")
	h.tried++
	if err := checker.Verify(body, r.Header); err != nil {
		h.wrong = append(h.wrong, fmt.Sprintf("%s: %v", id, err))
		return http.StatusUnauthorized
	}
	if h.answer < 200 || h.answer > 299 {
		return h.answer
	}
	var ce struct {
		ID, Type, Subject string
		Data              json.RawMessage
	}
	content := &eventv1.Content{}
	err := json.Unmarshal(body, &ce)
	if err == nil {
		err = protojson.Unmarshal(ce.Data, content)
	}
	text := content.GetNoteAdded().GetText()
	n, notANumber := strconv.Atoi(text)
	if err != nil || notANumber != nil || ce.Type != "skein.note.added" || !strings.HasPrefix(id, ce.ID) {
		h.wrong = append(h.wrong, fmt.Sprintf("%s: %s", id, body))
		return h.answer
	}
	if first, ok := h.notes[id]; ok { // what was handed in again is received at another time, and otherwise the same
		if h.repeated++; first != text {
			h.wrong = append(h.wrong, fmt.Sprintf("%s was note %s, and is note %s now", id, first, text))
		}
		return h.answer
	}
	h.notes[id] = text
	h.threads[ce.Subject] = append(h.threads[ce.Subject], n)
	return h.answer
}

func (h *hook) answers(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = status
}

// accepted is how many different events it has taken, attempts how many requests it got.
func (h *hook) accepted() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.notes)
}

func (h *hook) attempts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tried
}

// check says what is wrong with what it has taken: it must have all the notes, those of each thread in order.
func (h *hook) check(t *testing.T, name string, notes int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.wrong {
		t.Errorf("%s: %s", name, w)
	}
	if len(h.threads) != hookThreads {
		t.Errorf("%s: %d threads, want %d", name, len(h.threads), hookThreads)
	}
	for thread, got := range h.threads {
		for i, n := range got {
			if want := got[0]%hookThreads + i*hookThreads; n != want {
				t.Fatalf("%s: note %d of %s is %d, want %d", name, i, thread, n, want)
			}
		}
		if len(got) != notes/hookThreads {
			t.Errorf("%s: %d notes of %s, want %d", name, len(got), thread, notes/hookThreads)
		}
	}
	t.Logf("%s: %d events, %d of them more than once", name, len(h.notes), h.repeated)
}

func hookConfig(t *testing.T, allowPrivate bool, hooks map[string]*hook) string {
	t.Helper()
	text := fmt.Sprintf("webhooks:\n  allow_private: %t\n  endpoints:\n", allowPrivate)
	for id, h := range hooks {
		text += fmt.Sprintf("    - {id: %s, tenant: default, url: %q, secret: %q, types: [note.*], include_content: true, per_second: 10000}\n",
			id, h.URL+"/hook", hookSecret)
	}
	path := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// publishNotes hands in the notes of a range, in order, however often the server is away.
func publishNotes(ctx context.Context, addr string, from, to int) error {
	conn, err := rpc.Dial(addr, "", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := from; i < to; i += hookThreads {
		req := &ingestv1.PublishRequest{}
		for j := i; j < i+hookThreads; j++ {
			req.Submissions = append(req.Submissions, note(j))
		}
		for {
			_, err := ingestv1.NewIngestServiceClient(conn).Publish(ctx, req)
			if err == nil {
				break
			}
			wait, again := rpc.RetryAfter(err)
			if !again {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(min(wait, 50*time.Millisecond)):
			}
		}
	}
	return nil
}

func TestWebhooksArriveInOrderThroughKillsWhateverOtherEndpointsDo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	fine, fails, hangs := newHook(t, http.StatusNoContent), newHook(t, http.StatusInternalServerError), newHook(t, 0)
	config := hookConfig(t, true, map[string]*hook{"fine": fine, "fails": fails, "hangs": hangs})
	list := func() string { return s.Run("webhooks", "list", "--server", s.GRPC) }
	publish := func(from, to int) {
		t.Helper()
		if err := publishNotes(t.Context(), s.GRPC, from, to); err != nil {
			t.Fatal(rpc.Explain(err))
		}
	}

	// Killed while it takes in and delivers.
	srv := s.Up("-c", config)
	const kills = 3
	published := make(chan error, 1)
	go func() { published <- publishNotes(t.Context(), s.GRPC, 0, hookNotes) }()
	for i := 1; i <= kills; i++ {
		srv.WaitFor(fmt.Sprint("at kill ", i), func() bool { return fine.accepted() >= i*hookNotes/(kills+1) })
		srv.Kill()
		srv = s.Up("-c", config)
	}
	if err := <-published; err != nil {
		t.Fatal(rpc.Explain(err))
	}
	srv.WaitFor("done with delivering", func() bool { return fine.accepted() == hookNotes })
	fine.check(t, "fine", hookNotes)
	srv.WaitFor("trying the others", func() bool { return fails.attempts() > 0 && hangs.attempts() > 0 })

	srv.WaitFor("listing the failures", func() bool {
		return regexp.MustCompile(`(?m)^fails +skein\.interactions\.v1/\d+/\d+ .*500 Internal Server Error$`).MatchString(list())
	})
	if out := list(); !regexp.MustCompile(`(?m)^fine +default +0 +0 +on +http`).MatchString(out) || strings.Contains(out, hookSecret) {
		t.Errorf("the list is\n%s", out)
	}

	// Off: nothing more comes to it, while another one gets all; on again, it gets what it missed.
	if out := s.Run("webhooks", "disable", "fine", "--reason", "maintenance", "--server", s.GRPC); !strings.HasPrefix(out, "fine is off since ") ||
		!strings.HasSuffix(out, ": maintenance\n") {
		t.Errorf("disable says %s", out)
	}
	publish(hookNotes, 2*hookNotes)
	fails.answers(http.StatusOK)
	for _, do := range []string{"disable", "enable"} { // so that it does not wait until it is tried again
		s.Run("webhooks", do, "fails", "--server", s.GRPC)
	}
	srv.WaitFor("done with the one that failed", func() bool { return fails.accepted() == 2*hookNotes })
	fails.check(t, "fails", 2*hookNotes)
	if n := fine.accepted(); n != hookNotes {
		t.Errorf("%d events came to an endpoint that is off", n-hookNotes)
	}
	if out := list(); !regexp.MustCompile(fmt.Sprintf(`(?m)^fine +default +%d +0 +off since \S+: maintenance`, hookNotes)).MatchString(out) {
		t.Errorf("the list is\n%s", out)
	}
	srv.Kill()
	srv = s.Up("-c", config)
	if out := s.Run("webhooks", "enable", "fine", "--server", s.GRPC); out != fmt.Sprintf("fine is on, %d events behind the log.\n", hookNotes) {
		t.Errorf("enable says %s", out)
	}
	srv.WaitFor("done with what was missed", func() bool { return fine.accepted() == 2*hookNotes })
	fine.check(t, "fine", 2*hookNotes)

	nobody := s.Start("webhooks", "enable", "nobody", "--server", s.GRPC)
	if err := nobody.End(); err == nil || !strings.Contains(nobody.Out(), `"nobody"`) {
		t.Errorf("an endpoint that does not exist: %v, %s", err, nobody.Out())
	}

	// A store that is dropped keeps the places; where it is lost altogether, the log's groups tell them.
	for i, loses := range []func(){
		func() {
			if out := s.Run("store", "drop", "--data", s.Dir); strings.Contains(out, "webhooks") {
				t.Errorf("drop says %s", out)
			}
		},
		func() {
			if err := os.RemoveAll(filepath.Join(s.Dir, "store")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if err := srv.Stop(); err != nil {
			t.Fatalf("%v\n%s", err, srv.Out())
		}
		loses()
		before, want := fine.attempts(), (3+i)*hookNotes
		srv = s.Up("-c", config)
		publish(want-hookNotes, want)
		srv.WaitFor("done without its store", func() bool { return fine.accepted() == want })
		fine.check(t, "fine", want)
		if n := fine.attempts() - before; n != hookNotes {
			t.Errorf("%d deliveries of %d events", n, hookNotes)
		}
	}
	if err := srv.Stop(); err != nil {
		t.Errorf("%v\n%s", err, srv.Out())
	}
	if strings.Contains(srv.Out(), "whsec_") {
		t.Errorf("a secret was logged:\n%s", srv.Out())
	}
}

func TestAWebhookOnThisMachineIsRefusedUnlessItIsAllowed(t *testing.T) {
	s := newSite(t)
	config := hookConfig(t, false, map[string]*hook{"crm": newHook(t, http.StatusOK)})
	for _, command := range [][]string{s.Args("up"), {"config", "verify"}} {
		srv := s.Start(append(command, "-c", config)...)
		if err := srv.End(); err == nil || !strings.Contains(srv.Out(), "webhooks.endpoints[0].url: ") || strings.Contains(srv.Out(), hookSecret) {
			t.Errorf("%s: %v\n%s", command[0], err, srv.Out())
		}
	}
}
