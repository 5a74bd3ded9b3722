// Package pubsub is Watermill's Publisher and Subscriber over the log, for side effects that take one event at a time:
// outbound messages and webhooks, automation, enrichment, redrive. It passes Watermill's universal Pub/Sub suite.
//
// A message is delivered at least once. One message of each partition is under way at a time, so messages of one key keep
// their order, and one that is rejected (Nack) comes again, after a pause, before the next one of its partition; other
// partitions go on. It never feeds state: that is what pkg/projection is for, which reads in batches and moves its offset
// with what it writes.
package pubsub

import (
	"context"
	"errors"
)

// ErrClosed is returned by every call after Close but Close itself.
var ErrClosed = errors.New("pubsub: closed")

// Groups shares the partitions of topics among the members of groups, so that each partition has one owner at a time, and
// keeps how far a group has come. It is safe for concurrent use.
type Groups interface {
	// Join makes the caller a member of a group until ctx ends, then leaves it and returns. It calls own for each
	// partition that the member is given, in a goroutine of its own. The claim must be given up when own's context ends:
	// own commits what it still has to and returns soon. Where own returns earlier, the member joins anew, and
	// partitions are shared out again. Failures of the cluster are waited out; an error means that the group can never be
	// joined, or that leaving it failed.
	Join(ctx context.Context, group, topic string, own func(ctx context.Context, c Claim)) error
}

// Claim is a partition that its owner may read.
type Claim struct {
	Partition int32
	// Next is the offset behind the last one that the group has committed; negative where it has committed none.
	Next int64
	// Commit notes that everything before an offset is done. It may be called until own has returned. An error means that
	// the claim may be lost: give it up.
	Commit func(next int64) error
}

// Offsets keeps how far a group has come in a place of the caller's, beside the group's own: Kafka forgets the offsets of
// a group that had no members for a week. It is safe for concurrent use.
type Offsets interface {
	// Load gives the offset of the message to deliver next. Where none is found, the group's own counts.
	Load(ctx context.Context, topic string, partition int32) (next int64, found bool, err error)
	// Save is called with a higher offset each time by the owner of the partition, and durable once it has returned.
	Save(ctx context.Context, topic string, partition int32, next int64) error
}
