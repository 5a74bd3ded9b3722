package event

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Encode gives the bytes of an event as a record's value. Equal events give equal bytes; unknown fields are kept.
func Encode(e *eventv1.Event) ([]byte, error) { return AppendEncoded(nil, e) }

// AppendEncoded appends what Encode gives.
func AppendEncoded(b []byte, e *eventv1.Event) ([]byte, error) {
	if encoded, ok := appendEvent(b, e); ok {
		return encoded, nil
	}
	b, err := deterministic.MarshalAppend(b, e)
	if err != nil {
		return nil, fmt.Errorf("event: encode: %w", err)
	}
	return b, nil
}

// Decode reads a record's value and checks what every fold relies on: a tenant, a type, times from 1970 to 9999, at most
// MaxParties parties, and that each id is one. Types and fields that it does not know pass. An *InvalidError means that
// the value is an event which breaks a rule; any other error, that it is none.
func Decode(value []byte) (*eventv1.Event, error) {
	e := &eventv1.Event{}
	if err := proto.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("event: decode: %w", err)
	}
	if err := check(e); err != nil {
		return nil, err
	}
	return e, nil
}

// ErrSealed means that the content of an event cannot be read.
var ErrSealed = errors.New("it is sealed")

// DecodeContent reads the content of an event. ErrSealed means that it is sealed.
func DecodeContent(e *eventv1.Event) (*eventv1.Content, error) {
	if e.GetSeal() != "" {
		return nil, fmt.Errorf("event: decode the content: %w with key %q", ErrSealed, e.GetSeal())
	}
	content := &eventv1.Content{}
	if err := proto.Unmarshal(e.GetContent(), content); err != nil {
		return nil, fmt.Errorf("event: decode the content: %w", err)
	}
	return content, nil
}

// Blobs holds contents that are too large for the log.
type Blobs interface {
	// Get reads a whole blob and checks its hash.
	Get(ctx context.Context, ref *eventv1.Blob) ([]byte, error)
}

// Whole gives all of a content: what the log has, or what was spilled into the blob store because it is too large.
func Whole(ctx context.Context, content *eventv1.Content, blobs Blobs) (*eventv1.Content, error) {
	ref := content.GetSpilled()
	if ref == nil {
		return content, nil
	}
	raw, err := blobs.Get(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("event: read the spilled content: %w", err)
	}
	whole := &eventv1.Content{}
	if err := proto.Unmarshal(raw, whole); err != nil {
		return nil, fmt.Errorf("event: decode the spilled content: %w", err)
	}
	return whole, nil
}

// SubmittedParties are the parties of an event with their addresses, as a further submission about the same people has them.
func SubmittedParties(e *eventv1.Event, content *eventv1.Content) []*eventv1.SubmittedParty {
	var parties []*eventv1.SubmittedParty
	for i, p := range e.GetParties() {
		if i >= len(content.GetParties()) {
			break
		}
		detail := content.GetParties()[i]
		out := &eventv1.SubmittedParty{Role: p.GetRole(), Side: p.GetSide(), DisplayName: detail.GetDisplayName()}
		if detail.GetAddress() != "" {
			out.Address = &eventv1.Address{Kind: p.GetKind(), Value: detail.GetAddress(), Namespace: detail.GetNamespace()}
		}
		parties = append(parties, out)
	}
	return parties
}

// check gives an *InvalidError where an event breaks a rule.
func check(e *eventv1.Event) error {
	var wrong violations
	if e.GetTenant() == "" {
		wrong.add("tenant", "is missing")
	}
	if !isTypeName(e.GetType()) {
		wrong.add("type", "is no name of a type")
	}
	checkID(&wrong, "id", e.GetId())
	checkID(&wrong, "thread_id", e.GetThreadId())
	checkTime(&wrong, "occurred_at", e.GetOccurredAt())
	checkTime(&wrong, "received_at", e.GetReceivedAt())
	if len(e.GetParties()) > MaxParties {
		wrong.add("parties", "are more than "+strconv.Itoa(MaxParties))
	}
	for i, p := range e.GetParties() {
		if p.GetEndpointId() != "" {
			if _, err := ParseID(p.GetEndpointId()); err != nil {
				wrong.add("parties["+strconv.Itoa(i)+"].endpoint_id", notID)
			}
		}
	}
	checkOptionalID(&wrong, "interaction_id", e.GetInteractionId())
	checkOptionalID(&wrong, "visit_id", e.GetVisitId())
	checkOptionalID(&wrong, "assignment_id", e.GetAssignmentId())
	checkOptionalID(&wrong, "causation_id", e.GetCausationId())
	return wrong.err()
}

// isTypeName tells whether a type may exist some day.
func isTypeName(typ string) bool {
	for _, c := range []byte(typ) {
		if !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return typ != ""
}

const notID = "is not the text form of a UUID"

func checkID(wrong *violations, field, id string) {
	if _, err := ParseID(id); err != nil {
		wrong.add(field, notID)
	}
}

func checkOptionalID(wrong *violations, field, id string) {
	if id != "" {
		checkID(wrong, field, id)
	}
}

func checkTime(wrong *violations, field string, t *timestamppb.Timestamp) {
	switch {
	case t == nil:
		wrong.add(field, "is missing")
	case !t.IsValid() || t.GetSeconds() < 0:
		wrong.add(field, "is no time from 1970 to 9999")
	}
}
