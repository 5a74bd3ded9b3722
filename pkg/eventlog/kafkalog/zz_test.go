package kafkalog_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

func TestZZ(t *testing.T) {
	log := opened(t, kafkalog.Config{Brokers: []string{"127.0.0.1:19092"}, Timeout: 90 * time.Second, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	name := fmt.Sprintf("zz%d", time.Now().UnixNano())
	must(t, log.EnsureTopics(context.Background(), eventlog.Topic{Name: name, Partitions: 4}))
	var seen sync.Map
	var read atomic.Int64
	for p := range int32(4) {
		r, err := log.Open(context.Background(), name, p, 0)
		must(t, err)
		go func() {
			for {
				rs, err := r.Read(context.Background(), 1000)
				if err != nil { t.Log("read", err); return }
				for _, x := range rs { if _, dup := seen.LoadOrStore(string(x.Value), true); !dup { read.Add(1) } else { t.Log("dup", string(x.Value)) } }
			}
		}()
	}
	var wg sync.WaitGroup
	var slow atomic.Int64
	n := 0
	begin := time.Now()
	killed := false
	for time.Since(begin) < 40*time.Second {
		if !killed && time.Since(begin) > 3*time.Second {
			killed = true
			go func() {
				out, err := exec.Command("bash", "/tmp/kafka/bounce.sh").CombinedOutput()
				t.Log(string(out), err)
			}()
		}
		for range 50 {
			wg.Add(1)
			t0 := time.Now()
			must(t, log.Append(context.Background(), eventlog.Message{Topic: name, Key: fmt.Appendf(nil, "%d", n), Value: fmt.Appendf(nil, "%d", n)}, func(p eventlog.Position, err error) {
				if err != nil { t.Error(err) }
				if d := int64(time.Since(t0)); d > slow.Load() { slow.Store(d) }
				wg.Done()
			}))
			n++
		}
		time.Sleep(20 * time.Millisecond)
	}
	wg.Wait()
	for read.Load() < int64(n) && time.Since(begin) < 80*time.Second { time.Sleep(100 * time.Millisecond) }
	t.Log("appended", n, "read", read.Load(), "slowest", time.Duration(slow.Load()))
	if read.Load() != int64(n) { t.Fail() }
}
