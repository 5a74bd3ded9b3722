package search_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
)

// Whatever somebody types is searched for, or refused with a reason; and what is shown is the text of an event, with marks that pair.
func FuzzAnyQueryIsSearchedOrRefused(f *testing.F) {
	for _, seed := range []string{
		`refund "late delivery" -red re*`, "我想退货 -政策", "“退货", "-", `"" x`, "l'hôtel 1,000.5 don't", "ﾊﾟｿｺﾝ* ｗｉｆｉ", "ก็ 한국어 x手y机z", "\u2029\uE000*", "a\xff\xfeb*", `"货 钱"`, "退* -退*",
	} {
		f.Add(seed, seed)
	}
	w := begun(f)
	n := 0
	f.Fuzz(func(t *testing.T, query, text string) {
		if !utf8.ValidString(query) || !utf8.ValidString(text) { // neither can be sent
			t.Skip()
		}
		w.t = t
		n++
		if len(text) < 1<<16 {
			w.last = w.last[:0]
			w.submit(tenant, message("t", strings.Repeat("i", n%50+1)+string(rune('a'+n%20)), text))
		}
		resp, err := w.try(tenant, &searchv1.SearchRequest{Query: query})
		var invalid *event.InvalidError
		if err != nil && (!errors.As(err, &invalid) || invalid.Violations[0].Field != "query") {
			t.Fatalf("%q: %v", query, err)
		}
		for _, h := range resp.GetHits() {
			for _, piece := range h.GetFragments() {
				if open := strings.Count(piece, "\uE000"); !utf8.ValidString(piece) || open != strings.Count(piece, "\uE001") || strings.Contains(piece, "\uE000\uE000") {
					t.Fatalf("%q shows %q", query, piece)
				}
			}
		}
	})
}

// A text is found by each of its own words, as it is written and as a phrase, and by any stretch of its characters.
func TestEveryTextIsFoundByItsOwnWords(t *testing.T) {
	w := begun(t)
	words := []string{"refunds", "Don't", "l'été", "1,000.5", "ＷｉＦｉ", "Straße", "退货", "货", "我想退货了", "返品する", "환불을", "คืนสินค้า", "iPhone手机", "Ångström", "x", "naïve-ish", "a@b.org"}
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		all := rapid.SliceOfN(rapid.SampledFrom(words), 1, 8).Draw(rt, "words")
		thread := fmt.Sprint("t", n)
		w.last = w.last[:0]
		id := w.submit(tenant, message(thread, "1", strings.Join(all, " ")))[0]
		begin := rapid.IntRange(0, len(all)-1).Draw(rt, "begin")
		end := rapid.IntRange(begin+1, len(all)).Draw(rt, "end")
		some := strings.Join(all[begin:end], " ")
		for _, query := range []string{some, `"` + some + `"`, strings.Join(all, " ") + " -nobody"} {
			resp := w.search(&searchv1.SearchRequest{Query: query, ThreadIds: []string{w.keyring.Tenant(tenant).Thread("shop", thread).String()}})
			if !slices.ContainsFunc(resp.GetHits(), func(h *searchv1.Hit) bool { return h.GetEventId() == id && strings.Contains(shown(h), "[") }) {
				rt.Fatalf("%q does not find %q", query, all)
			}
		}
	})
}
