package listener

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/email"
)

// Redrive implements channel.Redriver: it reads a mail anew that was rejected, for the inbox that it was for.
func (l *Listener) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	in, ok := l.inboxes[inboxKey{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("email/listener: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	_, err := email.Parse(r.Raw).Deliver(ctx, host, in)
	return err
}
