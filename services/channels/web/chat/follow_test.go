package chat_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/coder/websocket"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/web/chat"
)

// resume follows a thread from a cursor.
func (c client) resume(cursor string) { c.send(`{"type":"resume","cursor":"` + cursor + `"}`) }

// texts reads n events and gives their texts and the last cursor.
func (c client) texts(n int) (texts []string, cursor string) {
	c.t.Helper()
	for range n {
		f := c.next("event")
		texts = append(texts, f.Text)
		cursor = f.Cursor
	}
	return texts, cursor
}

func TestWhatAnAgentAnswersIsPushedToTheVisitor(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	c.resume("")
	if f := c.next("ready"); f.Cursor == "" {
		t.Errorf("%+v", f)
	}
	id := s.publish(visitor.Thread, "a1", "How can I help? 您好！")
	f := c.next("event")
	if f.Event != id || f.Name != "message.sent" || f.From != "agent" || f.Author != "Jo" || f.ID != "a1" || f.Text != "How can I help? 您好！" ||
		f.Cursor == "" || f.At != channeltestTime {
		t.Errorf("%+v", f)
	}
}

const channeltestTime = "2026-03-01T12:00:00Z"

func TestEveryTabOfAVisitorSeesTheThreadAndNobodyElseDoes(t *testing.T) {
	s := start(t)
	visitor, other := s.session(""), s.session("")
	a, b, stranger := s.dial(visitor.Token), s.dial(s.session(visitor.Token).Token), s.dial(other.Token)
	for _, c := range []client{a, b, stranger} {
		c.resume("")
		c.next("ready")
	}
	a.say("m1", "Hello")
	var acked bool
	for range 2 { // in either order
		f, err := a.read()
		if err != nil {
			t.Fatal(err)
		}
		acked = acked || f.Type == "ack"
		if f.ID != "m1" {
			t.Errorf("%+v", f)
		}
	}
	if !acked {
		t.Error("not acknowledged")
	}
	if f := b.next("event"); f.Text != "Hello" || f.From != "visitor" || f.ID != "m1" || f.Author != "" {
		t.Errorf("the other tab sees %+v", f)
	}
	s.publish(visitor.Thread, "a1", "Welcome")
	a.texts(1)
	b.texts(1)
	s.publish(other.Thread, "a1", "To the stranger")
	if texts, _ := stranger.texts(1); texts[0] != "To the stranger" {
		t.Errorf("the stranger sees %v", texts)
	}
}

func TestAClientThatComesBackGetsWhatItMissedAndNothingTwice(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	s.publish(visitor.Thread, "a0", "0")
	s.publish(visitor.Thread, "a1", "1")
	c := s.dial(visitor.Token)
	c.resume("")
	texts, cursor := c.texts(2)
	_ = c.CloseNow()
	s.publish(visitor.Thread, "a2", "2")
	s.publish(visitor.Thread, "a3", "3")
	c = s.dial(visitor.Token)
	c.resume(cursor)
	missed, cursor := c.texts(2)
	c.next("ready")
	c = s.dial(visitor.Token)
	c.resume(cursor)
	c.next("ready") // nothing was missed
	s.publish(visitor.Thread, "a4", "4")
	live, _ := c.texts(1)
	if got := slices.Concat(texts, missed, live); !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Errorf("seen %v", got)
	}
}

func TestAStaleCursorResetsAndTheHistoryBeginsAgain(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	s.publish(visitor.Thread, "a0", "0")
	c := s.dial(visitor.Token)
	c.resume("")
	_, cursor := c.texts(1)
	s.follower.Expire()
	for name, stale := range map[string]string{"expired": cursor, "no cursor": "gibberish", "of another thread": "0.0.0011223344556677"} {
		c = s.dial(visitor.Token)
		c.resume(stale)
		c.next("reset")
		if texts, _ := c.texts(1); texts[0] != "0" {
			t.Errorf("%s: %v", name, texts)
		}
		c.next("ready")
	}
	var f frame
	if a := s.request("GET", s.url+"events?cursor="+url.QueryEscape(cursor), visitor.Token, nil, nil, &f); a.status != http.StatusGone || f.Code != "stale_cursor" {
		t.Errorf("%d %+v", a.status, f)
	}
}

func TestWhileTheThreadCannotBeReadTheClientIsToldToComeAgain(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	c.resume("")
	c.next("ready")
	s.follower.Fail(channel.ErrRetry)
	c.closed(websocket.StatusTryAgainLater)
	var f frame
	if a := s.request("GET", s.url+"events", visitor.Token, nil, nil, &f); a.status != http.StatusServiceUnavailable || f.RetryAfter == 0 {
		t.Errorf("%d %+v", a.status, f)
	}
	s.follower.Fail(nil)
	c = s.dial(visitor.Token)
	c.resume("")
	c.next("ready")
}

func TestAConnectionFollowsOnce(t *testing.T) {
	s := start(t)
	c := s.dial(s.session("").Token)
	c.resume("")
	c.next("ready")
	c.resume("")
	if f := c.next("error"); f.Code != "bad_frame" {
		t.Errorf("%+v", f)
	}
}

func TestWhatIsNotMeantForVisitorsIsNotShown(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	for name, change := range map[string]func(*eventv1.Submission){
		"a note": func(sub *eventv1.Submission) {
			sub.Type = event.TypeNoteAdded
			sub.Content = &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: "secret"}}}
		},
		"a message among colleagues": func(sub *eventv1.Submission) { sub.Direction = eventv1.Direction_DIRECTION_INTERNAL },
		"a request to send": func(sub *eventv1.Submission) {
			sub.Type = event.TypeMessageSendRequested
			sub.Content = &eventv1.Content{Body: &eventv1.Content_MessageSendRequested{MessageSendRequested: &eventv1.Message{Text: "secret"}}}
		},
		"an insight": func(sub *eventv1.Submission) {
			sub.Type, sub.Content = event.TypeInsightInferred, nil
		},
		"a supervisor": func(sub *eventv1.Submission) {
			sub.Type, sub.Content = event.TypePartyJoined, nil
			sub.Parties[0].Role = eventv1.PartyRole_PARTY_ROLE_SUPERVISOR
		},
		"a supervisor who listens": func(sub *eventv1.Submission) {
			sub.Type = event.TypePartyJoined
			sub.Content = &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{SupervisorMode: eventv1.SupervisorMode_SUPERVISOR_MODE_MONITOR}}}
		},
		"a type of tomorrow": func(sub *eventv1.Submission) { sub.Type, sub.Content = "ext.desktop.secret", nil },
	} {
		s.publish(visitor.Thread, name, "secret", change)
	}
	c := s.dial(visitor.Token)
	c.resume("")
	cursor := c.next("ready").Cursor // behind them all
	s.publish(visitor.Thread, "hidden", "secret", func(sub *eventv1.Submission) { sub.Direction = eventv1.Direction_DIRECTION_INTERNAL })
	s.publish(visitor.Thread, "shown", "Hello")
	if texts, _ := c.texts(1); texts[0] != "Hello" {
		t.Errorf("seen %v", texts)
	}
	c = s.dial(visitor.Token)
	c.resume(cursor)
	c.next("ready") // behind what is hidden
	if texts, _ := c.texts(1); texts[0] != "Hello" {
		t.Errorf("seen %v", texts)
	}
}

func TestAVisitorSeesWhoComesAndGoesAndWhatIsChanged(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	c.resume("")
	c.next("ready")
	see := func(name string, change func(*eventv1.Submission)) frame {
		t.Helper()
		s.publish(visitor.Thread, name, name, change)
		f := c.next("event")
		if f.Cursor == "" || f.Event == "" {
			t.Errorf("%+v", f)
		}
		return f
	}
	if f := see("joins", func(sub *eventv1.Submission) { sub.Type, sub.Content = event.TypePartyJoined, nil }); f.Name != "party.joined" || f.From != "agent" || f.Author != "Jo" {
		t.Errorf("%+v", f)
	}
	bot := func(sub *eventv1.Submission) {
		sub.Actor.Kind, sub.Parties = eventv1.ActorKind_ACTOR_KIND_BOT, nil
	}
	if f := see("says", bot); f.From != "bot" || f.Author != "" || f.Text != "says" {
		t.Errorf("%+v", f)
	}
	files := func(sub *eventv1.Submission) {
		sub.Actor = nil
		sub.Content.Attachments = []*eventv1.Attachment{{Name: "invoice.pdf"}, {Name: "发票.pdf"}}
	}
	if f := see("attaches", files); f.From != "agent" || len(f.Files) != 2 || f.Files[0].Name != "invoice.pdf" || f.Files[1].Name != "发票.pdf" || f.Files[0].File != "" {
		t.Errorf("%+v", f)
	}
	edit := func(sub *eventv1.Submission) {
		sub.Type = event.TypeMessageEdited
		sub.Content = &eventv1.Content{Body: &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{Message: "says", Edited: &eventv1.Message{Text: "said"}}}}
	}
	if f := see("edits", edit); f.Name != "message.edited" || f.Refers != "says" || f.Text != "said" {
		t.Errorf("%+v", f)
	}
	deletion := func(sub *eventv1.Submission) {
		sub.Type = event.TypeMessageDeleted
		sub.Content = &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: "says"}}}
	}
	if f := see("deletes", deletion); f.Name != "message.deleted" || f.Refers != "says" || f.Text != "" {
		t.Errorf("%+v", f)
	}
	end := func(sub *eventv1.Submission) {
		sub.Type, sub.Content, sub.Actor = event.TypeInteractionEnded, nil, nil
	}
	if f := see("ends", end); f.Name != "interaction.ended" || f.From != "system" {
		t.Errorf("%+v", f)
	}
}

func TestAPollGivesTheHistoryThenWaitsForWhatIsNew(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	s.publish(visitor.Thread, "a0", "0")
	s.publish(visitor.Thread, "a1", "1")
	poll := func(cursor string) frame {
		t.Helper()
		var f frame
		if a := s.request("GET", s.url+"events?cursor="+url.QueryEscape(cursor), visitor.Token, nil, nil, &f); a.status != http.StatusOK {
			t.Fatal(a.status)
		}
		return f
	}
	first := poll("")
	if len(first.Events) != 2 || first.Events[0].Text != "0" || first.Events[1].Text != "1" || first.Cursor == "" {
		t.Errorf("%+v", first)
	}
	answered := make(chan frame)
	go func() { answered <- poll(first.Cursor) }()
	s.publish(visitor.Thread, "a2", "2")
	if f := <-answered; len(f.Events) != 1 || f.Events[0].Text != "2" || f.Cursor == first.Cursor {
		t.Errorf("%+v", f)
	}
}

func TestAPollThatSeesNothingEndsWithTheCursor(t *testing.T) {
	s := start(t, limits(func(l *chat.Limits) { l.Poll = 1 }))
	visitor := s.session("")
	var f frame
	if a := s.request("GET", s.url+"events", visitor.Token, nil, nil, &f); a.status != http.StatusOK || f.Events == nil || len(f.Events) != 0 {
		t.Errorf("%d %+v", a.status, f)
	}
}
