package conversation_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/kv/memkv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

var tellAnew = flag.Bool("update", false, "write what the stories in testdata/stories come to")

// tale is a file of testdata/stories: the events of one thread, in the order in which they come, and what they come to beside it.
type tale struct {
	Story   string
	Channel string
	Events  []told
}

// told is an event. Ids are names: @1 is the first event of the list, and others are the provider's.
type told struct {
	At                             string // since the epoch of the tests, as 72h5m
	Type                           string
	Actor                          string // agent anna, bot lotte, customer, system
	Interaction, Visit, Assignment string
	Queue, Origin, Direction       string
	Parties                        []string // ada, anna's phone: whose are the company's stands in companyParties
	Backfill, Sealed               bool
	Body                           map[string]any
}

func readTale(t *testing.T, file string) tale {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s tale
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// cast is the names of a story by their ids.
type cast map[string]string

func (c cast) id(name string) string {
	if name == "" {
		return ""
	}
	id := hashed(name)
	c[id.String()] = "@" + name
	return id.String()
}

func (c cast) events(t *testing.T, s tale) (events []*eventv1.Event) {
	t.Helper()
	for n := range s.Events {
		c.id(fmt.Sprint(n + 1))
	}
	for n, e := range s.Events {
		at, err := time.ParseDuration(e.At)
		if err != nil {
			t.Fatal(err)
		}
		kind, id, _ := strings.Cut(e.Actor, " ")
		out := &eventv1.Event{
			Id: c.id(fmt.Sprint(n + 1)), Tenant: lawTenant, Type: e.Type, OccurredAt: timestamppb.New(lawEpoch.Add(at)),
			ReceivedAt: timestamppb.New(lawEpoch.Add(1000*time.Hour + time.Duration(n)*time.Second)), ThreadId: c.id("thread"),
			Channel:  eventv1.Channel(eventv1.Channel_value["CHANNEL_"+s.Channel]),
			Provider: "test", Inbox: "service", InteractionId: c.id(e.Interaction), VisitId: c.id(e.Visit), AssignmentId: c.id(e.Assignment), Queue: e.Queue,
			Actor:    &eventv1.Actor{Kind: eventv1.ActorKind(eventv1.ActorKind_value["ACTOR_KIND_"+strings.ToUpper(kind)]), Id: id},
			Backfill: e.Backfill,
		}
		if e.Origin != "" {
			out.Origin = eventv1.Origin(eventv1.Origin_value["ORIGIN_"+e.Origin])
		}
		if e.Direction != "" {
			out.Direction = eventv1.Direction(eventv1.Direction_value["DIRECTION_"+e.Direction])
		}
		for _, p := range e.Parties {
			side := eventv1.Side_SIDE_CUSTOMER
			if strings.Contains(p, "phone") {
				side = eventv1.Side_SIDE_COMPANY
			}
			out.Parties = append(out.Parties, &eventv1.Party{EndpointId: c.id(p), Side: side})
		}
		content := map[string]any{"nativeThread": "the thread"}
		if e.Body != nil {
			content[strings.ReplaceAll(e.Type, ".", "_")] = e.Body
		}
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		for id, name := range c {
			text = []byte(strings.ReplaceAll(string(text), `"`+name+`"`, `"`+id+`"`))
		}
		body := &eventv1.Content{}
		if err := protojson.Unmarshal(text, body); err != nil {
			t.Fatalf("event %d: %v", n+1, err)
		}
		if out.Content, err = proto.Marshal(body); err != nil {
			t.Fatal(err)
		}
		if e.Sealed {
			out.Seal = "key"
		}
		events = append(events, out)
	}
	return events
}

// come is what the events of a story come to.
func (c cast) come(t rapid.TB, j *journal) string {
	t.Helper()
	store := memkv.New()
	j.fold(store, conversation.NewFold(lawPartitions, nil), 3, allBatches)
	v := viewOf(t, store)
	defer func() { _ = v.Close() }()
	all, err := v.Thread(context.Background(), lawTenant, hashed("thread"))
	if err != nil {
		t.Fatal(err)
	}
	text := shown(all...)
	for id, name := range c {
		text = strings.ReplaceAll(text, id, name)
	}
	return text
}

func TestTheStoriesOfThreads(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			c := cast{}
			events := c.events(t, readTale(t, file))
			j := newJournal(t)
			j.append(events...)
			got := c.come(t, j)
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			if *tellAnew {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("it comes to\n%s\ninstead of\n%s", got, want)
			}
			backwards := slices.Clone(events)
			slices.Reverse(backwards)
			for name, order := range map[string][]*eventv1.Event{
				"backwards": backwards, "each twice": slices.Repeat(events, 2), "and then backwards": append(slices.Clone(events), backwards...),
			} {
				j := newJournal(t)
				j.append(order...)
				if got := c.come(t, j); got != string(want) {
					t.Errorf("%s it comes to\n%s\ninstead of\n%s", name, got, want)
				}
			}
		})
	}
}
