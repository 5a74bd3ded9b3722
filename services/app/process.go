package app

import (
	"cmp"
	"path/filepath"
	"runtime"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/kv/pgkv"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
)

// process tells what this process is. No secret is among it.
func (a *App) process() *adminv1.GetProcessResponse {
	return &adminv1.GetProcessResponse{
		Version: a.cfg.Version, GoVersion: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		StartedAt: timestamppb.New(a.started), Roles: a.roles, Engines: a.cfg.engines(),
	}
}

// engines are what the data are kept in.
func (c *Config) engines() []*adminv1.Engine {
	const embedded = "embedded"
	log := &adminv1.Engine{Keeps: "log", Kind: embedded, Where: c.Log.Addr}
	if !c.embeddedLog() {
		log.Kind, log.Where = "Kafka", strings.Join(c.Log.Kafka, ", ")
	}
	store := &adminv1.Engine{Keeps: "store", Kind: embedded, Where: c.storeDir()}
	if c.sharedStore() {
		store.Kind, store.Where = "PostgreSQL", pgkv.Describe(c.Store.DSN)
	}
	blobs := &adminv1.Engine{Keeps: "blobs", Kind: "folder", Where: cmp.Or(withoutPassword(c.Blobs.URL), filepath.Join(c.Data, "blobs"))}
	if c.Blobs.URL != "" && !strings.HasPrefix(c.Blobs.URL, "file:") {
		blobs.Kind = "bucket"
	}
	analytics := &adminv1.Engine{Keeps: "analytics", Kind: embedded, Where: c.Analytics.Addr}
	switch {
	case c.Analytics.Off:
		analytics.Kind, analytics.Where = "", ""
	case !c.embeddedClickHouse():
		analytics.Kind, analytics.Where = "ClickHouse", withoutPassword(c.Analytics.ClickHouse)
	}
	return []*adminv1.Engine{log, store, blobs, analytics}
}
