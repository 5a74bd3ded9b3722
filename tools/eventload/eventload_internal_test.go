package eventload

import "testing"

func TestTheStreamsShareAllEventsAmongThem(t *testing.T) {
	for _, l := range []Load{{Events: 1, Customers: 1}, {Events: 100, Customers: 7}, {Events: 99, Customers: 100}, {Events: 1000, Customers: 3}} {
		for _, streams := range []int{1, 2, 4, 5} {
			seen := map[int]int{}
			for number := range streams {
				s := stream{Sender: &Sender{Load: l, Streams: streams}, number: number}
				last := map[int]int{}
				for i := 0; ; i++ {
					n, ok := s.at(i)
					if !ok {
						break
					}
					seen[n]++
					if before, had := last[n%l.Customers]; had && before > n {
						t.Errorf("%+v in %d streams: %d comes before %d", l, streams, before, n)
					}
					last[n%l.Customers] = n
				}
			}
			for n := range l.Events {
				if seen[n] != 1 {
					t.Errorf("%+v in %d streams: event %d is sent by %d", l, streams, n, seen[n])
				}
			}
			if len(seen) != l.Events {
				t.Errorf("%+v in %d streams: %d events", l, streams, len(seen))
			}
		}
	}
}
