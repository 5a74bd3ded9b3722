package pgkv_test

import (
	"testing"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/kvtest"
)

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn := server.Need(t).DSN() + " pool_max_conns=60"
	kvtest.Run(t, func(t *testing.T) kv.Store {
		t.Helper()
		return open(t, dsn, newSchema())
	})
}
