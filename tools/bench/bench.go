// Package bench measures Skein beside its ceilings and its peers, all on one machine and in one run, and writes what it found
// as a page. A ceiling is the least that the job can cost: the same bytes through the driver alone. A peer is well-known
// software that does the same job. Figures of one run are told as ratios; nothing here passes or fails.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Config says what to measure.
type Config struct {
	// Skein is the program.
	Skein string
	// Self is a program that calls Serve with its arguments behind "serve": the brokers and peers run as its children.
	Self string
	// Dir is an empty directory for logs and stores.
	Dir string
	// Kafka adds a real Apache Kafka to the embedded broker.
	Kafka bool
	// PostgreSQL adds a store on it to the fold.
	PostgreSQL bool
	// Events is how many events the jobs over a filled log have.
	Events int
	// Rows is how many events ClickHouse is filled with.
	Rows int
	// Growth is how many events the store is grown to; 0 leaves that job out.
	Growth int
	// Each is how long a job that goes by time is measured, each way.
	Each time.Duration
	// Turns is how often each contender of a job that alternates is measured. The median counts.
	Turns int
	// Rate is how many events per second the paced jobs have.
	Rate int
	// Watchers is how many watches there are at once, WatchRate the events per second that they see.
	Watchers, WatchRate int
	// Agents and Queues are those of the board's tenant, Visits those of the queue that is forecast, and BoardRate the events per second while the
	// board is watched.
	Agents, Queues, Visits, BoardRate int
	// Data is the directory of the conversations that are searched: crosswoz and multidogo in it.
	Data string
	// Only names the jobs to run; empty for all.
	Only []string
	// Progress is told what is under way; nil for nobody.
	Progress io.Writer
}

// Table is what a job found.
type Table struct {
	// Title and Text say what was measured and how.
	Title, Text string
	Columns     []string
	Rows        [][]string
	// Notes come behind the table: profiles.
	Notes []string

	job string // that measured it
}

func (t *Table) row(cells ...string) { t.Rows = append(t.Rows, cells) }

func (t *Table) profile(what string, p *breakdown) { t.Notes = append(t.Notes, p.markdown(what)) }

// job is one thing to measure.
type job struct {
	name string
	run  func(ctx context.Context, b *bench) ([]*Table, error)
}

// one is a job that has one table.
func one(run func(ctx context.Context, b *bench) (*Table, error)) func(ctx context.Context, b *bench) ([]*Table, error) {
	return func(ctx context.Context, b *bench) ([]*Table, error) {
		t, err := run(ctx, b)
		return []*Table{t}, err
	}
}

func jobs() []job {
	return []job{
		{"ingest", one(measureIngest)},
		{"latency", one(measureLatency)},
		{"channels", one(measureChannels)},
		{"fold", one(measureFold)},
		{"delay", one(measureDelay)},
		{"read", one(measureReads)},
		{"watch", one(measureWatch)},
		{"customers", measureCustomers},
		{"board", measureBoard},
		{"console", measureConsole},
		{"search", measureSearch},
		{"sink", measureSink},
		{"analytics", measureAnalytics},
		{"rebuild", one(measureRebuild)},
		{"growth", one(measureGrowth)},
		{"processes", one(measureProcesses)},
	}
}

// Jobs are the names of all jobs.
func Jobs() []string {
	var names []string
	for _, j := range jobs() {
		names = append(names, j.name)
	}
	return names
}

// heapFloor is that of the program's servers.
const heapFloor = 64 << 20

// errLeftOut is a job that does not run this time. The text behind it says why.
var errLeftOut = errors.New("left out")

// bench is one run.
type bench struct {
	Config
	events *events
	dirs   int
}

// Report is what a run found.
type Report struct {
	Config
	Tables []*Table

	began time.Time
	load  string
}

// Run measures. Where a job fails, it ends, and the report holds what the jobs before it found.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	for _, name := range cfg.Only {
		if !slices.Contains(Jobs(), name) {
			return nil, fmt.Errorf("bench: there is no job %q; there are: %s", name, strings.Join(Jobs(), ", "))
		}
	}
	if cfg.Progress == nil {
		cfg.Progress = io.Discard
	}
	events, err := newEvents(cfg.Events)
	if err != nil {
		return nil, err
	}
	b := &bench{Config: cfg, events: events}
	// What runs in this process runs as it does in the program, which has such a floor under its heap; the ceilings, too.
	floor := make([]byte, heapFloor)
	defer runtime.KeepAlive(floor)
	report := &Report{Config: cfg, began: time.Now(), load: loadAverage()}
	for _, j := range jobs() {
		if len(cfg.Only) > 0 && !slices.Contains(cfg.Only, j.name) {
			continue
		}
		b.say("%s ...", j.name)
		began := time.Now()
		tables, err := j.run(ctx, b)
		if errors.Is(err, errLeftOut) {
			b.say("%s: %v", j.name, err)
			continue
		}
		if err != nil {
			return report, fmt.Errorf("bench: %s: %w", j.name, err)
		}
		b.say("%s took %s", j.name, time.Since(began).Round(time.Second))
		for _, t := range tables {
			t.job = j.name
		}
		report.Tables = append(report.Tables, tables...)
	}
	return report, nil
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.Progress, format+"\n", args...) }

// newDir names a directory that is not there yet.
func (b *bench) newDir() string {
	b.dirs++
	return filepath.Join(b.Dir, fmt.Sprint(b.dirs))
}

// diskBytes is the size of all files under a directory, but for Kafka's indexes, which are as large as they may become.
func diskBytes(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && !strings.HasSuffix(path, "index") {
			var info os.FileInfo
			if info, err = e.Info(); err == nil {
				total += info.Size()
			}
		}
		if errors.Is(err, os.ErrNotExist) { // it went while we looked
			return nil
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", dir, err)
	}
	return total, nil
}
