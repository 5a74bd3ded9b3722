package pebblekv

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/time/rate"
)

// reporter passes Pebble's reports on.
type reporter struct {
	log  *slog.Logger
	fail func(cause string, full bool)
	// Errors that repeat, such as those of a flush that is tried again at once, are told once a second.
	background rate.Sometimes
}

// Infof implements pebble.Logger.
func (r *reporter) Infof(format string, args ...any) {
	if r.log.Enabled(context.Background(), slog.LevelDebug) {
		r.log.Debug(fmt.Sprintf(format, args...))
	}
}

// Errorf implements pebble.Logger.
func (r *reporter) Errorf(format string, args ...any) {
	r.log.Error(fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. Pebble calls it when it cannot go on, such as after a failed write to its log, and
// relies on it not to return. So this goroutine, and what locks it holds, stay where they are.
func (r *reporter) Fatalf(format string, args ...any) {
	full := slices.ContainsFunc(args, func(arg any) bool {
		err, ok := arg.(error)
		return ok && vfs.IsNoSpaceError(err)
	})
	r.fail(fmt.Sprintf(format, args...), full)
	select {}
}

// listener tells what Pebble does in the background.
func (r *reporter) listener() *pebble.EventListener {
	r.background.Interval = time.Second
	l := pebble.MakeLoggingEventListener(r)
	l.BackgroundError = func(err error) {
		r.background.Do(func() { r.log.Error("background work failed, it is tried again", "error", err) })
		if vfs.IsNoSpaceError(err) {
			r.fail(err.Error(), true) // Pebble would try for ever, until writes wait for ever
		}
	}
	l.DataCorruption = func(info pebble.DataCorruptionInfo) {
		r.log.Error("the store is damaged: drop it and let it be built again from the log", "detail", info.String())
	}
	l.DiskSlow = func(info pebble.DiskSlowInfo) { r.log.Warn("the disk is slow", "detail", info.String()) }
	l.LowDiskSpace = func(info pebble.LowDiskSpaceInfo) { r.log.Warn("the disk is filling up", "detail", info.String()) }
	l.WriteStallBegin = func(info pebble.WriteStallBeginInfo) {
		r.log.Warn("writes wait for the disk", "reason", info.Reason)
	}
	return &l
}
