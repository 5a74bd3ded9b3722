package board

import (
	"time"

	"github.com/tidwall/btree"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// queue is a queue of the directory, or one that events name.
type queue struct {
	row
	entry    *eventv1.DirectoryQueue // nil where the directory has none at present
	name     string
	removed  bool // the directory had one
	zone     *time.Location
	midnight time.Time // from when on it counts where nobody says otherwise

	waiting   *btree.BTreeG[*visit] // in order of their coming
	tallies   tallies
	visits    int // that are its
	offered   int
	contacts  load
	available int
	signedIn  int
}

// load is how many contacts agents have in hand.
type load struct{ connected, afterCallWork int }

func newQueue(id string) *queue {
	q := &queue{zone: time.UTC, waiting: btree.NewBTreeGOptions(sooner, btree.Options{NoLocks: true, Degree: 16})}
	q.row = row{kind: queueKind, id: id, body: q}
	return q
}

// shows: a queue that the directory does not know is there as long as it has visits or contacts; one that it has removed, as long as somebody
// waits or is in hand.
func (q *queue) shows() bool {
	return q.entry != nil || q.waiting.Len() > 0 || q.contacts != load{} || !q.removed && len(q.tallies) > 0
}

// idle: nothing is known of it but its id.
func (q *queue) idle() bool { return q.entry == nil && q.visits == 0 && q.contacts == load{} }

func (q *queue) aim() aim {
	level := q.entry.GetServiceLevel()
	return aim{level.GetWithin().AsDuration(), level.GetShortAbandon().AsDuration()}
}

func (q *queue) put(v *visit, from int64) {
	q.visits++
	if v.left == 0 {
		q.waiting.Set(v)
		if v.offered {
			q.offered++
		}
	}
	if v.counted = !v.backfill && quarter(v.entered) >= from; v.counted {
		q.tallies.add(v, q.aim())
	}
}

func (q *queue) take(v *visit) {
	q.visits--
	if v.left == 0 {
		q.waiting.Delete(v)
		if v.offered {
			q.offered--
		}
	}
	if v.counted {
		q.tallies.remove(v, q.aim())
	}
}

func (q *queue) message() proto.Message { return q.since(q.midnight) }

// since is the row with what was counted since a moment.
func (q *queue) since(at time.Time) *boardv1.QueueRow {
	m := &boardv1.QueueRow{
		Queue: q.id, Name: q.name, Waiting: int32(q.waiting.Len()), Offered: int32(q.offered),
		InContact: int32(q.contacts.connected), AfterCallWork: int32(q.contacts.afterCallWork),
		AvailableAgents: int32(q.available), SignedInAgents: int32(q.signedIn),
	}
	if first, waits := q.waiting.Min(); waits {
		m.OldestEnteredAt, m.OldestInteractionId = timestamppb.New(time.Unix(0, first.entered)), first.interaction.String()
	}
	sum := q.tallies.since(quarter(at.UnixNano()))
	m.Counts = sum.message(at)
	return m
}

// midnight is the first moment of the day of a time zone.
func midnight(at time.Time, zone *time.Location) time.Time {
	year, month, day := at.In(zone).Date()
	m := time.Date(year, month, day, 0, 0, 0, 0, zone)
	// Where clocks go forward at midnight, there is none; where they go back, there are two.
	for m.Day() != day {
		m = m.Add(Quarter)
	}
	for m.Add(-Quarter).Day() == day {
		m = m.Add(-Quarter)
	}
	return m
}
