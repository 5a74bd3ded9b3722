package kv

import "context"

// job is what one context and those under it have in common. It is not empty: each has an address of its own.
type job struct{ _ byte }

type jobKey struct{}

// Job marks what runs under a context as one job, such as a call, or a look of a follower: it may hold a snapshot while it takes another.
// An engine that has only so many snapshots lets jobs that have begun come to their end before others begin; who takes a second snapshot
// outside of a job may wait for one that waits for the same. A job within a job is a part of it.
func Job(ctx context.Context) context.Context {
	if JobOf(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, jobKey{}, new(job))
}

// JobOf tells one job from another: it is equal within a job, and nil outside of all.
func JobOf(ctx context.Context) any { return ctx.Value(jobKey{}) }

// Deepest is how many snapshots a job may hold at a time, each taken while the others are held. Goroutines of one job may take further ones, if
// they hold none while they wait.
const Deepest = 4
