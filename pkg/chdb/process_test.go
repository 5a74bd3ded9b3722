package chdb_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
	"github.com/skein-cx/skein/pkg/freeport"
)

func wantText(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("error %v, want one with %q", err, text)
		}
	}
}

func TestADeadChildComesBackAtTheSameAddress(t *testing.T) {
	p := &chdb.Process{Command: chdbtest.Command, Wait: 10 * time.Millisecond, Config: chdb.Config{Dir: t.TempDir(), Listen: freeport.Addr(t), Library: chdbtest.Library(t), StopTime: time.Second}}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	wait, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	addr, err := p.WaitReady(wait)
	must(t, err)
	for deaths := range 3 {
		pid := p.Status().PID
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		eventually(t, func() bool { return p.Status().Deaths == deaths+1 })
		again, err := p.WaitReady(wait)
		must(t, err)
		if again != addr || p.Status().PID == pid {
			t.Fatal(again, addr, p.Status())
		}
		wantText(t, p.Status().LastDeath, "signal: killed")
	}
	_, _, err = get("http://" + addr + "/ping")
	must(t, err)
	stop()
	must(t, <-done)
	if p.Status().Ready {
		t.Fatal(p.Status())
	}
	if _, _, err := get("http://" + addr + "/ping"); err == nil {
		t.Fatal("it still serves")
	}
}

func TestWhyNoChildStartsIsTold(t *testing.T) {
	p := &chdb.Process{Command: chdbtest.Command, Wait: time.Millisecond, Config: chdb.Config{Dir: t.TempDir(), Listen: "nowhere"}}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = p.Run(ctx) }()
	eventually(t, func() bool { return p.Status().Deaths > 1 })
	wait, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := p.WaitReady(wait)
	wantText(t, err, "Listen", "missing port")
	missing := &chdb.Process{Command: func() *exec.Cmd { return exec.Command("/nowhere/skein") }, Wait: time.Millisecond}
	go func() { _ = missing.Run(ctx) }()
	eventually(t, func() bool { return missing.Status().Deaths > 0 })
	wantText(t, missing.Status().LastDeath, "/nowhere/skein")
}

// parentVariable makes the test binary a parent that dies.
const parentVariable = "SKEIN_CHDB_TEST_PARENT"

func TestAChildDoesNotOutliveItsParent(t *testing.T) {
	if dir := os.Getenv(parentVariable); dir != "" {
		r, err := chdb.Start(t.Context(), chdbtest.Command(), chdb.Config{Dir: dir, Listen: "127.0.0.1:0", StopTime: time.Second})
		must(t, err)
		must(t, os.WriteFile(dir+"/addr", []byte(r.Addr), 0o600))
		select {}
	}
	chdbtest.Library(t)
	dir := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	parent.Env = append(os.Environ(), parentVariable+"="+dir)
	must(t, parent.Start())
	var addr []byte
	eventually(t, func() bool {
		addr, _ = os.ReadFile(dir + "/addr")
		return len(addr) > 0
	})
	_, _, err := get("http://" + string(addr) + "/ping")
	must(t, err)
	must(t, parent.Process.Kill())
	_ = parent.Wait()
	eventually(t, func() bool {
		_, _, err := get("http://" + string(addr) + "/ping")
		return err != nil
	})
}

func TestStoppingLetsQueriesEndOrCancelsThem(t *testing.T) {
	for name, want := range map[string]struct {
		sql, body string
		stop      time.Duration
	}{
		"a short one":  {"SELECT sleep(3)", "0\n", time.Minute},
		"one for ever": {"SELECT count() FROM numbers(10000000000000) WHERE sipHash64(number) = 1", "Code: 394.", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := chdbtest.Start(t, func(c *chdb.Config) { c.StopTime = want.stop })
			got := make(chan string, 1)
			go func() { got <- post(t, s, want.sql).body }()
			eventually(t, func() bool { return post(t, s, "SELECT count() FROM system.processes").body == "2\n" })
			begin := time.Now()
			s.Restart()
			if took := time.Since(begin); took > time.Minute {
				t.Error("it took", took)
			}
			if body := <-got; !strings.HasPrefix(body, want.body) {
				t.Fatalf("%q", body)
			}
		})
	}
}
