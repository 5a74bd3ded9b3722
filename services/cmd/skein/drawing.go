package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// maxLines is how many lines of a message are drawn.
const maxLines = 8

// drawing draws a timeline for people, entry by entry.
type drawing struct {
	w     io.Writer
	width int
	color bool
	zone  *time.Location
	day   string
}

func newDrawing(w io.Writer, width int, color bool) *drawing {
	return &drawing{w: w, width: width, color: color, zone: time.Local}
}

const (
	bold = "1"
	dim  = "2"
	cyan = "36"
	lime = "32"
)

func (d *drawing) style(code, text string) string {
	if !d.color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// entry draws one entry.
func (d *drawing) entry(e *timelinev1.Entry) error {
	var b strings.Builder
	at := e.GetEvent().GetOccurredAt().AsTime().In(d.zone)
	if day := at.Format("Monday, 2 January 2006"); day != d.day {
		d.day = day
		fmt.Fprintf(&b, "\n%s\n", d.style(bold, day))
	}
	head := fmt.Sprintf("%s  %s %-9s %s", at.Format("15:04"), d.arrow(e.GetEvent()), medium(e.GetEvent()), d.who(e))
	fmt.Fprintln(&b, head)
	for _, line := range d.body(e) {
		fmt.Fprintf(&b, "       %s %s\n", d.style(dim, "│"), line)
	}
	_, err := io.WriteString(d.w, b.String())
	return err
}

// scopeChanged draws that something else belongs to the customer or conversation from here on.
func (d *drawing) scopeChanged(c *timelinev1.ScopeChanged) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", d.style(bold, "What belongs to "+c.GetId()+" has changed. What comes now is of that; what came before is not shown again."))
	for _, change := range []struct {
		mark, what string
		ids        []string
	}{
		{"+", "endpoint", c.GetEndpointsAdded()},
		{"-", "endpoint", c.GetEndpointsRemoved()},
		{"+", "thread", c.GetThreadsAdded()},
		{"-", "thread", c.GetThreadsRemoved()},
	} {
		for _, id := range change.ids {
			fmt.Fprintf(&b, "       %s %s %s\n", change.mark, change.what, id)
		}
	}
	d.day = "" // the next entry begins anew
	_, err := io.WriteString(d.w, b.String())
	return err
}

func (d *drawing) arrow(e *eventv1.Event) string {
	switch e.GetDirection() {
	case eventv1.Direction_DIRECTION_INBOUND:
		return d.style(cyan, "→")
	case eventv1.Direction_DIRECTION_OUTBOUND:
		return d.style(lime, "←")
	default:
		return "·"
	}
}

// medium is what a person calls the channel: of social networks, the network.
func medium(e *eventv1.Event) string {
	name := channelName(e.GetChannel())
	if strings.HasPrefix(name, "social_") {
		return firstOf(e.GetProvider(), name)
	}
	return name
}

// who names the parties: who acts, then to whom. Further names of one of them are left out.
func (d *drawing) who(e *timelinev1.Entry) string {
	var names []string
	details, parties := e.GetContent().GetParties(), e.GetEvent().GetParties()
	for i := range max(len(details), len(parties)) {
		if i >= len(details) {
			names = append(names, "?")
			continue
		}
		if i > 0 && i < len(parties) && sameParty(parties[i-1], parties[i]) && details[i-1].GetDisplayName() == details[i].GetDisplayName() {
			continue
		}
		names = append(names, printable(firstOf(details[i].GetDisplayName(), details[i].GetAddress(), "withheld")))
	}
	switch len(names) {
	case 0:
		return e.GetEvent().GetInbox()
	case 1:
		return d.style(bold, names[0])
	}
	others := names[1]
	if len(names) > 2 {
		others += fmt.Sprintf(" and %d more", len(names)-2)
	}
	return d.style(bold, names[0]) + " to " + others
}

// sameParty tells whether a party may be the one before by another name, as providers name a customer by a number and ids.
func sameParty(before, p *eventv1.Party) bool {
	further := p.GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL || p.GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER
	return further && before.GetSide() == p.GetSide() && before.GetRole() == p.GetRole() && p.GetSide() == eventv1.Side_SIDE_CUSTOMER
}

func (d *drawing) body(e *timelinev1.Entry) []string {
	var lines []string
	content := e.GetContent()
	if e.GetEvent().GetType() != "message.received" && e.GetEvent().GetType() != "message.sent" {
		lines = append(lines, d.style(dim, what(e.GetEvent())))
	}
	if m := messageOf(content); m != nil {
		lines = append(lines, d.message(m)...)
	}
	for _, a := range content.GetAttachments() {
		has := "not here yet"
		if a.GetBlob() != nil {
			has = size(a.GetBlob().GetSize())
		}
		lines = append(lines, d.style(dim, fmt.Sprintf("[%s, %s]", printable(firstOf(a.GetName(), a.GetBlob().GetMediaType(), a.GetMediaType(), "file")), has)))
	}
	if e.GetEvent().GetSeal() != "" {
		lines = append(lines, d.style(dim, "[sealed]"))
	}
	return lines
}

// what tells what happened, in which queue, and which of the company's people or machines did it.
func what(e *eventv1.Event) string {
	text := e.GetType()
	if e.GetQueue() != "" {
		text += "  in " + printable(e.GetQueue())
	}
	switch kind := e.GetActor().GetKind(); kind {
	case eventv1.ActorKind_ACTOR_KIND_AGENT, eventv1.ActorKind_ACTOR_KIND_BOT:
		if e.GetActor().GetId() != "" {
			text += "  by " + strings.ToLower(strings.TrimPrefix(kind.String(), "ACTOR_KIND_")) + " " + printable(e.GetActor().GetId())
		}
	default:
	}
	return text
}

func (d *drawing) message(m *eventv1.Message) []string {
	var lines []string
	if m.GetSubject() != "" {
		lines = append(lines, d.style(bold, ansi.Truncate(printable(m.GetSubject()), d.width-9, "…")))
	}
	text := strings.TrimSpace(m.GetText())
	var wrapped []string
	if text != "" {
		for paragraph := range strings.SplitSeq(text, "\n") {
			wrapped = append(wrapped, strings.Split(ansi.Wrap(printable(strings.TrimRight(paragraph, " \t\r")), d.width-9, ""), "\n")...)
			if len(wrapped) > maxLines {
				break
			}
		}
	}
	if len(wrapped) > maxLines {
		wrapped = append(wrapped[:maxLines-1], d.style(dim, "…"))
	}
	lines = append(lines, wrapped...)
	var marks []string
	for mark, on := range map[string]bool{"auto-reply": m.GetAutoReply(), "bulk": m.GetBulk(), "bounce": m.GetBounce() != nil, "quotes earlier text": m.GetQuotedText() != ""} {
		if on {
			marks = append(marks, mark)
		}
	}
	if len(marks) > 0 {
		lines = append(lines, d.style(dim, "("+strings.Join(slices.Sorted(slices.Values(marks)), ", ")+")"))
	}
	return lines
}

// messageOf finds the message in a body, where it has one.
func messageOf(c *eventv1.Content) *eventv1.Message {
	if c == nil {
		return nil
	}
	field := c.ProtoReflect().WhichOneof(c.ProtoReflect().Descriptor().Oneofs().ByName("body"))
	if field == nil {
		return nil
	}
	switch m := c.ProtoReflect().Get(field).Message().Interface().(type) {
	case *eventv1.Message:
		return m
	case *eventv1.MessageEdited:
		return m.GetEdited()
	case *eventv1.NoteAdded:
		return &eventv1.Message{Text: m.GetText()}
	default:
		return fieldsAsText(m)
	}
}

// fieldsAsText shows the plain fields of a body that is no message.
func fieldsAsText(m proto.Message) *eventv1.Message {
	var lines []string
	m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !f.IsList() && !f.IsMap() && f.Kind() != protoreflect.BytesKind {
			text := v.String()
			switch {
			case f.Kind() == protoreflect.EnumKind:
				text = string(f.Enum().Values().ByNumber(v.Enum()).Name())
			case f.Kind() == protoreflect.MessageKind:
				text = partAsText(v.Message().Interface())
			}
			lines = append(lines, string(f.Name())+": "+text)
		}
		return true
	})
	return &eventv1.Message{Text: strings.Join(slices.Sorted(slices.Values(lines)), "\n")}
}

// partAsText shows a message inside a body.
func partAsText(m proto.Message) string {
	switch m := m.(type) {
	case *durationpb.Duration:
		return m.AsDuration().String()
	case *timestamppb.Timestamp:
		return m.AsTime().Format(time.DateTime)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return "?"
	}
	return string(text)
}

// printable is one line without what would steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n':
			return ' '
		case r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, s)
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
