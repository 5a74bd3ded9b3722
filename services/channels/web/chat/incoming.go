package chat

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// maxText is how many characters a message may have.
	maxText = 10_000
	// maxFiles is how many files a message may name.
	maxFiles = 10
	// maxName is how many characters the name of a form, a step, a survey and the like may have.
	maxName = 200
	// maxFields is how many fields a form may have.
	maxFields = 100
	// maxURL is how many bytes the address of a page may have.
	maxURL = 4096
	// maxMessageID is how many bytes a message's id may have that a frame refers to; an event's id has room for "/delivered" behind it.
	maxMessageID = 1000
)

// incoming is a frame of a client's. docs/web-chat.asyncapi.yaml describes each.
type incoming struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	// At is when it happened.
	At string `json:"at"`
	// Cursor is where a frame of type resume goes on.
	Cursor string `json:"cursor"`
	// On is false in a frame of type typing that tells of the end of it.
	On *bool `json:"on"`

	// told is what the frame says, where it becomes an event; nil for those that only ask for something.
	told told
}

// told is what a frame says that becomes an event.
type told interface {
	// check tells what is wrong with it, for good, in the hands of a visitor.
	check(w *widget, who Claims) *problem
	// fill makes its event of one that has what all of them have.
	fill(s *eventv1.Submission, who Claims)
}

// The types of frames. Those that newTold knows become events.
const (
	frameResume = "resume"
	framePing   = "ping"
	frameTyping = "typing"

	frameMessage        = "message"
	frameDelivered      = "delivered"
	frameRead           = "read"
	framePage           = "page"
	frameForm           = "form"
	frameStep           = "step"
	frameSurvey         = "survey"
	frameSessionStarted = "session.started"
	frameSessionEnded   = "session.ended"
)

// frameTypes are all that a client may send.
func frameTypes() []string {
	return []string{
		frameMessage, frameDelivered, frameRead, framePage, frameForm, frameStep, frameSurvey, frameSessionStarted, frameSessionEnded,
		frameResume, framePing, frameTyping,
	}
}

// newTold is what a frame of a type says; nil where it says nothing that becomes an event.
func newTold(frameType string) told {
	switch frameType {
	case frameMessage:
		return &message{}
	case frameDelivered:
		return &seen{}
	case frameRead:
		return &seen{read: true}
	case framePage:
		return &page{}
	case frameForm:
		return &form{}
	case frameStep:
		return &step{}
	case frameSurvey:
		return &survey{}
	case frameSessionStarted:
		return &media{}
	case frameSessionEnded:
		return &media{ended: true}
	}
	return nil
}

// decodeFrame reads a frame. One without a type is of the type that is given.
func decodeFrame(raw []byte, otherwise string) (in incoming, p *problem) {
	if p := decode(raw, &in); p != nil {
		return in, p
	}
	def(&in.Type, otherwise)
	if in.told = newTold(in.Type); in.told == nil {
		return in, nil
	}
	return in, decode(raw, in.told)
}

func decode(raw []byte, v any) *problem {
	if err := json.Unmarshal(raw, v); err != nil {
		return badFrame("not the JSON that docs/web-chat.md describes: " + err.Error())
	}
	return nil
}

// check tells what is wrong with a frame that becomes an event, for good.
func (in *incoming) check(w *widget, who Claims) *problem {
	if !isID(in.ID) {
		return invalid("id", "1 to 64 letters, digits, \"_\" and \"-\" are needed: make a random one for each frame, and keep it when you send again")
	}
	p := in.told.check(w, who)
	if at, err := time.Parse(time.RFC3339, in.At); p == nil && in.At != "" && (err != nil || timestamppb.New(at).CheckValid() != nil) {
		p = invalid("at", "not a time as in RFC 3339, such as 2026-03-01T12:00:00.5Z: send one, or leave it out")
	}
	if p != nil {
		p.ID = in.ID
	}
	return p
}

// named checks the name of something.
func named(field, name string) *problem {
	switch {
	case strings.TrimSpace(name) == "":
		return invalid(field, "a name is needed")
	case utf8.RuneCountInString(name) > maxName:
		return invalid(field, fmt.Sprintf("longer than %d characters", maxName))
	}
	return nil
}

// written checks what a visitor wrote, which may be nothing.
func written(field, text string) *problem {
	if utf8.RuneCountInString(text) > maxText {
		return invalid(field, "longer than 10,000 characters: send it in parts")
	}
	return nil
}

// first is the first problem of several checks.
func first(problems ...*problem) *problem {
	for _, p := range problems {
		if p != nil {
			return p
		}
	}
	return nil
}

// message is what a visitor says.
type message struct {
	Text string `json:"text"`
	// Files are those that were uploaded, as the answers to that named them.
	Files []string `json:"files"`

	attachments []*eventv1.Attachment
}

func (m *message) check(w *widget, who Claims) *problem {
	if strings.TrimSpace(m.Text) == "" && len(m.Files) == 0 {
		return invalid("text", "there is neither a text nor a file")
	}
	if len(m.Files) > maxFiles {
		return invalid("files", fmt.Sprintf("more than %d files: send several messages", maxFiles))
	}
	for i, name := range m.Files {
		a, ok := w.attachment(who, name)
		if !ok {
			return invalid("files", fmt.Sprintf("files[%d] was not uploaded in this thread: name what POST files has answered", i))
		}
		m.attachments = append(m.attachments, a)
	}
	return written("text", m.Text)
}

func (m *message) fill(s *eventv1.Submission, _ Claims) {
	s.Type = event.TypeMessageReceived
	for _, p := range s.GetParties() {
		p.Role = eventv1.PartyRole_PARTY_ROLE_SENDER
	}
	s.Content = &eventv1.Content{Attachments: m.attachments, Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: m.Text}}}
}

// seen tells that a message of the company's has reached the visitor, or was read. It is one event for each message, whoever of the
// visitor's tabs tells of it, and when: the time is the server's.
type seen struct {
	Message string `json:"message"`

	read bool
}

func (m *seen) check(*widget, Claims) *problem {
	if m.Message == "" || len(m.Message) > maxMessageID {
		return invalid("message", "the id of a message is needed, as its event showed it")
	}
	return nil
}

func (m *seen) fill(s *eventv1.Submission, _ Claims) {
	s.OccurredAt = nil
	if m.read {
		s.Type, s.NativeId = event.TypeMessageRead, m.Message+"/read"
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: m.Message}}}
		return
	}
	s.Type, s.NativeId = event.TypeMessageDelivered, m.Message+"/delivered"
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: m.Message}}}
}

// page is a page of the site, or a screen of the app, that the visitor looks at.
type page struct {
	URL      string `json:"url"`
	Title    string `json:"title"`
	Referrer string `json:"referrer"`
}

func (v *page) check(*widget, Claims) *problem {
	if !isPage(v.URL) {
		return invalid("url", "an address of 4096 bytes at most that begins with https://, http:// or app:// is needed")
	}
	if v.Referrer != "" && !isPage(v.Referrer) {
		return invalid("referrer", "not an address of 4096 bytes at most that begins with https://, http:// or app://: leave it out")
	}
	if utf8.RuneCountInString(v.Title) > 1000 {
		return invalid("title", "longer than 1000 characters")
	}
	return nil
}

// isPage keeps out addresses that do something where somebody opens them, such as javascript:.
func isPage(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxURL && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" || u.Scheme == "app")
}

func (v *page) fill(s *eventv1.Submission, _ Claims) {
	s.Type = event.TypePageViewed
	s.Content = &eventv1.Content{Body: &eventv1.Content_PageViewed{PageViewed: &eventv1.PageViewed{Url: v.URL, Title: v.Title, Referrer: v.Referrer}}}
}

// form is a form that the visitor has sent.
type form struct {
	Form   string            `json:"form"`
	Fields map[string]string `json:"fields"`
}

func (f *form) check(*widget, Claims) *problem {
	if len(f.Fields) > maxFields {
		return invalid("fields", fmt.Sprintf("more than %d fields", maxFields))
	}
	for name, value := range f.Fields {
		if p := first(named("fields", name), written("fields", value)); p != nil {
			return p
		}
	}
	return named("form", f.Form)
}

func (f *form) fill(s *eventv1.Submission, _ Claims) {
	s.Type = event.TypeFormSubmitted
	s.Content = &eventv1.Content{Body: &eventv1.Content_FormSubmitted{FormSubmitted: &eventv1.FormSubmitted{Form: f.Form, Fields: f.Fields}}}
}

// step is a step of self-service: an article of the FAQ, a page of a guide, an entry of a menu.
type step struct {
	Flow  string `json:"flow"`
	Step  string `json:"step"`
	Input string `json:"input"`
}

func (t *step) check(*widget, Claims) *problem {
	return first(named("flow", t.Flow), named("step", t.Step), written("input", t.Input))
}

func (t *step) fill(s *eventv1.Submission, _ Claims) {
	s.Type = event.TypeFlowStepEntered
	s.Content = &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{FlowStepEntered: &eventv1.FlowStepEntered{Flow: t.Flow, Step: t.Step, Input: t.Input}}}
}

// survey is what the visitor answered when asked how it was.
type survey struct {
	Survey  string   `json:"survey"`
	Metric  string   `json:"metric"`
	Score   float64  `json:"score"`
	Min     *float64 `json:"min"`
	Max     *float64 `json:"max"`
	Drivers []string `json:"drivers"`
	Comment string   `json:"comment"`

	metric   eventv1.SurveyMetric
	min, max float64
}

func (a *survey) check(*widget, Claims) *problem {
	switch a.Metric {
	case "csat":
		a.metric, a.min, a.max = eventv1.SurveyMetric_SURVEY_METRIC_CSAT, 1, 5
	case "nps":
		a.metric, a.min, a.max = eventv1.SurveyMetric_SURVEY_METRIC_NPS, 0, 10
	case "ces":
		a.metric, a.min, a.max = eventv1.SurveyMetric_SURVEY_METRIC_CES, 1, 7
	default:
		return invalid("metric", "csat, nps or ces is needed")
	}
	if a.Min != nil {
		a.min = *a.Min
	}
	if a.Max != nil {
		a.max = *a.Max
	}
	if a.min >= a.max || a.Score < a.min || a.Score > a.max || math.Abs(a.min) > 1000 || math.Abs(a.max) > 1000 {
		return invalid("score", fmt.Sprintf("not between %v and %v", a.min, a.max))
	}
	if len(a.Drivers) > 20 {
		return invalid("drivers", "more than 20 causes")
	}
	for _, d := range a.Drivers {
		if p := named("drivers", d); p != nil {
			return p
		}
	}
	return first(named("survey", a.Survey), written("comment", a.Comment))
}

func (a *survey) fill(s *eventv1.Submission, _ Claims) {
	s.Type = event.TypeSurveyAnswered
	s.Content = &eventv1.Content{Body: &eventv1.Content_SurveyAnswered{SurveyAnswered: &eventv1.SurveyAnswered{
		Survey: a.Survey, Metric: a.metric, Score: a.Score, ScaleMin: a.min, ScaleMax: a.max, Drivers: a.Drivers, Comment: a.Comment,
	}}}
}

// media is a video call or a co-browsing session beside the chat, of which the tool of the site or the app tells. It is an interaction of
// its own, in a thread below the chat's, so that no visitor can write in a thread of anybody else's. Its begin and its end are one
// event each, whoever tells of them, and when: the time is the server's.
type media struct {
	Kind    string `json:"kind"`
	Session string `json:"session"`

	ended bool
}

func (m *media) check(*widget, Claims) *problem {
	if m.Kind != "video" && m.Kind != "cobrowse" {
		return invalid("kind", "video or cobrowse is needed")
	}
	if !isID(m.Session) {
		return invalid("session", "1 to 64 letters, digits, \"_\" and \"-\" are needed: the id of the session in the tool that makes it")
	}
	return nil
}

func (m *media) fill(s *eventv1.Submission, who Claims) {
	s.Channel, s.OccurredAt = eventv1.Channel_CHANNEL_VIDEO, nil
	s.Thread = who.Thread + "/" + m.Kind + "/" + m.Session
	if m.ended {
		s.Type, s.NativeId = event.TypeInteractionEnded, m.Session+"/ended"
		s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{}}}
		return
	}
	s.Type, s.NativeId = event.TypeInteractionStarted, m.Session+"/started"
	s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{Subject: m.Kind, Continues: who.Thread}}}
}
