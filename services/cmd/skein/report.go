package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// steps are the lengths of intervals by their names.
func steps() map[string]analyticsv1.Step {
	return map[string]analyticsv1.Step{
		"15m": analyticsv1.Step_STEP_QUARTER, "30m": analyticsv1.Step_STEP_HALF_HOUR, "hour": analyticsv1.Step_STEP_HOUR,
		"day": analyticsv1.Step_STEP_DAY, "week": analyticsv1.Step_STEP_WEEK, "month": analyticsv1.Step_STEP_MONTH,
	}
}

// attributions are the intervals in which something counts by their names.
func attributions() map[string]analyticsv1.Attribution {
	return map[string]analyticsv1.Attribution{
		"occurrence": analyticsv1.Attribution_ATTRIBUTION_OCCURRENCE, "disconnect": analyticsv1.Attribution_ATTRIBUTION_DISCONNECT,
		"real-time": analyticsv1.Attribution_ATTRIBUTION_REAL_TIME,
	}
}

func reportCommand() *cobra.Command {
	to := &client{}
	var (
		req                            analyticsv1.ReportRequest
		scope                          analyticsv1.Scope
		from, until, step, attribution string
		where, whereNot                []string
		within                         time.Duration
		then, asJSON                   bool
	)
	cmd := &cobra.Command{
		Use:   "report METRIC...",
		Short: "Compute the metrics of the contact centre over a period: service level, AHT, abandon rate ...",
		Long: `Compute metrics over a period, by intervals and dimensions. skein report list tells which metrics and dimensions there are, and
docs/analytics.md how each is defined.`,
		Example: `  skein report offered service_level abandon_rate asa --by queue --step 30m --from 2026-03-16 --zone Europe/Berlin
  skein report aht occupancy --by agent --from 2026-03-01 --until 2026-04-01 --compare
  skein report csat --by driver --where queue=billing,support`,
		Args: cobra.MinimumNArgs(1),
		RunE: call(to, analyticsv1.NewAnalyticsServiceClient, func(cmd *cobra.Command, service analyticsv1.AnalyticsServiceClient, args []string) (err error) {
			scope.Period = &analyticsv1.Period{}
			if scope.Period.From, err = timeOf("from", from); err != nil {
				return err
			}
			if scope.GetPeriod().GetFrom() == nil {
				scope.Period.From = timestamppb.New(time.Now().Add(-24 * time.Hour))
			}
			if scope.Period.Until, err = timeOf("until", until); err != nil {
				return err
			}
			if req.Step, err = oneOf("step", step, steps()); err != nil {
				return err
			}
			if scope.Attribution, err = oneOf("attribution", attribution, attributions()); err != nil {
				return err
			}
			for flag, list := range map[string][]string{"where": where, "where-not": whereNot} {
				for _, f := range list {
					dimension, values, found := strings.Cut(f, "=")
					if !found {
						return fmt.Errorf("--%s: %q: write DIMENSION=VALUE,VALUE", flag, f)
					}
					scope.Filters = append(scope.Filters, &analyticsv1.Filter{Dimension: dimension, Values: strings.Split(values, ","), Exclude: flag == "where-not"})
				}
			}
			if then {
				scope.Identity = analyticsv1.Identity_IDENTITY_THEN
			}
			if within > 0 {
				scope.Parameters = &analyticsv1.Parameters{ServiceLevelWithin: durationpb.New(within)}
			}
			req.Scope, req.Metrics = &scope, args
			resp, err := service.Report(cmd.Context(), &req)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), resp)
			}
			zone, err := time.LoadLocation(scope.GetTimeZone())
			if err != nil {
				return fmt.Errorf("--zone: %w", err)
			}
			return drawReport(cmd.OutOrStdout(), &req, resp, zone)
		}),
	}
	f := cmd.PersistentFlags()
	to.flags(f)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f = cmd.Flags()
	f.StringVar(&from, "from", "", "begin of the period; 24 hours ago unless set")
	f.StringVar(&until, "until", "", "end of the period; now unless set")
	f.StringVar(&step, "step", "", "length of the intervals: 15m, 30m, hour, day, week, month; the whole period unless set")
	f.StringVar(&scope.TimeZone, "zone", "", "time zone, such as Europe/Berlin; UTC unless set")
	f.StringVar(&attribution, "attribution", "", "in which interval something counts: occurrence (unless set), disconnect, real-time")
	f.StringSliceVar(&req.GroupBy, "by", nil, "dimensions: a row for each of their values")
	f.StringArrayVar(&where, "where", nil, "count only what has one of the values, as DIMENSION=VALUE,VALUE")
	f.StringArrayVar(&whereNot, "where-not", nil, "count only what has none of them")
	f.BoolVar(&req.CompareBefore, "compare", false, "compute the period before beside it")
	f.BoolVar(&then, "identity-then", false, "customers as the links stood then, and not as they stand now")
	f.BoolVar(&scope.WithBackfill, "with-backfill", false, "count imported history, too")
	f.DurationVar(&within, "within", 0, "service level: answered within this time; each visit's target unless set")
	f.Int32Var(&req.Top, "top", 0, "only the first so many rows, by the first metric")
	cmd.AddCommand(reportListCommand(to, &asJSON), reportStatusCommand(to, &asJSON))
	return cmd
}

// oneOf gives what a flag names; nothing where it is not set.
func oneOf[V any](flag, name string, values map[string]V) (value V, err error) {
	if name == "" {
		return value, nil
	}
	value, ok := values[name]
	if !ok {
		return value, fmt.Errorf("--%s: %q is none of %s", flag, name, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
	}
	return value, nil
}

func drawReport(out io.Writer, req *analyticsv1.ReportRequest, resp *analyticsv1.ReportResponse, zone *time.Location) error {
	err := table(out, func(w io.Writer) {
		var head []string
		if req.GetStep() != analyticsv1.Step_STEP_UNSPECIFIED {
			head = append(head, "FROM")
		}
		for _, d := range req.GetGroupBy() {
			head = append(head, strings.ToUpper(d))
		}
		for _, m := range req.GetMetrics() {
			head = append(head, strings.ToUpper(m))
			if req.GetCompareBefore() {
				head = append(head, "BEFORE")
			}
		}
		fmt.Fprintln(w, strings.Join(head, "\t"))
		for _, r := range append(resp.GetRows(), resp.GetTotal()) {
			var cells []string
			if req.GetStep() != analyticsv1.Step_STEP_UNSPECIFIED {
				cells = append(cells, "")
				if r.GetFrom() != nil {
					cells[0] = r.GetFrom().AsTime().In(zone).Format("2006-01-02 15:04")
				}
			}
			for n := range req.GetGroupBy() {
				cells = append(cells, groupCell(r, n))
			}
			for n, v := range r.GetValues() {
				cells = append(cells, valueCell(v))
				if n < len(r.GetBefore()) {
					cells = append(cells, valueCell(r.GetBefore()[n]))
				}
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
	})
	if err == nil && resp.GetFreshness().GetCompleteUntil() != nil {
		_, err = fmt.Fprintf(out, "complete up to %s\n", resp.GetFreshness().GetCompleteUntil().AsTime().In(zone).Format(time.DateTime))
	}
	return err
}

func groupCell(r *analyticsv1.Row, n int) string {
	switch {
	case len(r.GetGroup()) == 0:
		return "all"
	case n < len(r.GetNames()) && r.GetNames()[n] != "":
		return r.GetNames()[n]
	case r.GetGroup()[n] == "":
		return "–"
	}
	return r.GetGroup()[n]
}

func valueCell(v *analyticsv1.Value) string {
	if v.GetValue() == 0 && (v == nil || v.Value == nil) {
		return "–"
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", v.GetValue()), "0"), ".")
}

func reportListCommand(to *client, asJSON *bool) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the metrics and dimensions that reports know",
		Args:  cobra.NoArgs,
		RunE: call(to, analyticsv1.NewAnalyticsServiceClient, func(cmd *cobra.Command, service analyticsv1.AnalyticsServiceClient, _ []string) error {
			resp, err := service.Metrics(cmd.Context(), &analyticsv1.MetricsRequest{})
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(cmd.OutOrStdout(), resp)
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "METRIC\tUNIT\tDEFINITION")
				for _, m := range resp.GetMetrics() {
					fmt.Fprintf(w, "%s\t%s\t%s\n", m.GetName(), m.GetUnit(), m.GetDefinition())
				}
				fmt.Fprintln(w, "\nDIMENSION\t\tIS")
				for _, d := range resp.GetDimensions() {
					fmt.Fprintf(w, "%s\t\t%s\n", d.GetName(), d.GetDescription())
				}
			})
		}),
	}
}

func reportStatusCommand(to *client, asJSON *bool) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell how much of the log ClickHouse contains",
		Args:  cobra.NoArgs,
		RunE: call(to, analyticsv1.NewAnalyticsServiceClient, func(cmd *cobra.Command, service analyticsv1.AnalyticsServiceClient, _ []string) error {
			resp, err := service.Status(cmd.Context(), &analyticsv1.StatusRequest{})
			if err != nil {
				return err
			}
			if *asJSON {
				return writeJSON(cmd.OutOrStdout(), resp)
			}
			if !resp.GetAvailable() {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "ClickHouse does not answer:", resp.GetProblem())
				return err
			}
			return table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "STREAM\tCOMPLETE UP TO\tEVENTS")
				for _, s := range resp.GetStreams() {
					var events int64
					for _, p := range s.GetNext() {
						events += p.GetOffset()
					}
					fmt.Fprintf(w, "%s\t%s\t%d\n", s.GetStream(), s.GetCompleteUntil().AsTime().Local().Format(time.DateTime), events)
				}
			})
		}),
	}
}
