//go:build race

package pubsub_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/eventlog/kafkatest"
)

const raceDetector = true

// Watermill's TestReconnect has a data race of its own: one goroutine appends to publishedMessages, another one reads it
// without waiting for the first. So it runs in a test binary that was built without the detector.
func TestReconnectOfWatermillsSuiteWithoutTheRaceDetector(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { reconnect(t, "embedded") })
	t.Run("real", func(t *testing.T) {
		kafkatest.Killed(t)
		reconnect(t, "real")
	})
}

func reconnect(t *testing.T, cluster string) {
	t.Helper()
	tests := "Suite$/^" + cluster + "$/^TestReconnect$"
	out, err := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-count=1", "-v", "-run", tests, ".").CombinedOutput()
	if passed := strings.Count(string(out), "        --- PASS: "); err != nil || passed < 4 || strings.Contains(string(out), "--- SKIP") {
		t.Errorf("%v, and %d of 4 tests passed:\n%s", err, passed, out)
	}
}
