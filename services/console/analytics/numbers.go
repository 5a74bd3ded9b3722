package analytics

import (
	"context"
	"math"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// unit is how the numbers of a metric are written.
type unit string

const (
	asCount   unit = "count"
	asShare   unit = "share"
	asTime    unit = "time"
	asPoints  unit = "points"  // one digit
	asDecimal unit = "decimal" // two digits
)

func unitOf(m *analyticsv1.Metric) unit {
	switch m.GetUnit() {
	case "seconds":
		return asTime
	case "score":
		if m.GetName() == "nps" {
			return asPoints
		}
		return asDecimal
	case "ratio":
		if m.GetName() == "average_holds" { // so many a contact
			return asDecimal
		}
		return asShare
	}
	return asCount
}

// nothing stands for a number that there is not.
const nothing = "–"

// number is a value of a metric in words.
func number(ctx context.Context, u unit, v *analyticsv1.Value) string {
	if v == nil || v.Value == nil {
		return nothing
	}
	return written(ctx, u, v.GetValue())
}

func written(ctx context.Context, u unit, n float64) string {
	switch u {
	case asShare:
		return lang.Percent(ctx, n, 1)
	case asTime:
		if n < 0 {
			return "−" + lang.Stopwatch(time.Duration(math.Round(-n))*time.Second)
		}
		return lang.Stopwatch(time.Duration(math.Round(n)) * time.Second)
	case asPoints:
		return lang.Number(ctx, n, 1)
	case asDecimal:
		return lang.Number(ctx, n, 2)
	case asCount:
	}
	return lang.Number(ctx, n, 0)
}

// change is how a number stands to the one before.
type change struct {
	// text is by how much it changed, and words say it whole, for who hears it.
	text, words string
	// tone is good, bad, or empty where it is neither.
	tone string
	// way is up, down, or same.
	way string
}

// changeOf compares a number with the one before; nil where either is missing.
func changeOf(ctx context.Context, m *analyticsv1.Metric, now, before *analyticsv1.Value) *change {
	if now == nil || before == nil || now.Value == nil || before.Value == nil {
		return nil
	}
	u, n, b := unitOf(m), now.GetValue(), before.GetValue()
	by := n - b
	c := &change{way: "same", text: "=", words: lang.T(ctx, "as before")}
	if written(ctx, u, n) == written(ctx, u, b) {
		return c
	}
	var amount string
	switch {
	case u == asShare:
		const percent = 100
		amount = lang.T(ctx, "%s points", lang.Number(ctx, math.Abs(by)*percent, 1))
	case u == asPoints || u == asDecimal:
		amount = written(ctx, u, math.Abs(by))
	case b == 0:
		amount = written(ctx, u, math.Abs(by))
	default:
		amount = lang.Percent(ctx, math.Abs(by/b), 0)
	}
	was := written(ctx, u, b)
	c.text = amount
	if c.way = "down"; by > 0 {
		c.way = "up"
	}
	switch better := m.GetBetter(); {
	case better == analyticsv1.Better_BETTER_UNSPECIFIED:
		if by > 0 {
			c.words = lang.T(ctx, "%s more than before: it was %s", amount, was)
		} else {
			c.words = lang.T(ctx, "%s less than before: it was %s", amount, was)
		}
	case (by > 0) == (better == analyticsv1.Better_BETTER_HIGHER):
		c.tone, c.words = "good", lang.T(ctx, "better by %s: it was %s", amount, was)
	default:
		c.tone, c.words = "bad", lang.T(ctx, "worse by %s: it was %s", amount, was)
	}
	return c
}
