package bench

import (
	"testing"
	"time"
)

func TestAYearOfContactsIsWholeInOrderAndTheSameEachTime(t *testing.T) {
	const n = 5000
	events, err := newEvents(n)
	if err != nil {
		t.Fatal(err)
	}
	c := newContacts(events, n)
	type contact struct {
		events int
		last   time.Time
	}
	all := map[string]*contact{}
	for i := range n {
		s := c.submission(i)
		if _, err := c.message(foldTopic, i); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
		if again := c.submission(i); !again.GetOccurredAt().AsTime().Equal(s.GetOccurredAt().AsTime()) || again.GetType() != s.GetType() {
			t.Fatalf("event %d is %v, and then %v", i, s, again)
		}
		of := all[s.GetThread()]
		if of == nil {
			of = &contact{}
			all[s.GetThread()] = of
		}
		at := s.GetOccurredAt().AsTime()
		if at.Before(of.last) {
			t.Errorf("event %d of %s is before the one before", i, s.GetThread())
		}
		of.events, of.last = of.events+1, at
	}
	if len(all) != n/perContact {
		t.Errorf("%d contacts", len(all))
	}
	for thread, of := range all {
		if of.events != perContact {
			t.Errorf("%s has %d events", thread, of.events)
		}
	}
}
