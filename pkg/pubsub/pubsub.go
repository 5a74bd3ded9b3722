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

// Offsets keeps how far a group has come in a place of the caller's, beside the group's own: Kafka forgets the offsets of
// a group that had no members for a week. It is safe for concurrent use.
type Offsets interface {
	// Load gives the offset of the message to deliver next. Where none is found, the group's own counts.
	Load(ctx context.Context, topic string, partition int32) (next int64, found bool, err error)
	// Save is called with a higher offset each time by the owner of the partition, and durable once it has returned.
	Save(ctx context.Context, topic string, partition int32, next int64) error
}
