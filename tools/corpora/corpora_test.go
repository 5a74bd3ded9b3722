package corpora_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/tools/corpora"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// corpus reads one, or skips.
func corpus(t *testing.T, name corpora.Corpus) []corpora.Dialogue {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "data", string(name), string(name)+".tar.xz")
	_, err := os.Stat(path)
	skeintest.Require(t, "data", err == nil, path+" is not there")
	all, err := corpora.Read(name, path)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheCorporaAreReadAsTheirAuthorsCountThemAndAreGoodEvents(t *testing.T) {
	chats, calls := corpus(t, corpora.CrossWOZ), corpus(t, corpora.EVI)
	t.Run("CrossWOZ", func(t *testing.T) { isCrossWOZ(t, chats) })
	t.Run("EVI", func(t *testing.T) { isEVI(t, calls) })
	t.Run("events", func(t *testing.T) { areGoodEvents(t, append(chats[:50:50], calls[:50]...)) })
}

func isCrossWOZ(t *testing.T, all []corpora.Dialogue) {
	t.Helper()
	turns := 0
	for _, d := range all {
		turns += len(d.Turns)
		for n, turn := range d.Turns {
			if turn.Customer != (n%2 == 0) || turn.Text == "" || !utf8.ValidString(turn.Text) {
				t.Errorf("dialogue %s, turn %d: %+v", d.ID, n, turn)
			}
		}
		if d.Language != "zh" || d.Customer == "" || d.Agent == "" {
			t.Errorf("dialogue %s: %q, %q, %q", d.ID, d.Language, d.Customer, d.Agent)
		}
	}
	if len(all) != 1000 || turns != 8476+8458 {
		t.Errorf("%d dialogues, %d turns", len(all), turns)
	}
}

func isEVI(t *testing.T, all []corpora.Dialogue) {
	t.Helper()
	dialogues, turns, heard := map[string]int{}, map[string]int{}, 0
	for _, d := range all {
		dialogues[d.Language]++
		turns[d.Language] += len(d.Turns)
		for _, turn := range d.Turns {
			heard += len(turn.Heard)
			if best := append(turn.Heard, "")[0]; best != turn.Text {
				t.Errorf("dialogue %s: %q is not the best of %q", d.ID, turn.Text, turn.Heard)
			}
		}
	}
	if !reflect.DeepEqual(dialogues, map[string]int{"en": 1407, "pl": 1991}) || !reflect.DeepEqual(turns, map[string]int{"en": 12663, "pl": 17919}) {
		t.Errorf("dialogues %v, turns %v", dialogues, turns)
	}
	if heard != 61377+46581 {
		t.Errorf("%d hypotheses", heard)
	}
	first := corpora.Dialogue{Corpus: corpora.EVI, ID: "CA0007220161df7be23f4554704c8720f5", Language: "en", Customer: "e80e9bdd33eda593f16a1b6f2fb228ff"}
	if d := all[0]; len(d.Turns) != 9 || !reflect.DeepEqual(d.Turns[0], corpora.Turn{
		Text: "w20 a b", Customer: true, Item: "postcode", Heard: []string{"w20 a b", "w20 a bee", "w20 a baby"},
	}) || d.Turns[2].Attempt != 2 || d.ID != first.ID || d.Customer != first.Customer {
		t.Errorf("the first one is %+v", d)
	}
}

// areGoodEvents fails where dialogues are other events the second time, or such as are refused.
func areGoodEvents(t *testing.T, dialogues []corpora.Dialogue) {
	t.Helper()
	keyring, err := event.NewKeyring(strings.NewReader(strings.Repeat("k", 1<<10)))
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		t.Fatal(err)
	}
	plan := corpora.Plan{Seed: 7, Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Days: 5}
	ids, contained := map[string]bool{}, 0
	for _, d := range dialogues {
		events := plan.Submissions(&d)
		for n, again := range plan.Submissions(&d) {
			if !proto.Equal(events[n], again) {
				t.Fatalf("%v\nis not\n%v", events[n], again)
			}
			e, err := compiler.Compile("default", again, plan.Start.AddDate(0, 0, plan.Days))
			if err != nil {
				t.Fatalf("%v: %v", again, err)
			}
			if ids[e.Event.GetId()] {
				t.Errorf("%v has an id of another event", again)
			}
			ids[e.Event.GetId()] = true
			if n > 0 && !again.GetOccurredAt().AsTime().After(events[n-1].GetOccurredAt().AsTime()) {
				t.Errorf("%v is not behind the one before", again)
			}
		}
		said := 0
		for _, e := range events {
			switch e.GetType() {
			case event.TypeMessageReceived, event.TypeMessageSent, event.TypeTranscriptAvailable:
				said++
			}
		}
		for _, turn := range d.Turns {
			if turn.Text != "" {
				said--
			}
		}
		if said != 0 {
			t.Errorf("dialogue %s: %d more than was said", d.ID, said)
		}
		if d.Corpus == corpora.EVI && plan.Contained(&d) {
			contained++
		}
		if from := events[0].GetOccurredAt().AsTime().Hour(); from < 8 || from >= 20 {
			t.Errorf("dialogue %s begins at %d", d.ID, from)
		}
		if events[0].GetChannel() == eventv1.Channel_CHANNEL_UNSPECIFIED {
			t.Errorf("%v", events[0])
		}
	}
	if contained < 30 || contained > 49 {
		t.Errorf("the bot settles %d of 50 calls", contained)
	}
}

func TestWhatIsNoCorpusIsRefused(t *testing.T) {
	if _, err := corpora.Read("poems", "nothing"); err == nil {
		t.Error("poems were read")
	}
	if _, err := corpora.Read(corpora.EVI, filepath.Join(t.TempDir(), "nothing")); err == nil {
		t.Error("nothing was read")
	}
}
