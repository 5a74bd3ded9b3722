package vcon

// vendor is who wrote what Skein itself concluded.
const vendor = "Skein"

// The schemas of the analyses that Skein writes. Each is JSON, and tells by a number which of the interactions it is about: the report of an
// interaction is the one place where a vCon says how its dialogs hang together.
const (
	schemaReport     = "skein.vcon.report.v1"
	schemaTranscript = "skein.vcon.transcript.v1"
	schemaInsight    = "skein.vcon.insight.v1"
	schemaSummary    = "skein.vcon.summary.v1"
	schemaSurvey     = "skein.vcon.survey.v1"
	schemaNote       = "skein.vcon.note.v1"
)

// The types of analyses.
const (
	analysisReport     = "report"
	analysisSentiment  = "sentiment"
	analysisSummary    = "summary"
	analysisTranscript = "transcript"
	analysisNote       = "note"
)

// reportBody is what is known of an interaction beside what was said.
type reportBody struct {
	// Interaction counts from 0, in order of their begin.
	Interaction int      `json:"interaction"`
	Channel     string   `json:"channel"`
	Application string   `json:"application,omitempty"`
	Direction   string   `json:"direction,omitempty"`
	Origin      string   `json:"origin,omitempty"`
	Language    string   `json:"language,omitempty"`
	StartedAt   string   `json:"started_at,omitempty"`
	EndedAt     string   `json:"ended_at,omitempty"`
	EndReason   string   `json:"end_reason,omitempty"`
	ResolvedAt  string   `json:"resolved_at,omitempty"`
	Resolution  string   `json:"resolution,omitempty"`
	Subject     string   `json:"subject,omitempty"`
	Priority    int32    `json:"priority,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	// ContactReason, Disposition and Complaint are what the agent chose.
	ContactReason []string          `json:"contact_reason,omitempty"`
	Disposition   string            `json:"disposition,omitempty"`
	Complaint     bool              `json:"complaint,omitempty"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	// Parties took part, the first one first. Company are all whom the interaction names that are on the company's side.
	Parties []int `json:"parties,omitempty"`
	Company []int `json:"company,omitempty"`
	// Messages tell what a text dialog has no member for.
	Messages []messageBody `json:"messages,omitempty"`
}

type messageBody struct {
	Dialog    int    `json:"dialog"`
	Subject   string `json:"subject,omitempty"`
	InReplyTo string `json:"in_reply_to,omitempty"`
	AutoReply bool   `json:"auto_reply,omitempty"`
	Bulk      bool   `json:"bulk,omitempty"`
}

// about is what all other bodies begin with.
type about struct {
	Interaction int    `json:"interaction"`
	At          string `json:"at"`
}

type transcriptBody struct {
	about
	Segments []segmentBody `json:"segments"`
}

type segmentBody struct {
	Party      *int    `json:"party,omitempty"`
	Start      Seconds `json:"start"`
	Duration   Seconds `json:"duration,omitempty"`
	Text       string  `json:"text"`
	Confidence float64 `json:"confidence,omitempty"`
}

type insightBody struct {
	about
	Kind       string  `json:"kind"`
	Value      string  `json:"value"`
	Score      float64 `json:"score,omitempty"`
	Confidence float64 `json:"confidence,omitempty"`
}

type summaryBody struct {
	about
	Summary string `json:"summary"`
	Reason  string `json:"reason,omitempty"`
}

type surveyBody struct {
	about
	Survey   string   `json:"survey,omitempty"`
	Metric   string   `json:"metric,omitempty"`
	Score    float64  `json:"score"`
	ScaleMin float64  `json:"scale_min"`
	ScaleMax float64  `json:"scale_max"`
	Drivers  []string `json:"drivers,omitempty"`
	Comment  string   `json:"comment,omitempty"`
}

type noteBody struct {
	about
	Author *int   `json:"author,omitempty"`
	Text   string `json:"text"`
}
