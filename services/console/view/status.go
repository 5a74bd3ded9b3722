package view

import (
	"context"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// StatusName is a working status in words.
func StatusName(ctx context.Context, s conversationv1.WorkStatus) string {
	switch s {
	case conversationv1.WorkStatus_WORK_STATUS_OPEN:
		return lang.T(ctx, "Open")
	case conversationv1.WorkStatus_WORK_STATUS_PENDING:
		return lang.T(ctx, "Pending")
	case conversationv1.WorkStatus_WORK_STATUS_SNOOZED:
		return lang.T(ctx, "Put off")
	case conversationv1.WorkStatus_WORK_STATUS_RESOLVED:
		return lang.T(ctx, "Resolved")
	case conversationv1.WorkStatus_WORK_STATUS_CLOSED:
		return lang.T(ctx, "Closed")
	case conversationv1.WorkStatus_WORK_STATUS_UNSPECIFIED:
	}
	return lang.T(ctx, "Unknown")
}

func statusTone(s conversationv1.WorkStatus) string {
	switch s {
	case conversationv1.WorkStatus_WORK_STATUS_OPEN:
		return "accent"
	case conversationv1.WorkStatus_WORK_STATUS_PENDING, conversationv1.WorkStatus_WORK_STATUS_SNOOZED:
		return "warn"
	case conversationv1.WorkStatus_WORK_STATUS_RESOLVED:
		return "good"
	case conversationv1.WorkStatus_WORK_STATUS_UNSPECIFIED, conversationv1.WorkStatus_WORK_STATUS_CLOSED:
	}
	return ""
}
