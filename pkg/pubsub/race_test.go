//go:build race

package pubsub_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/eventlog/kafkatest"
)

const raceDetector = true

// Under the race detector Watermill's suite runs short: it wants hundreds of thousands of deliveries within times of its own, in which
// the detector, many times slower, does not get through on a busy machine. And its TestReconnect has a data race of its own: one
// goroutine appends to publishedMessages, another one reads it without waiting for the first. So the whole suite runs in a test binary
// that was built without the detector.
func TestWatermillsWholeSuiteWithoutTheRaceDetector(t *testing.T) {
	t.Run("embedded", func(t *testing.T) { wholeSuite(t, "embedded") })
	t.Run("real", func(t *testing.T) {
		kafkatest.Killed(t)
		wholeSuite(t, "real")
	})
}

func wholeSuite(t *testing.T, cluster string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "test", "-race=false", "-trimpath", "-tags", "stress", "-timeout", "20m", "-count=1", "-v", "-run", "Suite$/^"+cluster+"$", ".").CombinedOutput()
	restarted := regexp.MustCompile(`--- PASS: \S+Suite/`+cluster+`/TestReconnect \(`).FindAll(out, -1)
	if err != nil || len(restarted) != 2 { // in groups and without
		t.Errorf("%v, and %d of 2 went on through a restart:\n%s", err, len(restarted), strings.ReplaceAll(string(out), "publishing message\n", ""))
	}
}
