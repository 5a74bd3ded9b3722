package eventlog_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/eventlog"
)

func TestAPositionIsReadAsItIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := eventlog.Position{
			Topic:     rapid.StringMatching(`[a-z0-9._/-]{1,20}`).Draw(t, "topic"),
			Partition: rapid.Int32Min(0).Draw(t, "partition"),
			Offset:    rapid.Int64Min(0).Draw(t, "offset"),
		}
		if got, err := eventlog.ParsePosition(want.String()); err != nil || got != want {
			t.Fatalf("%s is read as %v, %v", want, got, err)
		}
	})
}

func TestWhatIsNoPositionIsRefused(t *testing.T) {
	for _, text := range []string{"", "/", "//", "t", "t/1", "/1/2", "t/1/", "t//2", "t/-1/2", "t/1/-2", "t/2147483648/0", "t/0/9223372036854775808", "t/1/x", "t/1/2 "} {
		if got, err := eventlog.ParsePosition(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
