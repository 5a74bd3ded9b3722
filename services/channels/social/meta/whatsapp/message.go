package whatsapp

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

const (
	maxFileName  = 1024 // bytes, as an attachment allows
	maxMediaType = 255
)

// message is what somebody wrote, in either direction
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages).
type message struct {
	ID               string `json:"id"`
	Type             string `json:"type"`
	Timestamp        number `json:"timestamp"`
	From             string `json:"from"`
	FromUserID       string `json:"from_user_id"`
	FromParentUserID string `json:"from_parent_user_id"`
	To               string `json:"to"`
	ToUserID         string `json:"to_user_id"`
	ToParentUserID   string `json:"to_parent_user_id"`
	GroupID          string `json:"group_id"`

	said

	Reaction *struct {
		MessageID string `json:"message_id"`
		Emoji     string `json:"emoji"`
	} `json:"reaction"`
	System *struct {
		Body             string `json:"body"`
		Type             string `json:"type"`
		WaID             string `json:"wa_id"`
		NewWaID          string `json:"new_wa_id"`
		UserID           string `json:"user_id"`
		ParentUserID     string `json:"parent_user_id"`
		PreviousUserID   string `json:"previous_user_id"`
		PreviousParentID string `json:"previous_parent_user_id"`
		Customer         string `json:"customer"`
	} `json:"system"`
	Edit *struct {
		OriginalMessageID string `json:"original_message_id"`
		Message           *struct {
			Type string `json:"type"`
			said
		} `json:"message"`
	} `json:"edit"`
	Revoke *struct {
		OriginalMessageID string `json:"original_message_id"`
	} `json:"revoke"`
	Referral json.RawMessage `json:"referral"`
}

// said is what a message says.
type said struct {
	Text *struct {
		Body string `json:"body"`
	} `json:"text"`
	Image    *media `json:"image"`
	Audio    *media `json:"audio"`
	Voice    *media `json:"voice"`
	Video    *media `json:"video"`
	Document *media `json:"document"`
	Sticker  *media `json:"sticker"`
	Location *struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
		Name      string  `json:"name"`
		Address   string  `json:"address"`
		URL       string  `json:"url"`
	} `json:"location"`
	Contacts    []card `json:"contacts"`
	Interactive *struct {
		Type        string  `json:"type"`
		ButtonReply *choice `json:"button_reply"`
		ListReply   *choice `json:"list_reply"`
		NfmReply    *struct {
			Name         string `json:"name"`
			Body         string `json:"body"`
			ResponseJSON string `json:"response_json"`
		} `json:"nfm_reply"`
		CallPermissionReply *struct {
			Response            string `json:"response"`
			ResponseSource      string `json:"response_source"`
			ExpirationTimestamp number `json:"expiration_timestamp"`
			IsPermanent         bool   `json:"is_permanent"`
		} `json:"call_permission_reply"`
		// What the company sent, in an echo or a history.
		Body *struct {
			Text string `json:"text"`
		} `json:"body"`
	} `json:"interactive"`
	Button *struct {
		Payload string `json:"payload"`
		Text    string `json:"text"`
	} `json:"button"`
	Order       *order        `json:"order"`
	Template    *sentTemplate `json:"template"`
	Unsupported *struct {
		Type string `json:"type"`
	} `json:"unsupported"`
	Errors  []meta.Problem  `json:"errors"`
	Context json.RawMessage `json:"context"`
}

type media struct {
	ID       string `json:"id"`
	MimeType string `json:"mime_type"`
	Caption  string `json:"caption"`
	Filename string `json:"filename"`
}

type choice struct {
	ID          string `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
}

type order struct {
	CatalogID    string `json:"catalog_id"`
	Text         string `json:"text"`
	ProductItems []struct {
		ProductRetailerID string      `json:"product_retailer_id"`
		Quantity          json.Number `json:"quantity"`
		ItemPrice         json.Number `json:"item_price"`
		Currency          string      `json:"currency"`
	} `json:"product_items"`
}

type sentTemplate struct {
	Name     string `json:"name"`
	Language struct {
		Code string `json:"code"`
	} `json:"language"`
}

// card is a contact that somebody has sent.
type card struct {
	Name struct {
		FormattedName string `json:"formatted_name"`
	} `json:"name"`
	Org struct {
		Company string `json:"company"`
		Title   string `json:"title"`
	} `json:"org"`
	Phones []struct {
		Phone string `json:"phone"`
		Type  string `json:"type"`
	} `json:"phones"`
	Emails []struct {
		Email string `json:"email"`
		Type  string `json:"type"`
	} `json:"emails"`
	Addresses []struct {
		Street  string `json:"street"`
		City    string `json:"city"`
		Zip     string `json:"zip"`
		Country string `json:"country"`
	} `json:"addresses"`
	URLs []struct {
		URL string `json:"url"`
	} `json:"urls"`
}

// errNoType is said of a message whose type is not one that is known.
var errNoType = errors.New("the type is not known")

// message reads what a customer wrote. In a history, it may be the company's.
func (r *reading) message(raw json.RawMessage) ([]*eventv1.Submission, error) {
	if r.backfill && r.about.DisplayPhoneNumber != "" {
		var m struct {
			From string `json:"from"`
		}
		if json.Unmarshal(raw, &m) == nil && m.From == strings.Trim(r.about.DisplayPhoneNumber, "+") {
			return r.wrote(raw, true)
		}
	}
	return r.wrote(raw, false)
}

// echo reads what the company wrote elsewhere: in the WhatsApp Business app, or by another program.
func (r *reading) echo(raw json.RawMessage) ([]*eventv1.Submission, error) { return r.wrote(raw, true) }

func (r *reading) wrote(raw json.RawMessage, outbound bool) ([]*eventv1.Submission, error) {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if m.ID == "" {
		return nil, errors.New("a message has no id")
	}
	c := r.customer(m.From, m.FromUserID, m.FromParentUserID)
	if outbound {
		c = r.customer(m.To, m.ToUserID, m.ToParentUserID)
	}
	if m.System != nil { // it comes without contacts, perhaps without a sender
		c.waID, c.userID = cmp.Or(c.waID, m.System.Customer), cmp.Or(c.userID, m.System.PreviousUserID)
		c.parentUserID = cmp.Or(c.parentUserID, m.System.PreviousParentID)
	}
	if c.thread() == "" {
		return nil, errors.New("it does not say from whom or to whom")
	}
	// start makes an event of this message.
	start := func(typ string, content *eventv1.Content) *eventv1.Submission {
		s := r.with(c, outbound)
		s.Type, s.NativeId, s.OccurredAt, s.Content = typ, m.ID, at(m.Timestamp), content
		s.Thread = cmp.Or(m.GroupID, s.GetThread())
		return s
	}
	foreign := func(name string, data json.RawMessage) *eventv1.Submission { return start(extension(name, data)) }

	var all []*eventv1.Submission
	switch {
	case m.Type == "reaction" && m.Reaction != nil:
		all = append(all, start(event.TypeMessageReacted, &eventv1.Content{Body: &eventv1.Content_MessageReacted{
			MessageReacted: &eventv1.MessageReacted{Message: m.Reaction.MessageID, Reaction: m.Reaction.Emoji},
		}}))
	case m.Type == "revoke" && m.Revoke != nil:
		all = append(all, start(event.TypeMessageDeleted, &eventv1.Content{Body: &eventv1.Content_MessageDeleted{
			MessageDeleted: &eventv1.MessageDeleted{Message: m.Revoke.OriginalMessageID},
		}}))
	case m.Type == "edit" && m.Edit != nil && m.Edit.Message != nil:
		edited, files, err := r.says(m.Edit.Message.Type, m.Edit.Message.said)
		if errors.Is(err, errNoType) {
			return []*eventv1.Submission{foreign("message_edit", raw)}, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, start(event.TypeMessageEdited, &eventv1.Content{Attachments: files, Body: &eventv1.Content_MessageEdited{
			MessageEdited: &eventv1.MessageEdited{Message: m.Edit.OriginalMessageID, Edited: edited},
		}}))
	case m.Type == "system" && m.System != nil:
		return []*eventv1.Submission{r.system(foreign(cmp.Or(m.System.Type, "system"), raw), m, c)}, nil
	case m.Type == "request_welcome":
		return append(r.joined(c), foreign("request_welcome", raw)), nil
	case m.Type == "interactive" && m.Interactive != nil && m.Interactive.CallPermissionReply != nil:
		all = append(all, r.callPermission(start, m))
	default:
		content, err := r.content(m, outbound)
		if errors.Is(err, errNoType) {
			return append(r.joined(c), foreign("message_"+m.Type, raw)), nil
		} else if err != nil {
			return nil, err
		}
		typ := event.TypeMessageReceived
		if outbound {
			typ = event.TypeMessageSent
		}
		all = append(all, start(typ, content))
		if form := form(m); form != nil {
			all = append(all, start(event.TypeFormSubmitted, form))
		}
		if m.Order != nil {
			all = append(all, foreign("order", part(raw, "order")))
		}
	}
	if len(m.Referral) > 0 && m.Referral[0] == '{' {
		all = append(all, foreign("referral", m.Referral))
	}
	if tellsMore(m.Context) {
		all = append(all, foreign("context", m.Context))
	}
	if !outbound {
		all = append(all, r.joined(c)...)
	}
	return all, nil
}

// content is a message's, in either direction.
func (r *reading) content(m message, outbound bool) (*eventv1.Content, error) {
	says, files, err := r.says(m.Type, m.said)
	if err != nil {
		return nil, err
	}
	content := &eventv1.Content{Attachments: files, Body: &eventv1.Content_MessageReceived{MessageReceived: says}}
	if outbound {
		content.Body = &eventv1.Content_MessageSent{MessageSent: says}
	}
	return content, nil
}

// says reads what a message of a type says. The error is errNoType where the type is not known.
func (r *reading) says(typ string, s said) (*eventv1.Message, []*eventv1.Attachment, error) {
	m := &eventv1.Message{InReplyTo: replied(s.Context)}
	var file *media
	var found bool
	switch typ {
	case "text":
		if found = s.Text != nil; found {
			m.Text = s.Text.Body
		}
	case "image":
		file, found = s.Image, s.Image != nil
	case "audio":
		file, found = s.Audio, s.Audio != nil
	case "voice":
		file, found = s.Voice, s.Voice != nil
	case "video":
		file, found = s.Video, s.Video != nil
	case "document":
		file, found = s.Document, s.Document != nil
	case "sticker":
		file, found = s.Sticker, s.Sticker != nil
	case "location":
		if found = s.Location != nil; found {
			m.Text = s.Location.URL
			m.Location = &eventv1.Location{Latitude: s.Location.Latitude, Longitude: s.Location.Longitude, Label: list(s.Location.Name, s.Location.Address)}
		}
	case "contacts":
		found = len(s.Contacts) > 0
		m.Text = cards(s.Contacts)
	case "interactive":
		found = interactive(m, s)
	case "button":
		if found = s.Button != nil; found {
			m.Text, m.Payload = s.Button.Text, s.Button.Payload
		}
	case "order":
		if found = s.Order != nil; found {
			m.Text = s.Order.lines()
		}
	case "template":
		if found = s.Template != nil; found {
			m.Template, m.TemplateLanguage = s.Template.Name, s.Template.Language.Code
		}
	case "unsupported", "unknown", "ephemeral", "errors":
		if s.Unsupported != nil && s.Unsupported.Type != "" {
			m.Defects = append(m.Defects, "a message of the type "+s.Unsupported.Type)
		}
	default:
		return nil, nil, errNoType
	}
	for _, p := range s.Errors {
		m.Defects = append(m.Defects, problem(p))
	}
	if !found { // WhatsApp cannot tell what it says, and perhaps tells why
		if len(s.Errors) == 0 {
			for _, p := range r.errors {
				m.Defects = append(m.Defects, problem(p))
			}
		}
		if len(m.GetDefects()) == 0 {
			m.Defects = append(m.Defects, "WhatsApp does not tell what it says")
		}
	}
	if file == nil {
		return m, nil, nil
	}
	m.Text = file.Caption
	if file.ID == "" {
		m.Defects = append(m.Defects, "WhatsApp does not give the file")
		return m, nil, nil
	}
	return m, []*eventv1.Attachment{{Source: file.ID, Name: event.Clip(file.Filename, maxFileName), MediaType: event.Clip(file.MimeType, maxMediaType)}}, nil
}

// interactive reads a choice, or what the company asked.
func interactive(m *eventv1.Message, s said) bool {
	i := s.Interactive
	if i == nil {
		return false
	}
	chosen := i.ButtonReply
	if chosen == nil {
		chosen = i.ListReply
	}
	switch {
	case chosen != nil:
		m.Text, m.Payload = chosen.Title, chosen.ID
		if chosen.Description != "" {
			m.Text += "\n" + chosen.Description
		}
	case i.NfmReply != nil:
		m.Text = i.NfmReply.Body
	case i.Body != nil:
		m.Text = i.Body.Text
	default:
		m.Defects = append(m.Defects, "an interactive message of the type "+event.Clip(i.Type, maxMediaType))
	}
	return true
}

// form is what a customer filled in: a flow, an address, and their like. Nil for every other message.
func form(m message) *eventv1.Content {
	if m.Interactive == nil || m.Interactive.NfmReply == nil {
		return nil
	}
	reply := m.Interactive.NfmReply
	f := &eventv1.FormSubmitted{Form: cmp.Or(reply.Name, "flow"), Fields: map[string]string{}}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(reply.ResponseJSON), &fields); err != nil {
		f.Fields["response_json"] = reply.ResponseJSON // as it came
	}
	for name, value := range fields {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = strings.ToValidUTF8(string(value), "\uFFFD")
		}
		f.Fields[name] = text
	}
	return &eventv1.Content{Body: &eventv1.Content_FormSubmitted{FormSubmitted: f}}
}

// callPermission is that the company may call the customer, or may not.
func (r *reading) callPermission(start func(string, *eventv1.Content) *eventv1.Submission, m message) *eventv1.Submission {
	reply := m.Interactive.CallPermissionReply
	evidence := "call_permission_reply: " + reply.Response
	if reply.ResponseSource != "" {
		evidence += ", " + reply.ResponseSource
	}
	if until := at(reply.ExpirationTimestamp); until.IsValid() && !reply.IsPermanent {
		evidence += ", until " + until.AsTime().Format("2006-01-02T15:04:05Z")
	}
	return start(event.TypeConsentChanged, &eventv1.Content{Body: &eventv1.Content_ConsentChanged{
		ConsentChanged: &eventv1.ConsentChanged{Purpose: "calls", Granted: reply.Response == "accept", Evidence: evidence},
	}})
}

// system is that a customer has another number or another user id, or another phone: it names both. The threads stay apart, since
// the old number may be somebody else's tomorrow.
func (r *reading) system(s *eventv1.Submission, m message, old customer) *eventv1.Submission {
	is := customer{waID: cmp.Or(m.System.WaID, m.System.NewWaID), userID: m.System.UserID, parentUserID: m.System.ParentUserID}
	s.Actor = actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM)
	for _, p := range s.GetParties() {
		if p.GetSide() == eventv1.Side_SIDE_CUSTOMER {
			p.Role = eventv1.PartyRole_PARTY_ROLE_PARTICIPANT
		}
	}
	if is.thread() != "" && is.thread() != old.thread() {
		s.Parties = append(s.Parties, is.parties(r.PhoneNumberID, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)...)
	}
	return s
}

// replied is the id of the message that is answered.
func replied(context json.RawMessage) string {
	var c struct {
		ID string `json:"id"`
	}
	if len(context) == 0 || json.Unmarshal(context, &c) != nil {
		return ""
	}
	return c.ID
}

// tellsMore says whether a context tells more than what is answered: that the message was forwarded, or which product it is about.
func tellsMore(context json.RawMessage) bool {
	var fields map[string]json.RawMessage
	if len(context) == 0 || json.Unmarshal(context, &fields) != nil {
		return false
	}
	for _, known := range []string{"id", "from", "from_user_id", "from_parent_user_id"} {
		delete(fields, known)
	}
	return len(fields) > 0
}

// part is a member of an object as it stands there.
func part(object json.RawMessage, name string) json.RawMessage {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(object, &fields) // it was read before
	return fields[name]
}

// problem tells of an error in words.
func problem(p meta.Problem) string {
	text := list(cmp.Or(p.Title, p.Message), p.Details())
	return strings.TrimSpace(text + " (" + strconv.Itoa(p.Code) + ")")
}

// lines says what was ordered.
func (o *order) lines() string {
	var lines []string
	if o.Text != "" {
		lines = append(lines, o.Text)
	}
	for _, p := range o.ProductItems {
		lines = append(lines, fmt.Sprintf("%s × %s, %s %s", cmp.Or(p.Quantity.String(), "?"), p.ProductRetailerID, cmp.Or(p.ItemPrice.String(), "?"), p.Currency))
	}
	return strings.Join(lines, "\n")
}

// cards writes contacts, one a line.
func cards(all []card) string {
	lines := make([]string, len(all))
	for i, c := range all {
		parts := []string{c.Name.FormattedName, c.Org.Title, c.Org.Company}
		for _, p := range c.Phones {
			parts = append(parts, p.Phone)
		}
		for _, e := range c.Emails {
			parts = append(parts, e.Email)
		}
		for _, a := range c.Addresses {
			parts = append(parts, list(a.Street, strings.TrimSpace(a.Zip+" "+a.City), a.Country))
		}
		for _, u := range c.URLs {
			parts = append(parts, u.URL)
		}
		lines[i] = list(parts...)
	}
	return strings.Join(lines, "\n")
}

// list joins the texts that there are.
func list(texts ...string) string {
	var there []string
	for _, t := range texts {
		if t != "" {
			there = append(there, t)
		}
	}
	return strings.Join(there, ", ")
}
