package search_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	"github.com/skein-cx/skein/services/search"
)

const (
	tenant     = "acme"
	partitions = 4
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = time.Minute
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a log with an intake, and a process that searches it.
type world struct {
	t       testing.TB
	log     eventlog.Log
	blobs   *blob.Store
	reads   event.Blobs // what a process reads contents from; blobs unless set
	keyring *event.Keyring
	host    *intake.Intake
	dir     string
	links   scope.Source
	logs    bytes.Buffer
	last    []*eventv1.Position

	service *search.Service
	stop    func()
}

func newLog(t testing.TB) eventlog.Log {
	t.Helper()
	log := memlog.New(memlog.Config{}).Open()
	must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicInteractions, Partitions: partitions}, eventlog.Topic{Name: event.TopicDead, Partitions: 1}))
	return log
}

// newWorld makes a world in which nobody searches yet.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), stop: func() {}}
	var err error
	w.keyring, err = event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	must(t, err)
	w.blobs, err = blob.Open(t.Context(), "mem://")
	must(t, err)
	t.Cleanup(func() { _ = w.blobs.Close() })
	w.setLog(newLog(t))
	return w
}

func (w *world) setLog(log eventlog.Log) {
	w.t.Helper()
	compiler, err := event.NewCompiler(w.keyring)
	must(w.t, err)
	w.log, w.last = log, nil
	w.host = intake.New(intake.Config{Compiler: compiler, Keyring: w.keyring, Log: w.log, Blobs: w.blobs})
}

// begun makes a world and lets a process search.
func begun(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.begin()
	return w
}

func (w *world) begin() {
	w.t.Helper()
	reads := w.reads
	if reads == nil {
		reads = w.blobs
	}
	service, err := search.New(w.t.Context(), search.Config{
		Log: w.log, Dir: w.dir, Keyring: w.keyring, Blobs: reads, Customers: w.links, Flush: time.Millisecond, Retry: time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(&w.logs, nil)),
	})
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	w.service = service
	w.stop = func() {
		w.stop = func() {}
		cancel()
		select {
		case err := <-ended:
			must(w.t, err)
		case <-time.After(patience):
			w.t.Error("it does not stop")
		}
	}
	w.t.Cleanup(func() { w.stop() })
}

// again ends the process and begins another one on the same directory.
func (w *world) again() {
	w.t.Helper()
	w.stop()
	w.begin()
}

// at is a moment of a test.
func at(minute int) time.Time { return time.Date(2026, 5, 1, 9, minute, 0, 0, time.UTC) }

// from is a customer party.
func from(address string) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: address},
		Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
	}
}

// message is what a customer wrote.
func message(thread, id, text string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "web", Inbox: "shop", Thread: thread, NativeId: id, OccurredAt: timestamppb.New(at(0)), Parties: []*eventv1.SubmittedParty{from(thread + "@x.org")},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}},
	}
}

func edited(thread, id, of, text string, minute int) *eventv1.Submission {
	s := message(thread, id, "")
	s.Type, s.OccurredAt = event.TypeMessageEdited, timestamppb.New(at(minute))
	s.Content.Body = &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{Message: of, Edited: &eventv1.Message{Text: text}}}
	return s
}

func deleted(thread, id, of string) *eventv1.Submission {
	s := message(thread, id, "")
	s.Type = event.TypeMessageDeleted
	s.Content.Body = &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: of}}
	return s
}

// submit takes events of a tenant in, and gives their ids.
func (w *world) submit(tenant string, all ...*eventv1.Submission) (ids []string) {
	w.t.Helper()
	acks, err := w.host.Submit(w.t.Context(), tenant, all...)
	must(w.t, err)
	for _, a := range acks {
		ids = append(ids, a.EventID)
		w.last = append(w.last, &eventv1.Position{Topic: a.Position.Topic, Partition: a.Position.Partition, Offset: a.Position.Offset})
	}
	return ids
}

// say takes in one message for each text, each in a thread of its own.
func (w *world) say(texts ...string) {
	w.t.Helper()
	for i, text := range texts {
		w.submit(tenant, message(fmt.Sprint("t", i), "1", text))
	}
}

func (w *world) try(tenant string, req *searchv1.SearchRequest) (*searchv1.SearchResponse, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(auth.With(w.t.Context(), auth.Identity{Tenant: tenant}), patience)
	defer cancel()
	req.MinPositions = w.last
	return search.NewServer(w.service).Search(ctx, req)
}

// search searches what everything that was submitted is indexed in.
func (w *world) search(req *searchv1.SearchRequest) *searchv1.SearchResponse {
	w.t.Helper()
	resp, err := w.try(tenant, req)
	must(w.t, err)
	return resp
}

// found gives the texts of the hits of a query, as the fragments show them, in alphabetical order.
func (w *world) found(query string) (texts []string) {
	w.t.Helper()
	for _, h := range w.search(&searchv1.SearchRequest{Query: query}).GetHits() {
		texts = append(texts, shown(h))
	}
	slices.Sort(texts)
	return texts
}

var marks = strings.NewReplacer("\uE000", "[", "\uE001", "]")

func shown(h *searchv1.Hit) string { return marks.Replace(strings.Join(h.GetFragments(), " | ")) }

// expect checks what queries find.
func (w *world) expect(want map[string][]string) {
	w.t.Helper()
	for query, texts := range want {
		if got := w.found(query); !slices.Equal(got, texts) {
			w.t.Errorf("%s finds %q instead of %q", query, got, texts)
		}
	}
}

func TestEnglishIsFoundInAnyFormOfItsWords(t *testing.T) {
	w := begun(t)
	w.say("My orders were cancelled twice", "Cancelling the order took long", "Order me a taxi", "The café’s résumé", "The customer's refunds")
	w.expect(map[string][]string{
		"order":         {"Cancelling the [order] took long", "My [orders] were cancelled twice", "[Order] me a taxi"},
		"cancel ORDERS": {"My [orders] were [cancelled] twice", "[Cancelling] the [order] took long"},
		"cafe resume":   {"The [café’s] [résumé]"},
		"customer":      {"The [customer's] refunds"},
		"nobody":        nil,
		"order nobody":  nil,
	})
}

func TestChineseIsFoundInsideOfASentence(t *testing.T) {
	w := begun(t)
	w.say("你好，我想退货，谢谢。", "退货政策是什么", "货到了", "我想退款", "Ｗｉｆｉ连不上了")
	w.expect(map[string][]string{
		"退货":     {"[退货]政策是什么", "你好，我想[退货]，谢谢。"},
		"我想退货":   {"你好，[我想退货]，谢谢。"},
		"我想 退":   {"[我想退]款", "你好，[我想退]货，谢谢。"},
		"货":      {"[货]到了", "你好，我想退[货]，谢谢。", "退[货]政策是什么"},
		"退货 -政策": {"你好，我想[退货]，谢谢。"},
		"货退":     nil,
		"谢谢我":    nil,
		"wifi":   {"[Ｗｉｆｉ]连不上了"},
		"wifi连不": {"[Ｗｉｆｉ连不]上了"},
	})
}

func TestOtherLanguagesWithoutSpacesAreFoundToo(t *testing.T) {
	w := begun(t)
	w.say("返品したいのですが", "환불을 받고 싶어요", "ฉันต้องการคืนสินค้า", "ﾊﾟｿｺﾝが壊れた", "Возврат денег", "أريد استرداد المال")
	w.expect(map[string][]string{
		"返品":    {"[返品]したいのですが"},
		"したい":   {"返品[したい]のですが"},
		"환불":    {"[환불]을 받고 싶어요"},
		"คืน":   {"ฉันต้องการ[คืน]สินค้า"},
		"パソコン":  {"[ﾊﾟｿｺﾝ]が壊れた"},
		"денег": {"Возврат [денег]"},
		"المال": {"أريد استرداد [المال]"},
	})
}

func TestMixedTextIsFoundByEitherLanguage(t *testing.T) {
	w := begun(t)
	w.say("我的iPhone手机refunded了没有")
	const text = "我的[iPhone]手机refunded了没有"
	w.expect(map[string][]string{
		"iphone": {text}, "手机": {"我的iPhone[手机]refunded了没有"}, "refund": {"我的iPhone手机[refunded]了没有"},
		"iPhone手机": {"我的[iPhone手机]refunded了没有"}, `"的iphone手"`: {"我[的iPhone手]机refunded了没有"}, "手机iphone": nil,
	})
}

func TestAPhraseStandsTogetherAsItIsWritten(t *testing.T) {
	w := begun(t)
	w.say("the late delivery fee", "delivery was late", "late deliveries", "fee: 1,000.50 for AB-1234", "call Anna@x.org")
	w.expect(map[string][]string{
		`"late delivery"`:     {"the [late delivery] fee"},
		`“late delivery” fee`: {"the [late delivery] [fee]"},
		`late delivery`:       {"[delivery] was [late]", "[late] [deliveries]", "the [late] [delivery] fee"},
		`"deliveries"`:        {"late [deliveries]"},
		"1,000.50":            {"fee: [1,000.50] for AB-1234"},
		"ab-1234":             {"fee: 1,000.50 for [AB-1234]"},
		"anna@x.org":          {"call [Anna@x.org]"},
		"x.org@anna":          nil,
	})
}

func TestAMinusLeavesOut(t *testing.T) {
	w := begun(t)
	w.say("refund for a red shirt", "refund for a blue shirt", "a red coat")
	w.expect(map[string][]string{
		"refund -red":           {"[refund] for a blue shirt"},
		`red -"red shirt"`:      {"a [red] coat"},
		"refund -nobody":        {"[refund] for a blue shirt", "[refund] for a red shirt"},
		"refund -re*":           nil,
		"nobody -red":           nil,
		"zz* -red":              nil,
		"refund - shirt -blue!": {"[refund] for a red [shirt]"},
	})
}

func TestAStarFindsWhatBeginsSo(t *testing.T) {
	w := begun(t)
	w.say("refundable", "no refunding", "refuse", "happy")
	w.expect(map[string][]string{
		"refund*":   {"[refundable]", "no [refunding]"},
		"refu* -no": {"[refundable]", "[refuse]"},
		"refundi*":  {"no [refunding]"},
		"no ref*":   {"[no] [refunding]"},
		"x-ray*":    nil,
		"zz*":       nil,
	})
}
