package analytics

import (
	"context"

	"github.com/skein-cx/skein/services/console/lang"
)

// standard is a report to begin with.
type standard struct {
	id, icon    string
	metrics, by []string
	// step is the length of the intervals: auto for the fitting one, none for the whole period.
	step string
	// words say what it is called and what it answers.
	words func(ctx context.Context) (title, about string)
}

// own is the id of the report that a person puts together.
const own = "own"

// journeys is the id of the one report that is no table of metrics.
const journeys = "journeys"

// standards are the reports to begin with, in their order.
func standards() []*standard {
	return []*standard{
		{
			id: "volume", icon: "analytics", step: "auto", by: []string{"channel"}, metrics: []string{"interactions", "customers", "messages_in", "messages_out"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Volume"), lang.T(ctx, "How much came in, on which channels and when.")
			},
		},
		{
			id: "service-level", icon: "clock", step: "auto",
			metrics: []string{"service_level", "abandon_rate", "offered", "answered", "abandoned", "asa", "longest_wait"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Service level"), lang.T(ctx, "Who was answered in time, who gave up, and how long people waited.")
			},
		},
		{
			id: "queues", icon: "queue", step: "none", by: []string{"queue"},
			metrics: []string{"offered", "answered", "abandoned", "service_level", "abandon_rate", "asa", "aht"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Queues"), lang.T(ctx, "The same for each queue, side by side.")
			},
		},
		{
			id: "agents", icon: "agent", step: "none", by: []string{"agent"},
			metrics: []string{"handled", "aht", "average_talk_time", "average_hold_time", "average_acw_time", "not_answered_rate", "occupancy", "csat"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Agents"), lang.T(ctx, "What each agent handled, for how long, and how customers found it.")
			},
		},
		{
			id: "response", icon: "reply", step: "none", by: []string{"channel"},
			metrics: []string{"first_response_time", "resolution_time", "sla_first_response", "sla_next_response", "sla_resolution", "resolved"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "First response and resolution"), lang.T(ctx, "How long until a person replied and until it was settled, and whether that was within the targets.")
			},
		},
		{
			id: "fcr", icon: "check", step: "none", by: []string{"contact_reason"}, metrics: []string{"fcr", "repeat_rate", "repeat_contacts", "reopened_rate", "reopened"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Settled at once"), lang.T(ctx, "What the first contact settled, who had to come again, and what was reopened.")
			},
		},
		{
			id: "containment", icon: "bot", step: "none", by: []string{"bot"}, metrics: []string{"containment", "interactions", "transfer_rate"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Self-service"), lang.T(ctx, "What bots and menus settled without a person.")
			},
		},
		{
			id: "satisfaction", icon: "star", step: "auto", metrics: []string{"csat", "nps", "ces", "surveys_sent", "surveys_answered", "response_rate"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Satisfaction"), lang.T(ctx, "What customers answered to surveys, and how many did.")
			},
		},
		{
			id: "drivers", icon: "insight", step: "none", by: []string{"driver"}, metrics: []string{"surveys_answered", "csat", "csat_score", "nps"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Drivers of satisfaction"), lang.T(ctx, "Why customers gave the scores that they gave.")
			},
		},
		{
			id: "reasons", icon: "tag", step: "none", by: []string{"contact_reason", "contact_reason_2"},
			metrics: []string{"interactions", "complaints", "complaint_rate", "aht", "fcr"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Contact reasons and complaints"), lang.T(ctx, "What it was about, and what people complained of.")
			},
		},
		{
			id: journeys, icon: "transfer",
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Journeys across channels"), lang.T(ctx, "On which channel customers come back, and how soon.")
			},
		},
		{
			id: "backlog", icon: "work", step: "auto", metrics: []string{"backlog", "interactions", "resolved", "reopened"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Backlog"), lang.T(ctx, "What was open at the end of each interval, beside what came and what was resolved.")
			},
		},
		{
			id: "hours", icon: "history", step: "none", by: []string{"hour"}, metrics: []string{"interactions", "offered", "service_level", "abandon_rate", "aht"},
			words: func(ctx context.Context) (string, string) {
				return lang.T(ctx, "Hours of the day"), lang.T(ctx, "When people come, and how well they are served then.")
			},
		},
	}
}

// standardOf finds a report by its id; nil where there is none.
func standardOf(id string) *standard {
	if id == own {
		return &standard{id: own, icon: "gear", step: "auto", metrics: []string{"interactions"}, words: func(ctx context.Context) (string, string) {
			return lang.T(ctx, "A report of your own"), lang.T(ctx, "Choose the numbers, and what they are told apart by.")
		}}
	}
	for _, s := range standards() {
		if s.id == id {
			return s
		}
	}
	return nil
}
