//go:build race

package pubsub_test

import (
	"os/exec"
	"strings"
	"testing"
)

const raceDetector = true

// Watermill's TestReconnect has a data race of its own: one goroutine appends to publishedMessages, another one reads it
// without waiting for the first. So it runs in a test binary that was built without the detector.
func TestReconnectOfWatermillsSuiteWithoutTheRaceDetector(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-count=1", "-v", "-run", "Suite$/^TestReconnect$", ".").CombinedOutput()
	if passed := strings.Count(string(out), "    --- PASS: "); err != nil || passed < 4 || strings.Contains(string(out), "--- SKIP") {
		t.Errorf("%v, and %d of 4 tests passed:\n%s", err, passed, out)
	}
}
