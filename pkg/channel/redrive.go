package channel

import "context"

// Redriver is what a channel also is that can take in again what it had rejected, after it was mended.
type Redriver interface {
	// Redrive does with a payload what the channel does when its provider delivers it, with host in the place of its own:
	// it submits events, or rejects the payload again. It returns when that is durable.
	Redrive(ctx context.Context, host Host, r Rejection) error
}
