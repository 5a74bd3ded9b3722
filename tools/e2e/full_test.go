package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/eventload"
)

// The disk fills up under a client that streams: nothing is taken in any more, readiness says so, and what was taken in is there.
// With room again the client goes on.
func TestAcknowledgedEventsStandOnceThoughTheDiskFillsUp(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=1200m", "tmpfs", disk).CombinedOutput()
	skeintest.Require(t, "tmpfs", err == nil, "a small disk cannot be made: "+string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", disk).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 900<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.Dir = filepath.Join(disk, "data")
	server := s.Up("-c", configured(t, "disk: {min_free_bytes: 150000000}\n"))
	ready := func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTP+"/readyz", http.NoBody)
		if err != nil {
			return false
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
	sender := &eventload.Sender{Load: eventload.Load{Name: "full", Events: 100_000, Customers: 200}}
	streamed(t, sender, []string{s.GRPC}, func(func(int)) {
		server.WaitFor("full", func() bool { return !ready() })
		if err := os.Remove(ballast); err != nil {
			t.Error(err)
		}
		server.WaitFor("ready again", ready)
	})
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
}
