package official

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// reading is one delivery that is read.
type reading struct {
	*account
	node
	raw       []byte
	mediaType string
	openID    string
	created   string
	at        *timestamppb.Timestamp
}

// read makes submissions of what a delivery says
// (https://developers.weixin.qq.com/doc/service/guide/product/message/Receiving_standard_messages.html,
// https://developers.weixin.qq.com/doc/service/guide/product/message/Receiving_event_pushes.html,
// https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html).
func (a *account) read(body []byte) ([]*eventv1.Submission, error) {
	n, mediaType, err := parse(body)
	if err != nil {
		return nil, err
	}
	r := &reading{account: a, node: n, raw: body, mediaType: mediaType, openID: n.get("FromUserName"), created: n.get("CreateTime")}
	kind := n.get("MsgType")
	switch {
	case kind == "" && n.get("Encrypt") != "":
		return nil, errors.New("it is encrypted, and cannot be read with the EncodingAESKey of the inbox, or there is none")
	case kind == "":
		return nil, errors.New("MsgType is missing")
	case r.openID == "":
		return nil, errors.New("FromUserName is missing")
	case a.OriginalID != "" && n.get("ToUserName") != a.OriginalID:
		return nil, fmt.Errorf("it is meant for the account %q, not for this inbox's", n.get("ToUserName"))
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(r.created), 10, 64)
	if err != nil || seconds < 0 {
		return nil, errors.New("CreateTime is no number of seconds")
	}
	r.created, r.at = strconv.FormatInt(seconds, 10), timestamppb.New(time.Unix(seconds, 0))
	if kind == "event" {
		return r.event()
	}
	m, files, err := r.message(kind)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", kind, err)
	case m == nil:
		s := r.customers(eventv1.Direction_DIRECTION_INBOUND)
		s.NativeId = r.nativeID(strings.TrimSuffix(kind+"/"+n.get("Event"), "/")) // devices have kinds of their own, and events of these
		return r.extension(kind, s)
	}
	s := r.customers(eventv1.Direction_DIRECTION_INBOUND)
	s.Type, s.NativeId = event.TypeMessageReceived, n.get("MsgId")
	if s.GetNativeId() == "" {
		return nil, fmt.Errorf("%s: MsgId is missing", kind)
	}
	s.Content = &eventv1.Content{Attachments: files, Body: &eventv1.Content_MessageReceived{MessageReceived: m}}
	return []*eventv1.Submission{s}, nil
}

// message reads what a customer wrote; nil for a kind of message that is not known.
func (r *reading) message(kind string) (*eventv1.Message, []*eventv1.Attachment, error) {
	m := &eventv1.Message{}
	switch kind {
	case "text":
		// The entry of a menu in a message that was chosen, as the company had numbered it.
		m.Text, m.Payload = r.get("Content"), r.get("bizmsgmenuid")
		return m, nil, nil
	case "image":
		return withFile(m, source(r.get("MediaId"), r.get("PicUrl")), "")
	case "voice":
		m.Text = r.get("Recognition")
		return withFile(m, source(r.get("MediaId"), ""), audio(r.get("Format")))
	case "video", "shortvideo":
		return withFile(m, source(r.get("MediaId"), ""), "")
	case "location":
		var errX, errY error
		m.Location = &eventv1.Location{Label: r.get("Label")}
		m.Location.Latitude, errX = degrees(r.get("Location_X"), 90)
		m.Location.Longitude, errY = degrees(r.get("Location_Y"), 180)
		return m, nil, errors.Join(errX, errY)
	case "link":
		m.Text = lines(r.get("Title"), r.get("Description"), r.get("Url"))
		return m, nil, nil
	case "miniprogrampage":
		m.Text = lines(r.get("Title"), r.get("PagePath"))
		if src := source(r.get("ThumbMediaId"), r.get("ThumbUrl")); src != "" {
			return withFile(m, src, "")
		}
		return m, nil, nil
	}
	return nil, nil, nil
}

func withFile(m *eventv1.Message, source, mediaType string) (*eventv1.Message, []*eventv1.Attachment, error) {
	if source == "" {
		return nil, nil, errors.New("MediaId is missing")
	}
	return m, []*eventv1.Attachment{{Source: source, MediaType: mediaType}}, nil
}

// source is where a file is: its MediaId, and the address that it can be had from as well.
func source(mediaID, address string) string {
	if !isAddress(address) {
		address = ""
	}
	if strings.Contains(mediaID, " ") || isAddress(mediaID) {
		mediaID = ""
	}
	return strings.TrimSpace(mediaID + " " + address)
}

func isAddress(s string) bool {
	return (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")) && !strings.ContainsAny(s, " \t\r\n")
}

// audio is the media type of a voice's Format.
func audio(format string) string {
	switch strings.ToLower(format) {
	case "amr":
		return "audio/amr"
	case "speex":
		return "audio/speex"
	case "mp3":
		return "audio/mpeg"
	}
	return ""
}

func degrees(text string, most float64) (float64, error) {
	d, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(d >= -most && d <= most) {
		return 0, fmt.Errorf("%.20q is no place", text)
	}
	return d, nil
}

// lines are those of the texts that are not empty.
func lines(texts ...string) string {
	var b strings.Builder
	for _, text := range texts {
		if text != "" && b.Len() > 0 {
			b.WriteString("\n")
		}
		b.WriteString(text)
	}
	return b.String()
}

// customers makes an event between the customer and the account.
func (r *reading) customers(direction eventv1.Direction) *eventv1.Submission {
	theirs := &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: r.namespace(), Value: r.openID},
		Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
	}
	s := r.between(direction)
	s.Thread = r.openID
	s.Parties = []*eventv1.SubmittedParty{theirs}
	if union := cmp.Or(r.get("UnionId"), r.get("UnionID"), r.get("unionid")); union != "" {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: wechat.UnionNamespace, Value: union},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
		})
	}
	s.Parties = append(s.Parties, r.own(eventv1.PartyRole_PARTY_ROLE_TO))
	s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	if direction == eventv1.Direction_DIRECTION_OUTBOUND {
		for _, p := range s.GetParties() {
			p.Role = eventv1.PartyRole_PARTY_ROLE_TO
		}
		s.Parties[len(s.GetParties())-1].Role = eventv1.PartyRole_PARTY_ROLE_SENDER
		s.Actor.Kind = eventv1.ActorKind_ACTOR_KIND_SYSTEM
	}
	return s
}

// between makes an event that names nobody yet.
func (r *reading) between(direction eventv1.Direction) *eventv1.Submission {
	return &eventv1.Submission{
		OccurredAt: r.at, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: direction, Provider: Provider, Inbox: r.Inbox,
	}
}

func (r *reading) own(role eventv1.PartyRole) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: r.namespace(), Value: r.get("ToUserName")},
		Role:    role, Side: eventv1.Side_SIDE_COMPANY,
	}
}

func (a *account) namespace() string { return Provider + "/" + a.AppID }

// extension carries what no type of ours fits, as it was delivered.
func (r *reading) extension(name string, s *eventv1.Submission) ([]*eventv1.Submission, error) {
	s.Type = event.ForeignType(Provider, name)
	s.NativeId = cmp.Or(s.GetNativeId(), r.nativeID(name))
	s.Content = &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: r.mediaType, Data: r.raw}}}
	return []*eventv1.Submission{s}, nil
}
