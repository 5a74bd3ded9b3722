package weibo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// postThread is the thread of a post.
func postThread(id string) string { return "post/" + id }

// user is one of Weibo's users.
type user struct {
	ID         text `json:"id"`
	IDStr      text `json:"idstr"`
	ScreenName text `json:"screen_name"`
}

func (u user) id() string { return string(cmp.Or(u.IDStr, u.ID)) }

// comment is a comment on a post, or on another comment (https://open.weibo.com/wiki/常见返回对象数据结构).
type comment struct {
	ID           text     `json:"id"`
	IDStr        text     `json:"idstr"`
	CreatedAt    text     `json:"created_at"`
	Text         text     `json:"text"`
	User         user     `json:"user"`
	Status       *status  `json:"status"`
	ReplyComment *comment `json:"reply_comment"`
	RootID       text     `json:"rootid"`
	RootIDStr    text     `json:"rootidstr"`
}

func (c *comment) id() string { return string(cmp.Or(c.IDStr, c.ID)) }

// status is a post.
type status struct {
	ID              text    `json:"id"`
	IDStr           text    `json:"idstr"`
	CreatedAt       text    `json:"created_at"`
	Text            text    `json:"text"`
	User            user    `json:"user"`
	RetweetedStatus *status `json:"retweeted_status"`
	OriginalPic     text    `json:"original_pic"`
	PicURLs         []struct {
		ThumbnailPic text `json:"thumbnail_pic"`
	} `json:"pic_urls"`
}

func (s *status) id() string { return string(cmp.Or(s.IDStr, s.ID)) }

// list is a list of the API that is read from a cursor on.
type list struct {
	name  string // path, and name of its cursor
	field string // where its items stand
	read  func(*account, json.RawMessage) ([]*eventv1.Submission, error)
}

func lists() []list {
	return []list{
		{"comments/timeline", "comments", (*account).comment},
		{"comments/mentions", "comments", (*account).comment},
		{"statuses/mentions", "statuses", (*account).status},
	}
}

// listed gives the items of an answer of the API, or of one that was kept.
func listed(raw []byte) (list, []json.RawMessage, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return list{}, nil, false
	}
	for _, l := range lists() {
		var items []json.RawMessage
		if at, ok := fields[l.field]; ok && json.Unmarshal(at, &items) == nil {
			return l, items, true
		}
	}
	return list{}, nil, false
}

// alone is an answer of the API that holds one item only.
func (l list) alone(item json.RawMessage) []byte {
	return bytes.Join([][]byte{[]byte(`{"` + l.field + `":[`), item, []byte(`]}`)}, nil)
}

// again reads items that were kept.
func (a *account) again(l list, items []json.RawMessage) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox,
		Read: func(context.Context, channel.Host, []byte) ([]*eventv1.Submission, error) {
			var all []*eventv1.Submission
			for _, item := range items {
				got, err := l.read(a, item)
				if err != nil {
					return nil, fmt.Errorf("social/weibo: %s: %w", l.name, err)
				}
				all = append(all, got...)
			}
			return all, nil
		},
	}
}

// comment reads an item of a list of comments. It takes only what every list tells of it.
func (a *account) comment(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var c comment
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("it is no comment: %w", err)
	}
	return a.commented(&c)
}

func (a *account) commented(c *comment) ([]*eventv1.Submission, error) {
	id, author := c.id(), c.User.id()
	switch {
	case !isNumber(id) || !isNumber(author):
		return nil, errors.New("the comment's or its author's id is missing")
	case c.Status == nil || !isNumber(c.Status.id()):
		return nil, errors.New("the post is missing that it comments on")
	}
	at := created(c.CreatedAt)
	if at == nil {
		return nil, errors.New("created_at is no time")
	}
	post, root, answered, answers := c.Status.id(), id, c.Status.id(), c.Status.User.id()
	named := false // by its beginning
	if r := string(cmp.Or(c.RootIDStr, c.RootID)); isNumber(r) {
		root, named = r, true
	}
	if r := c.ReplyComment; r != nil && isNumber(r.id()) {
		answered, answers = r.id(), r.User.id()
		if !named {
			root = answered
		}
	}
	thread := postThread(post) + "/" + root
	m := &eventv1.Message{Text: string(c.Text), InReplyTo: answered}
	s := a.from(author, string(c.User.ScreenName), thread, id, eventv1.Channel_CHANNEL_SOCIAL_POST, eventv1.PartyRole_PARTY_ROLE_AUTHOR)
	s.OccurredAt = at
	if a.company[author] {
		s.Parties = s.GetParties()[:1]
		if isNumber(answers) && !a.company[answers] {
			s.Parties = append(s.Parties, a.party(answers, "", eventv1.PartyRole_PARTY_ROLE_TO))
		}
		s.Type, s.Content = event.TypeMessageSent, &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: m}}
	} else {
		received(s, m)
	}
	own := postThread(post) + "/" + id
	switch {
	case own != thread && !named:
		return []*eventv1.Submission{s, a.joined(own, thread)}, nil
	case own == thread && a.company[author] && isNumber(c.Status.User.id()) && !a.company[c.Status.User.id()]:
		return []*eventv1.Submission{s, a.joined(own, postThread(post))}, nil
	}
	return one(s), nil
}

// joined tells that what stands in the thread child is read with what stands in the other. It says nothing else, so that it is always the
// same.
func (a *account) joined(child, parent string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeThreadJoined, Channel: eventv1.Channel_CHANNEL_SOCIAL_POST, Provider: Provider, Inbox: a.Inbox, Thread: child, NativeId: "joined/" + parent,
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM},
		Content: &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: parent}}},
	}
}

// status reads an item of a list of posts that mention the account.
func (a *account) status(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var p status
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, fmt.Errorf("it is no post: %w", err)
	}
	id, author, at := p.id(), p.User.id(), created(p.CreatedAt)
	switch {
	case !isNumber(id) || !isNumber(author):
		return nil, errors.New("the post's or its author's id is missing")
	case at == nil:
		return nil, errors.New("created_at is no time")
	}
	m := &eventv1.Message{Text: string(p.Text)}
	if re := p.RetweetedStatus; re != nil {
		m.QuotedText = string(re.Text)
		if isNumber(re.id()) {
			m.References = []string{re.id()}
		}
	}
	s := a.from(author, string(p.User.ScreenName), postThread(id), id, eventv1.Channel_CHANNEL_SOCIAL_POST, eventv1.PartyRole_PARTY_ROLE_AUTHOR)
	s.OccurredAt = at
	if a.company[author] {
		s.Parties = s.GetParties()[:1]
		s.Type, s.Content = event.TypeMessageSent, &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: m}}
	} else {
		received(s, m)
	}
	pictures, err := p.pictures()
	s.Content.Attachments = pictures
	return one(s), err
}

// maxPictures of a post; Weibo allows eighteen.
const maxPictures = 100

// pictures are those of a post, as large as there are.
func (s *status) pictures() ([]*eventv1.Attachment, error) {
	var sources []string
	for _, p := range s.PicURLs {
		sources = append(sources, strings.Replace(string(p.ThumbnailPic), "/thumbnail/", "/large/", 1))
	}
	if len(sources) == 0 && s.OriginalPic != "" {
		sources = []string{string(s.OriginalPic)}
	}
	if len(sources) > maxPictures {
		return nil, errors.New("the post has too many pictures")
	}
	var all []*eventv1.Attachment
	for _, source := range sources {
		if source == "" {
			continue
		}
		if len(source) > maxSource {
			return nil, errors.New("the address of a picture is too long")
		}
		all = append(all, &eventv1.Attachment{Source: source, Name: event.Clip(source[strings.LastIndex(source, "/")+1:], 255)})
	}
	return all, nil
}

// cursor is how far a list was read: the last item, and when it was made.
type cursor struct {
	id uint64
	at int64 // seconds of Unix time; 0 where it is not known
}

func (c cursor) String() string {
	return strconv.FormatUint(c.id, 10) + " " + strconv.FormatInt(c.at, 10)
}

// parseCursor reads a cursor. One that cannot be read is none: everything is read again.
func parseCursor(s string) cursor {
	id, at, _ := strings.Cut(s, " ")
	n, errID := strconv.ParseUint(id, 10, 63)
	seconds, errAt := strconv.ParseInt(at, 10, 64)
	if errID != nil {
		return cursor{}
	}
	if errAt != nil || seconds < 0 || seconds > maxMillis/1000 {
		seconds = 0
	}
	return cursor{n, seconds}
}

// place is where an item stands in its list: its id and its time.
func place(raw json.RawMessage) (cursor, bool) {
	var p struct {
		ID        text `json:"id"`
		IDStr     text `json:"idstr"`
		CreatedAt text `json:"created_at"`
	}
	if json.Unmarshal(raw, &p) != nil {
		return cursor{}, false
	}
	id := string(cmp.Or(p.IDStr, p.ID))
	if !isNumber(id) {
		return cursor{}, false
	}
	n, err := strconv.ParseUint(id, 10, 63)
	c := cursor{id: n}
	if at := created(p.CreatedAt); at != nil && at.AsTime().After(time.Unix(0, 0)) {
		c.at = at.GetSeconds()
	}
	return c, err == nil
}
