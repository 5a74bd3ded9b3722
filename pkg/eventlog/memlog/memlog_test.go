package memlog_test

import (
	"testing"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/logtest"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
)

func TestMemlogPassesTheSuite(t *testing.T) {
	store := memlog.New(memlog.Config{MaxMessageBytes: logtest.MaxMessageBytes})
	logtest.Run(t, func(*testing.T) eventlog.Log { return store.Open() })
}
