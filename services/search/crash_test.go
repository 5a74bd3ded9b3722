package search_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	"github.com/skein-cx/skein/services/search"
)

// childDir is the directory in which the test binary indexes, as a child of itself, until it is killed.
const childDir = "SKEIN_TEST_SEARCH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := indexUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// crashed is how many messages there are, and every how many of them one is edited and one taken back.
const crashed, changedEvery = 3000, 10

// sameLog gives the same log in every process, record by record.
func sameLog(ctx context.Context) (eventlog.Log, *event.Keyring, event.Blobs, error) {
	log := memlog.New(memlog.Config{}).Open()
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	if err != nil {
		return nil, nil, nil, err
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		return nil, nil, nil, err
	}
	blobs, err := blob.Open(ctx, "mem://")
	if err != nil {
		return nil, nil, nil, err
	}
	err = log.EnsureTopics(ctx, eventlog.Topic{Name: event.TopicInteractions, Partitions: partitions})
	if err != nil {
		return nil, nil, nil, err
	}
	host := intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: log, Blobs: blobs, Now: func() time.Time { return at(0) }})
	for i := range crashed {
		thread, id := fmt.Sprint("t", i%97), fmt.Sprint(i)
		all := append([]*eventv1.Submission{}, message(thread, id, fmt.Sprint("kettle 退货 ", i)))
		switch i % changedEvery {
		case 1:
			all = append(all, edited(thread, id+"/e", id, fmt.Sprint("pot ", i), 1))
		case 2:
			all = append(all, deleted(thread, id+"/d", id))
		}
		if _, err := host.Submit(ctx, tenant, all...); err != nil {
			return nil, nil, nil, err
		}
	}
	return log, keyring, blobs, nil
}

func indexUntilKilled(dir string) error {
	ctx := context.Background()
	log, keyring, blobs, err := sameLog(ctx)
	if err != nil {
		return err
	}
	// A log that gives a few records at a time makes many batches.
	s, err := search.New(ctx, search.Config{Log: slowLog{log}, Dir: dir, Keyring: keyring, Blobs: blobs, Flush: time.Microsecond, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// slowLog gives few records at a time, and tells of it.
type slowLog struct{ eventlog.Log }

type slowReader struct{ eventlog.Reader }

func (l slowLog) Open(ctx context.Context, topic string, partition int32, offset int64) (eventlog.Reader, error) {
	r, err := l.Log.Open(ctx, topic, partition, offset)
	return slowReader{r}, err
}

func (r slowReader) Read(ctx context.Context, _ int) ([]eventlog.Record, error) {
	records, err := r.Reader.Read(ctx, 7)
	fmt.Println(len(records))
	return records, err
}

// Processes that are killed in the middle of their work, one after the other, and one that is left alive: what is found is what a process
// finds that was never disturbed.
func TestAKilledProcessNeitherLosesNorDoubles(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := t.TempDir()
	for i := range 6 {
		child := exec.CommandContext(ctx, os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir)
		var said bytes.Buffer
		child.Stderr = &said
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		for reads, lines := 0, bufio.NewReader(out); reads < 10+12*i; reads++ { // somewhere in the middle
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatalf("%v: %s", err, said.String())
			}
		}
		must(t, child.Process.Kill())
		var killed *exec.ExitError
		if err := child.Wait(); !errors.As(err, &killed) {
			t.Fatal(err)
		}
		if bytes.Contains(said.Bytes(), []byte("built anew")) {
			t.Error(said.String())
		}
	}
	w := newWorld(t)
	var err error
	var blobs event.Blobs
	w.log, w.keyring, blobs, err = sameLog(t.Context())
	must(t, err)
	w.blobs, _ = blobs.(*blob.Store)
	w.dir = dir
	w.begin()
	for p := range int32(partitions) {
		_, next, err := w.log.Bounds(t.Context(), event.TopicInteractions, p)
		must(t, err)
		w.last = append(w.last, &eventv1.Position{Topic: event.TopicInteractions, Partition: p, Offset: next - 1})
	}
	for query, want := range map[string]int64{"kettle": crashed * 8 / 10, "退货": crashed * 8 / 10, "pot": crashed / 10, "1234": 1, "1231": 1, "1232": 0} {
		if got := w.search(&searchv1.SearchRequest{Query: query}).GetTotal(); got != want {
			t.Errorf("%s finds %d instead of %d", query, got, want)
		}
	}
	if bytes.Contains(w.logs.Bytes(), []byte("built anew")) {
		t.Error(w.logs.String())
	}
}
