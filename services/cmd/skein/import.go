package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/services/app"
)

func importCommand() *cobra.Command {
	var (
		archive app.Archive
		zone    string
		restart bool
		quiet   bool
	)
	cmd := &cobra.Command{
		Use:   "import PATH",
		Short: "Take in history: mails, tables, JSON lines, Chatwoot's conversations",
		Long: `Take in what happened before Skein was there, as backfill: it is in every timeline, and sets off nothing. The formats:

` + listing(app.ArchiveFormats()) + `
An import that was interrupted goes on where it was; what is imported twice is there once. What is wrong is told with its place, and the rest is taken.
It runs where the server's configuration and data are, beside a server that is running.

Fields of a table, each found by its own or a usual name, or named by --map:

` + listing(app.TableFields()),
		Example: `  skein import --inbox support ~/archive/support.mbox
  skein import --inbox old-tickets --map thread=Ticket --map "time=Created At" --zone Europe/Berlin tickets.csv
  skein import --inbox chatwoot conversations.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			archive.Path = args[0]
			if zone != "" {
				if archive.Zone, err = time.LoadLocation(zone); err != nil {
					return fmt.Errorf("--zone: %w", err)
				}
			}
			if restart {
				if err := app.ForgetImport(cmd.Context(), cfg, archive); err != nil {
					return err
				}
			}
			out := cmd.ErrOrStderr()
			show := &progressLine{out: out, began: time.Now()}
			o := history.Options{Fault: func(f history.Fault) { show.print(f.Name + ": " + f.Err.Error()) }}
			if !quiet {
				o.Progress = show.progress
			}
			got, err := app.Import(cmd.Context(), cfg, archive, o)
			show.end()
			if err == nil || got.Done > 0 {
				fmt.Fprintf(out, "%d events taken in, %d faults\n", got.Events, got.Faults)
			}
			switch {
			case err != nil && cmd.Context().Err() != nil:
				return errors.New("interrupted: the same command goes on from here")
			case err != nil:
				return err
			case got.Faults > 0:
				return errors.New("some of it was wrong")
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringP("config", "c", "", "configuration file (YAML)")
	f.String("data", app.Default().Data, "directory of everything that is kept")
	f.StringSlice("kafka", nil, "addresses of Kafka brokers instead of the embedded log")
	cobra.CheckErr(app.BindFlag(f, "kafka", "log.kafka"))
	cobra.CheckErr(app.BindFlag(f, "data", "data"))
	f.StringVar(&archive.Inbox, "inbox", "", "inbox that it belongs to; of mails a configured one (required)")
	cobra.CheckErr(cmd.MarkFlagRequired("inbox"))
	f.StringVar(&archive.Format, "format", "", strings.Join(slices.Sorted(maps.Keys(app.ArchiveFormats())), ", ")+"; by the path unless given")
	f.StringToStringVar(&archive.Columns, "map", nil, "table: FIELD=COLUMN")
	f.StringVar(&archive.TimeFormat, "time-format", "", `table: how times are written, as Go has it, such as "02.01.2006 15:04"`)
	f.StringVar(&zone, "zone", "", "table: time zone of times that name none, such as Europe/Berlin; UTC unless given")
	f.StringVar(&archive.Region, "region", "", "table: country of telephone numbers without country code, such as DE")
	f.StringVar(&archive.ChannelName, "channel", "", "table: channel of rows that name none, such as email or web_chat")
	f.BoolVar(&restart, "restart", false, "begin at the beginning, wherever an import was interrupted")
	f.BoolVarP(&quiet, "quiet", "q", false, "tell no progress")
	return cmd
}

// listing shows names and their meanings.
func listing(all map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "  %-10s %s\n", name, all[name])
	}
	return b.String()
}

// progressLine is one line that changes, between others that stay.
type progressLine struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
	first int64 // what was done before
	shown bool
}

func (p *progressLine) progress(is history.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shown {
		p.first = is.Done
	}
	p.shown = true
	took := time.Since(p.began)
	line := fmt.Sprintf("%d events, %d faults, %.0f events/s", is.Events, is.Faults, float64(is.Events)/max(took.Seconds(), 0.001))
	if is.Size > 0 {
		line = fmt.Sprintf("%3.0f %%  %s", 100*float64(is.Done)/float64(is.Size), line)
		if done := is.Done - p.first; done > 0 && is.Done < is.Size {
			line += ", " + time.Duration(float64(took)*float64(is.Size-is.Done)/float64(done)).Round(time.Second).String() + " to go"
		}
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line)
}

func (p *progressLine) print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintln(p.out, line)
}

func (p *progressLine) end() {
	if p.shown {
		fmt.Fprintln(p.out)
	}
}
