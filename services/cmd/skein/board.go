package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
)

func boardCommand() *cobra.Command {
	to := &client{}
	var (
		follow, asJSON, quiet bool
		filter                boardv1.BoardFilter
		since                 string
	)
	cmd := &cobra.Command{
		Use:   "board",
		Short: "Show the queues, teams and agents as they are at this moment",
		Long: `Show the board: who waits in each queue and for how long, what came of today's contacts, and what each agent does and has in hand.
With --follow it stays, and changes as they do.`,
		Example: "  skein board\n  skein board --follow --queues support,billing\n  skein board --team first-line --json",
		Args:    cobra.NoArgs,
		RunE: call(to, boardv1.NewBoardServiceClient, func(cmd *cobra.Command, service boardv1.BoardServiceClient, _ []string) error {
			from, err := timeOf("since", since)
			if err != nil {
				return err
			}
			filter.WithoutAgents = quiet
			out := cmd.OutOrStdout()
			if follow {
				if err := followBoard(cmd, service, &boardv1.WatchRequest{Filter: &filter, Since: from}, asJSON); cmd.Context().Err() == nil {
					return err
				}
				return nil
			}
			resp, err := service.Get(cmd.Context(), &boardv1.GetRequest{Filter: &filter, Since: from})
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(out, resp.GetRows())
			}
			return drawBoard(out, resp.GetRows(), time.Now())
		}),
	}
	f := cmd.Flags()
	to.flags(f)
	f.BoolVarP(&follow, "follow", "f", false, "stay, and show what changes")
	f.BoolVar(&asJSON, "json", false, "print JSON; with --follow an object for each piece of news")
	f.BoolVar(&quiet, "without-agents", false, "queues and teams only")
	f.StringSliceVar(&filter.Queues, "queues", nil, "these queues only")
	f.StringSliceVar(&filter.Teams, "team", nil, "these teams and their agents only")
	f.StringVar(&since, "since", "", "count from this moment on, and not from midnight")
	return cmd
}

// followBoard shows the board again whenever something changes.
func followBoard(cmd *cobra.Command, service boardv1.BoardServiceClient, req *boardv1.WatchRequest, asJSON bool) error {
	news, err := service.Watch(cmd.Context(), req)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	shown := newShownBoard()
	for {
		n, err := news.Recv()
		if err != nil {
			return err
		}
		if asJSON {
			if err := writeJSON(out, n); err != nil {
				return err
			}
			continue
		}
		if shown.take(n); !shown.whole {
			continue
		}
		if isTerminal(out) {
			fmt.Fprint(out, "\x1b[H\x1b[2J") // from the upper left corner, on an empty screen
		}
		if err := drawBoard(out, shown.rows(), time.Now()); err != nil {
			return err
		}
	}
}

// shownBoard is the board as the news have told it so far.
type shownBoard struct {
	queues map[string]*boardv1.QueueRow
	teams  map[string]*boardv1.TeamRow
	agents map[string]*boardv1.AgentRow
	whole  bool
}

func newShownBoard() *shownBoard {
	return &shownBoard{queues: map[string]*boardv1.QueueRow{}, teams: map[string]*boardv1.TeamRow{}, agents: map[string]*boardv1.AgentRow{}}
}

func (b *shownBoard) take(n *boardv1.WatchResponse) {
	if n.GetReset_() {
		*b = *newShownBoard()
	}
	b.whole = b.whole || n.GetComplete()
	for _, r := range n.GetRows().GetQueues() {
		b.queues[r.GetQueue()] = r
	}
	for _, r := range n.GetRows().GetTeams() {
		b.teams[r.GetTeam()] = r
	}
	for _, r := range n.GetRows().GetAgents() {
		b.agents[r.GetAgentId()] = r
	}
	for _, r := range n.GetRemoved().GetQueues() {
		delete(b.queues, r.GetQueue())
	}
	for _, r := range n.GetRemoved().GetTeams() {
		delete(b.teams, r.GetTeam())
	}
	for _, r := range n.GetRemoved().GetAgents() {
		delete(b.agents, r.GetAgentId())
	}
}

func (b *shownBoard) rows() *boardv1.Rows {
	return &boardv1.Rows{Queues: inOrder(b.queues), Teams: inOrder(b.teams), Agents: inOrder(b.agents)}
}

func inOrder[R any](rows map[string]R) []R {
	list := make([]R, 0, len(rows))
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		list = append(list, rows[id])
	}
	return list
}

func drawBoard(out io.Writer, rows *boardv1.Rows, now time.Time) error {
	queues := [][]string{{"QUEUE", "WAITING", "LONGEST", "OFFERED", "IN CONTACT", "WRAP-UP", "AVAILABLE", "OF", "ENTERED", "ANSWERED", "ABANDONED", "SERVICE LEVEL", "ASA", "AHT"}}
	for _, q := range rows.GetQueues() {
		c := q.GetCounts()
		level := "–"
		if c.ServiceLevel != nil {
			level = fmt.Sprintf("%.0f %%", 100*c.GetServiceLevel())
		}
		queues = append(queues, []string{
			named(q.GetQueue(), q.GetName()), number(q.GetWaiting()), ago(q.GetOldestEnteredAt(), now), number(q.GetOffered()), number(q.GetInContact()),
			number(q.GetAfterCallWork()), number(q.GetAvailableAgents()), number(q.GetSignedInAgents()), number(c.GetEntered()), number(c.GetAnswered()),
			number(c.GetAbandoned()), level, short(c.GetAverageSpeedOfAnswer().AsDuration()), short(c.GetAverageHandleTime().AsDuration()),
		})
	}
	teams := [][]string{{"TEAM", "AGENTS", "PRESENCE", "ROUTING STATUS", "IN CONTACT"}}
	for _, t := range rows.GetTeams() {
		teams = append(teams, []string{
			named(t.GetTeam(), t.GetName()), number(t.GetAgents()), counted(t.GetPresenceTypes()), counted(t.GetRoutingStatuses()), number(t.GetInContact()),
		})
	}
	agents := [][]string{{"AGENT", "PRESENCE", "SINCE", "ROUTING STATUS", "SINCE", "IN HAND"}}
	for _, a := range rows.GetAgents() {
		presence := a.GetPresence()
		if a.GetVanished() {
			presence += " (vanished)"
		}
		agents = append(agents, []string{
			named(a.GetAgentId(), a.GetName()), presence, ago(a.GetPresenceSince(), now), routing(a.GetRoutingStatus().String()),
			ago(a.GetRoutingStatusSince(), now), inHand(a.GetContacts(), now),
		})
	}
	for _, lines := range [][][]string{queues, teams, agents} {
		if len(lines) == 1 {
			continue
		}
		err := table(out, func(w io.Writer) {
			for _, line := range lines {
				fmt.Fprintln(w, strings.Join(line, "\t"))
			}
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if len(queues)+len(teams)+len(agents) == 3 {
		fmt.Fprintln(out, "Nobody waits, and no agent is known. Tell who works here: skein directory import FILE")
	}
	return nil
}

func named(id, name string) string {
	if name == "" || name == id {
		return id
	}
	return name + " (" + id + ")"
}

func number(n int32) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprint(n)
}

// ago is how long something has lasted.
func ago(since *timestamppb.Timestamp, now time.Time) string {
	if since == nil {
		return "–"
	}
	return short(max(now.Sub(since.AsTime()), 0))
}

// short is a duration to the second.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d == 0:
		return "–"
	case d >= 24*time.Hour:
		return fmt.Sprintf("%d d %02d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d:%02d", d/time.Minute, d%time.Minute/time.Second)
}

// counted is what there is how often, such as "3 ROUTABLE, 1 OFFLINE".
func counted(of map[string]int32) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		if of[what] != 0 {
			parts = append(parts, fmt.Sprint(of[what], " ", what))
		}
	}
	return strings.Join(parts, ", ")
}

func routing(status string) string { return strings.TrimPrefix(status, "ROUTING_STATUS_") }

// inHand is what an agent has in hand, and for how long.
func inHand(contacts []*agentv1.Contact, now time.Time) string {
	parts := make([]string, 0, len(contacts))
	for _, c := range contacts {
		channel := strings.ToLower(strings.TrimPrefix(c.GetChannel().String(), "CHANNEL_"))
		part := strings.TrimPrefix(c.GetState().String(), "CONTACT_STATE_") + " " + channel
		if c.GetQueue() != "" {
			part += " from " + c.GetQueue()
		}
		part += " " + ago(c.GetSince(), now)
		parts = append(parts, part)
		for _, s := range c.GetSupervisors() {
			parts = append(parts, s.GetAgentId()+" "+strings.ToLower(strings.TrimPrefix(s.GetMode().String(), "SUPERVISOR_MODE_")))
		}
	}
	return strings.Join(parts, "; ")
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
