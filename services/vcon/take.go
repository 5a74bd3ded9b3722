package vcon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // mails of any

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	maxParties     = 2000
	maxAttachments = 1000
)

// bareMail reads a mail address in any of its common forms.
func bareMail(text string) string {
	if u, err := url.Parse(text); err == nil && strings.EqualFold(u.Scheme, "mailto") {
		text = u.Opaque
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
	}
	if a, err := mail.ParseAddress(text); err == nil && strings.ContainsAny(text, "<") {
		return a.Address
	}
	return text
}

// dialog makes the events of a dialog.
func (m *importer) dialog(ctx context.Context, i int) error {
	d, t, path := m.v.Dialog[i], m.of[i], fmt.Sprintf("$.dialog[%d]", i)
	start, err := moment(path+".start", d.Start)
	if err != nil {
		return err
	}
	native := dialogPrefix + strconv.Itoa(i)
	tell := func(typ string, roles ...int) *eventv1.Submission {
		at := start
		if at.Before(t.started) {
			at = t.started // its recording may begin before it
		}
		s := m.submission(t, typ, native, at)
		s.Ordinal = uint32(i)
		if d.Application != "" || t.report == nil {
			s.Provider = providerOf(d.Application)
		}
		if d.Application != "" && s.GetProvider() == defaultProvider && d.Application != defaultProvider {
			m.note(path+".application", "is no name of a provider")
		}
		s.Parties = m.parties(eventv1.PartyRole_PARTY_ROLE_INITIATOR, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, roles...)
		t.events = append(t.events, s)
		m.dialogs[i] = s
		return s
	}
	parties := d.Parties.All()
	if len(parties) > maxParties {
		m.note(path+".parties", "are more than 2,000")
		parties = parties[:maxParties]
	}
	if len(d.PartyHistory) > 0 && d.Type != dialogRecording {
		m.note(path+".party_history", "is kept of recordings only")
	}
	switch d.Type {
	case dialogText:
		return m.text(ctx, i, tell(event.TypeMessageReceived, parties...), start)
	case dialogRecording:
		return m.recording(ctx, i, tell(event.TypeRecordingAvailable, m.originatorFirst(d, parties)...), start)
	case dialogIncomplete:
		if d.Disposition == dispositionNoMessage {
			s := tell(event.TypeCallAnswered, parties...)
			s.Content.Body = &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{AnsweredBy: eventv1.AnsweredBy_ANSWERED_BY_MACHINE}}
			break
		}
		s := tell(event.TypeCallFailed, parties...)
		s.Content.Body = &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{Failure: failureOf(d.Disposition)}}
	case dialogTransfer:
		m.transfer(path, d, tell(event.TypeTransferCompleted))
	default:
		m.note(path, "is of the type "+d.Type+", which has no counterpart")
	}
	return nil
}

func failureOf(disposition string) eventv1.CallFailure {
	switch disposition {
	case dispositionBusy:
		return eventv1.CallFailure_CALL_FAILURE_BUSY
	case dispositionNoAnswer:
		return eventv1.CallFailure_CALL_FAILURE_NO_ANSWER
	case dispositionHungUp:
		return eventv1.CallFailure_CALL_FAILURE_CANCELED
	case dispositionCongestion:
		return eventv1.CallFailure_CALL_FAILURE_CONGESTION
	}
	return eventv1.CallFailure_CALL_FAILURE_ERROR
}

// originatorFirst puts who began it before the others.
func (m *importer) originatorFirst(d Dialog, parties []int) []int {
	if d.Originator == nil {
		return parties
	}
	rest := slices.DeleteFunc(slices.Clone(parties), func(p int) bool { return p == *d.Originator })
	return append([]int{*d.Originator}, rest...)
}

// text fills in the message that a text dialog is.
func (m *importer) text(ctx context.Context, i int, s *eventv1.Submission, at time.Time) error {
	d, path := m.v.Dialog[i], fmt.Sprintf("$.dialog[%d]", i)
	s.OccurredAt = of(at)
	if d.MessageID != "" {
		if s.NativeId = event.Clip(d.MessageID, 1024); s.GetNativeId() != d.MessageID {
			m.note(path+".message_id", "is longer than 1,024 bytes")
		}
	}
	parties := d.Parties.All()
	parties = parties[:min(len(parties), maxParties)]
	author := -1
	switch {
	case d.Originator != nil && len(parties) > 0 && m.people[*d.Originator].actor != nil && m.people[parties[0]].company:
		author = *d.Originator // who writes under the company's address
	case len(parties) > 0 || d.Originator != nil:
		parties = m.originatorFirst(d, parties)
		author = parties[0]
	}
	s.Parties = m.parties(eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.PartyRole_PARTY_ROLE_TO, parties...)
	for n, p := range parties {
		if n > 0 && p == author {
			s.Parties[n].Role = eventv1.PartyRole_PARTY_ROLE_PARTICIPANT
		}
	}
	if author >= 0 && !slices.Contains(parties, author) {
		s.Parties = append(s.Parties, m.party(author, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT))
	}
	sent := author >= 0 && m.people[author].company
	switch {
	case author >= 0 && m.people[author].actor != nil:
		s.Actor = m.people[author].actor
	case !sent:
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	}
	said := &eventv1.Message{}
	m.about(i, said)
	if err := m.said(ctx, i, s, said); err != nil {
		return err
	}
	s.Direction = eventv1.Direction_DIRECTION_INBOUND
	s.Content.Body = &eventv1.Content_MessageReceived{MessageReceived: said}
	if sent {
		s.Type, s.Direction = event.TypeMessageSent, eventv1.Direction_DIRECTION_OUTBOUND
		s.Content.Body = &eventv1.Content_MessageSent{MessageSent: said}
	}
	if len(d.Body) == 0 && d.URL == "" { // taken back, or redacted
		t := m.of[i]
		gone := m.submission(t, event.TypeMessageDeleted, s.GetNativeId(), at)
		gone.Ordinal, gone.Provider = uint32(i), s.GetProvider()
		gone.Content.Body = &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: s.GetNativeId()}}
		t.events = append(t.events, gone)
	}
	return nil
}

// about fills in what a report tells of a message; a mail without a report has the vCon's subject.
func (m *importer) about(i int, said *eventv1.Message) {
	t := m.of[i]
	if t.report == nil {
		if t.channel == eventv1.Channel_CHANNEL_EMAIL {
			said.Subject = m.v.Subject
		}
		return
	}
	b := t.said[i]
	said.Subject, said.InReplyTo, said.AutoReply, said.Bulk = b.Subject, b.InReplyTo, b.AutoReply, b.Bulk
}

// said reads what a text dialog says.
func (m *importer) said(ctx context.Context, i int, s *eventv1.Submission, said *eventv1.Message) error {
	d, path := m.v.Dialog[i], fmt.Sprintf("$.dialog[%d]", i)
	data, inline := d.data()
	medium, _, err := mime.ParseMediaType(strings.NewReplacer("\r", " ", "\n", " ").Replace(cmp.Or(d.Mediatype, textPlain)))
	if err != nil {
		medium = textPlain
	}
	switch {
	case !inline && d.URL == "":
		return nil
	case inline && medium == textHTML:
		said.Html = strings.ToValidUTF8(string(data), "\uFFFD")
	case inline && (strings.HasPrefix(medium, "text/") || strings.HasSuffix(medium, "json")):
		said.Text = strings.ToValidUTF8(string(data), "\uFFFD")
	case inline && (strings.HasPrefix(medium, "multipart/") || medium == "message/rfc822"):
		return m.parts(ctx, path, s, said, data, d.Mediatype)
	default:
		return m.file(ctx, path, s, d.Content, false)
	}
	return nil
}

// parts reads a body of several parts, as mails have it.
func (m *importer) parts(ctx context.Context, path string, s *eventv1.Submission, said *eventv1.Message, data []byte, mediatype string) error {
	head := "Content-Type: " + strings.Join(strings.Fields(mediatype), " ") + "\r\n\r\n"
	if strings.HasPrefix(strings.ToLower(mediatype), "message/rfc822") {
		head = ""
	}
	entity, err := message.Read(io.MultiReader(strings.NewReader(head), bytes.NewReader(data)))
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		m.note(path+".body", "cannot be taken apart: "+err.Error())
		said.Text = strings.ToValidUTF8(string(data), "\uFFFD")
		return nil
	}
	var failed error
	err = entity.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil {
			return err
		}
		medium, params, _ := part.Header.ContentType()
		disposition, more, _ := part.Header.ContentDisposition()
		if strings.HasPrefix(medium, "multipart/") {
			return nil
		}
		raw, err := io.ReadAll(part.Body)
		if err != nil {
			return err
		}
		switch {
		case disposition != purposeAttachment && medium == textPlain && said.GetText() == "":
			said.Text = strings.ToValidUTF8(string(raw), "\uFFFD")
		case disposition != purposeAttachment && medium == textHTML && said.GetHtml() == "":
			said.Html = strings.ToValidUTF8(string(raw), "\uFFFD")
		default:
			failed = m.blob(ctx, path, s, Content{Mediatype: medium, Filename: strings.ToValidUTF8(cmp.Or(more["filename"], params["name"]), "\uFFFD")}, raw, disposition == purposeInline)
			return failed
		}
		return nil
	})
	if failed != nil {
		return failed
	}
	if err != nil {
		m.note(path+".body", "can be taken apart in part only: "+err.Error())
	}
	return nil
}

// file adds a content to an event as an attachment.
func (m *importer) file(ctx context.Context, path string, s *eventv1.Submission, c Content, inline bool) error {
	if data, ok := c.data(); ok {
		return m.blob(ctx, path, s, c, data, inline)
	}
	return m.attached(path, s, c, &eventv1.Attachment{}, inline)
}

// blob stores a file and adds it to an event.
func (m *importer) blob(ctx context.Context, path string, s *eventv1.Submission, c Content, data []byte, inline bool) error {
	ref, err := m.put(ctx, channel.BlobInfo{Tenant: m.o.Tenant, Inbox: m.o.Inbox, Thread: s.GetThread(), MediaType: clip(c.Mediatype, 255)}, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	return m.attached(path, s, c, &eventv1.Attachment{Blob: ref}, inline)
}

func (m *importer) attached(path string, s *eventv1.Submission, c Content, a *eventv1.Attachment, inline bool) error {
	if len(s.GetContent().GetAttachments()) == maxAttachments {
		m.note(path, "is one file too many: an event has 1,000 at most")
		return nil
	}
	a.Name, a.Inline = clip(c.Filename, 1024), inline
	if a.GetBlob() == nil {
		a.MediaType = clip(c.Mediatype, 255)
		switch source := joinSource(c.URL, c.ContentHash); {
		case c.URL == "":
		case !strings.HasPrefix(c.URL, "https://"):
			m.note(path+".url", "is no https address")
		case len(source) > 4096:
			m.note(path+".url", "is longer than 4,096 bytes")
		default:
			a.Source = source
		}
	}
	s.Content.Attachments = append(s.Content.Attachments, a)
	return nil
}

// recording fills in a recording, and makes the events of who came and went.
func (m *importer) recording(ctx context.Context, i int, s *eventv1.Submission, start time.Time) error {
	d, path := m.v.Dialog[i], fmt.Sprintf("$.dialog[%d]", i)
	r := &eventv1.RecordingAvailable{Recording: s.GetNativeId(), StartedAt: of(start), Duration: duration(d.Duration)}
	if d.Parties != nil {
		r.SoundChannels = int32(len(d.Parties.Split))
	}
	s.Content.Body = &eventv1.Content_RecordingAvailable{RecordingAvailable: r}
	if len(d.Body) > 0 || d.URL != "" || d.Filename != "" || d.Mediatype != "" {
		if err := m.file(ctx, path, s, d.Content, false); err != nil {
			return err
		}
	}
	t := m.of[i]
	talking, joined := -1, map[int]int{}
	for n, h := range d.PartyHistory {
		at, err := moment(path, h.Time)
		if err != nil {
			return err
		}
		who := m.people[h.Party]
		e := m.submission(t, "", s.GetNativeId()+"/history/"+strconv.Itoa(n), at)
		e.Provider, e.Parties = s.GetProvider(), m.parties(eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, 0, h.Party)
		agent := who.actor != nil && who.actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_AGENT
		if who.actor != nil {
			e.Actor = who.actor
		}
		switch {
		case h.Event == historyJoin && agent:
			talking = h.Party
			joined[h.Party]++
			e.Type = event.TypeAssignmentConnected
		case h.Event == historyDrop && agent:
			e.Type = event.TypeAssignmentEnded
		case h.Event == historyJoin:
			e.Type = event.TypePartyJoined
		case h.Event == historyDrop:
			e.Type = event.TypePartyLeft
		case h.Event == historyHold || h.Event == historyUnhold:
			e.Type = event.TypeAssignmentHeld
			if h.Event == historyUnhold {
				e.Type = event.TypeAssignmentUnheld
			}
			e.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
			if talking >= 0 {
				e.Actor = m.people[talking].actor
			}
		default:
			data, err := encode(History{Event: h.Event, Button: h.Button})
			if err != nil {
				return err
			}
			e.Type = historyType
			e.Content.Body = &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/json", Data: data}}
		}
		if strings.HasPrefix(e.GetType(), "assignment.") {
			share := talking
			if agent || talking < 0 {
				share = h.Party
			}
			e.Assignment = fmt.Sprintf("%s/%d/%d", s.GetNativeId(), share, joined[share])
		}
		t.events = append(t.events, e)
	}
	return nil
}

// transfer fills in a transfer.
func (m *importer) transfer(path string, d Dialog, s *eventv1.Submission) {
	done := &eventv1.TransferCompleted{Kind: eventv1.TransferKind_TRANSFER_KIND_BLIND}
	if len(d.Consultation) > 0 {
		done.Kind = eventv1.TransferKind_TRANSFER_KIND_CONSULT
	}
	if d.Transferee != nil {
		s.Parties = append(s.Parties, m.party(*d.Transferee, eventv1.PartyRole_PARTY_ROLE_INITIATOR))
	}
	for _, p := range d.TransferTarget {
		target := m.party(p, eventv1.PartyRole_PARTY_ROLE_TRANSFER_TARGET)
		if target.GetSide() != eventv1.Side_SIDE_COMPANY {
			target.Side = eventv1.Side_SIDE_UNSPECIFIED
		}
		s.Parties = append(s.Parties, target)
		who := m.people[p]
		if who.Type == typeOrganization && len(who.addresses) == 0 {
			done.Kind = eventv1.TransferKind_TRANSFER_KIND_QUEUE
		}
		if done.GetTarget() == "" {
			done.Target = who.Name
			if who.actor != nil {
				done.Target = who.actor.GetId()
			} else if len(who.addresses) > 0 {
				done.Target = who.addresses[0].GetValue()
			}
		}
	}
	switch {
	case d.Transferor == nil:
	case m.people[*d.Transferor].actor != nil:
		s.Actor = m.people[*d.Transferor].actor
		s.Parties = append(s.Parties, m.party(*d.Transferor, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT))
	default:
		m.note(path+".transferor", "is no agent")
	}
	s.Content.Body = &eventv1.Content_TransferCompleted{TransferCompleted: done}
}

// attach adds an attachment to the event of its dialog.
func (m *importer) attach(ctx context.Context, i int) error {
	a, path := m.v.Attachments[i], fmt.Sprintf("$.attachments[%d]", i)
	s := m.dialogs[a.Dialog]
	kind := m.v.Dialog[a.Dialog].Type
	if s == nil || kind != dialogText && kind != dialogRecording {
		m.note(path, "belongs to a dialog that has no files")
		return nil
	}
	said := cmp.Or(s.GetContent().GetMessageReceived(), s.GetContent().GetMessageSent())
	if data, ok := a.data(); ok && a.Purpose == purposeHTML && a.Mediatype == textHTML && said.GetText() != "" && said.GetHtml() == "" {
		said.Html = strings.ToValidUTF8(string(data), "\uFFFD")
		return nil
	}
	if kind == dialogRecording && len(s.GetContent().GetAttachments()) == 0 {
		s.Content.Attachments = []*eventv1.Attachment{{}} // the recording itself, which is not there
	}
	return m.file(ctx, path, s, a.Content, a.Purpose == purposeInline)
}

// errForeign means that an analysis is not one of Skein's own.
var errForeign = errors.New("vcon: it is not Skein's")

// analysis makes the event of an analysis.
func (m *importer) analysis(ctx context.Context, i int) error {
	if m.reports[i] {
		return nil
	}
	a := m.v.Analysis[i]
	s, err := m.own(i, a)
	if errors.Is(err, errForeign) {
		s, err = m.foreign(ctx, i, a)
	}
	if err != nil {
		return err
	}
	about := -1
	if len(a.Dialog) == 1 {
		about = a.Dialog[0]
	}
	m.analyses = append(m.analyses, &concluded{s, about})
	return nil
}

// conclusion is the event of an analysis.
func (m *importer) conclusion(i int, t *thread, at time.Time) *eventv1.Submission {
	s := m.submission(t, "", "analysis/"+strconv.Itoa(i), at)
	if v := m.v.Analysis[i].Vendor; providerName.MatchString(v) {
		s.Provider = v
	}
	return s
}

// own reads an analysis that Skein has written. errForeign where it is none.
func (m *importer) own(i int, a Analysis) (*eventv1.Submission, error) {
	var head about
	if !strings.HasPrefix(a.Schema, "skein.vcon.") || a.Encoding != encodingJSON || json.Unmarshal(a.Body, &head) != nil || head.Interaction < 0 || head.Interaction >= len(m.groups) {
		return nil, errForeign
	}
	at, err := moment("", head.At)
	if err != nil {
		return nil, errForeign
	}
	s := m.conclusion(i, m.groups[head.Interaction], at)
	switch a.Schema {
	case schemaTranscript:
		var b transcriptBody
		if json.Unmarshal(a.Body, &b) != nil {
			return nil, errForeign
		}
		m.transcript(s, a, b)
	case schemaInsight:
		var b insightBody
		if json.Unmarshal(a.Body, &b) != nil {
			return nil, errForeign
		}
		s.Type = event.TypeInsightInferred
		s.Content.Body = &eventv1.Content_InsightInferred{InsightInferred: &eventv1.InsightInferred{Kind: b.Kind, Value: b.Value, Score: b.Score, Confidence: b.Confidence, Source: a.Vendor}}
	case schemaSummary:
		var b summaryBody
		if json.Unmarshal(a.Body, &b) != nil {
			return nil, errForeign
		}
		s.Type = event.TypeBotHandedOff
		s.Content.Body = &eventv1.Content_BotHandedOff{BotHandedOff: &eventv1.BotHandedOff{Reason: b.Reason, Summary: b.Summary}}
	case schemaSurvey:
		var b surveyBody
		if json.Unmarshal(a.Body, &b) != nil {
			return nil, errForeign
		}
		s.Type, s.Actor = event.TypeSurveyAnswered, &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
		s.Content.Body = &eventv1.Content_SurveyAnswered{SurveyAnswered: &eventv1.SurveyAnswered{
			Survey: b.Survey, Metric: value[eventv1.SurveyMetric](eventv1.SurveyMetric_value, "SURVEY_METRIC_", b.Metric),
			Score: b.Score, ScaleMin: b.ScaleMin, ScaleMax: b.ScaleMax, Drivers: b.Drivers, Comment: b.Comment,
		}}
	case schemaNote:
		var b noteBody
		if json.Unmarshal(a.Body, &b) != nil {
			return nil, errForeign
		}
		s.Type, s.Direction = event.TypeNoteAdded, eventv1.Direction_DIRECTION_INTERNAL
		if b.Author != nil && *b.Author >= 0 && *b.Author < len(m.people) && m.people[*b.Author].actor != nil {
			s.Actor = m.people[*b.Author].actor
			s.Parties = m.parties(eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, 0, *b.Author)
		}
		s.Content.Body = &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: b.Text}}
	default:
		return nil, errForeign
	}
	return s, nil
}

// transcript fills in what was said.
func (m *importer) transcript(s *eventv1.Submission, a Analysis, b transcriptBody) {
	s.Type = event.TypeTranscriptAvailable
	t := &eventv1.TranscriptAvailable{Source: a.Vendor}
	if len(a.Dialog) == 1 && m.v.Dialog[a.Dialog[0]].Type == dialogRecording {
		t.Recording = dialogPrefix + strconv.Itoa(a.Dialog[0])
	}
	var speakers []int
	for _, segment := range b.Segments {
		speaker := -1
		if p := segment.Party; p != nil && *p >= 0 && *p < len(m.people) {
			if speaker = slices.Index(speakers, *p); speaker < 0 && len(speakers) < event.MaxParties {
				speakers = append(speakers, *p)
				speaker = len(speakers) - 1
			}
		}
		t.Segments = append(t.Segments, &eventv1.TranscriptSegment{
			Party: int32(speaker), Start: duration(segment.Start), Duration: duration(segment.Duration), Text: segment.Text, Confidence: segment.Confidence,
		})
	}
	s.Parties = m.parties(eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, speakers...)
	s.Content.Body = &eventv1.Content_TranscriptAvailable{TranscriptAvailable: t}
}

// foreign takes an analysis of another product as what somebody concluded.
func (m *importer) foreign(ctx context.Context, i int, a Analysis) (*eventv1.Submission, error) {
	path := fmt.Sprintf("$.analysis[%d]", i)
	t, at := m.groups[0], m.groups[0].started
	if len(a.Dialog) > 0 {
		t = m.of[a.Dialog[0]]
		at, _ = moment("", m.v.Dialog[a.Dialog[0]].Start) // Read has looked
	}
	s := m.conclusion(i, t, at)
	s.Type = event.TypeInsightInferred
	source := a.Vendor
	if a.Product != "" {
		source += " " + a.Product
	}
	in := &eventv1.InsightInferred{Kind: a.Type, Source: source}
	s.Content.Body = &eventv1.Content_InsightInferred{InsightInferred: in}
	data, inline := a.data()
	if inline && (a.Encoding != encodingBase64URL || strings.HasPrefix(a.Mediatype, "text/") || strings.HasSuffix(a.Mediatype, "json")) {
		in.Value = strings.ToValidUTF8(string(data), "\uFFFD")
		return s, nil
	}
	if inline || a.URL != "" {
		return s, m.file(ctx, path, s, a.Content, false)
	}
	return s, nil
}
