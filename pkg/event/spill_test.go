package event_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestASpilledMessageKeepsItsHeadAndItsDigest(t *testing.T) {
	original := &eventv1.Blob{Key: "acme/t/original", Size: 1 << 20}
	attachments := []*eventv1.Attachment{{Name: "invoice.pdf", Blob: &eventv1.Blob{Key: "acme/t/invoice"}}}
	text := "a" + strings.Repeat("我", 200<<10) // a character's three bytes are not at an even place
	c := compile(t, with(func(s *eventv1.Submission) {
		s.OccurredAt = nil
		s.Content.Original, s.Content.Attachments = original, attachments
		m := s.GetContent().GetMessageReceived()
		m.Text, m.Html, m.AutoReply = text, text, true
	}))
	before := proto.CloneOf(c.Event)
	ref := &eventv1.Blob{Key: "acme/t/content", Size: int64(len(c.Event.GetContent()))}
	if err := event.Spill(&c, ref); err != nil {
		t.Fatal(err)
	}
	m := c.Content.GetMessageReceived()
	if len(m.GetText()) > 16<<10 || len(m.GetText()) < 16<<10-3 || !strings.HasPrefix(text, m.GetText()) || !utf8.ValidString(m.GetText()) {
		t.Errorf("the head has %d bytes", len(m.GetText()))
	}
	want := &eventv1.Content{
		Parties:      c.Content.GetParties(),
		NativeThread: "<1@example.com>",
		NativeId:     "<1@example.com>",
		Attachments:  attachments,
		Original:     original,
		Spilled:      ref,
		Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
			Subject: "My order", Text: m.GetText(), AutoReply: true, Truncated: true,
		}},
	}
	if !proto.Equal(c.Content, want) || len(c.Content.GetParties()) != 2 {
		t.Errorf("got %v", c.Content)
	}
	checkCompiled(t, c)
	before.Content = c.Event.GetContent()
	if !proto.Equal(c.Event, before) {
		t.Error("the envelope changed")
	}
}

func TestEverySpilledContentFitsIntoTheLog(t *testing.T) {
	wide := strings.Repeat("我", 512)
	huge := strings.Repeat("x", 1<<20)
	message := &eventv1.Message{Subject: huge, Text: huge, Html: huge}
	for name, body := range map[string]func(*eventv1.Submission){
		event.TypeMessageReceived: func(s *eventv1.Submission) {
			s.Content.Body = &eventv1.Content_MessageReceived{MessageReceived: message}
		},
		event.TypeMessageSent: func(s *eventv1.Submission) { s.Content.Body = &eventv1.Content_MessageSent{MessageSent: message} },
		event.TypeMessageSendRequested: func(s *eventv1.Submission) {
			s.Content.Body = &eventv1.Content_MessageSendRequested{MessageSendRequested: message}
		},
		event.TypeMessageEdited: func(s *eventv1.Submission) {
			s.Content.Body = &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{Message: huge, Edited: message}}
		},
		event.TypeNoteAdded: func(s *eventv1.Submission) {
			s.Content.Body = &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: huge}}
		},
		"ext.acme.x": func(s *eventv1.Submission) {
			s.Content.Body = &eventv1.Content_Extension{Extension: &eventv1.Extension{Data: []byte(huge)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			blob := func(i int) *eventv1.Blob {
				return &eventv1.Blob{Key: fmt.Sprintf("acme/%d/%s", i, wide[:3*500]), MediaType: wide[:3*255], Sha256: make([]byte, 32)}
			}
			c := compile(t, with(func(s *eventv1.Submission) {
				s.Type = name
				s.Thread, s.NativeId = wide+wide, wide+wide
				for i := range 2000 - len(s.Parties) {
					id := fmt.Sprint(i)
					s.Parties = append(s.Parties, someone(visitor, id+wide[:3*(512-len(id))], to, customer))
					s.Parties[i].DisplayName = wide
				}
				for i := range 1000 {
					s.Content.Attachments = append(s.Content.Attachments, &eventv1.Attachment{Name: wide + wide, ContentId: wide + wide, Blob: blob(i)})
				}
				s.Content.Original = blob(0)
				s.Content.Original.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 9999, protowire.BytesType), huge))
				body(s)
			}))
			if err := event.Spill(&c, blob(1)); err != nil {
				t.Fatal(err)
			}
			if len(c.Event.GetContent()) > event.MaxContent {
				t.Errorf("%d bytes", len(c.Event.GetContent()))
			}
			if len(c.Content.GetParties()) < len(c.Event.GetParties()) {
				t.Errorf("%d details for %d parties", len(c.Content.GetParties()), len(c.Event.GetParties()))
			}
			checkCompiled(t, c)
		})
	}
}
