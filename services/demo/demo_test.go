package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	"github.com/skein-cx/skein/services/demo"
)

func TestTheStoryIsTheSameAtEveryPlay(t *testing.T) {
	wire := func() (all [][]byte) {
		t.Helper()
		for _, s := range demo.Story() {
			var raw []byte
			var err error
			switch {
			case s.Mail != nil:
				raw, err = s.Compose()
			case s.Call != nil, s.Delivery != nil:
				raw, err = json.Marshal(s)
			case s.Said != nil:
				raw, err = proto.MarshalOptions{Deterministic: true}.Marshal(s.Said)
			case s.Line.By != nil:
				raw, err = proto.MarshalOptions{Deterministic: true}.Marshal(s.Submission())
			default:
				raw, err = json.Marshal(s)
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, raw)
		}
		return all
	}
	first, second := wire(), wire()
	for i := range first {
		if !bytes.Equal(first[i], second[i]) {
			t.Errorf("scene %d differs:\n%s\n%s", i, first[i], second[i])
		}
	}
}

func TestTheStoryIsToldInOrderOfTimeAndEachEventHasAnIDOfItsOwn(t *testing.T) {
	story := demo.Story()
	ids := map[string]bool{}
	for _, s := range story {
		ids[s.ID] = true
	}
	if len(ids) != len(story) || !slices.IsSortedFunc(story, func(a, b demo.Scene) int { return a.At.Compare(b.At) }) {
		t.Errorf("%d ids of %d scenes, perhaps in a wrong order", len(ids), len(story))
	}
}

func TestTheDirectoryKnowsEveryAgentAndQueueOfTheStory(t *testing.T) {
	known := map[string]bool{}
	for _, e := range demo.Directory().GetEntries() {
		if e.GetValidFrom().AsTime().After(demo.Story()[0].At) {
			t.Errorf("%s is there from %s on only", e.GetId(), e.GetValidFrom().AsTime())
		}
		for _, id := range slices.Concat(e.GetAgent().GetIds(), e.GetQueue().GetIds()) {
			known[id.GetProvider()+"/"+id.GetId()] = true
		}
		if e.GetAgent() != nil {
			known[e.GetId()] = true
		}
	}
	var named []string
	for _, s := range slices.Concat(demo.Story(), demo.Shift()) {
		switch {
		case s.Call != nil:
			for _, field := range []string{"WorkerSid", "TransferTo", "TaskQueueName"} {
				if id := s.Call.Form[field]; id != "" {
					named = append(named, "twilio/"+id)
				}
			}
		case s.Said != nil:
			named = append(named, s.Said.GetActor().GetId())
		case s.Line != nil && s.Line.By != nil && s.Line.By.Kind == eventv1.ActorKind_ACTOR_KIND_AGENT:
			named = append(named, s.Line.By.ID)
		}
	}
	if len(named) == 0 {
		t.Error("the story names nobody")
	}
	for _, id := range named {
		if !known[id] {
			t.Errorf("nobody knows %s", id)
		}
	}
}

func TestAgentsSignInBeforeTheyTakeContacts(t *testing.T) {
	in := map[string]bool{}
	for _, s := range slices.SortedStableFunc(slices.Values(slices.Concat(demo.Shift(), demo.Story())), func(a, b demo.Scene) int { return a.At.Compare(b.At) }) {
		if s.Call == nil || s.Call.Form["WorkerSid"] == "" {
			continue
		}
		if activity := s.Call.Form["WorkerActivityName"]; activity != "" {
			in[s.Call.Form["WorkerSid"]] = activity == "Available"
		} else if !in[s.Call.Form["WorkerSid"]] {
			t.Errorf("%s: %s is not signed in", s.ID, s.Call.Form["WorkerSid"])
		}
	}
}

// frame is any frame of the chat's.
type frame struct {
	Type    string `json:"type"`
	ID      string `json:"id,omitempty"`
	Text    string `json:"text,omitempty"`
	At      string `json:"at,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// chat is a server that has one visitor, and hands what it says to answer.
func chat(t *testing.T, answer func(frame) frame) (url string, push func(frame)) {
	t.Helper()
	pushed := make(chan frame)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Sec-WebSocket-Protocol"); !strings.Contains(got, "bearer.token-of-") {
			t.Errorf("the subprotocols are %q", got)
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"skein.chat.v1"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.CloseNow() }() // the visitor has left
		var resume frame
		if err := wsjson.Read(r.Context(), conn, &resume); err != nil || resume.Type != "resume" {
			t.Errorf("the first frame is %+v: %v", resume, err)
		}
		go func() {
			for {
				select {
				case f := <-pushed:
					_ = wsjson.Write(r.Context(), conn, f) // the client may be gone
				case <-r.Context().Done():
					return
				}
			}
		}()
		for {
			var f frame
			if err := wsjson.Read(r.Context(), conn, &f); err != nil {
				return // the visitor has left
			}
			if err := wsjson.Write(r.Context(), conn, answer(f)); err != nil {
				t.Error(err)
			}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/", func(f frame) {
		select {
		case pushed <- f:
		case <-t.Context().Done():
		}
	}
}

func player(t *testing.T, url string, ingest ingestv1.IngestServiceClient) *demo.Player {
	t.Helper()
	p := &demo.Player{Chat: url, Ingest: ingest, Token: func(visitor, _ string) (string, error) { return "token-of-" + visitor, nil }}
	t.Cleanup(p.Close)
	return p
}

// scene finds a scene of the story.
func scene(t *testing.T, id string) demo.Scene {
	t.Helper()
	story := demo.Story()
	i := slices.IndexFunc(story, func(s demo.Scene) bool { return s.ID == id })
	if i < 0 {
		t.Fatalf("the story has no %s", id)
	}
	return story[i]
}

func TestAVisitorSpeaksUntilTheLogHasIt(t *testing.T) {
	said := make(chan frame, 1)
	url, _ := chat(t, func(f frame) frame {
		said <- f
		return frame{Type: "ack", ID: f.ID}
	})
	if err := player(t, url, nil).Play(t.Context(), scene(t, "descaling-1")); err != nil {
		t.Fatal(err)
	}
	if f := <-said; f.Type != "message" || f.At != "2026-03-12T18:40:00Z" || !strings.Contains(f.Text, "white film") {
		t.Errorf("said %+v", f)
	}
}

func TestWhatTheChatRefusesIsTold(t *testing.T) {
	url, _ := chat(t, func(f frame) frame {
		return frame{Type: "error", ID: f.ID, Code: "invalid", Message: "there is no text"}
	})
	err := player(t, url, nil).Play(t.Context(), scene(t, "descaling-1"))
	if err == nil || !strings.Contains(err.Error(), "play descaling-1: the chat says invalid: there is no text") {
		t.Errorf("got %v", err)
	}
}

// ingest takes what is published.
type ingest struct {
	ingestv1.IngestServiceClient
	published chan *ingestv1.PublishRequest
}

func (i ingest) Publish(_ context.Context, in *ingestv1.PublishRequest, _ ...grpc.CallOption) (*ingestv1.PublishResponse, error) {
	i.published <- in
	return &ingestv1.PublishResponse{}, nil
}

func TestAnAnswerIsGivenOnceTheVisitorHasSeenIt(t *testing.T) {
	url, push := chat(t, func(f frame) frame { return f })
	in := ingest{published: make(chan *ingestv1.PublishRequest, 1)}
	played := make(chan error, 1)
	p := player(t, url, in)
	go func() { played <- p.Play(t.Context(), scene(t, "descaling-2")) }()
	s := (<-in.published).GetSubmissions()[0]
	if s.GetType() != event.TypeMessageSent || s.GetInbox() != demo.Widget || s.GetThread() != "anna-weber-descaling" || s.GetParties()[1].GetAddress().GetValue() != "anna-weber" {
		t.Errorf("published %v", s)
	}
	push(frame{Type: "event", ID: "another"})
	select {
	case err := <-played:
		t.Errorf("it does not wait until the visitor has seen it: %v", err)
	default:
	}
	push(frame{Type: "event", ID: "descaling-2"})
	if err := <-played; err != nil {
		t.Error(err)
	}
}

func TestAStoryThatIsCutOffEndsAtOnce(t *testing.T) {
	reached := make(chan struct{})
	url, _ := chat(t, func(frame) frame { close(reached); return frame{Type: "pong"} })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	played := make(chan error, 1)
	p := player(t, url, nil)
	go func() { played <- p.Play(ctx, scene(t, "descaling-1")) }()
	<-reached
	cancel()
	if err := <-played; err == nil {
		t.Error("no error")
	}
}
