package twilio

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// maxMedia is how many files of a message are looked for; Twilio allows ten.
const maxMedia = 20

// message reads an incoming message, or a status of an outgoing one. Neither has a time of its own
// (https://www.twilio.com/docs/messaging/guides/webhook-request,
// https://www.twilio.com/docs/messaging/guides/track-outbound-message-status).
func (r *reading) message(ctx context.Context) ([]*eventv1.Submission, error) {
	sid := cmp.Or(r.get("MessageSid"), r.get("SmsSid"))
	if !isSID(sid, "SM") && !isSID(sid, "MM") {
		return nil, errors.New("MessageSid is no sid that begins with SM or MM")
	}
	status := cmp.Or(r.get("MessageStatus"), r.get("SmsStatus"))
	switch status {
	case "", "receiving", "received":
		if r.ours {
			return nil, errors.New("it is no status")
		}
		return r.incoming(ctx, sid)
	}
	return r.status(sid, status)
}

// between makes an event between the customer and us.
func (r *reading) between(customer, own string, direction eventv1.Direction) (*eventv1.Submission, error) {
	if customer == "" || own == "" {
		return nil, errors.New("it does not say from whom or to whom")
	}
	medium := eventv1.Channel_CHANNEL_SMS
	if strings.Contains(customer, ":") || strings.HasPrefix(own, "rcs:") { // whatsapp:+49..., messenger:17
		medium = eventv1.Channel_CHANNEL_SOCIAL_MESSAGE
	}
	theirs := party(customer, eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.Side_SIDE_CUSTOMER)
	if scheme, id, ok := strings.Cut(customer, ":"); ok && !strings.HasPrefix(id, "+") {
		theirs.Address = &eventv1.Address{
			Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Value: id, Namespace: strings.Trim(scheme, "+") + "/" + own[strings.Index(own, ":")+1:],
		}
	}
	theirs.DisplayName = cmp.Or(r.get("ProfileName"), theirs.GetDisplayName())
	ours := party(own, eventv1.PartyRole_PARTY_ROLE_TO, eventv1.Side_SIDE_COMPANY)
	s := &eventv1.Submission{
		Channel: medium, Direction: direction, Thread: customer + "/" + own, Parties: []*eventv1.SubmittedParty{theirs, ours},
	}
	if direction == eventv1.Direction_DIRECTION_OUTBOUND {
		theirs.Role, ours.Role = eventv1.PartyRole_PARTY_ROLE_TO, eventv1.PartyRole_PARTY_ROLE_SENDER
		s.Parties = []*eventv1.SubmittedParty{ours, theirs}
	}
	return s, nil
}

func (r *reading) incoming(ctx context.Context, sid string) ([]*eventv1.Submission, error) {
	s, err := r.between(r.get("From"), r.get("To"), eventv1.Direction_DIRECTION_INBOUND)
	if err != nil {
		return nil, err
	}
	s.Type, s.NativeId, s.Actor = event.TypeMessageReceived, sid, actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, "")
	m := &eventv1.Message{
		Text: cmp.Or(r.get("Body"), r.get("ButtonText"), r.get("ListTitle")), Payload: cmp.Or(r.get("ButtonPayload"), r.get("ListId")),
		InReplyTo: r.get("OriginalRepliedMessageSid"),
	}
	latitude, errLatitude := strconv.ParseFloat(r.get("Latitude"), 64)
	longitude, errLongitude := strconv.ParseFloat(r.get("Longitude"), 64)
	if errLatitude == nil && errLongitude == nil && latitude >= -90 && latitude <= 90 && longitude >= -180 && longitude <= 180 {
		m.Location = &eventv1.Location{Latitude: latitude, Longitude: longitude, Label: cmp.Or(r.get("Label"), r.get("Address"))}
	}
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: m}}
	n, ok := r.number("NumMedia")
	if r.has("NumMedia") && (!ok || n < 0 || n > maxMedia) {
		return nil, errors.New("NumMedia is no number of files")
	}
	for i := range int(n) {
		file := r.get("MediaUrl" + strconv.Itoa(i))
		blob, err := r.fetch(ctx, s.GetThread(), file)
		if err != nil {
			return nil, err
		}
		if stated := r.get("MediaContentType" + strconv.Itoa(i)); stated != "" && len(stated) < 255 {
			blob.MediaType = stated
		}
		s.Content.Attachments = append(s.Content.Attachments, &eventv1.Attachment{Blob: blob, Name: file[strings.LastIndex(file, "/")+1:]})
	}
	return []*eventv1.Submission{s}, nil
}

func (r *reading) status(sid, status string) ([]*eventv1.Submission, error) {
	switch status {
	case "accepted", "scheduled", queued, "sending", "sent", "delivered", "undelivered", failed, "read", canceled:
	default:
		return nil, fmt.Errorf("%q is no status of a message", status)
	}
	switch status {
	case "accepted", "scheduled", queued, "sending":
		return nil, nil // nothing that the customer notices; a message of a messaging service has no sender yet
	}
	s, err := r.between(r.get("To"), r.get("From"), eventv1.Direction_DIRECTION_OUTBOUND)
	if err != nil {
		return nil, err
	}
	s.NativeId, s.Actor = sid+"/"+status, actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, "")
	switch status {
	case "sent":
		if r.ours {
			return nil, nil // whoever sent it tells so, and what it says
		}
		s.Type, s.NativeId, s.Actor = event.TypeMessageSent, sid, nil
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{}}} // a status holds no text
	case "delivered":
		s.Type = event.TypeMessageDelivered
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: sid}}}
	case "read":
		s.Type, s.Actor = event.TypeMessageRead, actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, "")
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: sid}}}
	default:
		s.Type = event.TypeMessageFailed
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{
			Message: sid, Code: r.get("ErrorCode"), Reason: cmp.Or(r.get("ErrorMessage"), r.get("ChannelStatusMessage"), status),
		}}}
	}
	return []*eventv1.Submission{s}, nil
}
