package mailtest_test

import (
	"testing"

	"github.com/skein-cx/skein/pkg/channel/mailtest"
)

func TestDovecotStartsAndRestarts(t *testing.T) {
	d := mailtest.StartDovecot(t)
	d.Restart(t)
}
