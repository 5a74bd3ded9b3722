package vcon

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// conclude makes the analysis that an event tells.
func (x *exporter) conclude(g *group, e told) {
	c := e.content
	a := &analysis{at: e.at, dialogs: g.about(e)}
	switch e.GetType() {
	case event.TypeTranscriptAvailable:
		t := c.GetTranscriptAvailable()
		a.Type, a.Vendor, a.Schema = analysisTranscript, cmp.Or(t.GetSource(), e.GetProvider()), schemaTranscript
		if d := g.recorded(t.GetRecording()); d != nil {
			a.dialogs = []*dialog{d}
		}
		parts := x.listed(g, e)
		a.parties = parts
		a.body = func(head about) any { return transcript(head, t, parts) }
	case event.TypeVoicemailLeft:
		if c.GetVoicemailLeft().GetTranscript() == "" {
			return
		}
		a.Type, a.Vendor, a.Schema = analysisTranscript, e.GetProvider(), schemaTranscript
		if d := g.recorded(c.GetNativeId()); d != nil {
			a.dialogs = []*dialog{d}
		}
		a.body = func(head about) any {
			return transcriptBody{head, []segmentBody{{Text: c.GetVoicemailLeft().GetTranscript()}}}
		}
	case event.TypeInsightInferred:
		i := c.GetInsightInferred()
		a.Type, a.Vendor, a.Schema = insightType(i.GetKind()), cmp.Or(i.GetSource(), e.GetProvider()), schemaInsight
		a.body = func(head about) any {
			return insightBody{head, i.GetKind(), i.GetValue(), i.GetScore(), i.GetConfidence()}
		}
	case event.TypeBotHandedOff:
		b := c.GetBotHandedOff()
		if b.GetSummary() == "" && b.GetReason() == "" {
			return
		}
		a.Type, a.Vendor, a.Schema = analysisSummary, e.GetProvider(), schemaSummary
		a.body = func(head about) any { return summaryBody{head, b.GetSummary(), b.GetReason()} }
	case event.TypeSurveyAnswered:
		s := c.GetSurveyAnswered()
		a.Type, a.Vendor, a.Schema = analysisReport, e.GetProvider(), schemaSurvey
		a.body = func(head about) any {
			return surveyBody{head, s.GetSurvey(), word(s.GetMetric().String(), "SURVEY_METRIC_"), s.GetScore(), s.GetScaleMin(), s.GetScaleMax(), s.GetDrivers(), s.GetComment()}
		}
	case event.TypeNoteAdded:
		if !x.notes {
			return
		}
		author := x.actor(e)
		x.parts(g, e) // they may tell the author's name
		a.parties = add(nil, author)
		a.Type, a.Vendor, a.Schema = analysisNote, vendor, schemaNote
		a.body = func(head about) any { return noteBody{head, reference(author), c.GetNoteAdded().GetText()} }
	case importedType:
		var i imported
		if json.Unmarshal(c.GetExtension().GetData(), &i) == nil {
			x.imports = append(x.imports, i)
		}
		return
	default:
		return
	}
	g.analyses = append(g.analyses, a)
}

// about are the dialogs that an event is about: the one that caused it, or all of the interaction.
func (g *group) about(e told) []*dialog {
	for _, d := range g.dialogs {
		if e.GetCausationId() != "" && d.event == e.GetCausationId() {
			return []*dialog{d}
		}
	}
	return g.dialogs
}

// recorded is the dialog of a recording; nil where there is none.
func (g *group) recorded(recording string) *dialog {
	for _, d := range g.dialogs {
		if recording != "" && d.recording == recording {
			return d
		}
	}
	return nil
}

// listed are the parties of an event in the order in which it lists them.
func (x *exporter) listed(g *group, e told) []*party {
	var all []*party
	for i, detail := range e.content.GetParties() {
		in := &eventv1.Party{}
		if i < len(e.GetParties()) {
			in = e.GetParties()[i]
		}
		all = append(all, x.partyOf(g, e, in, detail))
	}
	return all
}

func transcript(head about, t *eventv1.TranscriptAvailable, parts []*party) any {
	body := transcriptBody{head, []segmentBody{}}
	for _, s := range t.GetSegments() {
		segment := segmentBody{Start: Seconds(s.GetStart().AsDuration()), Duration: Seconds(s.GetDuration().AsDuration()), Text: s.GetText(), Confidence: s.GetConfidence()}
		if i := int(s.GetParty()); i >= 0 && i < len(parts) {
			segment.Party = reference(parts[i])
		}
		body.Segments = append(body.Segments, segment)
	}
	return body
}

// insightType is the type of the draft that a kind of insight is.
func insightType(kind string) string {
	switch kind {
	case analysisSentiment, analysisSummary, analysisTranscript, "translation", "tts":
		return kind
	}
	return analysisReport
}

// report is what is known of an interaction.
func (g *group) report() *analysis {
	i := g.interaction
	a := &analysis{dialogs: g.dialogs}
	a.Type, a.Vendor, a.Schema = analysisReport, vendor, schemaReport
	a.body = func(about) any {
		body := reportBody{
			Interaction: g.number, Channel: word(g.channel.String(), "CHANNEL_"), Application: g.application(),
			Direction: word(i.GetDirection().String(), "DIRECTION_"), Origin: word(i.GetOrigin().String(), "ORIGIN_"), Language: i.GetLanguage(),
			StartedAt: when(i.GetStartedAt()), EndedAt: when(i.GetEndedAt()), EndReason: word(i.GetEndReason().String(), "END_REASON_"),
			ResolvedAt: when(i.GetResolvedAt()), Resolution: i.GetResolution(), Subject: i.GetSubject(), Priority: i.GetPriority(), Tags: i.GetTags(),
			ContactReason: i.GetContactReason(), Disposition: i.GetDisposition(), Complaint: i.GetComplaint(), Attributes: i.GetAttributes(),
			Parties: numbers(g.parties),
		}
		for _, p := range g.everybody() {
			if p.company {
				body.Company = append(body.Company, p.number)
			}
		}
		for _, d := range g.dialogs {
			if d.meta != (messageBody{}) {
				meta := d.meta
				meta.Dialog = d.number
				body.Messages = append(body.Messages, meta)
			}
		}
		return body
	}
	return a
}

// everybody are all whom an interaction names, who took part first.
func (g *group) everybody() []*party {
	all := slices.Clone(g.parties)
	for _, d := range g.dialogs {
		all = add(all, d.parties...)
		all = add(all, d.transferee, d.transferor)
		all = add(all, d.target...)
		for _, h := range d.history {
			all = add(all, h.party)
		}
	}
	for _, a := range g.analyses {
		all = add(all, a.parties...)
	}
	return all
}

// word is the name of a value in lower case; empty for the one that says nothing.
func word(name, prefix string) string {
	if name = strings.ToLower(strings.TrimPrefix(name, prefix)); name == "unspecified" {
		return ""
	}
	return name
}

// value is the value that a word names; 0 where there is none.
func value[E ~int32](values map[string]int32, prefix, word string) E {
	return E(values[prefix+strings.ToUpper(word)])
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return stamp(t.AsTime())
}

// of is a time as a Timestamp; nil for the zero one.
func of(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
