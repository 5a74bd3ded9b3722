package search_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	"github.com/skein-cx/skein/services/search"
)

// body makes an event with a content of its own of a customer's thread, in which nobody but the thread's opener is a party.
func body(thread, typ string, content *eventv1.Content) *eventv1.Submission {
	s := message(thread, typ, "")
	s.Type, s.Content, s.Parties = typ, content, nil
	return s
}

func note(thread, text string) *eventv1.Submission {
	return body(thread, event.TypeNoteAdded, &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: text}}})
}

func TestEverythingThatWasSaidIsFound(t *testing.T) {
	w := begun(t)
	mail := message("m", "1", "my kettle leaks")
	mail.Content.GetMessageReceived().Subject = "Broken kettle"
	mail.Content.GetMessageReceived().QuotedText = "your order has shipped"
	sent := message("m", "2", "we send a kettle")
	sent.Type, sent.Direction = event.TypeMessageSent, eventv1.Direction_DIRECTION_OUTBOUND
	sent.Content.Body = &eventv1.Content_MessageSent{MessageSent: sent.Content.GetMessageReceived()}
	w.submit(tenant, mail, sent,
		note("m", "angry about the kettle"),
		body("m", event.TypeInteractionStarted, &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{Subject: "a kettle call"}}}),
		body("m", event.TypeTranscriptAvailable, &eventv1.Content{Body: &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{
			Segments: []*eventv1.TranscriptSegment{{Party: -1, Text: "about the kettle"}, {Party: -1, Text: "yes, madam"}},
		}}}),
		body("m", event.TypeVoicemailLeft, &eventv1.Content{Body: &eventv1.Content_VoicemailLeft{VoicemailLeft: &eventv1.VoicemailLeft{Transcript: "kettle, call me"}}}),
		body("m", event.TypeSurveyAnswered, &eventv1.Content{Body: &eventv1.Content_SurveyAnswered{SurveyAnswered: &eventv1.SurveyAnswered{Comment: "good kettle"}}}),
		body("m", event.TypeFormSubmitted, &eventv1.Content{Body: &eventv1.Content_FormSubmitted{FormSubmitted: &eventv1.FormSubmitted{Form: "x", Fields: map[string]string{"what": "kettle", "how": "badly"}}}}),
		body("m", event.TypeBotHandedOff, &eventv1.Content{Body: &eventv1.Content_BotHandedOff{BotHandedOff: &eventv1.BotHandedOff{Summary: "wants a kettle"}}}),
	)
	w.expect(map[string][]string{
		"kettle": {
			"Broken [kettle] | my [kettle] leaks", "[kettle], call me", "a [kettle] call", "about the [kettle]", "angry about the [kettle]",
			"good [kettle]", "wants a [kettle]", "we send a [kettle]", "what: [kettle]",
		},
		"shipped":         nil, // it is quoted
		`"kettle my"`:     nil, // subject and text are two things
		"madam":           {"yes, [madam]"},
		"badly -nonsense": {"how: [badly]"},
	})
}

func TestAHitTellsOfItsEvent(t *testing.T) {
	w := begun(t)
	id := w.submit(tenant, message("t", "1", "hello"))[0]
	hits := w.search(&searchv1.SearchRequest{Query: "hello"}).GetHits()
	if len(hits) != 1 {
		t.Fatalf("%d hits", len(hits))
	}
	h, ids := hits[0], w.keyring.Tenant(tenant)
	if h.GetEventId() != id || h.GetType() != event.TypeMessageReceived || h.GetThreadId() != ids.Thread("shop", "t").String() ||
		!h.GetOccurredAt().AsTime().Equal(at(0)) || h.GetChannel() != eventv1.Channel_CHANNEL_WEB_CHAT || h.GetDirection() != eventv1.Direction_DIRECTION_INBOUND ||
		!slices.Equal(h.GetEndpointIds(), []string{w.endpoint("t@x.org").String()}) || h.GetScore() <= 0 || h.GetPosition().String() != w.last[0].String() {
		t.Errorf("the hit is %v", h)
	}
}

func (w *world) endpoint(address string) event.ID {
	return w.keyring.Tenant(tenant).Endpoint(event.Endpoint{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: address})
}

func TestAnEventBelongsToWhoOpenedItsThreadUnlessItNamesSomebody(t *testing.T) {
	w := begun(t)
	w.submit(tenant, note("t", "kettle note before"))
	w.search(&searchv1.SearchRequest{Query: "kettle"}) // so that it is written alone
	w.submit(tenant, note("u", "kettle note elsewhere"), message("t", "1", "kettle of Anna"))
	late := note("t", "kettle note after")
	late.NativeId = "late"
	w.submit(tenant, late)
	anna := w.endpoint("t@x.org").String()
	var texts []string
	for _, h := range w.search(&searchv1.SearchRequest{Query: "kettle", EndpointIds: []string{anna}}).GetHits() {
		texts = append(texts, shown(h))
		if !slices.Equal(h.GetEndpointIds(), []string{anna}) {
			t.Errorf("%s names %v", shown(h), h.GetEndpointIds())
		}
	}
	slices.Sort(texts)
	if want := []string{"[kettle] note after", "[kettle] note before", "[kettle] of Anna"}; !slices.Equal(texts, want) {
		t.Errorf("found %q", texts)
	}
}

func TestFiltersNarrowWhatIsFound(t *testing.T) {
	w := begun(t)
	for i := range 10 {
		s := message(fmt.Sprint("t", i%2), fmt.Sprint(i), fmt.Sprint("kettle ", i))
		s.OccurredAt = timestamppb.New(at(i))
		if i >= 5 {
			s.Channel = eventv1.Channel_CHANNEL_EMAIL
		}
		w.submit(tenant, s)
	}
	ids := w.keyring.Tenant(tenant)
	for name, c := range map[string]struct {
		req  *searchv1.SearchRequest
		want string
	}{
		"a thread":         {&searchv1.SearchRequest{ThreadIds: []string{ids.Thread("shop", "t1").String()}}, "13579"},
		"threads":          {&searchv1.SearchRequest{ThreadIds: []string{ids.Thread("shop", "t1").String(), ids.Thread("shop", "t0").String()}}, "0123456789"},
		"an endpoint":      {&searchv1.SearchRequest{EndpointIds: []string{strings.ToUpper(w.endpoint("t0@x.org").String())}}, "02468"},
		"a channel":        {&searchv1.SearchRequest{Channels: []eventv1.Channel{eventv1.Channel_CHANNEL_EMAIL}}, "56789"},
		"from":             {&searchv1.SearchRequest{From: timestamppb.New(at(7))}, "789"},
		"until":            {&searchv1.SearchRequest{Until: timestamppb.New(at(2))}, "01"},
		"a nanosecond":     {&searchv1.SearchRequest{From: timestamppb.New(at(3)), Until: timestamppb.New(at(3).Add(1))}, "3"},
		"all of it":        {&searchv1.SearchRequest{From: timestamppb.New(at(2)), ThreadIds: []string{ids.Thread("shop", "t1").String()}, Channels: []eventv1.Channel{eventv1.Channel_CHANNEL_WEB_CHAT}}, "3"},
		"nobody's thread":  {&searchv1.SearchRequest{ThreadIds: []string{ids.Thread("shop", "t7").String()}}, ""},
		"another tenant's": {&searchv1.SearchRequest{Channels: []eventv1.Channel{eventv1.Channel_CHANNEL_SMS}}, ""},
	} {
		c.req.Query = "kettle"
		var got []string
		resp := w.search(c.req)
		for _, h := range resp.GetHits() {
			got = append(got, strings.TrimPrefix(shown(h), "[kettle] "))
		}
		slices.Sort(got)
		if strings.Join(got, "") != c.want || resp.GetTotal() != int64(len(c.want)) {
			t.Errorf("%s: %v, %d in all", name, got, resp.GetTotal())
		}
	}
}

func TestTenantsFindNothingOfOneAnother(t *testing.T) {
	w := begun(t)
	w.submit("acme", message("t", "1", "our secret"))
	w.submit("globex", message("t", "1", "their secret"))
	for tenant, want := range map[string]string{"acme": "our [secret]", "globex": "their [secret]", "initech": ""} {
		for _, query := range []string{"secret", "secret -nobody", "secr*", "secret -zz*"} {
			resp, err := w.try(tenant, &searchv1.SearchRequest{Query: query})
			must(t, err)
			got := ""
			for _, h := range resp.GetHits() {
				got += shown(h)
			}
			if got != want {
				t.Errorf("%s finds %q of %s", tenant, got, query)
			}
		}
		for _, query := range []string{"zz*", "zz* -secret", "nobody", "nobody -secret", "nobody zz*", `"no body" -se*`, "没"} {
			if resp, err := w.try(tenant, &searchv1.SearchRequest{Query: query}); err != nil || resp.GetTotal() != 0 {
				t.Errorf("%s finds %v, %v of %s", tenant, resp, err, query)
			}
		}
	}
}

func TestAnEditTakesThePlaceOfWhatItChanges(t *testing.T) {
	w := begun(t)
	id := w.submit(tenant, message("t", "1", "a red kettle"))[0]
	w.found("kettle")
	w.submit(tenant, edited("t", "1/b", "1", "a blue kettle", 2), edited("t", "1/a", "1", "a green kettle", 1), message("t", "1", "a red kettle"))
	w.expect(map[string][]string{"kettle": {"a blue [kettle]"}, "red": nil, "green": nil})
	if h := w.search(&searchv1.SearchRequest{Query: "blue"}).GetHits()[0]; h.GetEventId() != id || h.GetType() != event.TypeMessageReceived {
		t.Errorf("the hit is %v", h)
	}
	w.submit(tenant, edited("t", "9/a", "9", "an edit of what was before our time", 1))
	w.expect(map[string][]string{"before": {"an edit of what was [before] our time"}})
}

func TestWhatWasTakenBackIsNotFound(t *testing.T) {
	w := begun(t)
	w.submit(tenant, message("t", "1", "kettle one"), message("t", "2", "kettle two"), deleted("t", "1/d", "1"))
	w.expect(map[string][]string{"kettle": {"[kettle] two"}})
	w.submit(tenant, message("t", "1", "kettle one"), edited("t", "1/e", "1", "kettle again", 3))
	w.expect(map[string][]string{"kettle": {"[kettle] two"}})
}

// Callbacks overtake one another: whatever comes first, what is found in the end is the same.
func TestMessagesEditsAndDeletionsMayComeInAnyOrder(t *testing.T) {
	w := begun(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		thread := fmt.Sprint("thread", n)
		all := []*eventv1.Submission{message(thread, "1", "kettle as written"), edited(thread, "1/a", "1", "kettle edited once", 1), edited(thread, "1/b", "1", "kettle edited twice", 2)}
		if rapid.Bool().Draw(rt, "sent") {
			all[0].Type = event.TypeMessageSent
			all[0].Content.Body = &eventv1.Content_MessageSent{MessageSent: all[0].Content.GetMessageReceived()}
		}
		want := []string{"[kettle] edited twice"}
		if rapid.Bool().Draw(rt, "deleted") {
			all, want = append(all, deleted(thread, "1/d", "1")), nil
		}
		all = append(all, all[rapid.IntRange(0, len(all)-1).Draw(rt, "resent")])
		for _, s := range rapid.Permutation(all).Draw(rt, "order") {
			w.submit(tenant, s)
			if rapid.IntRange(0, 3).Draw(rt, "waits at 0") == 0 {
				w.found("kettle")
			}
		}
		resp := w.search(&searchv1.SearchRequest{Query: "kettle", ThreadIds: []string{w.keyring.Tenant(tenant).Thread("shop", thread).String()}})
		var got []string
		for _, h := range resp.GetHits() {
			got = append(got, shown(h))
			if h.GetType() != all[0].GetType() {
				rt.Errorf("it is a %s", h.GetType())
			}
		}
		if !slices.Equal(got, want) {
			rt.Errorf("found %q", got)
		}
		w.last = w.last[len(w.last)-1:]
	})
}

func TestAResentEventIsOneAndTheFirstOfAnIdStands(t *testing.T) {
	w := begun(t)
	for range 3 {
		w.submit(tenant, message("t", "1", "kettle"))
		w.found("kettle")
	}
	w.submit(tenant, message("t", "1", "another kettle"))
	w.expect(map[string][]string{"kettle": {"[kettle]"}})
}

func TestWhatIsTooLargeForTheLogOrForTheIndexIsFoundAsFarAsItGoes(t *testing.T) {
	w := begun(t)
	w.submit(tenant, message("t", "1", strings.Repeat("word ", 60_000)+"kettle "+strings.Repeat("word ", 200_000)+" nowhere"))
	w.expect(map[string][]string{"nowhere": nil})
	if got := w.found("kettle"); len(got) != 1 || !strings.Contains(got[0], "word [kettle] word") || len(got[0]) > 400 {
		t.Errorf("found %q", got)
	}
}

// losing is a blob store that cannot give out what it had, and says why.
type losing struct{ err error }

func (l losing) Get(context.Context, *eventv1.Blob) ([]byte, error) { return nil, l.err }

func TestOfAContentThatIsLostTheBeginningIsFound(t *testing.T) {
	for _, lost := range []error{blob.ErrNotFound, blob.ErrDamaged} {
		t.Run(lost.Error(), func(t *testing.T) {
			w := newWorld(t)
			w.reads = losing{fmt.Errorf("%w: a key", lost)}
			w.begin()
			w.submit(tenant, message("t", "1", "kettle "+strings.Repeat("word ", 60_000)))
			w.submit(tenant, message("t", "2", "another kettle"))
			if got := w.found("kettle"); len(got) != 2 {
				t.Errorf("found %q", got)
			}
		})
	}
}

// What is no event, stands under another key or is sealed does not stop the rest.
func TestWhatCannotBeReadIsPassedOver(t *testing.T) {
	w := begun(t)
	id := w.submit(tenant, message("t", "1", "kettle"))[0]
	p := w.last[0]
	r, err := eventlog.ReadAt(t.Context(), w.log, eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()})
	must(t, err)
	e, err := event.Decode(r.Value)
	must(t, err)
	e.Seal, e.Id = "key-1", strings.Replace(id, id[len(id)-4:], "0000", 1)
	sealed, err := event.Encode(e)
	must(t, err)
	_, err = eventlog.AppendAll(t.Context(), w.log, []eventlog.Message{
		{Topic: event.TopicInteractions, Key: r.Key, Value: []byte("no event")},
		{Topic: event.TopicInteractions, Key: r.Key, Value: sealed},
		{Topic: event.TopicInteractions, Key: []byte("elsewhere"), Value: r.Value},
	})
	must(t, err)
	w.submit(tenant, message("t", "2", "another kettle"))
	w.expect(map[string][]string{"kettle": {"[kettle]", "another [kettle]"}})
}

func TestTheBestStandsFirstUnlessTheNewestIsAskedFor(t *testing.T) {
	w := begun(t)
	for i, text := range []string{"kettle or pot", "a kettle among many other words that say something else", "kettle and kettle"} {
		s := message(fmt.Sprint("t", i), "1", text)
		s.OccurredAt = timestamppb.New(at(3 - i))
		w.submit(tenant, s)
	}
	order := func(o searchv1.SearchOrder) (out []string) {
		for _, h := range w.search(&searchv1.SearchRequest{Query: "kettle", Order: o}).GetHits() {
			out = append(out, shown(h))
		}
		return out
	}
	const long = "a [kettle] among many other words that say something else"
	if got := order(searchv1.SearchOrder_SEARCH_ORDER_RELEVANCE); !slices.Equal(got, []string{"[kettle] and [kettle]", "[kettle] or pot", long}) {
		t.Errorf("by relevance %q", got)
	}
	if got := order(searchv1.SearchOrder_SEARCH_ORDER_NEWEST_FIRST); !slices.Equal(got, []string{"[kettle] or pot", long, "[kettle] and [kettle]"}) {
		t.Errorf("newest first %q", got)
	}
}

func TestPagesGiveEachHitOnce(t *testing.T) {
	w := begun(t)
	const n = 25
	for i := range n {
		w.submit(tenant, message(fmt.Sprint("t", i), "1", "kettle")) // all fit equally well, and happened at once
	}
	for _, order := range []searchv1.SearchOrder{searchv1.SearchOrder_SEARCH_ORDER_UNSPECIFIED, searchv1.SearchOrder_SEARCH_ORDER_NEWEST_FIRST} {
		seen := map[string]bool{}
		req := &searchv1.SearchRequest{Query: "kettle", Order: order, PageSize: 10}
		for pages := 1; ; pages++ {
			resp := w.search(req)
			for _, h := range resp.GetHits() {
				seen[h.GetEventId()] = true
			}
			if resp.GetTotal() != n {
				t.Errorf("%d in all", resp.GetTotal())
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				if pages != 3 || len(seen) != n {
					t.Errorf("%d events on %d pages", len(seen), pages)
				}
				break
			}
		}
	}
}

func TestAWrongRequestNamesItsField(t *testing.T) {
	w := begun(t)
	for range 3 {
		w.say("kettle", "kettles")
	}
	token := w.search(&searchv1.SearchRequest{Query: "kettle", PageSize: 1}).GetNextPageToken()
	deep := []byte(token)
	copy(deep[12:18], "____AA") // many hits were seen
	for name, c := range map[string]struct {
		req   *searchv1.SearchRequest
		field string
	}{
		"nothing positive":      {&searchv1.SearchRequest{Query: "-kettle"}, "query"},
		"only punctuation":      {&searchv1.SearchRequest{Query: "?! ... *"}, "query"},
		"one quotation mark":    {&searchv1.SearchRequest{Query: `"kettle`}, "query"},
		"too short a beginning": {&searchv1.SearchRequest{Query: "k*"}, "query"},
		"too many words":        {&searchv1.SearchRequest{Query: strings.Repeat("a ", 65)}, "query"},
		"no customers here":     {&searchv1.SearchRequest{Query: "kettle", CustomerId: w.endpoint("a@x.org").String()}, "customer_id"},
		"no id":                 {&searchv1.SearchRequest{Query: "kettle", ThreadIds: []string{"x"}}, "thread_ids[0]"},
		"an empty stretch":      {&searchv1.SearchRequest{Query: "kettle", From: timestamppb.New(at(1)), Until: timestamppb.New(at(1))}, "until"},
		"an absurd year":        {&searchv1.SearchRequest{Query: "kettle", From: timestamppb.New(time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC))}, "from"},
		"no token":              {&searchv1.SearchRequest{Query: "kettle", PageToken: "x"}, "page_token"},
		"another query's token": {&searchv1.SearchRequest{Query: "kettles", PageToken: token}, "page_token"},
		"another order":         {&searchv1.SearchRequest{Query: "kettle", Order: searchv1.SearchOrder_SEARCH_ORDER_NEWEST_FIRST, PageToken: token}, "page_token"},
	} {
		_, err := w.try(tenant, c.req)
		var invalid *event.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Violations) != 1 || invalid.Violations[0].Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.try("globex", &searchv1.SearchRequest{Query: "kettle", PageToken: token}); err == nil {
		t.Error("another tenant may use the token")
	}
	if _, err := w.try(tenant, &searchv1.SearchRequest{Query: "kettle", PageToken: string(deep)}); err == nil || !strings.Contains(err.Error(), "narrow it") {
		t.Errorf("a page too deep: %v", err)
	}
}

// links are scopes by customer.
type links map[event.ID]scope.Scope

func (l links) Scope(_ context.Context, _ string, id event.ID, at scope.At) (scope.Scope, error) {
	s, ok := l[id]
	switch {
	case !ok:
		return s, scope.ErrUnknown
	case at.Version != "" && at.Version != s.Version:
		return s, scope.ErrExpired
	}
	return s, nil
}

func (links) Changed(scope.Scope, string) (changed <-chan struct{}, done func()) {
	return nil, func() {}
}

func TestACustomerHasWhatTheLinksSay(t *testing.T) {
	w := newWorld(t)
	own := links{}
	w.links = own
	w.begin()
	for i := range 6 {
		for _, thread := range []string{"a", "b", "c"} {
			s := message(thread, fmt.Sprint(i), fmt.Sprint("kettle ", thread, i))
			s.OccurredAt = timestamppb.New(at(i))
			w.submit(tenant, s)
		}
	}
	ids := w.keyring.Tenant(tenant)
	a, b, c := w.endpoint("a@x.org"), w.endpoint("b@x.org"), w.endpoint("c@x.org")
	during := func(from, until int) scope.Range {
		return scope.Range{From: at(from).UnixNano(), Until: at(until).UnixNano()}
	}
	customer := event.CustomerOf(a)
	for name, x := range map[string]struct {
		scope scope.Scope
		want  string
	}{
		"nothing":                   {scope.Scope{}, ""},
		"an endpoint":               {scope.Scope{Endpoints: []scope.Span{{ID: a, Range: scope.Ever}}}, "a0 a1 a2 a3 a4 a5"},
		"an endpoint for a time":    {scope.Scope{Endpoints: []scope.Span{{ID: a, Range: during(1, 3)}, {ID: b, Range: scope.Range{From: at(5).UnixNano(), Until: math.MaxInt64}}}}, "a1 a2 b5"},
		"a thread":                  {scope.Scope{Threads: []scope.Span{{ID: ids.Thread("shop", "c"), Range: during(0, 2)}}}, "c0 c1"},
		"what is another's":         {scope.Scope{Endpoints: []scope.Span{{ID: a, Range: scope.Ever}}, Without: []scope.Exception{{Thread: ids.Thread("shop", "a"), Range: during(1, 5)}}}, "a0 a5"},
		"another's by one endpoint": {scope.Scope{Endpoints: []scope.Span{{ID: a, Range: during(0, 1)}}, Without: []scope.Exception{{Thread: ids.Thread("shop", "a"), Endpoint: c, Range: scope.Ever}}}, "a0"},
	} {
		x.scope.Version = "7"
		own[customer] = x.scope
		var got []string
		req := &searchv1.SearchRequest{Query: "kettle", CustomerId: customer.String(), PageSize: 2}
		for {
			resp := w.search(req)
			for _, h := range resp.GetHits() {
				got = append(got, strings.TrimPrefix(shown(h), "[kettle] "))
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	own[customer] = scope.Scope{Version: "7", Endpoints: []scope.Span{{ID: a, Range: scope.Ever}}}
	req := &searchv1.SearchRequest{Query: "kettle", CustomerId: customer.String(), PageSize: 2}
	req.PageToken = w.search(req).GetNextPageToken()
	own[customer] = scope.Scope{Version: "8"}
	if _, err := w.try(tenant, req); err == nil || !strings.Contains(err.Error(), "search again") {
		t.Errorf("a page of links that are gone: %v", err)
	}
	if _, err := w.try(tenant, &searchv1.SearchRequest{Query: "kettle", CustomerId: event.CustomerOf(b).String()}); !errors.Is(err, scope.ErrUnknown) {
		t.Errorf("an unknown customer: %v", err)
	}
}

func TestAForgottenEndpointIsFoundNoMore(t *testing.T) {
	w := begun(t)
	w.submit(tenant, message("a", "1", "kettle of Anna"), message("b", "1", "kettle of Bert"))
	w.submit("globex", message("a", "1", "kettle of globex"))
	w.found("kettle")
	if n, err := w.service.Forget(t.Context(), tenant, w.endpoint("a@x.org")); n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	w.expect(map[string][]string{"kettle": {"[kettle] of Bert"}})
	w.again()
	w.submit(tenant, message("a", "1", "kettle of Anna"))
	w.expect(map[string][]string{"kettle": {"[kettle] of Bert"}})
}

// Whatever the batches and the restarts: the same is found.
func TestARestartNeitherLosesNorDoubles(t *testing.T) {
	w := begun(t)
	for i := range 60 {
		w.submit(tenant, message(fmt.Sprint("t", i%7), fmt.Sprint(i), "kettle"))
		if i%20 == 7 {
			w.again()
		}
	}
	if n := w.search(&searchv1.SearchRequest{Query: "kettle"}).GetTotal(); n != 60 {
		t.Errorf("found %d", n)
	}
	if strings.Contains(w.logs.String(), "WARN") {
		t.Error(w.logs.String())
	}
}

func TestAnotherLogMakesTheIndexAnew(t *testing.T) {
	for name, before := range map[string]int{"a shorter log": 1, "a longer log": 30} {
		t.Run(name, func(t *testing.T) {
			w := begun(t)
			for i := range 10 {
				w.submit(tenant, message("t", fmt.Sprint(i), "old kettle"))
			}
			w.found("kettle")
			w.stop()
			w.setLog(newLog(t))
			for i := range before {
				w.submit(tenant, message("t", fmt.Sprint("new", i), "new kettle"))
			}
			w.begin()
			if n := w.search(&searchv1.SearchRequest{Query: "kettle"}).GetTotal(); n != int64(before) {
				t.Errorf("found %d", n)
			}
			w.expect(map[string][]string{"old": nil})
			if !strings.Contains(w.logs.String(), "built anew") {
				t.Errorf("nobody says so: %s", w.logs.String())
			}
		})
	}
}

func TestAnIndexThatCannotBeReadIsMadeAnew(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"no description": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Remove(filepath.Join(dir, "index", "index_meta.json")))
		},
		"no root": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.Remove(filepath.Join(dir, "index", "store", "root.bolt")))
		},
		"no root's content": func(t *testing.T, dir string) {
			t.Helper()
			must(t, os.WriteFile(filepath.Join(dir, "index", "store", "root.bolt"), []byte(strings.Repeat("junk", 10_000)), 0o600))
		},
		"half a segment": func(t *testing.T, dir string) {
			t.Helper()
			all, err := filepath.Glob(filepath.Join(dir, "index", "store", "*.zap"))
			must(t, err)
			for _, path := range all {
				must(t, os.Truncate(path, 40))
			}
		},
		"no segments": func(t *testing.T, dir string) {
			t.Helper()
			all, err := filepath.Glob(filepath.Join(dir, "index", "store", "*.zap"))
			must(t, err)
			for _, path := range all {
				must(t, os.Remove(path))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := begun(t)
			w.say("one kettle", "two kettles")
			w.found("kettle")
			w.stop()
			damage(t, w.dir)
			w.begin()
			w.expect(map[string][]string{"kettle": {"one [kettle]", "two [kettles]"}})
		})
	}
}

func TestOneDirectoryIsOneProcesss(t *testing.T) {
	w := begun(t)
	_, err := search.New(t.Context(), search.Config{Log: w.log, Dir: w.dir, Keyring: w.keyring, Blobs: w.blobs})
	if !errors.Is(err, search.ErrLocked) {
		t.Errorf("another process gets %v", err)
	}
	w.say("kettle")
	w.expect(map[string][]string{"kettle": {"[kettle]"}})
}

func TestASearchWaitsForPositionsAndNoLongerThanItsCallerDoes(t *testing.T) {
	w := begun(t)
	w.last = []*eventv1.Position{{Topic: event.TopicLinks, Partition: 0, Offset: 99}}
	w.found("kettle") // what other topics hold is nothing to wait for
	w.last = []*eventv1.Position{{Topic: event.TopicInteractions, Partition: 0, Offset: 99}}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := search.NewServer(w.service).Search(auth.With(ctx, auth.Identity{Tenant: tenant}), &searchv1.SearchRequest{Query: "kettle", MinPositions: w.last})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it says %v", err)
	}
}

func TestAProcessThatIsEndingAsksToComeAgain(t *testing.T) {
	w := begun(t)
	w.stop()
	if _, err := w.try(tenant, &searchv1.SearchRequest{Query: "kettle"}); err == nil || !strings.Contains(err.Error(), "is being opened") {
		t.Errorf("it says %v", err)
	}
}
