package chat_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/web/chat"
)

func TestWhatAVisitorTellsBecomesAnEventOfItsKind(t *testing.T) {
	for name, c := range map[string]struct{ frame, typ, native, content string }{
		"a message is delivered": {`{"type":"delivered","id":"f","message":"a 1"}`, event.TypeMessageDelivered, "a 1/delivered", `{"messageDelivered":{"message":"a 1"}}`},
		"a message is read":      {`{"type":"read","id":"f","message":"a 1"}`, event.TypeMessageRead, "a 1/read", `{"messageRead":{"message":"a 1"}}`},
		"a page": {
			`{"type":"page","id":"f","url":"https://shop.example/?q=茶","title":"<b>茶</b>","referrer":"https://search.example"}`, event.TypePageViewed, "f",
			`{"pageViewed":{"url":"https://shop.example/?q=茶","title":"<b>茶</b>","referrer":"https://search.example"}}`,
		},
		"a screen": {`{"type":"page","id":"f","url":"app://shop/kettles"}`, event.TypePageViewed, "f", `{"pageViewed":{"url":"app://shop/kettles"}}`},
		"a form": {
			`{"type":"form","id":"f","form":"contact","fields":{"name":"安娜","email":"anna@example.com"}}`, event.TypeFormSubmitted, "f",
			`{"formSubmitted":{"form":"contact","fields":{"name":"安娜","email":"anna@example.com"}}}`,
		},
		"a step": {`{"type":"step","id":"f","flow":"faq","step":"descale","input":"spots"}`, event.TypeFlowStepEntered, "f", `{"flowStepEntered":{"flow":"faq","step":"descale","input":"spots"}}`},
		"satisfaction": {
			`{"type":"survey","id":"f","survey":"after-chat","metric":"csat","score":4,"drivers":["speed"],"comment":"好"}`, event.TypeSurveyAnswered, "f",
			`{"surveyAnswered":{"survey":"after-chat","metric":"SURVEY_METRIC_CSAT","score":4,"scaleMin":1,"scaleMax":5,"drivers":["speed"],"comment":"好"}}`,
		},
		"recommendation": {
			`{"type":"survey","id":"f","survey":"nps","metric":"nps","score":0}`, event.TypeSurveyAnswered, "f",
			`{"surveyAnswered":{"survey":"nps","metric":"SURVEY_METRIC_NPS","scaleMax":10}}`,
		},
		"effort on a scale of the site's": {
			`{"type":"survey","id":"f","survey":"ces","metric":"ces","score":0.5,"min":0,"max":1}`, event.TypeSurveyAnswered, "f",
			`{"surveyAnswered":{"survey":"ces","metric":"SURVEY_METRIC_CES","score":0.5,"scaleMax":1}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			visitor := s.session("")
			conn := s.dial(visitor.Token)
			for range 2 { // sent again, it is one event
				conn.send(c.frame)
				if f := conn.next("ack"); f.ID != "f" {
					t.Errorf("%+v", f)
				}
			}
			want := &eventv1.Content{}
			if err := protojson.Unmarshal([]byte(c.content), want); err != nil {
				t.Fatal(err)
			}
			e := s.host.Events()[0]
			if !proto.Equal(e.Submission.GetContent(), want) {
				t.Errorf("content %v", e.Submission.GetContent())
			}
			if e.Event.GetType() != c.typ || e.Submission.GetNativeId() != c.native || e.Submission.GetThread() != visitor.Thread || e.Event.GetDirection() != eventv1.Direction_DIRECTION_INBOUND ||
				e.Event.GetChannel() != eventv1.Channel_CHANNEL_WEB_CHAT || e.Submission.GetParties()[0].GetAddress().GetValue() != visitor.Visitor {
				t.Errorf("event %v of %v", e.Event, e.Submission)
			}
			if len(s.host.Events()) != 1 || len(s.host.Conflicts()) != 0 {
				t.Errorf("%d events, %d conflicts", len(s.host.Events()), len(s.host.Conflicts()))
			}
		})
	}
}

func TestReadMarksOfTwoTabsAreOneEvent(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	for id, at := range map[string]string{"x": "2026-03-01T10:00:00Z", "y": "2026-03-01T11:00:00Z"} {
		c := s.dial(visitor.Token)
		c.send(`{"type":"read","id":"` + id + `","message":"a1","at":"` + at + `"}`)
		c.next("ack")
	}
	if len(s.host.Events()) != 1 || len(s.host.Conflicts()) != 0 {
		t.Errorf("%d events, %d conflicts", len(s.host.Events()), len(s.host.Conflicts()))
	}
}

func TestAVideoSessionIsAnInteractionOfItsOwnThatContinuesTheChat(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	c.send(`{"type":"session.started","id":"f1","kind":"video","session":"room-1"}`)
	c.next("ack")
	for range 2 { // two who tell of it
		c.send(`{"type":"session.ended","id":"f2","kind":"video","session":"room-1","at":"` + time.Now().Format(time.RFC3339) + `"}`)
		c.next("ack")
	}
	c.send(`{"type":"session.started","id":"f3","kind":"cobrowse","session":"room-1"}`)
	c.next("ack")
	events := s.host.Events()
	if len(events) != 3 || len(s.host.Conflicts()) != 0 {
		t.Fatalf("%d events, %d conflicts", len(events), len(s.host.Conflicts()))
	}
	begin, end, other := events[0], events[1], events[2]
	if begin.Event.GetType() != event.TypeInteractionStarted || begin.Event.GetChannel() != eventv1.Channel_CHANNEL_VIDEO ||
		begin.Submission.GetThread() != visitor.Thread+"/video/room-1" || begin.Content.GetInteractionStarted().GetContinues() != visitor.Thread ||
		begin.Content.GetInteractionStarted().GetSubject() != "video" || begin.Submission.GetParties()[0].GetAddress().GetValue() != visitor.Visitor {
		t.Errorf("began as %v", begin.Submission)
	}
	if end.Event.GetType() != event.TypeInteractionEnded || end.Event.GetThreadId() != begin.Event.GetThreadId() {
		t.Errorf("ended as %v", end.Submission)
	}
	if other.Event.GetThreadId() == begin.Event.GetThreadId() {
		t.Error("a co-browsing session is in the thread of a video call")
	}
}

func TestAnAppChatsInTheAppOnEveryTokenThatItGets(t *testing.T) {
	s := start(t)
	for platform, want := range map[string]eventv1.Channel{
		"": eventv1.Channel_CHANNEL_WEB_CHAT, "web": eventv1.Channel_CHANNEL_WEB_CHAT, "ios": eventv1.Channel_CHANNEL_IN_APP, "android": eventv1.Channel_CHANNEL_IN_APP,
	} {
		var visitor, again session
		if a := s.request("POST", s.url+"session", "", map[string]string{"platform": platform}, nil, &visitor); a.status != http.StatusOK {
			t.Fatal(a.status)
		}
		s.request("POST", s.url+"session", visitor.Token, map[string]string{"platform": "web"}, nil, &again)
		if visitor.Platform != again.Platform || visitor.Visitor != again.Visitor || platform != "" && visitor.Platform != platform {
			t.Errorf("%q: %+v, then %+v", platform, visitor, again)
		}
		if _, status := s.post(again.Token, map[string]string{"id": "m1", "text": "Hello"}); status != http.StatusOK {
			t.Errorf("%q: %d", platform, status)
		}
		events := s.host.Events()
		if got := events[len(events)-1].Event.GetChannel(); got != want {
			t.Errorf("%q: %v", platform, got)
		}
	}
	var f frame
	if a := s.request("POST", s.url+"session", "", map[string]string{"platform": "windows"}, nil, &f); a.status != http.StatusBadRequest || f.Field != "platform" {
		t.Errorf("%d %+v", a.status, f)
	}
	if a := s.request("POST", s.url+"session", sign(t, siteSecret, func(c *chat.Claims) { c.Platform = "windows" }), nil, nil, nil); a.status != http.StatusUnauthorized {
		t.Errorf("signed by the site: %d", a.status)
	}
}

func TestWrongFramesAreRefusedByField(t *testing.T) {
	s := start(t, unhurried)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	long, deep := strings.Repeat("x", 201), strings.Repeat(`{"a":`, 10_001)
	for name, bad := range map[string]struct{ frame, code, field string }{
		"a read mark of nothing":        {`{"type":"read","id":"f"}`, "invalid", "message"},
		"a read mark of a long id":      {`{"type":"read","id":"f","message":"` + strings.Repeat("x", 1001) + `"}`, "invalid", "message"},
		"a page without an address":     {`{"type":"page","id":"f"}`, "invalid", "url"},
		"a page that runs":              {`{"type":"page","id":"f","url":"javascript://x/%0aalert(1)"}`, "invalid", "url"},
		"a page that is its content":    {`{"type":"page","id":"f","url":"data:text/html,x"}`, "invalid", "url"},
		"a referrer that runs":          {`{"type":"page","id":"f","url":"https://a.example","referrer":"javascript:alert(1)"}`, "invalid", "referrer"},
		"a long page":                   {`{"type":"page","id":"f","url":"https://a.example/` + strings.Repeat("x", 4096) + `"}`, "invalid", "url"},
		"a form without a name":         {`{"type":"form","id":"f","fields":{}}`, "invalid", "form"},
		"a form of numbers":             {`{"type":"form","id":"f","form":"x","fields":{"a":1}}`, "bad_frame", ""},
		"a form of many fields":         {`{"type":"form","id":"f","form":"x","fields":{` + fields(101) + `}}`, "invalid", "fields"},
		"a field without a name":        {`{"type":"form","id":"f","form":"x","fields":{"":"y"}}`, "invalid", "fields"},
		"a step of nothing":             {`{"type":"step","id":"f","flow":"faq"}`, "invalid", "step"},
		"a flow of a long name":         {`{"type":"step","id":"f","flow":"` + long + `","step":"x"}`, "invalid", "flow"},
		"a survey of another kind":      {`{"type":"survey","id":"f","survey":"s","metric":"mood","score":1}`, "invalid", "metric"},
		"more than the best":            {`{"type":"survey","id":"f","survey":"s","metric":"csat","score":6}`, "invalid", "score"},
		"a scale upside down":           {`{"type":"survey","id":"f","survey":"s","metric":"csat","score":1,"min":5,"max":1}`, "invalid", "score"},
		"a number that does not fit":    {`{"type":"survey","id":"f","survey":"s","metric":"csat","score":1e999}`, "bad_frame", ""},
		"a survey without a name":       {`{"type":"survey","id":"f","metric":"csat","score":1}`, "invalid", "survey"},
		"a session of another kind":     {`{"type":"session.started","id":"f","kind":"phone","session":"s"}`, "invalid", "kind"},
		"a session in another's thread": {`{"type":"session.started","id":"f","kind":"video","session":"../other"}`, "invalid", "session"},
		"a frame without an id":         {`{"type":"step","flow":"faq","step":"x"}`, "invalid", "id"},
		"a frame without a type":        {`{"id":"f","text":"x"}`, "bad_frame", ""},
		"a frame of tomorrow":           {`{"type":"dance","id":"f"}`, "bad_frame", ""},
		"10,001 levels":                 {`{"type":"form","id":"f","form":"x","fields":` + deep + `1` + strings.Repeat("}", 10_001) + `}`, "bad_frame", ""},
		"10,001 levels of a ping":       {`{"type":"ping","x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`, "bad_frame", ""},
		"10,001 levels that never end":  {`{"type":"ping","x":` + strings.Repeat("[", 10_001), "bad_frame", ""},
		"many files":                    {`{"type":"message","id":"f","files":["a","a","a","a","a","a","a","a","a","a","a"]}`, "invalid", "files"},
		"a file that nobody has sent":   {`{"type":"message","id":"f","text":"x","files":["e30.AAAA"]}`, "invalid", "files"},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := *s, c
			s.t, c.t = t, t
			c.send(bad.frame)
			if f := c.next("error"); f.Code != bad.code || f.Field != bad.field || f.Message == "" {
				t.Errorf("%+v", f)
			}
			posted, status := s.post(visitor.Token, bad.frame)
			if name != "a frame without a type" && name != "10,001 levels of a ping" && (status != http.StatusBadRequest || posted.Code != bad.code || posted.Field != bad.field) {
				t.Errorf("posted: %d %+v", status, posted)
			}
		})
	}
	if n := len(s.host.Events()); n > 1 { // the one without a type is a message where it is posted
		t.Errorf("%d events", n)
	}
	s.served()
}

// fields are so many fields of a form.
func fields(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"f` + strings.Repeat("x", i) + `":""`)
	}
	return b.String()
}

func TestTypingIsNoEventAndAFloodOfItCutOff(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	c.send(`{"type":"typing"}`)
	c.send(`{"type":"ping"}`)
	c.next("pong")
	if n := len(s.host.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
	go func() {
		for c.Write(t.Context(), 1, []byte(`{"type":"typing"}`)) == nil { //nolint:revive // until it is cut off
		}
	}()
	c.closed(1008)
	s.waitRefused("flood")
	s.served()
	if _, status := s.post(s.session("").Token, `{"type":"typing"}`); status != http.StatusBadRequest {
		t.Errorf("posted: %d", status)
	}
}

func TestAVisitorSeesReadMarksReactionsAndSurveys(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	c.resume("")
	c.next("ready")
	see := func(name, typ string, content *eventv1.Content, from string) frame {
		t.Helper()
		s.publish(visitor.Thread, name, "", func(sub *eventv1.Submission) { sub.Type, sub.Content, sub.Actor = typ, content, nil })
		f := c.next("event")
		if f.Name != typ || f.From != from {
			t.Errorf("%+v", f)
		}
		return f
	}
	if f := see("m1/read", event.TypeMessageRead, &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: "m1"}}}, "agent"); f.Refers != "m1" {
		t.Errorf("%+v", f)
	}
	if f := see("m1/delivered", event.TypeMessageDelivered, &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: "m1"}}}, "agent"); f.Refers != "m1" {
		t.Errorf("%+v", f)
	}
	for _, reaction := range []string{"👍", ""} {
		f := see("r"+reaction, event.TypeMessageReacted, &eventv1.Content{Body: &eventv1.Content_MessageReacted{MessageReacted: &eventv1.MessageReacted{Message: "m1", Reaction: reaction}}}, "agent")
		if f.Refers != "m1" || f.Reaction == nil || *f.Reaction != reaction {
			t.Errorf("%+v", f)
		}
	}
	if f := see("s", event.TypeSurveySent, &eventv1.Content{Body: &eventv1.Content_SurveySent{SurveySent: &eventv1.SurveySent{Survey: "after-chat"}}}, "system"); f.Survey != "after-chat" {
		t.Errorf("%+v", f)
	}
	c.send(`{"type":"survey","id":"f","survey":"after-chat","metric":"csat","score":5}`)
	for range 2 { // in either order
		if f, err := c.read(); err != nil || f.Type == "event" && (f.Survey != "after-chat" || f.From != "visitor") {
			t.Errorf("%+v %v", f, err)
		}
	}
}
