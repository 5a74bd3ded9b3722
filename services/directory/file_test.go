package directory_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/directory"
)

// examples of the guide.
const examples = "../../docs/examples/directory"

func example(t testing.TB, name string) *directory.File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(examples, name))
	must(t, err)
	f, err := directory.ReadFile(name, data, nil)
	must(t, err)
	return f
}

func TestTheExamplesAreImportedAndWhatIsExportedChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	company := example(t, "company.yaml")
	resp, err := client.Put(ctx, put("company", company.Entries...))
	must(t, err)
	if len(company.Entries) != 12 || slices.ContainsFunc(resp.GetOutcomes(), func(o directoryv1.Outcome) bool { return o != added }) {
		t.Errorf("%d entries: %v", len(company.Entries), resp.GetOutcomes())
	}
	list, err := client.List(ctx, &directoryv1.ListRequest{})
	must(t, err)
	var held []*eventv1.DirectoryUpdated
	for _, e := range list.GetEntries() {
		held = append(held, e.GetStated())
	}
	for _, moments := range []bool{false, true} {
		var exported bytes.Buffer
		must(t, directory.WriteFile(&exported, held, moments))
		again, err := directory.ReadFile("export", exported.Bytes(), nil)
		must(t, err)
		resp, err = client.Put(ctx, put(fmt.Sprint("again", moments), again.Entries...))
		must(t, err)
		if len(again.Entries) != 12 || slices.ContainsFunc(resp.GetOutcomes(), func(o directoryv1.Outcome) bool { return o != same }) {
			t.Errorf("%d entries: %v\n%s", len(again.Entries), resp.GetOutcomes(), exported.String())
		}
	}
	monday := example(t, "monday.yaml")
	resp, err = client.Put(ctx, put("monday", monday.Entries...))
	must(t, err)
	if !slices.Equal(resp.GetOutcomes(), []directoryv1.Outcome{changed, changed, takenOut}) {
		t.Error(resp.GetOutcomes())
	}
	b, err := w.directory.Book(ctx, tenant)
	must(t, err)
	noon := time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)
	for want, at := range map[string]time.Time{"anna.weiss": noon.Add(-14 * time.Hour), "tom.berg": noon} {
		if got := b.Owner("agent", "asterisk", "201", at.UnixNano()); got != want {
			t.Errorf("%v: %s", at, got)
		}
	}
}

func TestAnEntryHoldsFromItsMomentElseFromTheGivenElseFromTheFiles(t *testing.T) {
	read := func(text string, from *timestamppb.Timestamp) []*timestamppb.Timestamp {
		f, err := directory.ReadFile("f", []byte(text), from)
		must(t, err)
		var all []*timestamppb.Timestamp
		for _, e := range f.Entries {
			all = append(all, e.GetValidFrom())
		}
		return all
	}
	const text = "valid_from: 2026-03-02\nsettings:\n- id: a\n- {id: b, valid_from: 2026-03-02T10:00:00+01:00}\n"
	if got := read(text, nil); !proto.Equal(got[0], at(-8)) || !proto.Equal(got[1], at(1)) {
		t.Errorf("%v", got)
	}
	if got := read(text, at(7)); !proto.Equal(got[0], at(7)) || !proto.Equal(got[1], at(1)) {
		t.Errorf("%v", got)
	}
	if got := read("valid_from:\nsettings: [id: a]", nil); got[0] != nil {
		t.Errorf("%v", got)
	}
}

func TestWhatIsWrongWithAFileIsNamedByLineAndField(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"agents:\n  - id: anna\n    teams: sales\n    skills: {german: good}\n    names: x\n", "f:3: agents[0].teams: is no list, such as [a, b]\nf:4: agents[0].skills.german: is no whole number\nf:5: agents[0].names: is not known here"},
		{"people: []\nagents:\n  anna: {}\n", "f:1: people: is not known here\nf:3: agents: is no list, such as [a, b]"},
		{"agents: [anna]\nqueues: [{id: q, service_level: {within: 20, goal: high}, targets: 5m}]", "f:1: agents[0]: is no mapping, such as name: value\nf:2: queues[0].service_level.within: is no duration, such as 20s, 15m or 8h30m\nf:2: queues[0].service_level.goal: is no number, such as 0.8\nf:2: queues[0].targets: is no mapping, such as name: value"},
		{"valid_from: monday\nsettings: [{id: x, name: x, removed: yes}]", "f:1: valid_from: is no moment, such as 2026-03-01T09:00:00+01:00, or 2026-03-01 for its midnight in UTC\nf:2: settings[0].name: is not known here\nf:2: settings[0].removed: is neither true nor false"},
		{"agents:\n- id: anna\n- name: Bob\n- id: anna\n- id: ' carl'\n  ids:\n  - a\n  - {provider: p, id: b}\n  - a\n", "f:3: agents[1].id: is missing\nf:4: agents[2]: agent \"anna\" stands in line 2 already\nf:5: agents[3].id: begins or ends with a space"},
		{"agents:\n- id: carl\n  ids:\n  - a\n  - {provider: p, id: b}\n  - a\n", "f:6: agents[0].ids[2]: stands twice"},
		{"hours:\n- id: h\n  time_zone: Berlin\n  open:\n  - mon-fri 09:00-17:00\n  - tuesday\n", "f:3: hours[0].time_zone: \"Berlin\" is no time zone, such as Europe/Berlin or Asia/Shanghai\nf:6: hours[0].open[1]: \"tuesday\": it has no opening, such as 09:00-17:30"},
		{"queues:\n- id: q\n  service_level:\n    within: -20s\n", "f:4: queues[0].service_level.within: is negative"},
		{"agents:\n- &a {id: anna}\n- *a\n", "f:3: agents[1]: is an alias: write the value itself"},
		{"agents:\n- id: a\n  id: b\n", "f:3: agents[0].id: stands twice"},
		{"agents:\n- {<<: {}, id: a, [x]: 1}\n", "f:2: agents[0]: has a key that is no name\nf:2: agents[0]: has a key that is no name"},
		{"agents:\n- id: a\n  teams: [~, '']\n  capacity: {voice: }", "f:3: agents[0].teams[0]: is empty\nf:4: agents[0].capacity.voice: is empty"},
		{"agents:\n\t- id: a\n", "f:2: found character that cannot start any token"},
		{"agents: [\n", "f:1: did not find expected node content"},
		{"agents: []\n---\nagents: []\n", "f:1: is more than one document"},
		{"- a\n", "f:1: is no mapping, such as name: value"},
		{"agents:\n- id: [a]\n", "f:2: agents[0].id: is no single value"},
	} {
		_, err := directory.ReadFile("f", []byte(c.text), nil)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", c.text, got, c.want)
		}
	}
	for _, empty := range []string{"", "# nothing\n", "agents:\n", "agents: []\n", "null\n"} {
		if f, err := directory.ReadFile("f", []byte(empty), nil); err != nil || len(f.Entries) != 0 {
			t.Errorf("%q: %v", empty, err)
		}
	}
}

func TestWhatTheServerRefusesIsFoundInTheFile(t *testing.T) {
	f, err := directory.ReadFile("f", []byte("agents:\n- id: a\n- id: b\n  skills:\n    german: 50\n  teams:\n  - x\n  - y\n"), nil)
	must(t, err)
	for field, want := range map[string]string{
		`agent.skills["german"]`: "f:5: agents[1].skills.german: no", "agent.teams[1]": "f:8: agents[1].teams[1]: no", "agent.name": "f:3: agents[1].name: no", "": "f:3: agents[1]: no",
	} {
		if got := f.Wrong(1, field, "no").Error(); got != want {
			t.Errorf("%s: %s", field, got)
		}
	}
	if got := f.Wrong(7, "x", "no").Error(); got != "f:1: x: no" {
		t.Error(got)
	}
}

func TestAFileSaysWhatWasWritten(t *testing.T) {
	word := rapid.OneOf(
		rapid.SampledFrom([]string{"", "201", "007", "null", "~", "no", "true", "1e3", "- x", "a: b", "#x", "'", "\"", "[a", "2026-03-01", "李娜", "a\nb", "\t\n", "<<", "\u2028", "\ufeff", "é", "x ", "|", "\x7f", "\u0085"}),
		rapid.StringN(0, 8, -1),
	)
	id := rapid.SampledFrom([]string{"201", "null", "no", "a b", "#1", "李娜", "*x", "&y", "!z", "x: y", "-"})
	rapid.Check(t, func(t *rapid.T) {
		words := func(label string) []string { return rapid.SliceOfN(word, 0, 3).Draw(t, label) }
		natives := func() []*eventv1.NativeId {
			return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) *eventv1.NativeId {
				return &eventv1.NativeId{Provider: rapid.SampledFrom([]string{"", "asterisk"}).Draw(t, "provider"), Id: id.Draw(t, "native")}
			}), 0, 3, func(n *eventv1.NativeId) string { return n.GetProvider() + "/" + n.GetId() }).Draw(t, "ids")
		}
		length := func(label string) *durationpb.Duration {
			if rapid.Bool().Draw(t, label) {
				return nil
			}
			return durationpb.New(time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, label)))
		}
		var all []*eventv1.DirectoryUpdated
		for i := range rapid.IntRange(0, 5).Draw(t, "entries") {
			e := &eventv1.DirectoryUpdated{Id: id.Draw(t, "id"), ValidFrom: timestamppb.New(epoch.Add(time.Duration(i)*time.Hour + time.Duration(rapid.IntRange(0, 3).Draw(t, "nanos"))))}
			if rapid.Bool().Draw(t, "attributes") {
				e.Attributes = map[string]string{word.Draw(t, "key"): word.Draw(t, "value")}
			}
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				e.Kind = "agent"
				a := &eventv1.DirectoryAgent{Name: word.Draw(t, "name"), Ids: natives(), Teams: words("teams")}
				if rapid.Bool().Draw(t, "skilled") {
					a.Skills = map[string]int32{word.Draw(t, "skill"): rapid.Int32Range(0, 10).Draw(t, "level")}
					a.Capacity = map[string]*eventv1.ChannelCapacity{"voice": {Maximum: rapid.Int32Range(0, 3).Draw(t, "maximum"), Weight: rapid.Int32Range(0, 3).Draw(t, "weight")}}
				}
				e.Entry = &eventv1.DirectoryUpdated_Agent{Agent: a}
			case 1:
				e.Kind, e.Entry = "team", &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Name: word.Draw(t, "name"), Supervisors: words("supervisors"), Queue: word.Draw(t, "queue")}}
			case 2:
				e.Kind = "queue"
				q := &eventv1.DirectoryQueue{Name: word.Draw(t, "name"), Ids: natives(), Skills: words("skills"), Hours: word.Draw(t, "hours")}
				if rapid.Bool().Draw(t, "level") {
					q.ServiceLevel = &eventv1.ServiceLevel{Within: length("within"), Goal: rapid.Float64Range(0, 1).Draw(t, "goal"), ShortAbandon: length("short")}
					q.Targets = &eventv1.SlaTargets{FirstResponse: length("first"), InBusinessHours: rapid.Bool().Draw(t, "in hours")}
				}
				e.Entry = &eventv1.DirectoryUpdated_Queue{Queue: q}
			case 3:
				e.Kind, e.Entry = "hours", &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{Name: word.Draw(t, "name"), TimeZone: "Asia/Shanghai", Open: []string{"mon-fri 09:00-17:00"}}}
			default:
				e.Kind = "setting"
			}
			all = append(all, e)
		}
		var out bytes.Buffer
		must(t, directory.WriteFile(&out, all, true))
		f, err := directory.ReadFile("f", out.Bytes(), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		order := func(a, b *eventv1.DirectoryUpdated) int { return strings.Compare(a.GetKind(), b.GetKind()) }
		slices.SortStableFunc(all, order)
		slices.SortStableFunc(f.Entries, order)
		if len(f.Entries) != len(all) {
			t.Fatalf("%d entries, not %d\n%s", len(f.Entries), len(all), out.String())
		}
		for i := range all {
			if !proto.Equal(f.Entries[i], all[i]) {
				t.Fatalf("%v\nnot\n%v\n%s", f.Entries[i], all[i], out.String())
			}
		}
	})
}

func FuzzReadFile(f *testing.F) {
	for _, name := range []string{"company.yaml", "monday.yaml"} {
		data, err := os.ReadFile(filepath.Join(examples, name))
		must(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := directory.ReadFile("f", data, nil)
		if err != nil {
			return
		}
		var first bytes.Buffer
		must(t, directory.WriteFile(&first, file.Entries, true))
		again, err := directory.ReadFile("g", first.Bytes(), nil)
		if err != nil || len(again.Entries) != len(file.Entries) {
			t.Fatalf("%v: what was read cannot be read again\n%s", err, first.String())
		}
		var second bytes.Buffer
		must(t, directory.WriteFile(&second, again.Entries, true))
		if first.String() != second.String() {
			t.Fatalf("written\n%s\nthen\n%s", first.String(), second.String())
		}
	})
}
