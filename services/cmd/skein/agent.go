package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
)

func agentCommand() *cobra.Command {
	to := &client{}
	var (
		at, day          string
		contacts, asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "agent ID",
		Short: "Tell what an agent does and has in hand, now or at a past moment, and what a day of theirs was like",
		Long: `Tell what an agent does: presence, routing status, what is in hand on every channel, and room for more; now, or as it was at a past moment.
With --day, what a day was like from interval to interval; with --contacts, what the agent had in hand, the latest first.`,
		Example: "  skein agent lena\n  skein agent lena --at 2026-03-02T11:30:00\n  skein agent lena --day 2026-03-02\n  skein agent lena --contacts",
		Args:    cobra.ExactArgs(1),
		RunE: call(to, agentv1.NewAgentServiceClient, func(cmd *cobra.Command, service agentv1.AgentServiceClient, args []string) error {
			moment, err := timeOf("at", at)
			if err != nil {
				return err
			}
			date, err := timeOf("day", day)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case date != nil:
				return showDay(cmd, out, service, args[0], date.AsTime(), asJSON)
			case contacts:
				return showContacts(cmd, out, service, args[0], asJSON)
			}
			state, err := findAgent(cmd, service, args[0], moment)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(out, state)
			}
			showAgent(out, state)
			return nil
		}),
	}
	f := cmd.Flags()
	to.flags(f)
	f.StringVar(&at, "at", "", "how it was at a past moment")
	f.StringVar(&day, "day", "", "what the day from this moment on was like, interval by interval")
	f.BoolVar(&contacts, "contacts", false, "what the agent had in hand, the latest first")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("at", "day", "contacts")
	cmd.AddCommand(presenceCommand(), signOutCommand())
	return cmd
}

func findAgent(cmd *cobra.Command, service agentv1.AgentServiceClient, id string, at *timestamppb.Timestamp) (*agentv1.AgentState, error) {
	if at == nil {
		resp, err := service.Get(cmd.Context(), &agentv1.GetRequest{AgentId: id})
		return resp.GetState(), err
	}
	resp, err := service.At(cmd.Context(), &agentv1.AtRequest{AgentId: id, At: at})
	return resp.GetState(), err
}

func showAgent(out io.Writer, a *agentv1.AgentState) {
	now := a.GetAt().AsTime()
	fmt.Fprintf(out, "%s\n", named(a.GetAgentId(), a.GetName()))
	if len(a.GetTeams()) > 0 {
		fmt.Fprintf(out, "  teams           %s\n", strings.Join(a.GetTeams(), ", "))
	}
	presence := a.GetPresence()
	said := presence.GetPresence()
	if presence.GetVanished() {
		said += " (vanished)"
	}
	if presence.GetReason() != "" {
		said += ", " + presence.GetReason()
	}
	fmt.Fprintf(out, "  presence        %s  %s  for %s\n", said, strings.TrimPrefix(presence.GetType().String(), "PRESENCE_TYPE_"), ago(presence.GetSince(), now))
	fmt.Fprintf(out, "  routing status  %s  for %s\n", routing(a.GetRoutingStatus().String()), ago(a.GetRoutingStatusSince(), now))
	for _, c := range a.GetContacts() {
		fmt.Fprintf(out, "  in hand         %s  %s\n", inHand([]*agentv1.Contact{c}, now), c.GetInteractionId())
	}
	for _, channel := range slices.Sorted(maps.Keys(a.GetCapacity())) {
		room := a.GetCapacity()[channel]
		fmt.Fprintf(out, "  room            %s: %d of %d free\n", channel, room.GetAvailable(), room.GetMaximum())
	}
}

func showDay(cmd *cobra.Command, out io.Writer, service agentv1.AgentServiceClient, id string, day time.Time, asJSON bool) error {
	until := day.AddDate(0, 0, 1)
	if now := time.Now(); until.After(now) {
		until = now
	}
	resp, err := service.Intervals(cmd.Context(), &agentv1.IntervalsRequest{AgentId: id, From: timestamppb.New(day), Until: timestamppb.New(until)})
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(out, resp)
	}
	err = table(out, func(w io.Writer) {
		fmt.Fprintln(w, "FROM\tFOR\tPRESENCE\tROUTING STATUS\tIN HAND")
		for _, i := range resp.GetIntervals() {
			var hand []string
			for _, c := range i.GetContacts() {
				hand = append(hand, strings.TrimPrefix(c.GetState().String(), "CONTACT_STATE_")+" "+strings.ToLower(strings.TrimPrefix(c.GetChannel().String(), "CHANNEL_")))
			}
			from := i.GetFrom().AsTime()
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", from.Local().Format(time.DateTime), short(i.GetUntil().AsTime().Sub(from)), i.GetPresence(),
				routing(i.GetRoutingStatus().String()), strings.Join(hand, ", "))
		}
	})
	if err != nil {
		return err
	}
	t := resp.GetTotals()
	fmt.Fprintf(out, "\nby presence:        %s\nby routing status:  %s\non contact %s, occupancy %.0f %%\n",
		lasted(t.GetPresence()), lasted(t.GetRoutingStatus()), short(t.GetOnContact().AsDuration()), 100*t.GetOccupancy())
	return nil
}

func lasted(of map[string]*durationpb.Duration) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, what+" "+short(of[what].AsDuration()))
	}
	return strings.Join(parts, ", ")
}

func showContacts(cmd *cobra.Command, out io.Writer, service agentv1.AgentServiceClient, id string, asJSON bool) error {
	resp, err := service.Contacts(cmd.Context(), &agentv1.ContactsRequest{AgentId: id})
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(out, resp)
	}
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "OFFERED\tCHANNEL\tQUEUE\tCONNECTED FOR\tWRAP-UP\tCUSTOMER\tCONVERSATION")
		for _, c := range resp.GetContacts() {
			a := c.GetAssignment()
			begin := a.GetOfferedAt()
			if begin == nil {
				begin = a.GetConnectedAt()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", begin.AsTime().Local().Format(time.DateTime),
				strings.ToLower(strings.TrimPrefix(c.GetChannel().String(), "CHANNEL_")), c.GetQueue(), between(a.GetConnectedAt(), a.GetEndedAt()),
				between(a.GetWrapupStartedAt(), a.GetWrapupEndedAt()), c.GetCustomerId(), c.GetConversationId())
		}
	})
}

func between(from, until *timestamppb.Timestamp) string {
	if from == nil || until == nil {
		return "–"
	}
	return short(until.AsTime().Sub(from.AsTime()))
}

func presenceCommand() *cobra.Command {
	to := &client{}
	var reason string
	cmd := &cobra.Command{
		Use:     "presence ID PRESENCE",
		Short:   "State what an agent chose to be, such as Available, Break or Offline",
		Example: "  skein agent presence lena Available\n  skein agent presence lena Training --reason 'new products'",
		Args:    cobra.ExactArgs(2),
		RunE: call(to, agentv1.NewAgentServiceClient, func(cmd *cobra.Command, service agentv1.AgentServiceClient, args []string) error {
			resp, err := service.SetPresence(cmd.Context(), &agentv1.SetPresenceRequest{
				AgentId: args[0], Presence: args[1], Reason: reason, RequestId: rand.Text(),
			})
			if err != nil {
				return err
			}
			showAgent(cmd.OutOrStdout(), resp.GetState())
			return nil
		}),
	}
	to.flags(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "secondary reason")
	return cmd
}

func signOutCommand() *cobra.Command {
	to := &client{}
	var reason string
	cmd := &cobra.Command{
		Use:   "sign-out ID",
		Short: "Sign an agent out at every connector; what is in hand stays",
		Args:  cobra.ExactArgs(1),
		RunE: call(to, agentv1.NewAgentServiceClient, func(cmd *cobra.Command, service agentv1.AgentServiceClient, args []string) error {
			resp, err := service.SignOut(cmd.Context(), &agentv1.SignOutRequest{AgentId: args[0], Reason: reason, RequestId: rand.Text()})
			if err != nil {
				return err
			}
			showAgent(cmd.OutOrStdout(), resp.GetState())
			return nil
		}),
	}
	to.flags(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

func alertsCommand() *cobra.Command {
	to := &client{}
	cmd := &cobra.Command{
		Use:   "alerts",
		Short: "Tell what needs a supervisor at this moment",
		Args:  cobra.NoArgs,
		RunE: call(to, boardv1.NewAlertServiceClient, func(cmd *cobra.Command, service boardv1.AlertServiceClient, _ []string) error {
			resp, err := service.Active(cmd.Context(), &boardv1.ActiveRequest{})
			if err != nil {
				return err
			}
			if len(resp.GetAlerts()) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "Nothing is raised.")
			}
			for _, a := range resp.GetAlerts() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s\n", a.GetRaisedAt().AsTime().Local().Format(time.DateTime), a.GetRaised().GetRule(), a.GetRaised().GetText())
			}
			return nil
		}),
	}
	to.flags(cmd.Flags())
	return cmd
}

func forecastCommand() *cobra.Command {
	to := &client{}
	var (
		from, until string
		interval    time.Duration
		asJSON      bool
	)
	cmd := &cobra.Command{
		Use:     "forecast QUEUE",
		Short:   "Tell what is expected to come to a queue today, and how many agents that takes",
		Example: "  skein forecast support\n  skein forecast support --from 2026-03-09 --until 2026-03-16 --interval 1h",
		Args:    cobra.ExactArgs(1),
		RunE: call(to, staffingv1.NewStaffingServiceClient, func(cmd *cobra.Command, service staffingv1.StaffingServiceClient, args []string) error {
			begin, err := timeOf("from", from)
			end, err2 := timeOf("until", until)
			if err := errors.Join(err, err2); err != nil {
				return err
			}
			resp, err := service.Forecast(cmd.Context(), &staffingv1.ForecastRequest{Queue: args[0], From: begin, Until: end, Interval: durationpb.New(interval)})
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return writeJSON(out, resp)
			}
			return showForecast(out, resp)
		}),
	}
	f := cmd.Flags()
	to.flags(f)
	f.StringVar(&from, "from", "", "from this moment on; now unless set")
	f.StringVar(&until, "until", "", "until this moment; the end of the day unless set")
	f.DurationVar(&interval, "interval", 30*time.Minute, "length of an interval: 15m, 30m or 1h")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showForecast(out io.Writer, resp *staffingv1.ForecastResponse) error {
	if len(resp.GetIntervals()) > 0 {
		fmt.Fprintf(out, "needed %d, have %d (from %d weeks of history)\n\n", resp.GetIntervals()[0].GetNeeded().GetAgents(), resp.GetHave(), resp.GetWeeks())
	}
	return table(out, func(w io.Writer) {
		fmt.Fprintln(w, "FROM\tCONTACTS\tAHT\tNEEDED\tSCHEDULED\tSERVICE LEVEL\tOCCUPANCY\tASA")
		for _, i := range resp.GetIntervals() {
			n := i.GetNeeded()
			fmt.Fprintf(w, "%s\t%.1f\t%s\t%d\t%d\t%.0f %%\t%.0f %%\t%s\n", i.GetFrom().AsTime().Local().Format("2006-01-02 15:04"), i.GetArrivals(),
				short(i.GetAverageHandleTime().AsDuration()), n.GetAgents(), n.GetScheduled(), 100*n.GetServiceLevel(), 100*n.GetOccupancy(),
				short(n.GetAverageSpeedOfAnswer().AsDuration()))
		}
	})
}
