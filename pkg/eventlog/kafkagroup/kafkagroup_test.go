package kafkagroup_test

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkagroup"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkatest"
)

// patience ends a test that hangs; nothing waits for it otherwise.
const patience = time.Minute

const topic = "kafkagroup"

// onEach runs a test on an embedded broker and on the real cluster, both with the topic, which has four partitions.
func onEach(t *testing.T, test func(t *testing.T, addrs []string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		broker, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
		must(t, err)
		t.Cleanup(func() { must(t, broker.Close()) })
		addrs := []string{broker.Addr()}
		ensureTopic(t, addrs)
		test(t, addrs)
	})
	t.Run("real", func(t *testing.T) {
		addrs := kafkatest.Brokers(t)
		ensureTopic(t, addrs)
		test(t, addrs)
	})
}

func ensureTopic(t *testing.T, addrs []string) {
	t.Helper()
	log, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: addrs, Patience: time.Minute})
	must(t, err)
	must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: 4}))
	must(t, log.Close())
}

func groups(t *testing.T, addrs []string) *kafkagroup.Groups {
	t.Helper()
	g, err := kafkagroup.New(kafkagroup.Config{Brokers: addrs, Heartbeat: 50 * time.Millisecond, LeaveTimeout: patience})
	must(t, err)
	return g
}

func TestEachPartitionHasOneOwnerAndGoesOnWhereItWasCommitted(t *testing.T) {
	onEach(t, eachPartitionHasOneOwnerAndGoesOnWhereItWasCommitted)
}

func eachPartitionHasOneOwnerAndGoesOnWhereItWasCommitted(t *testing.T, addrs []string) {
	t.Helper()
	g, group := groups(t, addrs), rand.Text()
	for round := range int64(3) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		var mu sync.Mutex
		owned := make(map[int32]bool)
		err := g.Join(ctx, group, topic, func(ctx context.Context, c eventlog.Claim) {
			mu.Lock()
			defer mu.Unlock()
			if owned[c.Partition] {
				t.Errorf("partition %d has two owners", c.Partition)
			}
			if want := 10*round + int64(c.Partition); c.Next != want && (round > 0 || c.Next >= 0) {
				t.Errorf("partition %d goes on at %d, want %d", c.Partition, c.Next, want)
			}
			if err := c.Commit(10*(round+1) + int64(c.Partition)); err != nil {
				t.Error(err)
			}
			if owned[c.Partition] = true; len(owned) == 4 {
				cancel()
			}
			mu.Unlock()
			<-ctx.Done()
			mu.Lock()
		})
		must(t, err)
		if len(owned) != 4 {
			t.Fatalf("the member was given %d partitions, want 4", len(owned))
		}
	}
}

func TestCommittedTellsHowFarAGroupHasCome(t *testing.T) {
	onEach(t, committedTellsHowFarAGroupHasCome)
}

func committedTellsHowFarAGroupHasCome(t *testing.T, addrs []string) {
	t.Helper()
	g, group := groups(t, addrs), rand.Text()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	committed, err := g.Committed(ctx, group, topic, 4)
	must(t, err)
	if len(committed) != 0 {
		t.Errorf("a group that nobody has joined has come to %v", committed)
	}
	life, leave := context.WithCancel(ctx)
	must(t, g.Join(life, group, topic, func(ctx context.Context, c eventlog.Claim) {
		if c.Partition == 2 {
			if err := c.Commit(7); err != nil {
				t.Error(err)
			}
			leave()
		}
		<-ctx.Done()
	}))
	committed, err = g.Committed(ctx, group, topic, 4)
	must(t, err)
	if len(committed) != 1 || committed[2] != 7 {
		t.Errorf("it has come to %v", committed)
	}
	gone, cancelled := context.WithCancel(ctx)
	cancelled()
	if _, err := g.Committed(gone, group, topic, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

func TestAnOwnerThatReturnsIsGivenItsPartitionAgain(t *testing.T) {
	onEach(t, anOwnerThatReturnsIsGivenItsPartitionAgain)
}

func anOwnerThatReturnsIsGivenItsPartitionAgain(t *testing.T, addrs []string) {
	t.Helper()
	g, group := groups(t, addrs), rand.Text()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var mu sync.Mutex
	owned := make(map[int32]int)
	must(t, g.Join(ctx, group, topic, func(_ context.Context, c eventlog.Claim) {
		mu.Lock()
		defer mu.Unlock()
		if owned[c.Partition]++; owned[c.Partition] == 3 {
			cancel()
		}
	}))
	if len(owned) != 4 {
		t.Errorf("the member was given %d partitions, want 4", len(owned))
	}
}

// Were one forgotten, the next member would wait for it until its session times out.
func TestMembersThatGoAtAnyMomentAreNotLeftInTheGroup(t *testing.T) {
	onEach(t, membersThatGoAtAnyMomentAreNotLeftInTheGroup)
}

func membersThatGoAtAnyMomentAreNotLeftInTheGroup(t *testing.T, addrs []string) {
	t.Helper()
	g, group := groups(t, addrs), rand.Text()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var members sync.WaitGroup
	for i := range 40 {
		members.Go(func() {
			ctx, leave := context.WithCancel(ctx)
			defer leave()
			time.AfterFunc(time.Duration(i)*10*time.Millisecond, leave)
			if err := g.Join(ctx, group, topic, func(ctx context.Context, _ eventlog.Claim) { <-ctx.Done() }); err != nil {
				t.Error(err)
			}
		})
	}
	members.Wait()
	client := &kafka.Client{Addr: kafka.TCP(addrs...), Transport: &kafka.Transport{Context: ctx}}
	found, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	must(t, err)
	if n := len(found.Groups[0].Members); n > 0 {
		t.Errorf("%d of 40 members are still there", n)
	}
}

func TestJoinWaitsForAClusterThatIsNotThereAndEndsWithItsContext(t *testing.T) {
	g, err := kafkagroup.New(kafkagroup.Config{Brokers: []string{"127.0.0.1:1"}, LeaveTimeout: time.Millisecond})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	joined := make(chan error)
	go func() {
		joined <- g.Join(ctx, "group", topic, func(context.Context, eventlog.Claim) { t.Error("a partition of nothing") })
	}()
	cancel()
	if err := <-joined; err == nil {
		t.Error("left a group of a cluster that is not there")
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	if _, err := kafkagroup.New(kafkagroup.Config{}); err == nil {
		t.Error("no brokers")
	}
	for mechanism, fine := range map[string]bool{"PLAIN": true, "SCRAM-SHA-256": true, "SCRAM-SHA-512": true, "GSSAPI": false} {
		_, err := kafkagroup.New(kafkagroup.Config{
			Brokers: []string{"127.0.0.1:1"}, SASL: &kafkagroup.SASL{Mechanism: mechanism, Username: "u", Password: "p"},
		})
		if (err == nil) != fine {
			t.Errorf("%s gave %v", mechanism, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
