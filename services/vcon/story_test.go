package vcon_test

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// records are conversations, made of all that a host has taken in of a tenant: each thread one interaction, and all of them one conversation.
type records struct{ *channeltest.Host }

// all are the events of interactions, in their order.
func (r records) all(of string) []channeltest.Event {
	events := slices.DeleteFunc(r.Host.Events(), func(e channeltest.Event) bool {
		topic, _ := event.TopicOf(e.Event.GetType())
		return topic != event.TopicInteractions || e.Tenant != of
	})
	slices.SortStableFunc(events, func(a, b channeltest.Event) int {
		return a.Event.GetOccurredAt().AsTime().Compare(b.Event.GetOccurredAt().AsTime())
	})
	return events
}

// Get implements vcon.Conversations. What it makes of the events is what services/conversation does, as far as a vCon tells it.
func (r records) Get(_ context.Context, of, id string) (*conversationv1.Conversation, error) {
	byThread := map[string]*conversationv1.Interaction{}
	c := &conversationv1.Conversation{}
	for _, e := range r.all(of) {
		i := byThread[e.Event.GetThreadId()]
		if i == nil {
			i = &conversationv1.Interaction{
				Id: cmp.Or(e.Event.GetInteractionId(), e.Event.GetId()), ThreadId: e.Event.GetThreadId(), StartedAt: e.Event.GetOccurredAt(),
				Channel: e.Event.GetChannel(), Provider: e.Event.GetProvider(), Direction: e.Event.GetDirection(), Origin: e.Event.GetOrigin(),
			}
			byThread[i.GetThreadId()] = i
			c.Interactions = append(c.Interactions, i)
		}
		i.Language = cmp.Or(i.GetLanguage(), e.Event.GetLanguage())
		content := e.Content
		i.Subject = cmp.Or(i.GetSubject(), content.GetInteractionStarted().GetSubject(), content.GetMessageReceived().GetSubject(), content.GetMessageSent().GetSubject())
		switch e.Event.GetType() {
		case event.TypeInteractionEnded:
			i.EndedAt, i.EndReason = e.Event.GetOccurredAt(), content.GetInteractionEnded().GetReason()
		case event.TypeInteractionResolved:
			i.ResolvedAt, i.Resolution = e.Event.GetOccurredAt(), content.GetInteractionResolved().GetResolution()
		case event.TypeInteractionCategorized:
			k := content.GetInteractionCategorized()
			i.ContactReason, i.Disposition, i.Complaint = k.GetContactReason(), k.GetDisposition(), k.GetComplaint()
		case event.TypeInteractionAttributesUpdated:
			u := content.GetInteractionAttributesUpdated()
			i.Tags, i.Priority, i.Attributes = append(i.Tags, u.GetTagsAdded()...), u.GetPriority(), u.GetAttributes()
		}
		if e.Event.GetType() == event.TypeWrapupEnded {
			i.Disposition = cmp.Or(i.GetDisposition(), content.GetWrapupEnded().GetDisposition())
		}
	}
	if !slices.ContainsFunc(c.GetInteractions(), func(i *conversationv1.Interaction) bool { return i.GetId() == id }) && id != "" {
		return nil, rpc.NotFound(errNone)
	}
	for _, i := range c.GetInteractions() {
		c.Subject = cmp.Or(c.GetSubject(), i.GetSubject())
	}
	if len(c.GetInteractions()) > 0 {
		c.Id, c.StartedAt = c.GetInteractions()[0].GetId(), c.GetInteractions()[0].GetStartedAt()
	}
	return c, nil
}

// Events implements vcon.Conversations.
func (r records) Events(_ context.Context, of string, _ event.ID, yield func(channel.Filed) error) error {
	for _, e := range r.all(of) {
		if err := yield(channel.Filed{Event: e.Event, Content: e.Content}); err != nil {
			return err
		}
	}
	return nil
}

// blobs are those of a host.
type blobs struct{ *channeltest.Host }

func (b blobs) Get(_ context.Context, ref *eventv1.Blob) ([]byte, error) {
	data, ok := b.Blob(ref)
	if !ok {
		return nil, errNone
	}
	return data, nil
}

// teller makes the submissions of a story.
type teller struct {
	t      testing.TB
	host   *channeltest.Host
	tenant string // acme unless set
}

const tenant = "acme"

var (
	anna   = phone("+4930901820", "Anna Schmidt", eventv1.PartyRole_PARTY_ROLE_INITIATOR, eventv1.Side_SIDE_CUSTOMER)
	number = phone("+4930200100", "", eventv1.PartyRole_PARTY_ROLE_RECIPIENT, eventv1.Side_SIDE_COMPANY)
	bob    = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "bob"}
	carol  = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "carol"}
	robot  = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_BOT, Id: "lumi"}
	day    = time.Date(2026, 2, 27, 9, 0, 0, 0, time.UTC)
)

func phone(n, name string, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: n}, Role: role, Side: side, DisplayName: name}
}

func mailbox(address, name string, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: address}, Role: role, Side: side, DisplayName: name}
}

// told says when, in which thread, by whom and with whom something happened.
type told struct {
	at      time.Duration // since the day began
	channel eventv1.Channel
	from    string // provider
	thread  string
	id      string
	actor   *eventv1.SubmittedActor
	parties []*eventv1.SubmittedParty
	files   []*eventv1.Attachment
	about   string // event
}

func (x *teller) tell(w told, body *eventv1.Content) string {
	x.t.Helper()
	typ := typeOf(body)
	s := &eventv1.Submission{
		Type: typ, Channel: w.channel, Provider: w.from, Inbox: w.from, Thread: w.thread, NativeId: cmp.Or(w.id, typ+"/"+w.at.String()),
		OccurredAt: timestamppb.New(day.Add(w.at)), Actor: w.actor, Parties: w.parties, Content: body, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Origin: eventv1.Origin_ORIGIN_INBOUND, CausationId: w.about,
	}
	body.Attachments = w.files
	acks, err := x.host.Submit(x.t.Context(), cmp.Or(x.tenant, tenant), s)
	if err != nil {
		x.t.Fatalf("%s: %v", typ, err)
	}
	return acks[0].EventID
}

// typeOf is the type whose body a content holds.
func typeOf(c *eventv1.Content) string {
	m := c.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("body"))
	for _, t := range event.Types() {
		if t.Body == string(field.Name()) {
			return t.Name
		}
	}
	return ""
}

func (x *teller) file(w told, name, mediaType, data string) *eventv1.Attachment {
	x.t.Helper()
	ref, err := x.host.PutBlob(x.t.Context(), channel.BlobInfo{Tenant: cmp.Or(x.tenant, tenant), Inbox: w.from, Thread: w.thread, MediaType: mediaType}, bytesOf(data))
	if err != nil {
		x.t.Fatal(err)
	}
	return &eventv1.Attachment{Blob: ref, Name: name}
}

// fourChannels tells how a lamp was repaired: by mail, chat, telephone and WhatsApp.
func fourChannels(t testing.TB) *channeltest.Host {
	t.Helper()
	x := &teller{t: t, host: channeltest.NewHost()}
	from := mailbox("anna@example.com", "Anna Schmidt", eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.Side_SIDE_CUSTOMER)
	desk := mailbox("support@lumen.example", "Lumen Support", eventv1.PartyRole_PARTY_ROLE_TO, eventv1.Side_SIDE_COMPANY)
	friend := mailbox("ben@example.org", "", eventv1.PartyRole_PARTY_ROLE_CC, eventv1.Side_SIDE_CUSTOMER)

	mail := told{channel: eventv1.Channel_CHANNEL_EMAIL, from: "smtp", thread: "<1@example.com>", id: "<1@example.com>", parties: []*eventv1.SubmittedParty{desk, from, friend}}
	mail.files = []*eventv1.Attachment{x.file(mail, "lamp.jpg", "image/jpeg", "\xff\xd8\xff\xe0 a lamp"), {Name: "lost.pdf", MediaType: "application/pdf", Source: "https://files.example/lost.pdf"}}
	mailed := x.tell(mail, message(&eventv1.Message{Subject: "Lamp", Text: "My lamp flickers.\n\nAnna <3", Html: "<p>My lamp <b>flickers</b>.</p>"}, false))
	x.tell(told{at: time.Second, channel: mail.channel, from: "smtp", thread: mail.thread, about: mailed}, &eventv1.Content{Body: &eventv1.Content_InsightInferred{InsightInferred: &eventv1.InsightInferred{
		Kind: "sentiment", Value: "negative", Score: -0.4, Confidence: 0.9, Source: "Lumen Mood 2",
	}}})
	x.tell(told{
		at: 30 * time.Minute, channel: mail.channel, from: "smtp", thread: mail.thread, id: "<2@lumen.example>", actor: bob,
		parties: []*eventv1.SubmittedParty{
			mailbox("support@lumen.example", "Lumen Support", eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.Side_SIDE_COMPANY),
			mailbox("anna@example.com", "Anna Schmidt", eventv1.PartyRole_PARTY_ROLE_TO, eventv1.Side_SIDE_CUSTOMER),
		},
	}, message(&eventv1.Message{Subject: "Re: Lamp", Text: "Please try another socket.", InReplyTo: "<1@example.com>"}, true))

	visitor := &eventv1.SubmittedParty{Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: "v-77"}, Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: "Anna"}
	chat := told{at: 2 * time.Hour, channel: eventv1.Channel_CHANNEL_WEB_CHAT, from: "chat", thread: "c-1", parties: []*eventv1.SubmittedParty{visitor}}
	say := func(after time.Duration, id, text string, actor *eventv1.SubmittedActor) {
		w := chat
		w.at, w.id, w.actor = chat.at+after, id, actor
		x.tell(w, message(&eventv1.Message{Text: text}, actor != nil))
	}
	x.tell(chat, &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{Subject: "Chat"}}})
	bot := chat
	bot.actor = robot
	x.tell(bot, &eventv1.Content{Body: &eventv1.Content_BotStarted{BotStarted: &eventv1.BotStarted{Bot: "lumi"}}})
	say(time.Second, "m1", "It still flickers 💡", nil)
	say(2*time.Second, "m2", "Let me find somebody.", robot)
	bot.at += 3 * time.Second
	x.tell(bot, &eventv1.Content{Body: &eventv1.Content_BotHandedOff{BotHandedOff: &eventv1.BotHandedOff{Reason: "not understood", Summary: "The lamp flickers in every socket."}}})
	say(20*time.Second, "m3", "I call you.", carol)
	note := chat
	note.at, note.actor = chat.at+30*time.Second, carol
	x.tell(note, &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: "Second complaint this month"}}})
	chat.at += time.Minute
	x.tell(chat, &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: eventv1.EndReason_END_REASON_AGENT}}})

	x.call(3*time.Hour, "CA1")
	x.unanswered(4*time.Hour, "CA2")

	wa := told{at: 5 * time.Hour, channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, from: "whatsapp", thread: "wa/4930901820", id: "wamid.1", parties: []*eventv1.SubmittedParty{
		phone("+4930901820", "Anna", eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.Side_SIDE_CUSTOMER),
	}}
	x.tell(wa, message(&eventv1.Message{Location: &eventv1.Location{Latitude: 52.52, Longitude: 13.405, Label: "Home"}}, false))
	wa.id, wa.at, wa.actor = "wamid.2", wa.at+time.Minute, bob
	x.tell(wa, message(&eventv1.Message{Text: "Die neue Lampe kommt morgen. 新灯明天到。"}, true))
	wa.id, wa.at, wa.actor = "wamid.3", wa.at+time.Minute, nil
	x.tell(wa, message(&eventv1.Message{Text: "Wrong chat"}, false))
	wa.id, wa.at = "wamid.3/deleted", wa.at+time.Second
	x.tell(wa, &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: "wamid.3"}}})
	wa.id, wa.at = "", wa.at+time.Hour
	x.tell(wa, &eventv1.Content{Body: &eventv1.Content_SurveyAnswered{SurveyAnswered: &eventv1.SurveyAnswered{
		Survey: "after contact", Metric: eventv1.SurveyMetric_SURVEY_METRIC_CSAT, Score: 4, ScaleMin: 1, ScaleMax: 5, Drivers: []string{"speed"}, Comment: "Quick & kind",
	}}})
	x.tell(wa, &eventv1.Content{Body: &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{Resolution: "replaced"}}})
	return x.host
}

// call tells of a call with a queue, a recording, a hold, a transfer and a transcript.
func (x *teller) call(at time.Duration, id string) {
	w := told{channel: eventv1.Channel_CHANNEL_VOICE, from: "twilio", thread: id}
	tell := func(after time.Duration, actor *eventv1.SubmittedActor, body *eventv1.Content, parties ...*eventv1.SubmittedParty) {
		w := w
		w.at, w.actor, w.parties = at+after, actor, parties
		x.tell(w, body)
	}
	tell(0, nil, &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{}}}, anna, number)
	tell(time.Second, nil, &eventv1.Content{Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{}}})
	tell(2*time.Second, nil, &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}}, anna)
	tell(5*time.Second, carol, &eventv1.Content{Body: &eventv1.Content_AssignmentOffered{AssignmentOffered: &eventv1.AssignmentOffered{}}}, anna)
	tell(9*time.Second, carol, &eventv1.Content{Body: &eventv1.Content_AssignmentConnected{AssignmentConnected: &eventv1.AssignmentConnected{}}}, anna)
	tell(40*time.Second, carol, &eventv1.Content{Body: &eventv1.Content_AssignmentHeld{AssignmentHeld: &eventv1.AssignmentHeld{}}}, anna)
	tell(55*time.Second+time.Millisecond, carol, &eventv1.Content{Body: &eventv1.Content_AssignmentUnheld{AssignmentUnheld: &eventv1.AssignmentUnheld{}}}, anna)
	tell(60*time.Second, carol, &eventv1.Content{Body: &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Kind: eventv1.TransferKind_TRANSFER_KIND_CONSULT, Target: "bob"}}}, anna)
	tell(60*time.Second, bob, &eventv1.Content{Body: &eventv1.Content_AssignmentConnected{AssignmentConnected: &eventv1.AssignmentConnected{}}}, anna)
	tell(61*time.Second, carol, &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{}}}, anna)
	tell(119*time.Second, bob, &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{}}}, anna)
	tell(120*time.Second, nil, &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: eventv1.EndReason_END_REASON_CUSTOMER}}}, anna)
	w.files = []*eventv1.Attachment{x.file(w, "CA1.wav", "audio/x-wav", "RIFF and two voices")}
	tell(125*time.Second, nil, &eventv1.Content{Body: &eventv1.Content_RecordingAvailable{RecordingAvailable: &eventv1.RecordingAvailable{
		Recording: "RE1", StartedAt: timestamppb.New(day.Add(at + 9*time.Second)), Duration: durationpb.New(110*time.Second + 500*time.Millisecond), SoundChannels: 2,
	}}})
	w.files = nil
	tell(130*time.Second, nil, &eventv1.Content{Body: &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{
		Recording: "RE1", Source: "whisper large", Segments: []*eventv1.TranscriptSegment{
			{Party: 0, Start: durationpb.New(0), Duration: durationpb.New(1200 * time.Millisecond), Text: "Hello, it flickers.", Confidence: 0.98},
			{Party: -1, Start: durationpb.New(2 * time.Second), Text: "Let me see."},
		},
	}}}, anna)
	tell(140*time.Second, bob, &eventv1.Content{Body: &eventv1.Content_InteractionCategorized{InteractionCategorized: &eventv1.InteractionCategorized{
		ContactReason: []string{"repair", "lamp"}, Disposition: "replacement sent", Complaint: true,
	}}})
	tell(141*time.Second, bob, &eventv1.Content{Body: &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: &eventv1.AttributesUpdated{
		TagsAdded: []string{"warranty"}, Priority: 2, Attributes: map[string]string{"order": "4711", "model": "L2"},
	}}})
}

// unanswered tells of a call back that nobody answered, from a number that is withheld to one that is busy.
func (x *teller) unanswered(at time.Duration, id string) {
	w := told{at: at, channel: eventv1.Channel_CHANNEL_VOICE, from: "twilio", thread: id, actor: bob, parties: []*eventv1.SubmittedParty{
		{Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_COMPANY},
		phone("+4930901820", "Anna Schmidt", eventv1.PartyRole_PARTY_ROLE_RECIPIENT, eventv1.Side_SIDE_CUSTOMER),
	}}
	x.tell(w, &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{}}})
	w.at += 20 * time.Second
	x.tell(w, &eventv1.Content{Body: &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{Failure: eventv1.CallFailure_CALL_FAILURE_BUSY, ProviderReason: "486"}}})
	x.tell(w, &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{}}})
}

func message(m *eventv1.Message, sent bool) *eventv1.Content {
	if sent {
		return &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: m}}
	}
	return &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: m}}
}
