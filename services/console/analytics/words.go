package analytics

import (
	"context"
	"strconv"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

// nameOf is the name of a value of a row; empty where it has none.
func nameOf(row *analyticsv1.Row, n int) string {
	if n < len(row.GetNames()) {
		return row.GetNames()[n]
	}
	return ""
}

// valueName is a value of a dimension in words.
func valueName(ctx context.Context, dimension, value, name string) string {
	switch {
	case name != "":
		return name
	case value == "":
		return lang.T(ctx, "None")
	}
	switch dimension {
	case "channel":
		return view.ChannelName(ctx, view.ChannelOf(value))
	case "weekday":
		if n, err := strconv.Atoi(value); err == nil {
			const days = 7
			return weekday(ctx, time.Weekday(n%days))
		}
	case "hour":
		if n, err := strconv.Atoi(value); err == nil {
			return time.Date(0, 1, 1, n, 0, 0, 0, time.UTC).Format("15:04")
		}
	case "direction":
		switch value {
		case "inbound":
			return lang.T(ctx, "Inbound")
		case "outbound":
			return lang.T(ctx, "Outbound")
		case "internal":
			return lang.T(ctx, "Internal")
		}
	}
	return value
}

// tableWords say what the rows of a table of ClickHouse are.
func tableWords(ctx context.Context, table string) string {
	switch table {
	case "events":
		return lang.T(ctx, "Events: everything that happened, without what is personal")
	case "messages":
		return lang.T(ctx, "Messages: what was said, with its text (personal)")
	case "surveys":
		return lang.T(ctx, "Surveys: those that were sent, and the answers")
	case "interactions":
		return lang.T(ctx, "Interactions: one row for each")
	case "queue_visits":
		return lang.T(ctx, "Queue visits: a wait in one queue")
	case "assignments":
		return lang.T(ctx, "Assignments: one agent's share of an interaction")
	case "slas":
		return lang.T(ctx, "Service-level targets, and what became of them")
	case "agent_states":
		return lang.T(ctx, "Agent states: the intervals in which they were one")
	}
	return table
}

// tableOf is the table whose rows a metric counts.
func tableOf(m *analyticsv1.Metric) string {
	switch m.GetSubject() {
	case "visits":
		return "queue_visits"
	case "assignments":
		return "assignments"
	case "targets":
		return "slas"
	case "agents":
		return "agent_states"
	case "surveys":
		return "surveys"
	case "messages":
		return "messages"
	}
	return "interactions"
}

// subject is what a metric counts, in words.
func subject(ctx context.Context, name string) string {
	switch name {
	case "interactions":
		return lang.T(ctx, "Interactions")
	case "visits":
		return lang.T(ctx, "Queue visits")
	case "assignments":
		return lang.T(ctx, "Assignments")
	case "targets":
		return lang.T(ctx, "Targets")
	case "agents":
		return lang.T(ctx, "Time of agents")
	case "surveys":
		return lang.T(ctx, "Surveys")
	case "messages":
		return lang.T(ctx, "Messages")
	}
	return name
}

func stepWords(ctx context.Context, name string) string {
	switch name {
	case "none":
		return lang.T(ctx, "The whole period")
	case "15m":
		return lang.T(ctx, "15 minutes")
	case "30m":
		return lang.T(ctx, "30 minutes")
	case "hour":
		return lang.T(ctx, "Hours")
	case "day":
		return lang.T(ctx, "Days")
	case "week":
		return lang.T(ctx, "Weeks")
	case "month":
		return lang.T(ctx, "Months")
	}
	return lang.T(ctx, "As fits")
}
