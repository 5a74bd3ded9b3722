package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// Tom is an agent of the company's, by the id in its directory.
	Tom = "tom"
	mia = "mia"
	lin = "lin"

	support  = "support"
	shanghai = "shanghai"
	office   = "office"
)

// What Twilio calls two of the agents and their queue.
const (
	tomsWorker   = "WK00000000000000000000000000000001"
	miasWorker   = "WK00000000000000000000000000000002"
	kettlesQueue = "Kettles"
)

// Directory is who works for the company, from before the story on: three agents under what Twilio and the desktop call them, their teams,
// the queue of the hotline, and when it is open.
func Directory() *directoryv1.PutRequest {
	entries := []*eventv1.DirectoryUpdated{
		{Id: office, Entry: &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{
			Name: "Office", TimeZone: "Europe/Berlin", Open: []string{"mon-fri 09:00-18:00"}, Except: []string{"12-25/12-26 closed"},
		}}},
		{Id: "kettles", Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{
			Name: "Kettles", Ids: twilios(kettlesQueue), Teams: []string{support}, Hours: office,
			ServiceLevel: &eventv1.ServiceLevel{Within: durationpb.New(20 * time.Second), Goal: 0.8, ShortAbandon: durationpb.New(5 * time.Second)},
		}}},
		{Id: support, Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Name: "Support", Supervisors: []string{mia}, Queue: "kettles"}}},
		{Id: shanghai, Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Name: "上海客服"}}},
		{Id: Tom, Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
			Name: "Tom", Ids: twilios(tomsWorker), Teams: []string{support}, Skills: map[string]int32{"english": 9, "german": 10}, Capacity: room(1, 3),
		}}},
		{Id: mia, Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
			Name: "Mia", Ids: twilios(miasWorker), Teams: []string{support}, Skills: map[string]int32{"german": 10, "repairs": 8}, Capacity: room(1, 2),
		}}},
		{Id: lin, Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
			Name: "小林", Teams: []string{shanghai}, Skills: map[string]int32{"chinese": 10, "english": 7}, Capacity: room(0, 4),
		}}},
	}
	for _, e := range entries {
		e.ValidFrom = timestamppb.New(at(1, 0, 0))
	}
	return &directoryv1.PutRequest{RequestId: "demo-directory", Entries: entries}
}

func twilios(id string) []*eventv1.NativeId { return []*eventv1.NativeId{{Provider: "twilio", Id: id}} }

func room(calls, chats int32) map[string]*eventv1.ChannelCapacity {
	return map[string]*eventv1.ChannelCapacity{"voice": {Maximum: calls}, "web_chat": {Maximum: chats}}
}

// Shift is the day of the call for who is asked to take it: they sign in before, and go home in the evening. No timeline shows that.
func Shift() []Scene {
	return []Scene{
		activity(101, at(16, 8, 0), tomsWorker, "Available"),
		activity(102, at(16, 8, 2), miasWorker, "Available"),
		activity(103, at(16, 11, 30), tomsWorker, "Break"),
		activity(104, at(16, 12, 15), tomsWorker, "Available"),
		activity(105, at(16, 17, 0), tomsWorker, "Offline"),
		activity(106, at(16, 17, 4), miasWorker, "Offline"),
	}
}

// activity is what TaskRouter tells of an agent who chose what to do.
func activity(n int, when time.Time, worker, name string) Scene {
	id := fmt.Sprintf("EV%032d", n)
	return Scene{ID: id, At: when, Call: &Call{Kind: "taskrouter", Form: map[string]string{
		"EventType": "worker.activity.update", "Sid": id, "TimestampMs": strconv.FormatInt(when.UnixMilli(), 10), "WorkerSid": worker, "WorkerActivityName": name,
	}}}
}

// Staff puts the directory in and signs the agents in for today, at their desktops. Doing it again changes nothing: who has signed out since
// stays so.
func (p *Player) Staff(ctx context.Context) error {
	if _, err := p.Directory.Put(ctx, Directory()); err != nil {
		return fmt.Errorf("demo: put the directory in: %w", errors.New(rpc.Explain(err)))
	}
	for _, id := range []string{Tom, mia, lin} {
		_, err := p.Agents.SetPresence(ctx, &agentv1.SetPresenceRequest{AgentId: id, Presence: "Available", RequestId: "demo-sign-in"})
		if err != nil {
			return fmt.Errorf("demo: sign %s in: %w", id, errors.New(rpc.Explain(err)))
		}
	}
	return nil
}
