package pgkv_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
)

var (
	server  = pgtest.Shared{Options: pgtest.Options{Fast: true, Settings: []string{"max_connections=300"}}}
	schemas atomic.Int64
)

func TestMain(m *testing.M) {
	code := m.Run()
	server.Close()
	os.Exit(code)
}

// newSchema is a name that no other test has.
func newSchema() string { return fmt.Sprintf("test_%d", schemas.Add(1)) }

// open opens a store; the test closes it.
func open(t testing.TB, dsn, schema string) *pgkv.Store {
	t.Helper()
	store, err := pgkv.Open(context.Background(), dsn, pgkv.Options{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	return store
}
