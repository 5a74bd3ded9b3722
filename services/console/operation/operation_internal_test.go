package operation

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/a-h/templ"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

func drawn(t *testing.T, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func slice(name string, lags ...time.Duration) *adminv1.Slice {
	s := &adminv1.Slice{Name: name, Serving: 1, Topic: "skein.interactions.v1"}
	for i, d := range lags {
		p := &adminv1.SlicePartition{Partition: int32(i), NextOffset: 7, Lag: durationpb.New(d)}
		if d > 0 {
			p.LagEvents = 100 * int64(i+1)
		}
		s.Partitions = append(s.Partitions, p)
	}
	return s
}

func TestWhatIsBehindIsSaidAndOnlyThatHasABar(t *testing.T) {
	t.Parallel()
	o := state{models: models{slices: []*adminv1.Slice{slice("timeline", 0, 80*time.Second), slice("agents", 0, 0)}}}
	o.statusErr = errors.New("not asked")
	page := drawn(t, overview(o))
	if n := strings.Count(page, "<meter"); n != 2 {
		t.Errorf("%d bars, where one read model is behind in one partition", n)
	}
	for _, want := range []string{"timeline is behind by 200 events and 1:20", `class="chip bad">Behind`, `class="chip good">Caught up`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s", want)
		}
	}
	if got := problems(t.Context(), state{models: models{slices: []*adminv1.Slice{slice("timeline", 0, time.Second)}}}); len(got) != 0 {
		t.Errorf("what came this second counts as behind: %v", got)
	}
}

func TestTheWorstComesFirstAndOneThatFailsHidesNoOther(t *testing.T) {
	t.Parallel()
	long := timestamppb.New(time.Now().Add(-time.Hour))
	o := state{
		models: models{slices: []*adminv1.Slice{slice("timeline", 20*time.Second)}},
		surroundings: surroundings{
			letters: 100, more: true, channelsErr: errors.New("internal"),
			topics:   []*adminv1.Topic{{Name: "skein.links.v1", Lagging: []int32{1, 4}}},
			webhooks: []*adminv1.Webhook{{Id: "crm", Off: &adminv1.WebhookOff{Reason: "410 Gone"}}},
			status:   &analyticsv1.StatusResponse{Available: true, Streams: []*analyticsv1.StreamStatus{{Stream: "events", CompleteUntil: long}}},
		},
	}
	var all []string
	for i, p := range problems(t.Context(), o) {
		all = append(all, p.text)
		if want := map[bool]string{true: bad, false: warn}[i < 2]; p.tone != want { // the partitions without copies, and the channels
			t.Errorf("%s is %s", p.text, p.tone)
		}
	}
	for _, want := range []string{
		"skein.links.v1 has too few copies of partition 1, 4", "The webhook crm is off: 410 Gone", "ClickHouse lacks the events of the last 1:00:00", "more than 100 dead letters wait",
	} {
		if !strings.Contains(strings.Join(all, "\n"), want) {
			t.Errorf("%q is not among %q", want, all)
		}
	}
}

func TestARebuildTellsItsPaceAndItsEnd(t *testing.T) {
	t.Parallel()
	p, at := newPaces(), time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	b := build{name: "timeline", serving: 1, building: 2, total: 1000}
	note := func(after time.Duration, done int64) pace {
		b.done = done
		return p.note(at.Add(after), []build{b})["timeline"]
	}
	if got := note(0, 0); got != (pace{}) {
		t.Errorf("of one look it says %v", got)
	}
	if got := note(2*time.Second, 200); got != (pace{100, 8 * time.Second}) {
		t.Errorf("it says %v", got)
	}
	page := drawn(t, progress(b, pace{100, 8 * time.Second}, asked{}))
	for _, want := range []string{`<progress max="1" value="0.2"`, "20%", "200 of 1,000", "100 a second", "done in about 0:08", "generation 2 is being built; 1 serves"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %s:\n%s", want, page)
		}
	}
	if got := note(4*time.Second, 50); got != (pace{}) { // it was begun again
		t.Errorf("after a new beginning it says %v", got)
	}
	b.building = 0
	if got := p.note(at, []build{b}); len(got) != 0 || len(p.seen) != 0 {
		t.Errorf("what is done is remembered: %v", p.seen)
	}
}

func TestWhoComesBackSeesHowARebuildEnded(t *testing.T) {
	t.Parallel()
	b := build{name: "timeline", serving: 2}
	for a, want := range map[asked]string{{"timeline", 1}: "generation 2 serves now", {"timeline", 2}: "it begins in a moment", {}: "generation 2 serves", {"agents", 2}: "generation 2 serves"} {
		if page := drawn(t, progress(b, pace{}, a)); !strings.Contains(page, want) {
			t.Errorf("asked for %v, the page says %s", a, page)
		}
	}
}

func TestAllWhoWatchShareAnAnswer(t *testing.T) {
	t.Parallel()
	var questions atomic.Int32
	p := newPulse(time.Hour, func(context.Context) int32 { return questions.Add(1) })
	var watchers sync.WaitGroup
	for range 50 {
		watchers.Go(func() {
			if got, err := p.now(t.Context()); got != 1 || err != nil {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	watchers.Wait()
	p.forget()
	if got, err := p.now(t.Context()); got != 2 || err != nil {
		t.Errorf("after a change: %d, %v", got, err)
	}
	gone, cancel := context.WithCancel(t.Context())
	p.forget()
	p.ask = func(context.Context) int32 { cancel(); return 9 }
	if _, err := p.now(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever is gone gets %v", err)
	}
	p.ask = func(context.Context) int32 { return 3 }
	if got, err := p.now(t.Context()); got != 3 || err != nil {
		t.Errorf("the next one gets %d, %v", got, err)
	}
}

func TestOnlyWhatChangedIsSent(t *testing.T) {
	t.Parallel()
	shown := map[string]string{}
	send := func(s *adminv1.Slice) int {
		changed, err := changes(t.Context(), shown, []part{{line(s), sliceLine(s)}, {inside(s), partitions(s)}})
		if err != nil {
			t.Fatal(err)
		}
		return len(changed)
	}
	s := slice("timeline", 0)
	if n := send(s); n != 2 {
		t.Errorf("at first %d parts", n)
	}
	if n := send(s); n != 0 {
		t.Errorf("%d parts have changed by themselves", n)
	}
	s.Building, s.Total = 2, 10
	if n := send(s); n != 1 {
		t.Errorf("%d parts have changed", n)
	}
}

func TestBytesOfStrangersAreTextAndNothingElse(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"a\r\nb\tc":       "a\nb\tc",
		"\x1b[31mred\xff": `\x1b[31mred\xff`,
		"\u202egnp.exe":   `\u202egnp.exe`,
		"中文 👩‍🔧 \ufeff":   "中文 👩\\u200d🔧 \\ufeff",
		"\r":              `\x0d`,
		"\u0085":          `\u0085`,
	} {
		if got := visible([]byte(raw)); got != want {
			t.Errorf("%q is shown as %q instead of %q", raw, got, want)
		}
	}
	if text, ok := readable([]byte(` {"a":[1]} `)); !ok || text != "{\n  \"a\": [\n    1\n  ]\n}" {
		t.Errorf("JSON is shown as %q", text)
	}
	for _, raw := range []string{"", "7", `"text"`, "{", "{}}", "null"} {
		if _, ok := readable([]byte(raw)); ok {
			t.Errorf("%q is worth no showing as JSON", raw)
		}
	}
	if got := begin([]byte("ab中"), 4); string(got) != "ab" {
		t.Errorf("a cut text is %q", got)
	}
}

func FuzzVisible(f *testing.F) {
	for _, raw := range []string{"", "a\r\nb", "\x1b[31m\xff\xfe", "\u202egnp.exe\u2069", "中文 👩‍🔧\ufeff", "\xed\xa0\x80", "{\"a\": \"\\u0000\"}", "\U000e0041"} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		text := visible(raw)
		if !utf8.ValidString(text) {
			t.Fatalf("%q is no text", text)
		}
		for _, r := range text {
			if r != '\n' && r != '\t' && !unicode.IsGraphic(r) {
				t.Fatalf("%q has %U, which nobody sees", text, r)
			}
		}
		if cut := begin(raw, 5); len(cut) > 5 || utf8.Valid(raw) && !utf8.Valid(cut) {
			t.Fatalf("the begin of %q is %q", raw, cut)
		}
		_, _ = readable(raw)
	})
}
