package eventlog_test

import (
	"math"
	"testing"

	"github.com/segmentio/kafka-go"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// The hashes are those of UtilsTest.testMurmur2 in Kafka's Java client. Modulo the greatest number of partitions, what is
// left is the hash without its sign.
func TestPartitionHashesAsJavaDoes(t *testing.T) {
	for key, hash := range map[string]int32{
		"":                           275646681,
		"21":                         -973932308,
		"abc":                        479470107,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	} {
		if got, want := eventlog.Partition([]byte(key), math.MaxInt32), hash&math.MaxInt32; got != want {
			t.Errorf("Partition(%q) = %d, want %d", key, got, want)
		}
	}
}

// Records lie where this vector says. A change would move keys to partitions where nobody looks for them.
func TestPartitionOfKnownKeysNeverChanges(t *testing.T) {
	for key, want := range map[string]int32{
		"":                                     9,
		"a":                                    4,
		"default":                              7,
		"customer1":                            11,
		"01920b3e-7f4a-8c11-9d2e-5b6a7c8d9e0f": 10,
		"客户":                                   5,
	} {
		if got := eventlog.Partition([]byte(key), 12); got != want {
			t.Errorf("Partition(%q, 12) = %d, want %d", key, got, want)
		}
	}
}

func TestPartitionEqualsTheDriversBalancer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
		partitions := make([]int, rapid.IntRange(1, 1000).Draw(t, "partitions"))
		for i := range partitions {
			partitions[i] = i
		}
		want := kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, partitions...)
		if got := eventlog.Partition(key, len(partitions)); int(got) != want {
			t.Fatalf("Partition(%x, %d) = %d, want %d", key, len(partitions), got, want)
		}
	})
}

func TestPartitionTakesNoKeyForAnEmptyOne(t *testing.T) {
	if none, empty := eventlog.Partition(nil, 12), eventlog.Partition([]byte{}, 12); none != empty {
		t.Errorf("no key stands in %d, an empty one in %d", none, empty)
	}
}
