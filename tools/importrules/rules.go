// Package importrules keeps the layers of the workspace apart: who may import what, and why. Its test reads every file of
// every module of the workspace. It never looks at anything but imports and package names.
//
// The test reads files outside its own module, of which the cache of go test knows nothing: run it with -count=1.
package importrules

// A Rule forbids imports. Packages are named by patterns: those of the workspace without the module path's beginning
// ("pkg/kv"), others in full; "*" stands for anything within an element, "..." for any elements or none.
type Rule struct {
	// Name is the rule in a word or two.
	Name string
	// Who is bound by it, Except for these.
	Who, Except []string
	// MustNot are the imports that are forbidden.
	MustNot []string
	// Apart are patterns of units; a package of one must not import a package of another, other than one that the unit
	// lies in. A package belongs to the longest unit that it lies in.
	Apart []string
	// But are the imports that are fine nevertheless.
	But []string
	// Tests says that test files are bound, too.
	Tests bool
	// Because is the reason.
	Because string
}

// Rules are the import rules of this workspace.
func Rules() []Rule {
	return []Rule{
		{
			Name: "contract", Tests: true,
			Who:     []string{"proto/..."},
			MustNot: []string{"pkg/...", "services/...", "tools/..."},
			Because: "the contract is what others build on, in any language: it depends on nothing of ours",
		},
		{
			Name: "libraries", Tests: true,
			Who:     []string{"pkg/..."},
			MustNot: []string{"services/...", "tools/..."},
			Because: "imports go one way, cmd → app → services → pkg → proto: a library that knows a service cannot serve another one",
		},
		{
			Name: "wiring", Tests: true,
			Who:     []string{"..."},
			Except:  []string{"services/app/...", "services/cmd/..."},
			MustNot: []string{"services/app/..."},
			Because: "imports go one way, cmd → app → services → pkg → proto: who is wired knows nothing of the wiring",
		},
		{
			Name: "commands", Tests: true,
			Who:     []string{"..."},
			Except:  []string{"services/cmd/..."},
			MustNot: []string{"services/cmd/..."},
			Because: "imports go one way, cmd → app → services → pkg → proto: a command is where it begins",
		},
		{
			Name: "tools", Tests: true,
			Who:     []string{"services/..."},
			MustNot: []string{"tools/..."},
			Because: "the product does not depend on what measures and builds it",
		},
		{
			Name: "slices", Tests: true,
			Who:     []string{"services/..."},
			Except:  []string{"services/app/...", "services/cmd/..."},
			But:     []string{"services/app/...", "services/cmd/..."}, // forbidden above
			Apart:   []string{"services/*", "services/channels/*", "services/channels/*/*"},
			Because: "each service is a slice that can be read, run and dropped alone; what two of them share belongs in pkg, and they meet in services/app",
		},
		{
			Name:   "choice of engines",
			Who:    []string{"pkg/...", "services/..."},
			Except: []string{"services/app/...", "services/cmd/...", "pkg/eventlog/*/...", "pkg/kv/*/..."},
			MustNot: []string{
				"pkg/eventlog/memlog/...", "pkg/eventlog/kafkalog/...", "pkg/eventlog/kafkagroup/...", "pkg/eventlog/embedded/...",
				"pkg/kv/memkv/...", "pkg/kv/pebblekv/...", "pkg/kv/pgkv/...",
			},
			Because: "code is written against the contract, so that another engine is another line in services/app; tools may name an engine, since they measure it",
		},
		{
			Name: "engines",
			Who:  []string{"pkg/eventlog/*/...", "pkg/kv/*/..."},
			Apart: []string{
				"pkg/eventlog/memlog", "pkg/eventlog/kafkalog", "pkg/eventlog/kafkagroup", "pkg/eventlog/embedded",
				"pkg/kv/memkv", "pkg/kv/pebblekv", "pkg/kv/pgkv",
			},
			Because: "engines stand for one another: one that needs another can neither replace it nor be left out",
		},
		{
			Name:    "test packages",
			Who:     []string{"..."},
			Except:  []string{".../*test", "tools/bench"}, // the benchmark measures on the PostgreSQL that tests start
			MustNot: []string{"pkg/.../*test", "services/.../*test", "tools/.../*test"},
			Because: "contract suites bring the testing package with them, which has no place in the product",
		},
		{
			Name:    "status codes",
			Who:     []string{"pkg/...", "services/...", "tools/..."},
			Except:  []string{"pkg/rpc", "services/console/web"},
			MustNot: []string{"google.golang.org/grpc/status", "google.golang.org/grpc/codes"},
			Because: "pkg/rpc alone turns errors into status codes and back, so that the rest returns errors that say what happened (the console is a client, and tells a person what a code means)",
		},
		{
			Name: "Pebble", Tests: true,
			Who:     []string{"..."},
			Except:  []string{"pkg/kv/pebblekv", "tools/bench"},
			MustNot: []string{"github.com/cockroachdb/pebble/..."},
			Because: "the store is reached through pkg/kv; a second user of Pebble would make its types and errors part of the contract (tools/bench measures Pebble alone, as the ceiling)",
		},
		{
			Name: "PostgreSQL", Tests: true,
			Who:     []string{"..."},
			Except:  []string{"pkg/kv/pgkv/..."},
			MustNot: []string{"github.com/jackc/pgx/..."},
			Because: "the store is reached through pkg/kv; connections, transactions and what an error means are right in one place",
		},
		{
			Name: "goose", Tests: true,
			Who:     []string{"..."},
			Except:  []string{"pkg/kv/pgkv/...", "services/analytics/schema"},
			MustNot: []string{"github.com/pressly/goose/..."},
			Because: "a database has one schema, which one package brings up to date",
		},
		{
			Name: "kafka-go", Tests: true,
			Who:     []string{"..."},
			Except:  []string{"pkg/eventlog", "pkg/eventlog/kafkalog", "pkg/eventlog/kafkagroup", "tools/bench"}, // the test of pkg/eventlog compares partitions with what kafka-go computes
			MustNot: []string{"github.com/segmentio/kafka-go/..."},
			Because: "the log is reached through pkg/eventlog; balancers, acknowledgements and offsets are right in one place (tools/bench measures kafka-go alone, as the ceiling)",
		},
		{
			Name: "embedded broker",
			Who:  []string{"..."}, Except: []string{"pkg/eventlog/embedded"},
			MustNot: []string{"github.com/twmb/franz-go/..."},
			Because: "the embedded broker is development's stand-in for Kafka, and nothing may grow to need it",
		},
	}
}

// BannedNames are package names that say nothing, with the reason.
func BannedNames() (names []string, because string) {
	return []string{"base", "common", "helper", "helpers", "misc", "util", "utils"},
		"a package is named after what it is for; what has no name has no place"
}
