package messenger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// change is an item of changes.
type change struct {
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
}

// change reads an item of changes: of the fields of messages, which some apps get in this form, what an item of messaging holds; of the
// others, comments and posts.
func (r *reading) change(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var c change
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("a change is not what Meta documents: %w", err)
	}
	if c.Field == "" {
		return nil, errors.New("a change says not of what")
	}
	var parties struct {
		Sender    json.RawMessage `json:"sender"`
		Recipient json.RawMessage `json:"recipient"`
	}
	if json.Unmarshal(c.Value, &parties) == nil && len(parties.Sender) > 0 && len(parties.Recipient) > 0 {
		return r.between(c.Value)
	}
	switch {
	case r.product == Facebook && c.Field == "feed":
		return r.feed(c.Value, raw, false)
	case r.product == Facebook && c.Field == "mention":
		return r.feed(c.Value, raw, true)
	case r.product == Instagram && (c.Field == "comments" || c.Field == "live_comments"):
		return r.comment(c.Value)
	case r.product == Instagram && c.Field == "mentions":
		return r.mentioned(c.Value)
	}
	return r.other("", c.Field, raw, nil), nil
}

// feed is a change at a page's posts, or at another's in which the page is named
// (https://developers.facebook.com/docs/graph-api/webhooks/reference/page#feed). Older ones have sender_id and sender_name for from.
type feed struct {
	Item        string          `json:"item"`
	Verb        string          `json:"verb"`
	PostID      word            `json:"post_id"`
	CommentID   word            `json:"comment_id"`
	ParentID    word            `json:"parent_id"`
	PhotoID     word            `json:"photo_id"`
	VideoID     word            `json:"video_id"`
	CreatedTime word            `json:"created_time"`
	Message     string          `json:"message"`
	Link        string          `json:"link"`
	Photo       string          `json:"photo"`
	Video       string          `json:"video"`
	Photos      loose[[]string] `json:"photos"`
	Published   word            `json:"published"`
	From        struct {
		ID   word   `json:"id"`
		Name string `json:"name"`
	} `json:"from"`
	SenderID   word   `json:"sender_id"`
	SenderName string `json:"sender_name"`
}

// written is a comment or a post.
type written struct {
	thread string
	id     string // of the comment or post
	parent string // what it answers
	author string // empty where it is not told
	name   string
	ours   bool
	at     *timestamppb.Timestamp
	text   string
	files  []*eventv1.Attachment
}

func (r *reading) feed(value, raw json.RawMessage, mention bool) ([]*eventv1.Submission, error) {
	var f feed
	if err := json.Unmarshal(value, &f); err != nil {
		return nil, fmt.Errorf("a change of a page's feed is not what Meta documents: %w", err)
	}
	if f.Item == "" || f.Verb == "" {
		return nil, errors.New("a change of a page's feed says not what happened to what")
	}
	p := written{
		author: string(cmp.Or(f.From.ID, f.SenderID)), name: cmp.Or(f.From.Name, f.SenderName), at: stamp(f.CreatedTime), text: f.Message,
	}
	p.ours = p.author == r.ID
	said := &eventv1.Message{}
	for _, address := range append([]string{f.Photo, f.Video}, f.Photos.value...) {
		p.files = addFile(said, p.files, address, "")
	}
	own := strings.HasPrefix(string(f.PostID), r.ID+"_")
	kind := "feed"
	if mention {
		kind = "mention"
	}
	switch f.Item {
	case "comment":
		if f.CommentID == "" || f.PostID == "" {
			return nil, errors.New("a comment has no id, or is on no post")
		}
		p.thread, p.id, p.parent = f.chain(), string(f.CommentID), string(cmp.Or(f.ParentID, f.PostID))
		if f.isFirst() {
			p.parent = string(f.PostID)
		}
	case "post", "status", "photo", "video", "share", "link":
		if f.PostID == "" || f.Published == "0" {
			return r.public(f.chain(), p.author, kind+"_"+f.Item+"_"+f.Verb, raw, p.at), nil
		}
		p.thread, p.id = string(f.PostID), string(f.PostID)
		if part := cmp.Or(f.PhotoID, f.VideoID); part != "" { // a post of several has one of each
			p.id += "/" + string(part)
		}
		switch isFile := f.Item == "photo" || f.Item == "video"; {
		case isFile && len(p.files) == 0:
			p.files = addFile(said, p.files, f.Link, "")
		case !isFile && f.Link != "" && !strings.Contains(p.text, f.Link):
			p.text = lines(p.text, f.Link)
		}
	default:
		return r.public(f.chain(), p.author, kind+"_"+f.Item+"_"+f.Verb, raw, p.at), nil
	}
	if mention && own { // told by feed, and with its author
		return r.public(p.thread, p.author, kind+"_"+f.Item+"_"+f.Verb, raw, p.at), nil
	}
	switch f.Verb {
	case "add":
		return []*eventv1.Submission{r.wrote(p, said.GetDefects()...)}, nil
	case "edit", "edited":
		return []*eventv1.Submission{r.rewrote(p)}, nil
	case "remove", "delete":
		return []*eventv1.Submission{r.withdrew(p)}, nil
	}
	return r.public(p.thread, p.author, kind+"_"+f.Item+"_"+f.Verb, raw, p.at), nil
}

// isFirst tells whether a comment is the first of its chain: it stands on the post itself, whose id is PAGE_POST, or of a photo on the photo's,
// with which its own id begins.
func (f *feed) isFirst() bool {
	if f.ParentID == "" || f.ParentID == f.PostID {
		return true
	}
	under, _, ok := strings.Cut(string(f.CommentID), "_")
	return ok && (string(f.ParentID) == under || strings.HasSuffix(string(f.ParentID), "_"+under))
}

// chain is the thread of a comment, or the post's; empty where there is neither.
func (f *feed) chain() string {
	switch {
	case f.CommentID == "":
		return string(f.PostID)
	case f.isFirst():
		return string(f.PostID) + "/" + string(f.CommentID)
	}
	return string(f.PostID) + "/" + string(f.ParentID)
}

// comment reads a comment on a post of an Instagram account, or on its live video
// (https://developers.facebook.com/docs/graph-api/webhooks/reference/instagram).
func (r *reading) comment(value json.RawMessage) ([]*eventv1.Submission, error) {
	var c struct {
		ID        word `json:"id"`
		CommentID word `json:"comment_id"`
		ParentID  word `json:"parent_id"`
		Media     struct {
			ID word `json:"id"`
		} `json:"media"`
		Text string `json:"text"`
		From struct {
			ID       word   `json:"id"`
			Username string `json:"username"`
			Self     word   `json:"self_ig_scoped_id"`
		} `json:"from"`
	}
	if err := json.Unmarshal(value, &c); err != nil {
		return nil, fmt.Errorf("a comment is not what Meta documents: %w", err)
	}
	id := string(cmp.Or(c.ID, c.CommentID))
	if id == "" || c.Media.ID == "" {
		return nil, errors.New("a comment has no id, or is on no post")
	}
	p := written{
		thread: string(c.Media.ID) + "/" + string(cmp.Or(c.ParentID, word(id))), id: id, parent: string(cmp.Or(c.ParentID, c.Media.ID)),
		author: string(c.From.ID), name: c.From.Username, text: c.Text, ours: string(c.From.ID) == r.ID || c.From.Self != "",
	}
	return []*eventv1.Submission{r.wrote(p)}, nil
}

// mentioned reads that somebody has named the account in a comment, or in the caption of a post, which then stands for its first comment.
func (r *reading) mentioned(value json.RawMessage) ([]*eventv1.Submission, error) {
	var m struct {
		MediaID   word `json:"media_id"`
		CommentID word `json:"comment_id"`
	}
	if err := json.Unmarshal(value, &m); err != nil {
		return nil, fmt.Errorf("a mention is not what Meta documents: %w", err)
	}
	if m.MediaID == "" {
		return nil, errors.New("a mention is in no post")
	}
	id := string(cmp.Or(m.CommentID, m.MediaID))
	p := written{thread: string(m.MediaID) + "/" + id, id: id}
	return []*eventv1.Submission{r.wrote(p, "Instagram does not tell who named the account, nor the text")}, nil
}

// author is who wrote a comment or post: the company, or a customer. One who is not told is a party without address.
func (r *reading) author(p written) *eventv1.SubmittedParty {
	if p.ours {
		return r.self(eventv1.PartyRole_PARTY_ROLE_AUTHOR)
	}
	party := r.party(p.author, eventv1.PartyRole_PARTY_ROLE_AUTHOR)
	party.DisplayName = event.Clip(p.name, maxDisplay)
	return party
}

// about makes an event about a post or comment, of which only its author is named.
func (r *reading) about(p written, typ, native string) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_SOCIAL_POST, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Thread: p.thread, NativeId: native, OccurredAt: p.at, Parties: []*eventv1.SubmittedParty{r.author(p)},
	}
	if p.ours {
		s.Direction = eventv1.Direction_DIRECTION_OUTBOUND
	} else {
		s.Actor = customer()
	}
	return s
}

// wrote tells a comment or post. The company's comment has no time, so that it is the one that Sender told.
func (r *reading) wrote(p written, defects ...string) *eventv1.Submission {
	said := &eventv1.Message{Text: p.text, InReplyTo: p.parent, Defects: defects}
	s := r.about(p, event.TypeMessageReceived, p.id)
	s.Content = &eventv1.Content{Attachments: p.files, Body: &eventv1.Content_MessageReceived{MessageReceived: said}}
	if p.ours {
		s.Type = event.TypeMessageSent
		if p.parent != "" {
			s.OccurredAt = nil
		}
		s.Content.Body = &eventv1.Content_MessageSent{MessageSent: said}
	}
	return s
}

// rewrote tells what a comment or post says now. Facebook counts no edits, and tells them by seconds only.
func (r *reading) rewrote(p written) *eventv1.Submission {
	parts := []string{p.text}
	for _, f := range p.files {
		parts = append(parts, f.GetSource())
	}
	s := r.about(p, event.TypeMessageEdited, p.id+"/edited")
	if at := p.at; at != nil {
		s.NativeId += "/" + at.AsTime().UTC().Format("20060102150405")
	}
	s.Discriminator = fingerprint(parts...)
	s.Content = &eventv1.Content{Attachments: p.files, Body: &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{
		Message: p.id, Edited: &eventv1.Message{Text: p.text},
	}}}
	return s
}

// withdrew tells that a comment or post is gone. Who did it, its author or the page, is not told.
func (r *reading) withdrew(p written) *eventv1.Submission {
	s := r.about(p, event.TypeMessageDeleted, p.id+"/deleted")
	s.Actor = system()
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: p.id}}}
	return s
}

// public carries what no type fits, in the thread of a post or comment, else in the account's.
func (r *reading) public(thread, who, name string, raw json.RawMessage, at *timestamppb.Timestamp) []*eventv1.Submission {
	s := r.other("", name, raw, at)[0]
	s.Channel, s.Thread = eventv1.Channel_CHANNEL_SOCIAL_POST, cmp.Or(thread, r.ID)
	if who != "" && who != r.ID {
		s.Parties = []*eventv1.SubmittedParty{r.party(who, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)}
	}
	return []*eventv1.Submission{s}
}
