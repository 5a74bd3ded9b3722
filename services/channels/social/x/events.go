package x

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// misfit is an item that was not understood, as a body of its own.
type misfit struct {
	raw []byte
	err error
}

// accountThread is the thread of what happens to the account itself.
const accountThread = "account"

// events makes events of a delivery about the account.
func (a *account) events(d *delivery) (all []*eventv1.Submission, misfits []misfit) {
	for _, l := range d.lists {
		for i, item := range l.items {
			got, err := a.item(d, l.name, item)
			if err != nil {
				misfits = append(misfits, misfit{d.alone(l.name, item), fmt.Errorf("%.64s[%d]: %w", l.name, i, err)})
				continue
			}
			for _, s := range got {
				s.Provider, s.Inbox = Provider, a.Inbox
			}
			all = append(all, got...)
		}
	}
	return all, misfits
}

func (a *account) item(d *delivery, name string, raw json.RawMessage) ([]*eventv1.Submission, error) {
	switch name {
	case "tweet_create_events":
		return a.posted(raw)
	case "tweet_delete_events":
		return a.deleted(raw)
	case "favorite_events":
		return a.favorited(raw)
	case "follow_events", "block_events", "mute_events", "unfollow_events", "unblock_events", "unmute_events":
		return a.related(strings.TrimSuffix(name, "_events"), raw)
	case "direct_message_events":
		return a.wrote(d, raw)
	case "direct_message_mark_read_events":
		return a.read(d, raw)
	case "direct_message_indicate_typing_events":
		return nil, nil
	case userEvent:
		return a.revoked(raw)
	}
	return one(a.unknown(strings.TrimSuffix(name, "_events"), raw)), nil
}

func one(s *eventv1.Submission) []*eventv1.Submission { return []*eventv1.Submission{s} }

// decode reads an item.
func decode[T any](raw json.RawMessage) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, fmt.Errorf("it is not as it should be: %w", err)
	}
	return v, nil
}

// us is the account's party, or that of another account of the company's.
func (a *account) us(id string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	return a.party(id, "", role, eventv1.Side_SIDE_COMPANY)
}

// them is another user's party.
func (a *account) them(id, name string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	side := eventv1.Side_SIDE_CUSTOMER
	if a.company[id] {
		side, name = eventv1.Side_SIDE_COMPANY, ""
	}
	return a.party(id, name, role, side)
}

func (a *account) party(id, name string, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: Provider + "/" + a.UserID, Value: id},
		Role:    role, Side: side, DisplayName: name,
	}
}

func actor(kind eventv1.ActorKind) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: kind}
}

// by is who did it: the customer, or nobody known of the company.
func (a *account) by(id string) (*eventv1.SubmittedActor, eventv1.Direction) {
	if a.company[id] {
		return nil, eventv1.Direction_DIRECTION_OUTBOUND
	}
	return actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER), eventv1.Direction_DIRECTION_INBOUND
}

// postThread is the thread of a conversation.
func postThread(id string) string { return "post/" + id }

// extension carries what has no type of its own.
func extension(name string, raw json.RawMessage) (string, *eventv1.Content) {
	return event.ForeignType(Provider, name), &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{
		MediaType: "application/json", Data: raw,
	}}}
}

// posted reads an item of tweet_create_events.
func (a *account) posted(raw json.RawMessage) ([]*eventv1.Submission, error) {
	p, err := decode[post](raw)
	if err != nil {
		return nil, err
	}
	id, author := p.id(), p.User.id()
	if !isNumber(id) || !isNumber(author) {
		return nil, errors.New("the post's or its author's id is missing")
	}
	if re := p.RetweetedStatus; re != nil {
		if !isNumber(re.id()) {
			return nil, errors.New("the id of what was reposted is missing")
		}
		s := a.around(author, p.User.display(), postThread(re.id()), id, eventv1.Channel_CHANNEL_SOCIAL_POST, eventv1.PartyRole_PARTY_ROLE_AUTHOR)
		s.OccurredAt = cmp.Or(timeOf(id), created(p.CreatedAt))
		s.Type, s.Content = extension("retweet", raw)
		return one(s), nil
	}
	answered := string(p.InReplyToStatusIDStr)
	if answered != "" && !isNumber(answered) {
		return nil, errors.New("what it replies to has no id of X's")
	}
	first := p.first()
	root := first
	if conversation := string(cmp.Or(p.ConversationIDStr, p.ConversationID)); isNumber(conversation) {
		root = conversation
	} else if answered != "" {
		root = answered
	}
	m, attachments, err := p.message()
	if err != nil {
		return nil, err
	}
	var s *eventv1.Submission
	if a.company[author] {
		to := string(p.InReplyToUserIDStr)
		if !isNumber(to) || a.company[to] {
			to = ""
		}
		s = a.sentPost(id, author, root, to, m)
		s.OccurredAt = cmp.Or(s.GetOccurredAt(), created(p.CreatedAt))
	} else {
		s = a.around(author, p.User.display(), postThread(root), id, eventv1.Channel_CHANNEL_SOCIAL_POST, eventv1.PartyRole_PARTY_ROLE_AUTHOR)
		s.Type, s.OccurredAt, s.Language = event.TypeMessageReceived, cmp.Or(timeOf(id), created(p.CreatedAt)), language(p.Lang)
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: m}}
	}
	if first != id {
		s.Type = event.TypeMessageEdited
		s.Content.Body = &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{Message: first, Edited: m}}
	}
	s.Content.Attachments = attachments
	if answered == "" || first != id {
		return one(s), nil
	}
	return []*eventv1.Submission{s, joined(postThread(id), postThread(root))}, nil
}

// around makes an event of what somebody else, or another account of the company's, did around the account.
func (a *account) around(who, name, thread, native string, medium eventv1.Channel, role eventv1.PartyRole) *eventv1.Submission {
	s := &eventv1.Submission{Channel: medium, Thread: thread, NativeId: native}
	s.Actor, s.Direction = a.by(who)
	s.Parties = []*eventv1.SubmittedParty{a.them(who, name, role)}
	if who != a.UserID {
		ours := eventv1.PartyRole_PARTY_ROLE_TO
		if role == eventv1.PartyRole_PARTY_ROLE_AUTHOR {
			ours = eventv1.PartyRole_PARTY_ROLE_MENTIONED
		}
		s.Parties = append(s.Parties, a.us(a.UserID, ours))
	}
	return s
}

// sentPost is a post of the company's, as its echo is and as a Sender tells it: of what both know.
func (a *account) sentPost(id, author, root, to string, m *eventv1.Message) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: event.TypeMessageSent, Channel: eventv1.Channel_CHANNEL_SOCIAL_POST, Direction: eventv1.Direction_DIRECTION_OUTBOUND,
		Provider: Provider, Inbox: a.Inbox, Thread: postThread(root), NativeId: id, OccurredAt: timeOf(id),
		Parties: []*eventv1.SubmittedParty{a.us(author, eventv1.PartyRole_PARTY_ROLE_AUTHOR)},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: m}},
	}
	if to != "" {
		s.Parties = append(s.Parties, a.them(to, "", eventv1.PartyRole_PARTY_ROLE_TO))
	}
	return s
}

// sentDirect is a direct message of the account's, likewise.
func (a *account) sentDirect(id, to string, m *eventv1.Message) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: event.TypeMessageSent, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_OUTBOUND,
		Provider: Provider, Inbox: a.Inbox, Thread: to, NativeId: id, OccurredAt: timeOf(id),
		Parties: []*eventv1.SubmittedParty{a.us(a.UserID, eventv1.PartyRole_PARTY_ROLE_SENDER)},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: m}},
	}
	if to != a.UserID {
		s.Parties = append(s.Parties, a.them(to, "", eventv1.PartyRole_PARTY_ROLE_TO))
	}
	return s
}

// joined tells that what replies to a post, which stands in the thread child, is read with what the post replies to. It says nothing
// else, so that it is always the same.
func joined(child, parent string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeThreadJoined, Channel: eventv1.Channel_CHANNEL_SOCIAL_POST, Thread: child, NativeId: "joined/" + parent,
		Actor:   actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM),
		Content: &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: parent}}},
	}
}

// message is what a post says.
func (p *post) message() (*eventv1.Message, []*eventv1.Attachment, error) {
	m := &eventv1.Message{Text: p.shown(), InReplyTo: string(p.InReplyToStatusIDStr)}
	if q := p.QuotedStatus; q != nil {
		m.QuotedText = q.shown()
		if isNumber(q.id()) {
			m.References = []string{q.id()}
		}
	}
	if p.Truncated && p.ExtendedTweet == nil {
		m.Defects = append(m.Defects, "X gave the beginning of the text only")
	}
	m.Location = location(p.Coordinates, "")
	if m.GetLocation() != nil && p.Place != nil {
		m.Location.Label = event.Clip(string(p.Place.FullName), maxPlace)
	}
	files := p.ExtendedEntities.Media
	if x := p.ExtendedTweet; x != nil && len(x.ExtendedEntities.Media) > 0 {
		files = x.ExtendedEntities.Media
	}
	if len(files) == 0 {
		files = p.Entities.Media
	}
	attachments, err := attached(files...)
	return m, attachments, err
}

func (p *post) shown() string {
	if x := p.ExtendedTweet; x != nil {
		return shown(string(x.FullText), x.DisplayTextRange, x.Entities)
	}
	return shown(string(cmp.Or(p.FullText, p.Text)), p.DisplayTextRange, p.Entities)
}

// location is a point that was sent; nil where it is none on the earth.
func location(g *geo, label string) *eventv1.Location {
	if g == nil || len(g.Coordinates) != 2 {
		return nil
	}
	longitude, latitude := g.Coordinates[0], g.Coordinates[1]
	if latitude < -90 || latitude > 90 || longitude < -180 || longitude > 180 {
		return nil
	}
	return &eventv1.Location{Latitude: latitude, Longitude: longitude, Label: event.Clip(label, maxPlace)}
}

// maxFiles of a message; X allows four.
const maxFiles = 100

// attached are the files of a message, where they lie.
func attached(files ...media) ([]*eventv1.Attachment, error) {
	if len(files) > maxFiles {
		return nil, errors.New("it has too many files")
	}
	var all []*eventv1.Attachment
	for _, f := range files {
		source, kind, best := string(f.MediaURLHTTPS), "", int64(-1)
		for _, v := range f.VideoInfo.Variants { // the best that is a file, and no list of pieces
			if v.ContentType == "video/mp4" && v.Bitrate > best {
				source, kind, best = string(v.URL), "video/mp4", v.Bitrate
			}
		}
		if source == "" {
			continue
		}
		if len(source) > maxSource {
			return nil, errors.New("the address of a file is too long")
		}
		all = append(all, &eventv1.Attachment{Source: source, MediaType: kind, Name: nameOf(source)})
	}
	return all, nil
}

func nameOf(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return event.Clip(address[strings.LastIndex(address, "/")+1:], 255)
}

// language is that of a post, where X knows one; its own codes stand for posts without words.
func language(code text) string {
	switch c := string(code); {
	case c == "und", c == "zxx", strings.HasPrefix(c, "q"), len(c) < 2, len(c) > 8, strings.Trim(strings.ToLower(c), "abcdefghijklmnopqrstuvwxyz") != "":
		return ""
	default:
		return c
	}
}

// created is the time of a post without one in its id.
func created(s text) *timestamppb.Timestamp {
	at, err := time.Parse(time.RubyDate, string(s))
	if ts := timestamppb.New(at); err == nil && ts.IsValid() {
		return ts
	}
	return nil
}

// deleted reads an item of tweet_delete_events. It does not tell what the post replied to.
func (a *account) deleted(raw json.RawMessage) ([]*eventv1.Submission, error) {
	d, err := decode[deletion](raw)
	if err != nil {
		return nil, err
	}
	id, who := string(d.Status.ID), string(d.Status.UserID)
	if !isNumber(id) || !isNumber(who) {
		return nil, errors.New("the post's or its author's id is missing")
	}
	s := a.around(who, "", postThread(id), id+"/deleted", eventv1.Channel_CHANNEL_SOCIAL_POST, eventv1.PartyRole_PARTY_ROLE_AUTHOR)
	s.Type, s.OccurredAt = event.TypeMessageDeleted, millis(d.TimestampMS)
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: id}}}
	return one(s), nil
}

// favorited reads an item of favorite_events.
func (a *account) favorited(raw json.RawMessage) ([]*eventv1.Submission, error) {
	f, err := decode[favorite](raw)
	if err != nil {
		return nil, err
	}
	id, who, what := string(f.ID), f.User.id(), f.FavoritedStatus.id()
	if !isNumber(who) || !isNumber(what) {
		return nil, errors.New("the user's or the post's id is missing")
	}
	if id == "" || len(id) > 64 {
		id = "favorite/" + what + "/" + who
	}
	s := a.around(who, f.User.display(), postThread(what), id, eventv1.Channel_CHANNEL_SOCIAL_POST, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)
	s.OccurredAt = millis(f.TimestampMS)
	s.Type, s.Content = extension("favorite", raw)
	return one(s), nil
}

// related reads an item of follow_events, block_events or mute_events.
func (a *account) related(kind string, raw json.RawMessage) ([]*eventv1.Submission, error) {
	r, err := decode[relation](raw)
	if err != nil {
		return nil, err
	}
	source, target := r.Source.id(), r.Target.id()
	if !isNumber(source) || !isNumber(target) || source == target || source != a.UserID && target != a.UserID {
		return nil, errors.New("it is not between the account and another user")
	}
	kind = event.Word(cmp.Or(string(r.Type), kind))
	other, name := source, r.Source.display()
	if source == a.UserID {
		other, name = target, r.Target.display()
	}
	at := millis(r.CreatedTimestamp)
	s := &eventv1.Submission{
		Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Thread: other, OccurredAt: at,
		NativeId: fmt.Sprintf("%s/%s/%s/%d", kind, source, target, at.AsTime().UnixMilli()),
	}
	s.Actor, s.Direction = a.by(source)
	if source == a.UserID {
		s.Parties = []*eventv1.SubmittedParty{a.us(source, eventv1.PartyRole_PARTY_ROLE_SENDER), a.them(other, name, eventv1.PartyRole_PARTY_ROLE_TO)}
	} else {
		s.Parties = []*eventv1.SubmittedParty{a.them(other, name, eventv1.PartyRole_PARTY_ROLE_SENDER), a.us(target, eventv1.PartyRole_PARTY_ROLE_TO)}
	}
	s.Type, s.Content = extension(kind, raw)
	return one(s), nil
}

// wrote reads an item of direct_message_events.
func (a *account) wrote(d *delivery, raw json.RawMessage) ([]*eventv1.Submission, error) {
	e, err := decode[direct](raw)
	if err != nil {
		return nil, err
	}
	if e.Type != "message_create" || e.MessageCreate == nil {
		return one(a.unknown(cmp.Or(string(e.Type), "direct_message"), raw)), nil
	}
	id, from, to := string(e.ID), string(e.MessageCreate.SenderID), string(e.MessageCreate.Target.RecipientID)
	if !isNumber(id) || !isNumber(from) || !isNumber(to) || from != a.UserID && to != a.UserID {
		return nil, errors.New("it is no message between the account and another user")
	}
	m, attachments, err := e.message()
	if err != nil {
		return nil, err
	}
	var s *eventv1.Submission
	if from == a.UserID {
		if a.AppID != "" && string(e.MessageCreate.SourceAppID) == a.AppID {
			return nil, nil // whoever sent it tells so
		}
		s = a.sentDirect(id, to, m)
		s.OccurredAt = cmp.Or(s.GetOccurredAt(), millis(e.CreatedTimestamp))
	} else {
		s = a.around(from, d.users[from].display(), from, id, eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, eventv1.PartyRole_PARTY_ROLE_SENDER)
		s.Type, s.OccurredAt, s.Direction = event.TypeMessageReceived, cmp.Or(millis(e.CreatedTimestamp), timeOf(id)), eventv1.Direction_DIRECTION_INBOUND
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: m}}
	}
	s.Content.Attachments = attachments
	return one(s), nil
}

// message is what a direct message says.
func (e *direct) message() (*eventv1.Message, []*eventv1.Attachment, error) {
	data := e.MessageCreate.MessageData
	m := &eventv1.Message{Payload: string(data.QuickReplyResponse.Metadata)}
	if id := string(e.InitiatedVia.TweetID); isNumber(id) {
		m.References = []string{id}
	}
	var attachments []*eventv1.Attachment
	own := entities{}
	if at := data.Attachment; at != nil {
		switch at.Type {
		case "location":
			place := at.Location.SharedPlace.Place
			m.Location = location(&at.Location.SharedCoordinate.Coordinates, string(cmp.Or(place.FullName, place.Name)))
		default:
			own.Media = []media{at.Media}
			var err error
			if attachments, err = attached(at.Media); err != nil {
				return nil, nil, err
			}
		}
	}
	m.Text = shown(string(data.Text), nil, own, data.Entities)
	for _, button := range data.CTAs {
		m.Text += "\n" + string(button.Label) + ": " + string(button.URL)
	}
	m.Text = strings.TrimSpace(m.GetText())
	return m, attachments, nil
}

// read reads an item of direct_message_mark_read_events. The same message may be read again.
func (a *account) read(d *delivery, raw json.RawMessage) ([]*eventv1.Submission, error) {
	r, err := decode[receipt](raw)
	if err != nil {
		return nil, err
	}
	who, last := string(r.SenderID), string(r.LastReadEventID)
	if !isNumber(who) || !isNumber(last) {
		return nil, errors.New("the reader's or the message's id is missing")
	}
	if who == a.UserID {
		return nil, nil // on another device of the company's
	}
	if string(r.Target.RecipientID) != a.UserID {
		return nil, errors.New("it is about somebody else's messages")
	}
	at := millis(r.CreatedTimestamp)
	s := a.around(who, d.users[who].display(), who, fmt.Sprintf("%s/read/%d", last, at.AsTime().UnixMilli()), eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, eventv1.PartyRole_PARTY_ROLE_SENDER)
	s.Type, s.OccurredAt = event.TypeMessageRead, at
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: last}}}
	return one(s), nil
}

// revoked reads user_event.
func (a *account) revoked(raw json.RawMessage) ([]*eventv1.Submission, error) {
	r, err := decode[revocation](raw)
	if err != nil {
		return nil, err
	}
	if string(r.Revoke.Source.UserID) != a.UserID {
		return one(a.unknown("user", raw)), nil
	}
	s := a.unknown("revoke", raw)
	if at, err := time.Parse(time.RFC3339, string(r.Revoke.DateTime)); err == nil {
		if ts := timestamppb.New(at); ts.IsValid() {
			s.OccurredAt = ts
		}
	}
	return one(s), nil
}

// unknown carries an item of a kind that is not known here. What tells it apart is all of it.
func (a *account) unknown(name string, raw json.RawMessage) *eventv1.Submission {
	hash := sha256.Sum256(raw)
	s := &eventv1.Submission{
		Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND, Thread: accountThread,
		NativeId: hex.EncodeToString(hash[:]), Parties: []*eventv1.SubmittedParty{a.us(a.UserID, eventv1.PartyRole_PARTY_ROLE_TO)},
	}
	s.Type, s.Content = extension(name, raw)
	return s
}
