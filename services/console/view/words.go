package view

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// EndReason is why something ended, in words.
func EndReason(ctx context.Context, r eventv1.EndReason) string {
	switch r {
	case eventv1.EndReason_END_REASON_CUSTOMER:
		return lang.T(ctx, "by the customer")
	case eventv1.EndReason_END_REASON_AGENT:
		return lang.T(ctx, "by the agent")
	case eventv1.EndReason_END_REASON_BOT:
		return lang.T(ctx, "by the bot")
	case eventv1.EndReason_END_REASON_TRANSFER:
		return lang.T(ctx, "by a hand-over")
	case eventv1.EndReason_END_REASON_IDLE:
		return lang.T(ctx, "nobody said anything more")
	case eventv1.EndReason_END_REASON_ERROR:
		return lang.T(ctx, "by an error")
	case eventv1.EndReason_END_REASON_SYSTEM:
		return lang.T(ctx, "by the system")
	case eventv1.EndReason_END_REASON_UNSPECIFIED:
	}
	return ""
}

func callFailure(ctx context.Context, f eventv1.CallFailure) string {
	switch f {
	case eventv1.CallFailure_CALL_FAILURE_BUSY:
		return lang.T(ctx, "busy")
	case eventv1.CallFailure_CALL_FAILURE_NO_ANSWER:
		return lang.T(ctx, "no answer")
	case eventv1.CallFailure_CALL_FAILURE_REJECTED:
		return lang.T(ctx, "rejected")
	case eventv1.CallFailure_CALL_FAILURE_CANCELED:
		return lang.T(ctx, "given up")
	case eventv1.CallFailure_CALL_FAILURE_CONGESTION:
		return lang.T(ctx, "no line")
	case eventv1.CallFailure_CALL_FAILURE_ERROR:
		return lang.T(ctx, "an error")
	case eventv1.CallFailure_CALL_FAILURE_UNSPECIFIED:
	}
	return ""
}

// QueueOutcome is how a wait in a queue ended, in words; empty where nothing says it.
func QueueOutcome(ctx context.Context, o eventv1.QueueOutcome) string {
	switch o {
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED:
		return lang.T(ctx, "answered")
	case eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED:
		return lang.T(ctx, "abandoned")
	case eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED:
		return lang.T(ctx, "overflowed")
	case eventv1.QueueOutcome_QUEUE_OUTCOME_TRANSFERRED:
		return lang.T(ctx, "handed over")
	case eventv1.QueueOutcome_QUEUE_OUTCOME_VOICEMAIL:
		return lang.T(ctx, "left a voicemail")
	case eventv1.QueueOutcome_QUEUE_OUTCOME_CALLBACK:
		return lang.T(ctx, "wants to be called back")
	case eventv1.QueueOutcome_QUEUE_OUTCOME_UNSPECIFIED:
	}
	return ""
}

func declineReason(ctx context.Context, r eventv1.DeclineReason) string {
	switch r {
	case eventv1.DeclineReason_DECLINE_REASON_REJECTED:
		return lang.T(ctx, "rejected")
	case eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT:
		return lang.T(ctx, "not answered in time")
	case eventv1.DeclineReason_DECLINE_REASON_CANCELLED:
		return lang.T(ctx, "cancelled")
	case eventv1.DeclineReason_DECLINE_REASON_UNSPECIFIED:
	}
	return ""
}

func statusChanged(ctx context.Context, s *eventv1.InteractionStatusChanged) string {
	switch s.GetStatus() {
	case eventv1.InteractionStatus_INTERACTION_STATUS_OPEN:
		return lang.T(ctx, "Open")
	case eventv1.InteractionStatus_INTERACTION_STATUS_PENDING:
		return lang.T(ctx, "Pending")
	case eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED:
		return lang.T(ctx, "Put off until %s", lang.Moment(ctx, s.GetSnoozedUntil().AsTime()))
	case eventv1.InteractionStatus_INTERACTION_STATUS_UNSPECIFIED:
	}
	return lang.T(ctx, "Status")
}

func attributes(u *eventv1.AttributesUpdated) string {
	var all []string
	for _, tag := range u.GetTagsAdded() {
		all = append(all, "+ "+tag)
	}
	for _, tag := range u.GetTagsRemoved() {
		all = append(all, "− "+tag)
	}
	for _, name := range slices.Sorted(maps.Keys(u.GetAttributes())) {
		all = append(all, name+": "+u.GetAttributes()[name])
	}
	return strings.Join(all, ", ")
}

func transcript(t *eventv1.TranscriptAvailable) string {
	var b strings.Builder
	for _, s := range t.GetSegments() {
		fmt.Fprintf(&b, "%s  %s\n", lang.Stopwatch(s.GetStart().AsDuration()), s.GetText())
	}
	return strings.TrimSpace(b.String())
}

func target(ctx context.Context, d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return lang.T(ctx, "answer within %s", lang.Stopwatch(d.AsDuration()))
}

func length(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return lang.Stopwatch(d.AsDuration())
}

// dots joins what is known.
func dots(texts ...string) string {
	var known []string
	for _, t := range texts {
		if t != "" {
			known = append(known, t)
		}
	}
	return strings.Join(known, " · ")
}
