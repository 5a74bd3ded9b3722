package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "Look at dead letters, and take them in again after a fix",
		Long: `Dead letters are what could not be understood or is in conflict with an earlier event: records of the log, and payloads
that a channel took but could make no event of. Each keeps the reason and the raw bytes, for 30 days.`,
	}
	cmd.AddCommand(deadListCommand(), deadShowCommand(), deadRedriveCommand())
	return cmd
}

// letterFilter chooses letters.
type letterFilter struct {
	tenant, slice, provider string
	reasons                 []string
}

func (f *letterFilter) flags(flags *pflag.FlagSet) {
	flags.StringVar(&f.tenant, "tenant", "", "only those of a tenant")
	flags.StringSliceVar(&f.reasons, "reason", nil, "only those of a reason: "+strings.Join(reasonNames(), ", "))
	flags.StringVar(&f.slice, "slice", "", "only those of a read model or side effect, such as timeline or webhooks/crm")
	flags.StringVar(&f.provider, "provider", "", "only payloads of a provider, such as smtp")
}

func (f *letterFilter) set() bool {
	return f.tenant != "" || f.slice != "" || f.provider != "" || len(f.reasons) > 0
}

func (f *letterFilter) request() (*adminv1.ListDeadLettersRequest, error) {
	req := &adminv1.ListDeadLettersRequest{Tenant: f.tenant, Slice: f.slice, Provider: f.provider}
	for _, name := range f.reasons {
		v, ok := eventv1.DeadReason_value["DEAD_REASON_"+strings.ToUpper(name)]
		if !ok || v == 0 {
			return nil, fmt.Errorf("--reason: there is no reason %q; there are: %s", name, strings.Join(reasonNames(), ", "))
		}
		req.Reasons = append(req.Reasons, eventv1.DeadReason(v))
	}
	return req, nil
}

func reasonName(r eventv1.DeadReason) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "DEAD_REASON_"))
}

func reasonNames() []string {
	var names []string
	for i := 1; i < len(eventv1.DeadReason_name); i++ {
		names = append(names, reasonName(eventv1.DeadReason(i)))
	}
	return names
}

// eachLetter goes through all letters of a query, the newest first, until show returns false.
func eachLetter(ctx context.Context, service adminv1.DeadLetterServiceClient, req *adminv1.ListDeadLettersRequest, show func(*adminv1.DeadLetterEntry) bool) error {
	for {
		page, err := service.ListDeadLetters(ctx, req)
		if err != nil {
			return err
		}
		for _, l := range page.GetLetters() {
			if !show(l) {
				return nil
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return nil
		}
	}
}

func deadListCommand() *cobra.Command {
	var (
		to     client
		filter letterFilter
		all    bool
		asJSON bool
		limit  int
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, the newest first",
		Example: "  skein dead list\n  skein dead list --reason conflict --all -n 1000",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			req, err := filter.request()
			if err != nil {
				return err
			}
			req.Open = !all
			conn, err := to.dial()
			if err != nil {
				return err
			}
			defer closeConn(conn)
			shown, more := 0, false
			var lines [][]string
			err = eachLetter(cmd.Context(), adminv1.NewDeadLetterServiceClient(conn), req, func(l *adminv1.DeadLetterEntry) bool {
				if more = limit > 0 && shown == limit; more {
					return false
				}
				shown++
				if asJSON {
					return writeJSON(cmd.OutOrStdout(), l) == nil
				}
				state := "open"
				if len(l.GetRedrives()) > 0 {
					state = "redriven"
				}
				lines = append(lines, []string{
					shortPosition(l.GetPosition()), local(l.GetLetter().GetAt().AsTime()), state, reasonName(l.GetLetter().GetReason()),
					l.GetLetter().GetTenant(), letterOrigin(l.GetLetter()), cutText(printable(l.GetLetter().GetDetail()), 100),
				})
				return true
			})
			if err != nil {
				return to.explain(err)
			}
			if asJSON {
				return nil
			}
			if shown == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No dead letters.")
				return nil
			}
			err = table(cmd.OutOrStdout(), func(w io.Writer) {
				fmt.Fprintln(w, "LETTER\tFOUND\tSTATE\tREASON\tTENANT\tFROM\tDETAIL")
				for _, line := range lines {
					fmt.Fprintln(w, strings.Join(line, "\t"))
				}
			})
			if more {
				fmt.Fprintf(cmd.OutOrStdout(), "... and more: -n 0 lists all.\n")
			}
			return err
		},
	}
	to.flags(cmd.Flags())
	filter.flags(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "also those that were redriven")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	cmd.Flags().IntVarP(&limit, "limit", "n", 100, "stop after so many; 0 means all")
	return cmd
}

// letterOrigin says in a few words what a letter is about.
func letterOrigin(l *eventv1.DeadLetter) string {
	if s := l.GetSource(); s != nil {
		return l.GetSlice() + " " + positionText(s)
	}
	return l.GetProvider() + " " + l.GetInbox()
}

func positionText(p *eventv1.Position) string {
	return eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition(), Offset: p.GetOffset()}.String()
}

// shortPosition is how commands name a letter: partition/offset.
func shortPosition(p *eventv1.Position) string {
	return fmt.Sprintf("%d/%d", p.GetPartition(), p.GetOffset())
}

// letterPosition reads the name of a letter: partition/offset, or a whole position.
func letterPosition(text string) (*eventv1.Position, error) {
	p, err := eventlog.ParsePosition(text)
	if err != nil {
		p, err = eventlog.ParsePosition(event.TopicDead + "/" + text)
	}
	if err != nil || p.Topic != event.TopicDead {
		return nil, fmt.Errorf("%q is no dead letter: name it as \"skein dead list\" does, such as 3/17", text)
	}
	return &eventv1.Position{Topic: p.Topic, Partition: p.Partition, Offset: p.Offset}, nil
}

func local(t time.Time) string { return t.Local().Format(time.DateTime) }

func cutText(s string, runes int) string {
	if r := []rune(s); len(r) > runes {
		return string(r[:runes-1]) + "…"
	}
	return s
}

func deadShowCommand() *cobra.Command {
	var (
		to     client
		raw    bool
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:     "show LETTER",
		Short:   "Tell all that is known of a dead letter, and show its raw bytes",
		Example: "  skein dead show 3/17\n  skein dead show 3/17 --raw >payload",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := letterPosition(args[0])
			if err != nil {
				return err
			}
			conn, err := to.dial()
			if err != nil {
				return err
			}
			defer closeConn(conn)
			d, err := adminv1.NewDeadLetterServiceClient(conn).GetDeadLetter(cmd.Context(), &adminv1.GetDeadLetterRequest{Position: at})
			switch {
			case err != nil:
				return to.explain(err)
			case raw:
				_, err := cmd.OutOrStdout().Write(d.GetEntry().GetLetter().GetRaw())
				return err
			case asJSON:
				return writeJSON(cmd.OutOrStdout(), d)
			default:
				return showLetter(cmd.OutOrStdout(), d)
			}
		},
	}
	to.flags(cmd.Flags())
	cmd.Flags().BoolVar(&raw, "raw", false, "write the raw bytes and nothing else")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func showLetter(out io.Writer, d *adminv1.GetDeadLetterResponse) error {
	l := d.GetEntry().GetLetter()
	err := table(out, func(w io.Writer) {
		field := func(name, value string) {
			if strings.TrimSpace(value) != "" {
				fmt.Fprintf(w, "%s\t%s\n", name, printable(value))
			}
		}
		position := func(name string, p *eventv1.Position) {
			if p != nil {
				field(name, positionText(p))
			}
		}
		position("letter", d.GetEntry().GetPosition())
		field("found", local(l.GetAt().AsTime()))
		field("reason", reasonName(l.GetReason()))
		field("detail", l.GetDetail())
		field("tenant", l.GetTenant())
		field("slice", l.GetSlice())
		field("provider", l.GetProvider())
		field("inbox", l.GetInbox())
		position("record", l.GetSource())
		position("winner", l.GetWinner())
		position("redrive of", d.GetRedriveOf())
		for _, r := range d.GetEntry().GetRedrives() {
			var as []string
			for _, p := range r.GetResults() {
				as = append(as, positionText(p))
			}
			field("redriven", local(r.GetAt().AsTime())+" as "+strings.Join(as, ", "))
			position("", r.GetAgain())
			if r.GetAgain() != nil {
				field("", "which is the letter above: the software is not mended yet")
			}
		}
	})
	if err != nil {
		return err
	}
	options := protojson.MarshalOptions{Multiline: true}
	if d.GetEvent() != nil {
		fmt.Fprintf(out, "\nThe event that it holds:\n%s\n", options.Format(d.GetEvent()))
	}
	if d.GetContent() != nil {
		fmt.Fprintf(out, "\nIts content:\n%s\n", options.Format(d.GetContent()))
	}
	fmt.Fprintf(out, "\n%d of %d raw bytes:\n%s\n", len(l.GetRaw()), l.GetRawSize(), rawView(l.GetRaw()))
	return nil
}

// rawView shows raw bytes to a person: text as it is, anything else as a hex dump. What a terminal would obey is no text.
func rawView(raw []byte) string {
	isText := utf8.Valid(raw) && bytes.IndexFunc(raw, func(r rune) bool {
		return !unicode.IsPrint(r) && !strings.ContainsRune("\t\r\n", r)
	}) < 0
	if isText {
		return strings.ReplaceAll(string(raw), "\r\n", "\n")
	}
	return hex.Dump(raw)
}

// redriveBatch is how many letters are named in one call.
const redriveBatch = 500

func deadRedriveCommand() *cobra.Command {
	var (
		to     client
		filter letterFilter
		all    bool
		force  bool
	)
	cmd := &cobra.Command{
		Use:   "redrive [LETTER...]",
		Short: "Take dead letters in again, after what was wrong was mended",
		Long: `Take dead letters in again: those that are named, or all that the filters choose and that were not redriven yet, oldest
first. A record of the log is appended to its topic again; a payload goes through its channel's adapter again. Doing
it twice is harmless: an event counts once. What is still not understood gives a new letter, or says so here.`,
		Example: "  skein dead redrive 3/17 5/2\n  skein dead redrive --reason rejected --provider smtp\n  skein dead redrive --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == (all || filter.set()) {
				return errors.New("name letters, or choose them by filters, or say --all")
			}
			conn, err := to.dial()
			if err != nil {
				return err
			}
			defer closeConn(conn)
			service := adminv1.NewDeadLetterServiceClient(conn)
			letters, err := chosenLetters(cmd.Context(), service, args, filter)
			if err != nil {
				return to.explain(err)
			}
			if len(letters) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "No open dead letters.")
				return nil
			}
			return to.explain(redrive(cmd, service, letters, force))
		},
	}
	to.flags(cmd.Flags())
	filter.flags(cmd.Flags())
	cmd.Flags().BoolVar(&all, "all", false, "all that were not redriven yet")
	cmd.Flags().BoolVar(&force, "force", false, "also what was redriven before, and what is in conflict with an earlier event")
	return cmd
}

// chosenLetters are those that are named, or else those of the filter, oldest first.
func chosenLetters(ctx context.Context, service adminv1.DeadLetterServiceClient, names []string, filter letterFilter) ([]*eventv1.Position, error) {
	var letters []*eventv1.Position
	for _, name := range names {
		at, err := letterPosition(name)
		if err != nil {
			return nil, err
		}
		letters = append(letters, at)
	}
	if len(names) > 0 {
		return letters, nil
	}
	req, err := filter.request()
	if err != nil {
		return nil, err
	}
	req.Open, req.PageSize = true, 1000
	err = eachLetter(ctx, service, req, func(l *adminv1.DeadLetterEntry) bool {
		letters = append(letters, l.GetPosition())
		return true
	})
	slices.Reverse(letters)
	return letters, err
}

func redrive(cmd *cobra.Command, service adminv1.DeadLetterServiceClient, letters []*eventv1.Position, force bool) error {
	out := cmd.OutOrStdout()
	bar := progressbar.NewOptions(len(letters), progressbar.OptionSetWriter(cmd.ErrOrStderr()), progressbar.OptionShowCount(),
		progressbar.OptionSetDescription("redrive"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(len(letters) > 1))
	failed := 0
	for batch := range slices.Chunk(letters, redriveBatch) {
		stream, err := service.RedriveDeadLetters(cmd.Context(), &adminv1.RedriveDeadLettersRequest{Positions: batch, Force: force})
		if err != nil {
			return err
		}
		for {
			o, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			_ = bar.Add(1) // a bar that cannot be drawn is no reason to stop
			var as []string
			for _, p := range o.GetResults() {
				as = append(as, positionText(p))
			}
			if o.GetProblem() != "" {
				failed++
				_ = bar.Clear()
				fmt.Fprintf(out, "%s  not redriven: %s\n", shortPosition(o.GetPosition()), printable(strings.ReplaceAll(o.GetProblem(), "\n", "; ")))
			} else if len(letters) <= redriveBatch {
				_ = bar.Clear()
				fmt.Fprintf(out, "%s  redriven as %s\n", shortPosition(o.GetPosition()), strings.Join(as, ", "))
			}
		}
	}
	_ = bar.Finish()
	fmt.Fprintf(out, "%d of %d letters redriven.\n", len(letters)-failed, len(letters))
	if failed > 0 {
		return fmt.Errorf("%d letters could not be redriven", failed)
	}
	return nil
}
