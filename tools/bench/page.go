package bench

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// The part of the page that people write stands between these, and stays.
const (
	notesBegin = "<!-- written by hand: begin -->"
	notesEnd   = "<!-- written by hand: end -->"
)

// The tables of a job stand between such a line and the end, and stay until the job runs again.
const (
	sectionBegin = "<!-- job: "
	sectionEnd   = "<!-- end of the job -->"
)

// Write writes the page. What people wrote in it stays, and so do the tables of jobs that did not run.
func (r *Report) Write(path string) error {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("bench: %w", err)
	}
	text, err := r.page(notesOf(string(old)), sectionsOf(string(old)))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // a page of the documentation
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// notesOf is what people wrote.
func notesOf(text string) string {
	_, behind, found := strings.Cut(text, notesBegin)
	notes, _, ended := strings.Cut(behind, notesEnd)
	if !found || !ended {
		return "\n"
	}
	return notes
}

// sectionsOf are the tables of each job that a page holds.
func sectionsOf(text string) map[string]string {
	sections := map[string]string{}
	for _, part := range strings.Split(text, sectionBegin)[1:] {
		name, rest, named := strings.Cut(part, " -->\n")
		section, _, ended := strings.Cut(rest, sectionEnd)
		if named && ended {
			sections[name] = section
		}
	}
	return sections
}

// section is what a job measured in this run.
func (r *Report) section(job string) string {
	var s strings.Builder
	for _, t := range r.Tables {
		if t.job != job {
			continue
		}
		fmt.Fprintf(&s, "\n## %s\n\n%s\n\n| %s |\n|%s\n", t.Title, strings.TrimSpace(t.Text), strings.Join(t.Columns, " | "), strings.Repeat("---|", len(t.Columns)))
		for _, r := range t.Rows {
			fmt.Fprintf(&s, "| %s |\n", strings.Join(r, " | "))
		}
		for _, n := range t.Notes {
			fmt.Fprintf(&s, "\n%s\n", n)
		}
	}
	if s.Len() > 0 {
		fmt.Fprintf(&s, "\n*Run on %s: %d turns, %s for each measurement by time; load before it %s.*\n\n", r.began.UTC().Format("2006-01-02 15:04 MST"), r.Turns, r.Each, r.load)
	}
	return s.String()
}

func (r *Report) page(notes string, sections map[string]string) (string, error) {
	cfg := r.Config
	events, err := newEvents(cfg.Events)
	if err != nil {
		return "", err
	}
	value, key, submission, err := events.sizes()
	if err != nil {
		return "", err
	}
	var s strings.Builder
	fmt.Fprintf(&s, `# Benchmarks

What Skein does on one machine, beside what that machine can do at all (the ceiling: the same bytes through the drivers alone) and
beside known software that does the same job (the peer). Each section below comes from one run of one command, `+"`make bench`"+`, which may
have run the other jobs at another time, with brokers, servers and clients on the same machine: compare the figures of one section with one another,
not with those of others.

| | |
|---|---|
| Machine | %s |
| Software | %s |
| Last run | %s |
| Events | threads of %d messages between a customer and an inbox, %s open at a time; a record has %d bytes and a key of %d, a submission %d |
| Sizes | %s events in filled logs; %s for each measurement by time; %d turns; pace %s |

%s%s%s
`,
		machine(), software(cfg), r.began.UTC().Format("2006-01-02 15:04 MST"), perThread, count(open), value, key, submission,
		count(cfg.Events), cfg.Each, cfg.Turns, rate(cfg.Rate), notesBegin, notes, notesEnd)
	for _, job := range Jobs() {
		section := r.section(job)
		if section == "" {
			section = sections[job]
		}
		if section != "" {
			fmt.Fprintf(&s, "\n%s%s -->\n%s%s\n", sectionBegin, job, section, sectionEnd)
		}
	}
	return s.String(), nil
}

func machine() string {
	return fmt.Sprintf("%d × %s, %s of memory", runtime.NumCPU(), field("/proc/cpuinfo", "model name"), memory())
}

func software(cfg Config) string {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("?")
	}
	text := fmt.Sprintf("%s %s (%s), %s", runtime.GOOS, strings.TrimSpace(string(kernel)), runtime.GOARCH, runtime.Version())
	if version := kafkaVersion(); cfg.Kafka && version != "" {
		text += ", Apache Kafka " + version
	}
	return text
}

func memory() string {
	var kilobytes int
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kilobytes); err != nil {
		return "?"
	}
	return fmt.Sprintf("%.0f GB", float64(kilobytes)*1024/1e9)
}

// loadAverage is that of the last minute; a run on a machine that does other things tells little.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// field is the value of a line such as "name : value"; "?" where there is none.
func field(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "?"
	}
	defer f.Close() //nolint:errcheck // only read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "?"
}
