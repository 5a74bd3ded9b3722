package chdb

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// aloneVariable makes the test below run in this process, which can hold one engine only.
const aloneVariable = "SKEIN_CHDB_TEST_ALONE"

func TestTheEngineInAProcessOfGo(t *testing.T) {
	library, err := Find("")
	if err != nil {
		if slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "clickhouse" }) {
			t.Fatal(err)
		}
		t.Skipf("skipped: %v (SKEIN_REQUIRE=clickhouse makes this a failure)", err)
	}
	if os.Getenv(aloneVariable) == "" {
		again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), aloneVariable+"=1")
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	c, err := Config{Dir: filepath.Join(t.TempDir(), "with <a> & 'b'")}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	config, err := c.settingsFiles()
	if err != nil {
		t.Fatal(err)
	}
	e, err := load(library)
	if err != nil {
		t.Fatal(err)
	}
	relative := filepath.Join(t.TempDir(), "relative.xml")
	if err := os.WriteFile(relative, []byte("<clickhouse><users_config>users.xml</users_config></clickhouse>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.open(c.Dir, relative); !errors.Is(err, errConnect) {
		t.Fatalf("a relative users_config: %v", err)
	}
	if err := e.open(c.Dir, config); err != nil {
		t.Fatal(err)
	}
	t.Run("a second directory is refused", func(t *testing.T) {
		other := &engine{api: e.api, path: t.TempDir(), config: config}
		if _, err := other.connect(nil); !errors.Is(err, errConnect) {
			t.Fatal(err)
		}
	})
	t.Run("no setting comes with a zero byte or a value that does not fit", func(t *testing.T) {
		if _, err := e.connect([]setting{{"log_comment", "a\x00b"}}); err == nil || errors.Is(err, errConnect) {
			t.Fatal(err)
		}
		if _, err := e.connect([]setting{{"max_threads", "x"}}); !errors.Is(err, errConnect) {
			t.Fatal(err)
		}
	})
	t.Run("Go keeps its signals", func(t *testing.T) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 20 {
					conn, err := e.connect(nil)
					if err != nil {
						t.Error(err)
						return
					}
					if r, err := conn.query("SELECT 1", "TSV", nil); err != nil || string(r.bytes()) != "1\n" {
						t.Error(err)
					} else {
						r.free()
					}
					conn.close()
					if !panics() {
						t.Error("no panic")
					}
				}
			})
		}
		all.Wait()
		got := make(chan os.Signal, 1)
		signal.Notify(got, syscall.SIGTERM)
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-got:
		case <-time.After(time.Minute):
			t.Fatal("SIGTERM went elsewhere")
		}
	})
	t.Run("a connection runs one query at a time, others are free", func(t *testing.T) {
		a, err := e.connect(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer a.close()
		if r, err := a.query("CREATE TABLE default.t (n UInt8) ENGINE = Memory", "TSV", nil); err != nil {
			t.Fatal(err)
		} else {
			r.free()
		}
		in, err := a.insert("INSERT INTO default.t", "TSV", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.query("SELECT 1", "TSV", nil); err == nil {
			t.Fatal("two at once")
		}
		b, err := e.connect(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		if r, err := b.query("SELECT count() FROM default.t", "TSV", nil); err != nil {
			t.Fatal(err)
		} else {
			r.free()
		}
		in.abandon()
	})
	e.close()
}

// panics runs into a nil pointer, which needs Go's handler of SIGSEGV.
func panics() (did bool) {
	defer func() {
		_, did = recover().(runtime.Error)
	}()
	nothing := map[string]*Config{}
	return nothing["x"].Dir == "x"
}
