package eventlog

import "context"

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
