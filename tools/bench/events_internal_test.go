package bench

import (
	"testing"

	"github.com/skein-cx/skein/pkg/event"
)

func TestEveryCustomerHasAPageOfEvents(t *testing.T) {
	for _, n := range []int{10_000, 50_000} {
		e, err := newEvents(n)
		if err != nil {
			t.Fatal(err)
		}
		per := map[event.ID]int{}
		ids := map[string]bool{}
		for i := range n {
			s := e.submission(i)
			ids[s.GetThread()+"/"+s.GetNativeId()] = true
			for _, p := range s.GetParties()[:1] {
				endpoint, err := event.Normalise(p.GetAddress())
				if err != nil {
					t.Fatal(err)
				}
				per[e.keyring.Tenant(tenant).Endpoint(endpoint)]++
			}
		}
		if len(ids) != n || len(per) != e.endpoints {
			t.Errorf("%d events of %d, %d endpoints of %d", len(ids), n, len(per), e.endpoints)
		}
		for c := range e.customers() {
			all, err := e.endpointIDs(c)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0
			for _, id := range all {
				sum += per[id]
			}
			if sum < pageSize {
				t.Errorf("customer %d of %d has %d events", c, e.customers(), sum)
			}
		}
	}
}

func TestEventsHaveTheSizeThatTheDesignSpeaksOf(t *testing.T) {
	e, err := newEvents(10_000)
	if err != nil {
		t.Fatal(err)
	}
	value, key, submission, err := e.sizes()
	if err != nil {
		t.Fatal(err)
	}
	if value < 350 || value > 400 {
		t.Errorf("a record has %d bytes", value)
	}
	t.Logf("value %d, key %d, submission %d", value, key, submission)
}
