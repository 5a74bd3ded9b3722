package e2e_test

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/tools/corpora"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// utterance is a text of a dialogue, as a message or transcript.
type utterance struct {
	*corpora.Dialogue
	corpora.Turn
}

// readCorpora reads all dialogues, and what was said in them.
func readCorpora(t *testing.T) (dialogues []corpora.Dialogue, texts []utterance) {
	t.Helper()
	for _, name := range []corpora.Corpus{corpora.CrossWOZ, corpora.EVI} {
		archive := filepath.Join("..", "..", "..", "shared", "data", string(name), string(name)+".tar.xz")
		_, err := os.Stat(archive)
		skeintest.Require(t, "data", err == nil, "it is not there: "+archive)
		some, err := corpora.Read(name, archive)
		must(t, err)
		dialogues = append(dialogues, some...)
	}
	for n := range dialogues {
		for _, turn := range dialogues[n].Turns {
			if turn.Text != "" {
				texts = append(texts, utterance{&dialogues[n], turn})
			}
		}
	}
	return dialogues, texts
}

// bare is a text without diacritics that Unicode takes apart, so that Ż is Z and Ł stays.
func bare(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.M, r) {
			return -1
		}
		return r
	}, norm.NFD.String(text))
}

// searches are conditions in SQL, with what they mean in Go.
var searches = []struct {
	where, needle string
	holds         func(text, needle string) bool
}{
	{"text LIKE concat('%', {needle:String}, '%')", "酒店", strings.Contains},
	{"text LIKE concat('%', {needle:String}, '%')", "谢谢", strings.Contains},
	{"text LIKE concat('%', {needle:String}, '%')", "故宫", strings.Contains},
	{"text LIKE concat('%', {needle:String}, '%')", "？", strings.Contains},
	{"position(text, {needle:String}) > 0", "您好", strings.Contains},
	{"text LIKE concat('%', {needle:String}, '%')", "Błażej", strings.Contains},
	{"text LIKE concat('%', {needle:String}, '%')", "Blazej", strings.Contains},
	{"text LIKE concat('%', {needle:String}, '%')", "września", strings.Contains},
	{"text LIKE concat('%', {needle:String}, '%')", "ł", strings.Contains},
	{"lowerUTF8(text) LIKE concat('%', lowerUTF8({needle:String}), '%')", "ŁUKASZ", containsFold},
	{"text ILIKE concat('%', {needle:String}, '%')", "ŻÓŁ", containsFold},
	{"positionCaseInsensitiveUTF8(text, {needle:String}) > 0", "sierpień", containsFold},
	{"text ILIKE concat('%', {needle:String}, '%')", "WHISKEY", containsFold},
	{"text LIKE concat('%', {needle:String}, '%')", "WHISKEY", strings.Contains},
	{"text ILIKE concat('%', {needle:String}, '%')", "november", containsFold},
	{"text = {needle:String}", "w20 a b", func(text, needle string) bool { return text == needle }},
	{"replaceRegexpAll(normalizeUTF8NFD(text), '\\\\pM', '') LIKE concat('%', {needle:String}, '%')", "Zo", func(text, needle string) bool { return strings.Contains(bare(text), needle) }},
}

func containsFold(text, needle string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(needle))
}

func TestRealDialoguesInThreeLanguagesAreFoundInClickHouseAsInTheirFiles(t *testing.T) {
	dialogues, texts := readCorpora(t)
	h, srv := newHouse(t)
	conn, err := rpc.Dial(h.site.GRPC, "", nil)
	must(t, err)
	defer conn.Close()
	loader := corpora.Loader{Conn: conn, Plan: corpora.Plan{Seed: 1}, Patience: time.Minute}
	loaded, err := loader.Load(t.Context(), dialogues)
	must(t, err)
	again, err := loader.Load(t.Context(), dialogues[800:1200]) // chats and calls
	must(t, err)
	t.Logf("loaded %v, and again %v", loaded, again)
	h.contains(append(loaded.Last, again.Last...))
	h.says(fmt.Sprintf("%d\t%[1]d", loaded.Events), "SELECT count(), uniqExact(event_id) FROM skein.events WHERE tenant = 'default'", nil)
	countsOfCorpora(h, &loader.Plan, dialogues, texts)
	searched := 0
	for _, s := range searches {
		for _, language := range []string{"zh", "pl", "en"} {
			want := 0
			for _, text := range texts {
				if text.Language == language && s.holds(text.Text, s.needle) {
					want++
				}
			}
			searched += want
			h.says(want, "SELECT count() FROM skein.messages WHERE tenant = 'default' AND language = {language:String} AND "+s.where,
				map[string]string{"language": language, "needle": s.needle})
		}
	}
	t.Logf("%d searches found %d texts", 3*len(searches), searched)
	quit(t, srv)
}

// countsOfCorpora compares what the tables hold of dialogues.
func countsOfCorpora(h *house, plan *corpora.Plan, dialogues []corpora.Dialogue, texts []utterance) {
	h.t.Helper()
	type tally struct {
		texts, threads, runes, contained int
		sum                              uint64
	}
	counts := map[string]*tally{}
	of := func(language string) *tally {
		if counts[language] == nil {
			counts[language] = &tally{}
		}
		return counts[language]
	}
	for n := range dialogues {
		c := of(dialogues[n].Language)
		if slices.ContainsFunc(dialogues[n].Turns, func(t corpora.Turn) bool { return t.Text != "" }) {
			c.threads++
		}
		if dialogues[n].Corpus == corpora.EVI && plan.Contained(&dialogues[n]) {
			c.contained++
		}
	}
	for _, text := range texts {
		c := of(text.Language)
		c.texts++
		c.runes += utf8.RuneCountInString(text.Text)
		c.sum += uint64(crc32.ChecksumIEEE([]byte(text.Text)))
	}
	all := map[string]int{}
	for n := range dialogues {
		all[dialogues[n].Language]++
	}
	for language, c := range counts {
		in := map[string]string{"language": language}
		// The sum of the texts' checksums is that of the files only where every text is.
		h.says(fmt.Sprintf("%d\t%d\t%d\t%d", c.texts, c.threads, c.runes, c.sum),
			"SELECT count(), uniqExact(thread), sum(lengthUTF8(text)), sum(toUInt64(CRC32(text))) FROM skein.messages WHERE tenant = 'default' AND language = {language:String}", in)
		h.says(fmt.Sprintf("%d\t%d", all[language], c.contained),
			"SELECT count(), countIf(contained) FROM skein.interactions WHERE tenant = 'default' AND language = {language:String}", in)
	}
	h.says("1000\tweb_chat\tcrosswoz", "SELECT count(), channel, provider FROM skein.interactions WHERE tenant = 'default' AND language = 'zh' GROUP BY ALL", nil)
	h.says("3398\tvoice\tevi", "SELECT count(), channel, provider FROM skein.interactions WHERE tenant = 'default' AND language IN ('pl', 'en') GROUP BY ALL", nil)
}
