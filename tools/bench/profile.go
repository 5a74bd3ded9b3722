package bench

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// breakdown is where a process spent its time: each sample counts for the innermost part of the program that it was in.
type breakdown struct {
	total     int64
	parts     map[string]int64
	functions map[string]int64 // innermost functions
}

// parts are the parts of a program, by the beginning of their functions' names. What belongs to none, such as copying memory
// or hashing, counts for whoever called it.
func parts() []struct{ prefix, part string } {
	return []struct{ prefix, part string }{
		{"runtime.mallocgc", "allocating memory"},
		{"runtime.newobject", "allocating memory"},
		{"runtime.makeslice", "allocating memory"},
		{"runtime.growslice", "allocating memory"},
		{"runtime.gcBgMarkWorker", "collecting garbage"},
		{"runtime.gcAssistAlloc", "collecting garbage"},
		{"runtime.bgsweep", "collecting garbage"},
		{"runtime.bgscavenge", "collecting garbage"},
		{"runtime.mcall", "scheduling goroutines"},
		{"runtime.mstart", "scheduling goroutines"},
		{"runtime.morestack", "scheduling goroutines"},
		{"runtime.findRunnable", "scheduling goroutines"},
		{"runtime.schedule", "scheduling goroutines"},
		{"internal/runtime/syscall", "system calls (network and disk)"},
		{"syscall.", "system calls (network and disk)"},
		{"golang.org/x/sys/unix", "system calls (network and disk)"},
		{"google.golang.org/protobuf", "Protobuf"},
		{"google.golang.org/grpc", "gRPC"},
		{"golang.org/x/net/http2", "gRPC"},
		{"github.com/cockroachdb/pebble", "Pebble"},
		{"github.com/jackc/pgx", "PostgreSQL's driver"},
		{"github.com/segmentio/kafka-go", "kafka-go"},
		{"buf.build/go/protovalidate", "validation"},
		{"cel.dev/", "validation"},
		{"github.com/skein-cx/skein/pkg/eventlog", "Skein: log"},
		{"github.com/skein-cx/skein/pkg/event.", "Skein: compiling and decoding events (hashes, ids, checks)"},
		{"github.com/skein-cx/skein/pkg/kv", "Skein: store"},
		{"github.com/skein-cx/skein/pkg/projection", "Skein: projection"},
		{"github.com/skein-cx/skein/services/timeline", "Skein: timeline"},
		{"github.com/skein-cx/skein/services/conversation", "Skein: interactions and conversations"},
		{"github.com/skein-cx/skein/services/customer", "Skein: customers"},
		{"github.com/skein-cx/skein/services/search", "Skein: search"},
		{"github.com/skein-cx/skein/services/agent", "Skein: agents"},
		{"github.com/skein-cx/skein/services/board", "Skein: board"},
		{"github.com/skein-cx/skein/services/staffing", "Skein: staffing"},
		{"github.com/skein-cx/skein/pkg/directory", "Skein: directory"},
		{"github.com/skein-cx/skein/services/analytics/sink", "Skein: sink"},
		{"github.com/skein-cx/skein/services/analytics", "Skein: analytics"},
		{"github.com/ClickHouse", "ClickHouse's driver"},
		{"github.com/blevesearch", "bleve"},
		{"github.com/skein-cx/skein/tools", "this benchmark"},
		{"github.com/skein-cx/skein/", "Skein: the rest"},
	}
}

func breakDown(p *profile.Profile) *breakdown {
	d := &breakdown{parts: map[string]int64{}, functions: map[string]int64{}}
	all := parts()
	for _, s := range p.Sample {
		value := s.Value[len(s.Value)-1] // CPU time
		d.total += value
		part := "the rest"
		innermost := ""
	search:
		for _, l := range s.Location {
			for _, line := range l.Line {
				innermost = cmp.Or(innermost, line.Function.Name)
				for _, known := range all {
					if strings.HasPrefix(line.Function.Name, known.prefix) {
						part = known.part
						break search
					}
				}
			}
		}
		d.parts[part] += value
		d.functions[innermost] += value
	}
	return d
}

func (d *breakdown) markdown(what string) string {
	const mostParts, mostFunctions = 10, 8
	share := func(v int64) string { return fmt.Sprintf("%.0f %%", 100*float64(v)/float64(max(d.total, 1))) }
	top := func(values map[string]int64, most int, quote string) string {
		names := slices.SortedFunc(maps.Keys(values), func(a, b string) int { return cmp.Or(cmp.Compare(values[b], values[a]), cmp.Compare(a, b)) })
		var list []string
		for _, name := range names[:min(most, len(names))] {
			if values[name]*100 < d.total {
				break
			}
			list = append(list, fmt.Sprintf("%s%s%s %s", quote, name, quote, share(values[name])))
		}
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("CPU profile of %s: %s. Innermost functions: %s.", what, top(d.parts, mostParts, ""), top(d.functions, mostFunctions, "`"))
}

// profiled samples where this process spends its time while something runs.
func profiled(run func() error) (*breakdown, error) {
	var buf bytes.Buffer
	if err := pprof.StartCPUProfile(&buf); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	err := run()
	pprof.StopCPUProfile()
	p, parseErr := profile.Parse(&buf)
	if err := errors.Join(err, parseErr); err != nil {
		return nil, err
	}
	return breakDown(p), nil
}
