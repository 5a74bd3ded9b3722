package messenger_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta/messenger"
)

// ofPage is a delivery of one item of messaging, of a field of changes, or of several.
func ofPage(items string) channeltest.Delivery {
	return delivery(messenger.Facebook, items, `{"object":"page","entry":[{"id":"`+page+`","time":1772442000000,`+items+`}]}`)
}

func talk(fields string) string {
	return `{"sender":{"id":"61"},"recipient":{"id":"` + page + `"},"timestamp":1772442000000,` + fields + `}`
}

func say(mid, text string) string {
	return talk(fmt.Sprintf(`"message":{"mid":%q,"text":%q}`, mid, text))
}

func feed(value string) channeltest.Delivery {
	return ofPage(`"changes":[{"field":"feed","value":{` + value + `}}]`)
}

// taken delivers, and gives what became of it.
func taken(t *testing.T, product messenger.Product, deliveries ...channeltest.Delivery) *channeltest.Host {
	t.Helper()
	host := channeltest.NewHost()
	h := open(t, product, host)
	for _, d := range deliveries {
		if answer := post(h, d); answer.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", d.Name, answer.Code, answer.Body)
		}
	}
	channeltest.Fingerprint(t, host) // no conflicts
	return host
}

func TestWhatIsNotUnderstoodIsRejectedByItself(t *testing.T) {
	for name, item := range map[string]string{
		"nothing":                            talk(`"x":null`),
		"a message without id":               talk(`"message":{"text":"<b>hi</b> & \\u00fc"}`),
		"a message whose id is too long":     say(strings.Repeat("m", 10_000), "hi"),
		"a message that is a list":           talk(`"message":[]`),
		"an edit without id":                 talk(`"message_edit":{"text":"hi"}`),
		"a read message that is none":        talk(`"read":{}`),
		"a delivery that is none":            talk(`"delivery":{"watermark":"soon"}`),
		"a reaction to nothing":              talk(`"reaction":{"action":"react"}`),
		"a reaction that nobody knows":       talk(`"reaction":{"action":"sing","mid":"m"}`),
		"a feedback without answers":         talk(`"messaging_feedback":{"feedback_screens":[]}`),
		"a feedback off the scale":           talk(`"messaging_feedback":{"feedback_screens":[{"screen_id":0,"questions":{"q":{"type":"csat","payload":"17"}}}]}`),
		"a thumb that is neither":            talk(`"response_feedback":{"feedback":"Meh","mid":"m"}`),
		"a thumb for nothing":                talk(`"response_feedback":{"feedback":"Good response"}`),
		"a sender that is a list":            `{"sender":[],"message":{"mid":"m"}}`,
		"a sender whose id is too long":      `{"sender":{"id":"` + strings.Repeat("6", 600) + `"},"recipient":{"id":"` + page + `"},"timestamp":1,"message":{"mid":"m"}}`,
		"an item that is a number":           `17`,
		"a message with a control character": talk(`"message":{"mid":"m"},"sender":{"id":"6\u0001"}`),
	} {
		host := taken(t, messenger.Facebook, ofPage(`"messaging":[`+say("before", "one")+`,`+item+`,`+say("after", "two")+`]`))
		if len(host.Events()) != 2 || len(host.Rejections()) != 1 {
			t.Errorf("%s: %d events, %v", name, len(host.Events()), host.Rejections())
			continue
		}
		r := host.Rejections()[0]
		if raw := string(r.Raw); r.Reason == "" || r.Tenant != "lumen" || r.Inbox != "social" || r.Provider != "messenger" || strings.Contains(raw, "before") || !strings.Contains(raw, item) {
			t.Errorf("%s: kept %s: %s", name, r.Reason, raw)
		}
	}
	for name, change := range map[string]string{
		"a change of nothing":       `{"value":{}}`,
		"a feed without verb":       `{"field":"feed","value":{"item":"comment"}}`,
		"a feed that is a text":     `{"field":"feed","value":"x"}`,
		"a comment without id":      `{"field":"feed","value":{"item":"comment","verb":"add","post_id":"1_2"}}`,
		"a comment without post":    `{"field":"feed","value":{"item":"comment","verb":"add","comment_id":"2_3"}}`,
		"a comment with a list for": `{"field":"feed","value":{"item":"comment","verb":"add","comment_id":[]}}`,
	} {
		host := taken(t, messenger.Facebook, ofPage(`"messaging":[`+say("before", "one")+`],"changes":[`+change+`]`))
		if len(host.Events()) != 1 || len(host.Rejections()) != 1 || !strings.Contains(string(host.Rejections()[0].Raw), change) {
			t.Errorf("%s: %d events, %v", name, len(host.Events()), host.Rejections())
		}
	}
	for name, change := range map[string]string{
		"a comment without id":    `{"field":"comments","value":{"media":{"id":"1"}}}`,
		"a comment without media": `{"field":"live_comments","value":{"id":"1"}}`,
		"a comment that is none":  `{"field":"comments","value":[]}`,
		"a mention in nothing":    `{"field":"mentions","value":{}}`,
		"a mention that is none":  `{"field":"mentions","value":17}`,
	} {
		host := taken(t, messenger.Instagram, delivery(messenger.Instagram, name, `{"object":"instagram","entry":[{"id":"`+instagram+`","changes":[`+change+`]}]}`))
		if len(host.Events()) != 0 || len(host.Rejections()) != 1 {
			t.Errorf("%s: %d events, %v", name, len(host.Events()), host.Rejections())
		}
	}
}

func TestABodyThatIsNoneIsKeptWhole(t *testing.T) {
	for _, body := range []string{
		`{"object":"user","entry":[{"id":"` + page + `","messaging":[` + say("m", "hi") + `]}]}`, `{"object":"page","entry":[]}`, `{"object":"page"}`, `[]`, `{}`, `null`,
		`{"object":"page","entry":[{"id":"` + page + `"}]}`, `{"object":"page","entry":{}}`, `{"object":"page","entry":[{"id":{}}]}`,
		`{"object":"page","entry":[{"id":"` + page + `","messaging":[` + strings.Repeat(`{"a":`, 20_000) + `1` + strings.Repeat(`}`, 20_000) + `]}]}`,
	} {
		host := taken(t, messenger.Facebook, delivery(messenger.Facebook, "none", body))
		if r := host.Rejections(); len(host.Events()) != 0 || len(r) != 1 || string(r[0].Raw) != body {
			t.Errorf("%.80s: %d events, %d kept", body, len(host.Events()), len(r))
		}
	}
}

// An app has one address, and many pages, of one tenant or of several.
func TestAnEntryIsGivenToTheInboxWhoseAccountItIsOf(t *testing.T) {
	d := delivery(messenger.Facebook, "batch", `{"object":"page","entry":[
		{"id":"`+page+`","messaging":[`+say("m1", "to Lumen")+`]},
		{"id":2000000000,"messaging":[{"sender":{"id":"61"},"recipient":{"id":"2000000000"},"timestamp":1772442000000,"message":{"mid":"m2","text":"to Nox"}}]},
		{"id":"3000000000","messaging":[{"sender":{"id":"61"},"recipient":{"id":"3000000000"},"timestamp":1772442000000,"message":{"mid":"m3","text":"to the rival, of another app"}}]},
		{"id":"4000000000","time":17,"changes":[{"field":"feed","value":{"item":"post"}}]}]}`)
	host := taken(t, messenger.Facebook, d)
	got := map[string]string{}
	for _, e := range host.Events() {
		got[e.Tenant] = e.Content.GetMessageReceived().GetText() + ", " + e.Submission.GetParties()[0].GetAddress().GetNamespace()
	}
	if len(got) != 2 || got["lumen"] != "to Lumen, messenger/"+page || got["nox"] != "to Nox, messenger/2000000000" {
		t.Error(got)
	}
	if r := host.Rejections(); len(r) != 2 || r[0].Tenant != "lumen" || !strings.Contains(r[0].Reason, "3000000000") ||
		string(r[1].Raw) != `{"object":"page","entry":[{"id":"4000000000","time":17,"changes":[{"field":"feed","value":{"item":"post"}}]}]}` {
		t.Errorf("%v, %s", r, r[1].Raw)
	}
}

// What was kept for an account that is configured now, or was not understood, is taken in again, by itself.
func TestWhatWasKeptIsRedriven(t *testing.T) {
	unknown := delivery(messenger.Facebook, "unknown", `{"object":"page","entry":[
		{"id":"`+page+`","messaging":[`+say("m1", "hi")+`]},
		{"id":"4000000000","messaging":[{"sender":{"id":"61"},"recipient":{"id":"4000000000"},"timestamp":1772442000000,"message":{"mid":"m2","text":"hello?"}}]}]}`)
	host := taken(t, messenger.Facebook, unknown)
	kept := host.Rejections()
	if len(kept) != 1 {
		t.Fatal(kept)
	}
	cfg := config(messenger.Facebook)
	cfg.Accounts = append(cfg.Accounts, messenger.Account{Tenant: "nox", Inbox: "new", ID: "4000000000", AppSecret: appSecret, VerifyToken: verifyToken})
	c, err := messenger.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	again := channeltest.NewHost()
	if err := c.Redrive(t.Context(), again, kept[0]); err != nil {
		t.Fatal(err)
	}
	if e := again.Events(); len(e) != 1 || e[0].Tenant != "nox" || e[0].Submission.GetInbox() != "new" || len(again.Rejections()) != 0 {
		t.Error(e, again.Rejections())
	}
	again.Fail(channel.ErrRetry)
	if err := c.Redrive(t.Context(), again, kept[0]); err == nil {
		t.Error("redriven although the log was away")
	}
	if err := c.Redrive(t.Context(), again, channel.Rejection{Tenant: "gone", Inbox: "x"}); err == nil {
		t.Error("redriven into an inbox that is not there")
	}
}

// Each line is a comment, and the chain and the comment that it belongs under.
func TestACommentsChainIsToldByItsParent(t *testing.T) {
	for name, c := range map[string]struct{ ids, thread, answers string }{
		"the first of a chain":                        {`"post_id":"1_70","comment_id":"70_8","parent_id":"1_70"`, "1_70/70_8", "1_70"},
		"one that names no parent":                    {`"post_id":"1_70","comment_id":"70_8"`, "1_70/70_8", "1_70"},
		"an answer":                                   {`"post_id":"1_70","comment_id":"70_9","parent_id":"70_8"`, "1_70/70_8", "70_8"},
		"the first at a photo, named by the photo":    {`"post_id":"1_70","comment_id":"555_8","parent_id":"1_555"`, "1_70/555_8", "1_70"},
		"the first at a photo, by the photo's own id": {`"post_id":"1_70","comment_id":"555_8","parent_id":"555"`, "1_70/555_8", "1_70"},
		"an answer at a photo":                        {`"post_id":"1_70","comment_id":"555_9","parent_id":"555_8"`, "1_70/555_8", "555_8"},
		"ids that are numbers":                        {`"post_id":70,"comment_id":8,"parent_id":70`, "70/8", "70"},
	} {
		host := taken(t, messenger.Facebook, feed(`"item":"comment","verb":"add","message":"hi","from":{"id":"61"},`+c.ids))
		if len(host.Events()) != 1 {
			t.Errorf("%s: %v", name, host.Rejections())
			continue
		}
		s := host.Events()[0].Submission
		if got := host.Events()[0].Content.GetMessageReceived().GetInReplyTo(); s.GetThread() != c.thread || got != c.answers || s.GetChannel() != eventv1.Channel_CHANNEL_SOCIAL_POST {
			t.Errorf("%s: %s, answers %s", name, s.GetThread(), got)
		}
	}
}

// What cannot be had of a feed, and what the company does there.
func TestWhoDidWhatInAFeed(t *testing.T) {
	for name, c := range map[string]struct{ value, want string }{
		"a customer, as older webhooks name one": {`"item":"comment","verb":"add","post_id":"1_2","comment_id":"2_3","sender_id":61,"sender_name":"Mia"`, "message.received inbound customer 61 Mia"},
		"somebody who is not told":               {`"item":"comment","verb":"add","post_id":"1_2","comment_id":"2_3"`, "message.received inbound customer  "},
		"the page itself":                        {`"item":"comment","verb":"add","post_id":"1_2","comment_id":"2_3","from":{"id":"` + page + `","name":"Lumen"}`, "message.sent outbound company " + page + " "},
		"an edit":                                {`"item":"comment","verb":"edited","post_id":"1_2","comment_id":"2_3","from":{"id":"61"}`, "message.edited inbound customer 61 "},
		"a removal":                              {`"item":"comment","verb":"remove","post_id":"1_2","comment_id":"2_3","from":{"id":"61"}`, "message.deleted inbound customer 61 "},
		"a hidden comment":                       {`"item":"comment","verb":"hide","post_id":"1_2","comment_id":"2_3","from":{"id":"61"}`, "ext.messenger.feed_comment_hide unspecified customer 61 "},
		"a post of the page":                     {`"item":"status","verb":"add","post_id":"1_2","from":{"id":"` + page + `"}`, "message.sent outbound company " + page + " "},
		"a post that is not published":           {`"item":"status","verb":"add","published":0,"post_id":"1_2","from":{"id":"` + page + `"}`, "ext.messenger.feed_status_add unspecified"},
		"a post that is gone":                    {`"item":"post","verb":"remove","post_id":"1_2","from":{"id":"61"}`, "message.deleted inbound customer 61 "},
		"a reaction":                             {`"item":"reaction","verb":"edit","post_id":"1_2","reaction_type":"wow","from":{"id":"61"}`, "ext.messenger.feed_reaction_edit unspecified customer 61 "},
		"what Meta invents tomorrow":             {`"item":"Hologram!","verb":"add","post_id":"1_2"`, "ext.messenger.feed_hologram__add unspecified"},
	} {
		host := taken(t, messenger.Facebook, feed(c.value))
		if len(host.Events()) != 1 {
			t.Errorf("%s: %v", name, host.Rejections())
			continue
		}
		if got := line(host.Events()[0].Submission); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// line is an event's type, direction, and the side, id and name of its first party.
func line(s *eventv1.Submission) string {
	text := s.GetType() + " " + strings.ToLower(strings.TrimPrefix(s.GetDirection().String(), "DIRECTION_"))
	for _, p := range s.GetParties()[:min(1, len(s.GetParties()))] {
		text += " " + strings.ToLower(strings.TrimPrefix(p.GetSide().String(), "SIDE_")) + " " + p.GetAddress().GetValue() + " " + p.GetDisplayName()
	}
	return text
}

// Two edits within a second are two events, and the same edit delivered again is one.
func TestEachEditOfACommentIsAnEvent(t *testing.T) {
	edited := func(text string) channeltest.Delivery {
		return feed(`"item":"comment","verb":"edited","post_id":"1_2","comment_id":"2_3","created_time":1772442000,"from":{"id":"61"},"message":"` + text + `"`)
	}
	if host := taken(t, messenger.Facebook, edited("a"), edited("b"), edited("a")); len(host.Events()) != 2 {
		t.Error(channeltest.Transcript(host.Events()))
	}
}

func TestAMentionInAPostOfThePagesOwnIsToldByItsFeed(t *testing.T) {
	mention := func(post string) channeltest.Delivery {
		return ofPage(`"changes":[{"field":"mention","value":{"item":"comment","verb":"add","post_id":"` + post + `","comment_id":"2_3","message":"@Lumen"}}]`)
	}
	host := taken(t, messenger.Facebook, mention(page+"_2"), mention("17_2"))
	if e := host.Events(); len(e) != 2 || e[0].Submission.GetType() != "ext.messenger.mention_comment_add" || e[1].Submission.GetType() != "message.received" {
		t.Error(channeltest.Transcript(e))
	}
}

// Fields and kinds that nobody knows yet are carried as they came.
func TestWhatNoTypeFitsIsCarriedAsItCame(t *testing.T) {
	for name, c := range map[string]struct{ item, typ, thread string }{
		"a game":                        {`"messaging":[` + talk(`"game_play":{"score":17}`) + `]`, "ext.messenger.game_play", "61"},
		"the older spelling":            {`"messaging":[{"recipient":{"id":"` + page + `"},"policy-enforcement":{"action":"unblock"}}]`, "ext.messenger.policy_enforcement", page},
		"a field":                       {`"changes":[{"field":"ratings","value":{"rating":5}}]`, "ext.messenger.ratings", page},
		"a field of strange letters":    {`"changes":[{"field":"Ü 1","value":1}]`, "ext.messenger.1", page},
		"a field of nothing else":       {`"changes":[{"field":"Ü","value":1}]`, "ext.messenger.unnamed", page},
		"a field of messages, of users": {`"changes":[{"field":"messaging_x","value":` + talk(`"x":1`) + `}]`, "ext.messenger.x", "61"},
	} {
		host := taken(t, messenger.Facebook, ofPage(c.item))
		if len(host.Events()) != 1 {
			t.Errorf("%s: %v", name, host.Rejections())
			continue
		}
		e := host.Events()[0]
		if s := e.Submission; s.GetType() != c.typ || s.GetThread() != c.thread || !strings.Contains(c.item, string(e.Content.GetExtension().GetData())) || e.Content.GetExtension().GetMediaType() != "application/json" {
			t.Errorf("%s: %v", name, s)
		}
	}
}

func TestWhatAMessageHolds(t *testing.T) {
	const cdn = "https://scontent.xx.fbcdn.net/v/a.bin"
	for name, c := range map[string]struct {
		message string
		want    *eventv1.Message
		files   []string
	}{
		"a picture of two":               {`"attachments":[{"type":"image","payload":{"url":"` + cdn + `"}},{"type":"video","payload":{"url":"` + cdn + `2"}}]`, &eventv1.Message{}, []string{cdn, cdn + "2"}},
		"a sticker, as it was told":      {`"sticker_id":1,"attachments":[{"type":"image","payload":{"url":"` + cdn + `","sticker_id":1}}]`, &eventv1.Message{}, []string{cdn}},
		"a reel":                         {`"attachments":[{"type":"reel","payload":{"url":"` + cdn + `","reel_video_id":17}}]`, &eventv1.Message{}, []string{cdn}},
		"a link beside a text":           {`"text":"see https://a.example","attachments":[{"type":"fallback","title":"A","url":"https://l.facebook.com/l.php?u=a"}]`, &eventv1.Message{Text: "see https://a.example"}, nil},
		"a link, in the payload":         {`"attachments":[{"type":"fallback","payload":{"url":"https://a.example","title":"A"}}]`, &eventv1.Message{Text: "A\nhttps://a.example"}, nil},
		"a link that is a text":          {`"attachments":[{"type":"fallback","title":"Legacy","payload":"BLOB"}]`, &eventv1.Message{Text: "Legacy"}, nil},
		"products":                       {`"attachments":[{"type":"template","payload":{"product":{"elements":[{"id":"1","title":"L1","subtitle":"49 €"}]}}}]`, &eventv1.Message{Text: "L1\n49 €"}, nil},
		"a place":                        {`"attachments":[{"type":"location","payload":{"coordinates":{"lat":-33.8,"long":151.2}}}]`, &eventv1.Message{Location: &eventv1.Location{Latitude: -33.8, Longitude: 151.2}}, nil},
		"a place that is none":           {`"attachments":[{"type":"location","payload":{"coordinates":{"lat":91,"long":0}}}]`, &eventv1.Message{Defects: []string{"an attachment without an address: location"}}, nil},
		"what has no address":            {`"attachments":[{"type":"appointment_booking","payload":{}}]`, &eventv1.Message{Defects: []string{"an attachment without an address: appointment_booking"}}, nil},
		"an address that is too long":    {`"attachments":[{"type":"file","payload":{"url":"` + cdn + strings.Repeat("x", 5000) + `"}}]`, &eventv1.Message{Defects: []string{"a file's address is longer than 4096 bytes"}}, nil},
		"metadata that are not Skein's":  {`"text":"x","metadata":"skein:17"`, &eventv1.Message{Text: "x"}, nil},
		"a text that is no good Unicode": {`"text":"a\ud800b"`, &eventv1.Message{Text: "a\uFFFDb"}, nil},
	} {
		host := taken(t, messenger.Facebook, ofPage(`"messaging":[`+talk(`"message":{"mid":"m",`+c.message+`}`)+`]`))
		if len(host.Events()) != 1 {
			t.Errorf("%s: %v", name, host.Rejections())
			continue
		}
		content := host.Events()[0].Content
		var files []string
		for _, a := range content.GetAttachments() {
			files = append(files, a.GetSource())
			if a.GetBlob() != nil {
				t.Errorf("%s: fetched", name)
			}
		}
		if got := content.GetMessageReceived(); got.String() != c.want.String() || strings.Join(files, " ") != strings.Join(c.files, " ") {
			t.Errorf("%s: %v, %v", name, got, files)
		}
	}
}

// A read message is known up to a time only, on Facebook; told again it is one event.
func TestReadUpToATime(t *testing.T) {
	read := func(at, watermark string) string {
		return `{"sender":{"id":"61"},"recipient":{"id":"` + page + `"},"timestamp":` + at + `,"read":{"watermark":` + watermark + `}}`
	}
	host := taken(t, messenger.Facebook, ofPage(`"messaging":[`+read("1772442002000", "1772442001000")+`,`+read("1772442009000", "1772442001000")+`,`+read("1772442009000", `"1772442008000"`)+`]`))
	if got := channeltest.Transcript(host.Events()); len(host.Events()) != 2 || !strings.Contains(got, "2026-03-02T09:00:01Z  message.read  61 read/1772442001000") {
		t.Error(got)
	}
	host = taken(t, messenger.Facebook, ofPage(`"messaging":[`+talk(`"delivery":{"watermark":1772442001000}`)+`]`))
	if got := channeltest.Transcript(host.Events()); len(host.Events()) != 1 || !strings.Contains(got, "message.delivered  61 delivered/1772442001000") {
		t.Error(got)
	}
}

// What the company itself reads is told on Instagram, and is of no interest.
func TestWhatTheCompanyReadsGivesNoEvent(t *testing.T) {
	host := taken(t, messenger.Instagram, delivery(messenger.Instagram, "read", `{"object":"instagram","entry":[{"id":"`+instagram+`","messaging":[{"sender":{"id":"`+instagram+`"},"recipient":{"id":"62"},"timestamp":1772442000000,"read":{"mid":"m"}}]}]}`))
	if len(host.Events())+len(host.Rejections()) != 0 {
		t.Error(host.Events(), host.Rejections())
	}
}
