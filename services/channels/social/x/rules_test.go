package x_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/x"
)

func lines(host *channeltest.Host) []string {
	var all []string
	for _, e := range host.Events() {
		s := e.Submission
		line := s.GetType() + " " + s.GetInbox() + " " + s.GetThread()
		for _, p := range s.GetParties() {
			line += " " + strings.ToLower(strings.TrimPrefix(p.GetSide().String(), "SIDE_")) + ":" + p.GetAddress().GetValue()
		}
		all = append(all, line)
	}
	return all
}

// Each is a post and what it gives: type, inbox, thread and parties.
func TestThePayloadDecidesTheThreadOfAPost(t *testing.T) {
	for name, c := range map[string]struct {
		post string
		want []string
	}{
		"a mention": {
			`"id_str":"900","user":{"id_str":"501"}`,
			[]string{"message.received lamps post/900 customer:501 company:1000000001"},
		},
		"a reply": {
			`"id_str":"901","in_reply_to_status_id_str":"900","user":{"id_str":"501"}`,
			[]string{"message.received lamps post/900 customer:501 company:1000000001", "thread.joined lamps post/901"},
		},
		"a reply whose conversation is told": {
			`"id_str":"902","conversation_id_str":"800","in_reply_to_status_id_str":"901","user":{"id_str":"501"}`,
			[]string{"message.received lamps post/800 customer:501 company:1000000001", "thread.joined lamps post/902"},
		},
		"a conversation as a number": {
			`"id_str":"902","conversation_id":800,"user":{"id_str":"501"}`,
			[]string{"message.received lamps post/800 customer:501 company:1000000001"},
		},
		"the company's own post": {
			`"id_str":"903","user":{"id_str":"1000000001"}`,
			[]string{"message.sent lamps post/903 company:1000000001"},
		},
		"the company's answer to a customer": {
			`"id_str":"904","in_reply_to_status_id_str":"900","in_reply_to_user_id_str":"501","user":{"id_str":"1000000001"}`,
			[]string{"message.sent lamps post/900 company:1000000001 customer:501", "thread.joined lamps post/904"},
		},
		"the company answers itself": {
			`"id_str":"905","in_reply_to_status_id_str":"904","in_reply_to_user_id_str":"1000000001","user":{"id_str":"1000000001"}`,
			[]string{"message.sent lamps post/904 company:1000000001", "thread.joined lamps post/905"},
		},
		"another account of the company's mentions this one": {
			`"id_str":"906","user":{"id_str":"1000000002"}`,
			[]string{"message.sent lamps post/906 company:1000000002"},
		},
		"another tenant's account is a stranger": {
			`"id_str":"907","user":{"id_str":"1000000003"}`,
			[]string{"message.received lamps post/907 customer:1000000003 company:1000000001"},
		},
		"the later version of a reply": {
			`"id_str":"908","in_reply_to_status_id_str":"900","edit_history":{"edit_tweet_ids":["901","908"]},"user":{"id_str":"501"}`,
			[]string{"message.edited lamps post/900 customer:501 company:1000000001"},
		},
		"an id without its exact form": {
			`"id":909,"user":{"id":501}`,
			[]string{"message.received lamps post/909 customer:501 company:1000000001"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			host := taken(t, `{"for_user_id":"1000000001","tweet_create_events":[{`+c.post+`}]}`)
			if got := lines(host); !slices.Equal(got, c.want) || len(host.Rejections()) > 0 {
				t.Errorf("got\n  %s\nwant\n  %s\n%v", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "), host.Rejections())
			}
		})
	}
}

func TestWhatIsAboutNoAccountOfTheAppsIsKept(t *testing.T) {
	const message = `"direct_message_events":[{"type":"message_create","id":"9","message_create":{"target":{"recipient_id":"%[1]s"},"sender_id":"5"}}]`
	for user, want := range map[string]int{"1000000001": 0, "1000000002": 0, "1000000003": 1, "7": 1} { // 1000000003 has another app
		host := taken(t, fmt.Sprintf(`{"for_user_id":"%[1]s",`+message+`}`, user))
		if got := host.Rejections(); len(got) != want || len(host.Events()) != 1-want {
			t.Errorf("%s: kept %v, %d events", user, got, len(host.Events()))
		}
	}
	if host := taken(t, `{`+fmt.Sprintf(message, "1000000001")+`}`); len(host.Rejections()) != 1 {
		t.Error("a delivery about nobody was taken")
	}
	// The X Activity API (https://docs.x.com/x-api/activity/event-payloads) tells it otherwise.
	if host := taken(t, `{"data":{"event_uuid":"2080761390344937796","filter":{"user_id":"1000000001"},"event_type":"post.create","payload":{}}}`); len(host.Rejections()) != 1 || len(host.Events()) > 0 {
		t.Error("a delivery of another API was taken")
	}
}

func TestWhatIsAboutAnotherInboxIsKeptThere(t *testing.T) {
	host := taken(t, `{"for_user_id":"1000000002","direct_message_events":[{"type":"message_create","id":"x","message_create":{}}]}`)
	if got := host.Rejections(); len(got) != 1 || got[0].Inbox != "service" || got[0].Tenant != "lumen" {
		t.Error(got)
	}
}

// One item of a batch that is not understood costs none of the others, and can be taken in again by itself.
func TestABatchIsTakenInParts(t *testing.T) {
	body := `{"for_user_id":"1000000001","users":{"501":{"name":"Mia"}},"tweet_create_events":[{"id_str":"1","user":{"id_str":"501"}},{"id_str":[]},{"id_str":"3","user":{"id_str":"501"}}],
		"direct_message_events":[{"type":"message_create","id":"` + strings.Repeat("9", 10_000) + `","message_create":{"sender_id":"501","target":{"recipient_id":"1000000001"}}}]}`
	host := taken(t, body)
	if got := lines(host); len(got) != 2 {
		t.Errorf("%q", got)
	}
	kept := host.Rejections()
	if len(kept) != 2 {
		t.Fatal(kept)
	}
	if want := `{"for_user_id":"1000000001","tweet_create_events":[{"id_str":[]}],"users":{"501":{"name":"Mia"}}}`; string(kept[1].Raw) != want || !strings.Contains(kept[1].Reason, "tweet_create_events[1]") {
		t.Errorf("%s: %s", kept[1].Reason, kept[1].Raw)
	}
	c, err := x.New(config(http.NewServeMux(), ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range kept { // still not understood: kept again, and as it was
		again := channeltest.NewHost()
		if err := c.Redrive(t.Context(), again, r); err != nil || len(again.Rejections()) != 1 || !bytes.Equal(again.Rejections()[0].Raw, r.Raw) {
			t.Error(err, again.Rejections())
		}
	}
	mended := kept[1]
	mended.Raw = []byte(strings.Replace(string(mended.Raw), `"id_str":[]`, `"id_str":"2","user":{"id_str":"501"}`, 1))
	if err := c.Redrive(t.Context(), host, mended); err != nil || len(lines(host)) != 3 {
		t.Error(err, lines(host))
	}
	if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "gone"}); err == nil {
		t.Error("redriven into an inbox that is gone")
	}
}

// While nothing can be kept, X is asked to come again, although a part was understood.
func TestWhatCannotBeKeptIsAskedForAgain(t *testing.T) {
	host := channeltest.NewHost()
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	body := `{"for_user_id":"1000000001","tweet_create_events":[{"id_str":"x"},{"id_str":"y"}]}`
	if answer := post(open(t, host), webhookURL, body, sign); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", answer.Code)
	}
}

func TestItemsThatCannotBeAreNotUnderstood(t *testing.T) {
	for name, item := range map[string]string{
		"a post without author":             `"tweet_create_events":[{"id_str":"1"}]`,
		"a repost of nothing":               `"tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},"retweeted_status":{}}]`,
		"a reply to a word":                 `"tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},"in_reply_to_status_id_str":"that"}]`,
		"an endless address":                `"tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},"entities":{"media":[{"media_url_https":"https://pbs.twimg.com/` + strings.Repeat("a", 5000) + `"}]}}]`,
		"a thousand files":                  `"tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},"entities":{"media":[` + strings.Repeat(`{},`, 1000) + `{}]}}]`,
		"a number that does not fit":        `"tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},"display_text_range":[0,1e99]}]`,
		"a deletion of nothing":             `"tweet_delete_events":[{"status":{"id":"1"}}]`,
		"a like of nothing":                 `"favorite_events":[{"id":"a","user":{"id_str":"5"}}]`,
		"two strangers":                     `"follow_events":[{"type":"follow","source":{"id":"5"},"target":{"id":"6"}}]`,
		"somebody who follows himself":      `"follow_events":[{"type":"follow","source":{"id":"1000000001"},"target":{"id":"1000000001"}}]`,
		"a message between strangers":       `"direct_message_events":[{"type":"message_create","id":"9","message_create":{"target":{"recipient_id":"6"},"sender_id":"5"}}]`,
		"somebody else's receipt":           `"direct_message_mark_read_events":[{"sender_id":"5","last_read_event_id":"9","target":{"recipient_id":"6"}}]`,
		"a receipt without a message":       `"direct_message_mark_read_events":[{"sender_id":"5","target":{"recipient_id":"1000000001"}}]`,
		"a list in the place of a post":     `"tweet_create_events":[[]]`,
		"an account in the place of a name": `"tweet_create_events":[{"id_str":"1","user":{"id_str":"5","name":{}}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"for_user_id":"1000000001",` + item + `}`
			host := taken(t, body)
			if kept := host.Rejections(); len(kept) != 1 || string(kept[0].Raw) != body || len(host.Events()) > 0 {
				t.Errorf("kept %v, %v", kept, lines(host))
			}
		})
	}
}

// What X will tell of tomorrow is carried as it is.
func TestWhatIsNotKnownIsCarried(t *testing.T) {
	for body, want := range map[string]string{
		`"follow_events":[{"type":"Super Follow","source":{"id":"5"},"target":{"id":"1000000001"}}]`: "ext.x.super_follow lamps 5 customer:5 company:1000000001",
		`"direct_message_events":[{"type":"reaction_create","id":"9"}]`:                              "ext.x.reaction_create lamps account company:1000000001",
		`"direct_message_events":[{"id":"9"}]`:                                                       "ext.x.direct_message lamps account company:1000000001",
		`"ÄÖ_events":[1]`:                                                                            "ext.x.unnamed lamps account company:1000000001",
		`"community":{}`:                                                                             "ext.x.community lamps account company:1000000001",
		`"user_event":{}`:                                                                            "ext.x.user lamps account company:1000000001",
		`"money_events":[{"amount":1e400}],"happy":true`:                                             "ext.x.money lamps account company:1000000001",
	} {
		host := taken(t, `{"for_user_id":"1000000001",`+body+`}`)
		if got := lines(host); len(got) != 1 || got[0] != want || len(host.Rejections()) > 0 {
			t.Errorf("%s: %q %v", body, got, host.Rejections())
		}
	}
}

func TestATextIsAsItsAuthorSeesIt(t *testing.T) {
	for name, c := range map[string]struct{ post, want string }{
		"signs":                       {`"text":"a &lt;b&gt; &amp;amp; &quot;"`, "a <b> &amp; &quot;"},
		"a range beyond the text":     {`"text":"Hello","display_text_range":[2,99]`, "Hello"},
		"a range backwards":           {`"text":"Hello","display_text_range":[3,1]`, "Hello"},
		"characters, not bytes":       {`"text":"@我们 灯呢","display_text_range":[4,6]`, "灯呢"},
		"a link without a long form":  {`"text":"see https://t.co/abc","entities":{"urls":[{"url":"https://t.co/abc"}]}`, "see https://t.co/abc"},
		"a link that is not X's":      {`"text":"e, e","entities":{"urls":[{"url":"e","expanded_url":"https://evil.example"}]}`, "e, e"},
		"one link twice":              {`"text":"https://t.co/abc https://t.co/abc","entities":{"urls":[{"url":"https://t.co/abc","expanded_url":"u"},{"url":"https://t.co/abc","expanded_url":"u"}]}`, "u u"},
		"half a character":            {`"text":"\ud83d!"`, "\ufffd!"},
		"the whole in a field of old": {`"text":"Hel…","full_text":"Hello"`, "Hello"},
	} {
		host := taken(t, `{"for_user_id":"1000000001","tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},`+c.post+`}]}`)
		if got := host.Events(); len(got) != 1 || got[0].Content.GetMessageReceived().GetText() != c.want {
			t.Errorf("%s: %v %v", name, got, host.Rejections())
		}
	}
	host := taken(t, `{"for_user_id":"1000000001","tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},"text":"Hel…","truncated":true,"lang":"qme","coordinates":{"coordinates":[13.4,52.5]},"place":{"full_name":"Berlin"}}]}`)
	m := host.Events()[0].Content.GetMessageReceived()
	if len(m.GetDefects()) != 1 || m.GetLocation().GetLabel() != "Berlin" || host.Events()[0].Submission.GetLanguage() != "" {
		t.Error(m)
	}
}

// The best that is one file is what is to be fetched.
func TestAVideoIsItsBestFile(t *testing.T) {
	host := taken(t, `{"for_user_id":"1000000001","tweet_create_events":[{"id_str":"1","user":{"id_str":"5"},"extended_entities":{"media":[{"type":"video","media_url_https":"https://pbs.twimg.com/thumb.jpg",
		"video_info":{"variants":[{"content_type":"application/x-mpegURL","url":"https://video.twimg.com/a.m3u8"},{"bitrate":832000,"content_type":"video/mp4","url":"https://video.twimg.com/lo.mp4?tag=1"},{"bitrate":2176000,"content_type":"video/mp4","url":"https://video.twimg.com/hi.mp4?tag=1"}]}}]}}]}`)
	got := host.Events()[0].Content.GetAttachments()
	if len(got) != 1 || got[0].GetSource() != "https://video.twimg.com/hi.mp4?tag=1" || got[0].GetMediaType() != "video/mp4" || got[0].GetName() != "hi.mp4" || got[0].GetBlob() != nil {
		t.Error(got)
	}
}

// A name as long as X never allows does not cost the message.
func TestALongNameIsCut(t *testing.T) {
	for _, name := range []string{strings.Repeat("名", 2000), ""} {
		host := taken(t, fmt.Sprintf(`{"for_user_id":"1000000001","tweet_create_events":[{"id_str":"1","user":{"id_str":"5","name":%q,"screen_name":%q}}]}`, name, strings.Repeat("h", 2000)))
		if len(host.Events()) != 1 {
			t.Error(host.Rejections())
		}
	}
}

// A message with another order of its fields, or a later name of its sender beside other users, is still one event.
func TestTheSameMessageOfTwoDeliveriesIsOneEvent(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	for _, body := range []string{
		`{"for_user_id":"1000000001","user_has_blocked":false,"tweet_create_events":[{"id_str":"1","text":"a","user":{"id_str":"5","followers_count":1}}]}`,
		`{"tweet_create_events":[{"user":{"followers_count":2,"id_str":"5"},"favorite_count":7,"text":"a","id_str":"1"}],"user_has_blocked":true,"for_user_id":"1000000001"}`,
	} {
		post(h, webhookURL, body, sign)
	}
	channeltest.Fingerprint(t, host)
	if e := host.Events(); len(e) != 1 {
		t.Error(e)
	}
}
