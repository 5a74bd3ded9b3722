package customers

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestATelephoneNumberIsReadAsPeopleWriteIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"+49 30 901820": "+4930901820", "0049 30 901820": "+4930901820", "0049 (30) 90-1820": "+4930901820", "anna@example.com": "anna@example.com", "kettle": "", "00": "",
	} {
		got := ""
		if a := addressOf(text); a != nil {
			e, err := event.Normalise(a)
			if err != nil {
				t.Fatal(err)
			}
			got = event.FormatAddress(e.Address())
		}
		if got != want {
			t.Errorf("%q is read as %q instead of %q", text, got, want)
		}
	}
	for text, number := range map[string]bool{"4930901820": true, "49 30 901820": true, "4711": false, "order 12345678": false, "": false} {
		if (bareNumber(text) != nil) != number {
			t.Errorf("%q is a number: %v", text, !number)
		}
	}
}

// began is an interaction of a conversation and a customer, in a thread of its own, that began so many hours after the first.
func began(conversation, customer string, channel eventv1.Channel, hours int) *conversationv1.Work {
	at := timestamppb.New(time.Date(2026, 3, 2, hours, 0, 0, 0, time.UTC))
	return &conversationv1.Work{ConversationId: conversation, CustomerId: customer, Interaction: &conversationv1.Interaction{
		Id: conversation + customer, ThreadId: "thread of " + conversation, Channel: channel, StartedAt: at, LastActivityAt: at,
	}}
}

const (
	mail  = eventv1.Channel_CHANNEL_EMAIL
	voice = eventv1.Channel_CHANNEL_VOICE
)

func TestEachCustomerIsHeardOfOnce(t *testing.T) {
	t.Parallel()
	rows := byCustomer([]*conversationv1.Work{began("1", "anna", mail, 5), began("2", "", mail, 4), began("3", "anna", voice, 3), began("4", "", mail, 2), began("5", "anna", mail, 1)})
	var heardOf []string
	for _, h := range rows {
		heardOf = append(heardOf, h.work.GetConversationId())
	}
	if !slices.Equal(heardOf, []string{"1", "2", "4"}) || !slices.Equal(rows[0].channels, []eventv1.Channel{mail, voice}) {
		t.Errorf("heard of in %v, on %v", heardOf, rows[0].channels)
	}
}

func TestConversationsOfAPastMomentAreThoseThatHadBegun(t *testing.T) {
	t.Parallel()
	work := []*conversationv1.Work{began("b", "2", voice, 9), began("a", "1", mail, 7), began("b", "1", mail, 6)}
	all := matters(work, time.Time{})
	if len(all) != 2 || all[0].id != "b" || len(all[0].interactions) != 2 || all[0].began().Hour() != 6 || all[0].active().Hour() != 9 {
		t.Errorf("now: %v", all)
	}
	if past := matters(work, time.Date(2026, 3, 2, 6, 30, 0, 0, time.UTC)); len(past) != 1 || past[0].id != "b" || len(past[0].interactions) != 1 {
		t.Errorf("then: %v", past)
	}
}

func TestAnEventIsPartOfTheLastInteractionThatHadBegun(t *testing.T) {
	t.Parallel()
	first, second := began("c", "1", mail, 6), began("c", "2", mail, 9)
	part := partOf([]*conversationv1.Work{first, second})
	for hour, want := range map[int]*conversationv1.Work{5: nil, 6: first, 8: first, 9: second, 12: second} {
		e := &eventv1.Event{ThreadId: "thread of c", OccurredAt: timestamppb.New(time.Date(2026, 3, 2, hour, 0, 0, 0, time.UTC))}
		if got := part(e); got != want {
			t.Errorf("at %d it is part of %v", hour, got)
		}
	}
	if part(&eventv1.Event{ThreadId: "another"}) != nil {
		t.Error("another thread's event is part of it")
	}
}

func TestAPreviewComparesWhatBothAreSaidToBe(t *testing.T) {
	t.Parallel()
	got := differences(
		&customerv1.Customer{Attributes: []*customerv1.Attribute{{Name: "plan", Value: "gold"}, {Name: "language", Value: "en"}}},
		&customerv1.Customer{Attributes: []*customerv1.Attribute{{Name: "city", Value: "Berlin"}, {Name: "plan", Value: "basic"}}},
	)
	if want := []difference{{"plan", "gold", "basic"}, {"language", "en", ""}, {"city", "", "Berlin"}}; !slices.Equal(got, want) {
		t.Errorf("%v instead of %v", got, want)
	}
}
