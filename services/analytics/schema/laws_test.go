package schema_test

import (
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// few makes rapid check less often than it does by itself, as each check is some thirty statements. A flag of the command line counts more.
func few(checks string) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(checks)
	}
}

// draw makes rows of a table at random: those of one entity.
type draw func(t *rapid.T, tenant string, n int) []row

var draws = map[string]draw{
	"interaction_facts": func(t *rapid.T, tenant string, n int) []row {
		r := common(t, tenant)
		started := instant(t)
		r["interaction"], r["started_at"], r["direction"] = id(n), started, oneOf(t, "inbound", "outbound")
		resolved, responded := perhaps(t, started), perhaps(t, started)
		r["resolved_at"], r["first_response_at"] = resolved, responded
		for _, c := range []string{"ended_at", "reopened_at", "bot_started_at", "handed_off_at"} {
			r[c] = perhaps(t, started)
		}
		r["resolution_ms"], r["first_response_ms"] = since(started, resolved), since(started, responded)
		r["contained"] = rapid.Bool().Draw(t, "contained")
		return []row{r}
	},
	"visit_facts": func(t *rapid.T, tenant string, n int) []row {
		r := common(t, tenant)
		entered := instant(t)
		left := perhaps(t, entered)
		r["visit"], r["queue"], r["entered_at"], r["left_at"], r["outcome"], r["wait_ms"] = id(n), oneOf(t, "sales", "service"), entered, left, "", int64(0)
		if left != nil {
			r["outcome"] = oneOf(t, "answered", "answered", "abandoned", "abandoned", "overflowed", "transferred", "voicemail", "callback", "cancelled")
			r["wait_ms"] = left.Sub(entered).Milliseconds()
		}
		r["sla_target_ms"], r["interaction_ended_at"] = rapid.SampledFrom([]int64{0, 5000, 600_000}).Draw(t, "target"), perhaps(t, entered)
		return []row{r}
	},
	"assignment_facts": func(t *rapid.T, tenant string, n int) []row {
		r := common(t, tenant)
		begun := instant(t)
		r["assignment"], r["queue"], r["agent"], r["begun_at"], r["origin"] = id(n), oneOf(t, "sales", "service"), oneOf(t, "ann", "bob"), begun, oneOf(t, "inbound", "consult")
		declined := perhaps(t, begun)
		r["offered_at"], r["declined_at"], r["interaction_ended_at"] = perhaps(t, begun), declined, perhaps(t, begun)
		r["decline_reason"] = ""
		if declined != nil {
			r["decline_reason"] = oneOf(t, "rejected", "timed_out", "cancelled")
		}
		moments := later(t, begun, 8) // connected, a hold, a pause, ended, wrap-up
		connected, ended := moments[0], moments[5]
		r["handled"] = rapid.Bool().Draw(t, "handled")
		r["connected_at"], r["ended_at"], r["wrapup_started_at"], r["wrapup_ended_at"] = &connected, &ended, (*time.Time)(nil), (*time.Time)(nil)
		hold, pause, wrapup := span(moments[1], moments[2]), span(moments[3], moments[4]), int64(0)
		if rapid.Bool().Draw(t, "wrapup") {
			r["wrapup_started_at"], r["wrapup_ended_at"], wrapup = &moments[6], &moments[7], span(moments[6], moments[7])
		}
		r["held"], r["paused"] = [][]any{{moments[1], moments[2]}}, [][]any{{moments[3], moments[4]}}
		hold += rapid.Int64Range(0, 2).Draw(t, "forgotten") * 1000 // of a hold that the row does not list
		talk := span(connected, ended) - hold - pause
		r["talk_ms"], r["hold_ms"], r["pause_ms"], r["wrapup_ms"], r["handle_ms"], r["holds"] = talk, hold, pause, wrapup, talk+hold+wrapup, uint16(1)
		return []row{r}
	},
	"agent_state_facts": func(t *rapid.T, tenant string, n int) []row {
		day := at("2026-03-02").AddDate(0, 0, n%3)
		moments := later(t, day, 4)
		moments[3] = day.AddDate(0, 0, 1)
		var rows []row
		for i, from := range moments[:3] {
			if from.Equal(moments[i+1]) {
				continue
			}
			rows = append(rows, row{
				"tenant": tenant, "agent": fmt.Sprint("agent", n), "day": day, "started_at": from, "ended_at": moments[i+1], "on_contact": rapid.Bool().Draw(t, "contact"),
				"presence_type": oneOf(t, "routable", "custom", "offline"), "routing_status": oneOf(t, "idle", "interacting"), "sign": int8(1),
			})
		}
		return rows
	},
}

func common(t *rapid.T, tenant string) row {
	return row{"tenant": tenant, "thread": thread, "channel": oneOf(t, "voice", "email"), "provider": "asterisk", "inbox": oneOf(t, "hotline", "sales"), "sign": int8(1)}
}

func oneOf(t *rapid.T, all ...string) string { return rapid.SampledFrom(all).Draw(t, "one") }

func instant(t *rapid.T) time.Time {
	return at("2026-03-01 23:00:00").Add(time.Duration(rapid.Int64Range(0, 7_200_000).Draw(t, "instant")) * time.Millisecond)
}

func perhaps(t *rapid.T, from time.Time) *time.Time {
	if !rapid.Bool().Draw(t, "is") {
		return nil
	}
	l := from.Add(time.Duration(rapid.SampledFrom([]int64{0, 1, 5000, 5001, 900_000, 3_600_000, 700_000_000}).Draw(t, "later")) * time.Millisecond)
	return &l
}

// later are so many moments of the hours behind one, in order.
func later(t *rapid.T, from time.Time, n int) []time.Time {
	ms := make([]int64, n)
	for i := range ms {
		ms[i] = rapid.Int64Range(0, 20_000_000).Draw(t, "ms")
	}
	slices.Sort(ms)
	out := make([]time.Time, n)
	for i, m := range ms {
		out[i] = from.Add(time.Duration(m) * time.Millisecond)
	}
	return out
}

func span(from, until time.Time) int64 { return until.Sub(from).Milliseconds() }

func since(from time.Time, until *time.Time) *int64 {
	if until == nil {
		return nil
	}
	ms := span(from, *until)
	return &ms
}

// rollupsFollowFacts corrects, takes back and repeats at random, and compares.
func rollupsFollowFacts(h *house) {
	few("8")
	run := 0
	rapid.Check(h.t, func(t *rapid.T) {
		run++
		tenant := fmt.Sprint("law-", run)
		for name, draw := range draws {
			entities := map[int][]row{}
			for block := range rapid.IntRange(1, 3).Draw(t, "blocks") {
				var rows []row
				for range rapid.IntRange(1, 12).Draw(t, "changes") {
					n := rapid.IntRange(0, 5).Draw(t, "entity")
					for _, r := range entities[n] {
						rows = append(rows, r.back())
					}
					delete(entities, n)
					if rapid.IntRange(0, 5).Draw(t, "gone") > 0 {
						entities[n] = draw(t, tenant, n)
						rows = append(rows, entities[n]...)
					}
				}
				token := fmt.Sprint(tenant, "/", block)
				h.insertAs(token, of(name, rows...))
				if rapid.Bool().Draw(t, "again") {
					h.insertAs(token, of(name, rows...))
				}
			}
		}
		for name, law := range laws {
			got, want := sorted(h, law.rollup, tenant), sorted(h, law.facts, tenant)
			if !equal(got, want) {
				t.Fatalf("%s\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
			}
		}
	})
}

// sorted are the rows of a query but those in which every number is 0: a sum of nothing may stand in a rollup until it is merged.
func sorted(h *house, sql, tenant string) (out []string) {
	for _, line := range h.lines(sql, tenant) {
		words := strings.Fields(line)
		something := false
		for i, word := range words {
			if word == "-" {
				words[i] = "0"
			}
			n, err := strconv.Atoi(words[i])
			something = something || err == nil && n != 0
		}
		if something {
			out = append(out, strings.Join(words, " "))
		}
	}
	slices.Sort(out)
	return out
}

// repeatedInserts sends the same rows of every table again.
func repeatedInserts(h *house) {
	rollups := h.lines("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'SummingMergeTree' ORDER BY name")
	sums := func() (out []string) {
		for _, rollup := range rollups {
			out = append(out, h.lines("SELECT '"+rollup+"', COLUMNS('^(events|messages|characters|.*ed|.*_ms|ms)$') APPLY(sum) FROM "+rollup+" WHERE tenant = 'again'")...)
		}
		return out
	}
	rows := []*table{
		of("events", row{"tenant": "again", "event_id": id(1), "type": "message.received", "occurred_at": at("2026-03-02"), "thread": thread}),
		of("messages", row{"tenant": "again", "event_id": id(1), "occurred_at": at("2026-03-02"), "thread": thread, "text": "Hallo 你好"}),
		of("surveys", row{"tenant": "again", "event_id": id(1), "occurred_at": at("2026-03-02"), "thread": thread, "score": 5.}),
		of("visit_facts", visit("again", 1, "2026-03-02 09:00:00", "2026-03-02 09:00:05", "abandoned")),
		of("assignment_facts", assignment("again", 2, "2026-03-02 05:23:00", "2026-03-02 06:15:00")),
		of("interaction_facts", row{"tenant": "again", "interaction": id(1), "thread": thread, "started_at": at("2026-03-02"), "sign": int8(1)}),
		of("sla_facts", row{"tenant": "again", "interaction": id(1), "thread": thread, "since": at("2026-03-02"), "sign": int8(1)}),
		of("agent_state_facts", row{"tenant": "again", "agent": "ann", "day": at("2026-03-02"), "started_at": at("2026-03-02"), "ended_at": at("2026-03-02 01:00:00"), "sign": int8(1)}),
	}
	for _, r := range rows {
		h.insertAs("once", r)
	}
	want := sums()
	if len(want) != len(rollups) || len(want) < 7 {
		h.t.Fatal(want)
	}
	h.is("SELECT messages, characters FROM message_quarters FINAL WHERE tenant = 'again'", "1 8")
	for range 3 {
		for _, r := range rows {
			h.insertAs("once", r)
		}
	}
	if got := sums(); !equal(got, want) {
		h.t.Errorf("got %q\nwant %q", got, want)
	}
	for _, r := range rows {
		h.is("SELECT count() FROM "+r.name+" WHERE tenant = 'again'", "1")
	}
}
