package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// One process takes events in and folds them, another one answers; between them are a log and a database, which crashes.
func TestProcessesThatShareADatabase(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t, pgtest.Options{Fast: true})
	store := []string{"--store", database.URL()}
	writes, reads := newSite(t), newSite(t)
	writer := writes.Serve([]string{"run", "ingest", "projector"}, store...)
	keyring, err := os.ReadFile(filepath.Join(writes.Dir, "keyring.json"))
	if err != nil {
		t.Fatal(err)
	}

	foreign := newSite(t)
	stranger := foreign.Start(append(foreign.Args("run", "timeline"), append(store, "--kafka", writes.Kafka)...)...)
	if err := stranger.End(); err == nil || !strings.Contains(stranger.Out(), "another keyring") {
		t.Errorf("a process with a keyring of its own: %v\n%s", err, stranger.Out())
	}

	if err := os.MkdirAll(reads.Dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(reads.Dir, "keyring.json"), keyring, 0o600); err != nil {
		t.Fatal(err)
	}
	reader := reads.Serve([]string{"run", "timeline"}, append(store, "--kafka", writes.Kafka)...)

	const rounds = 4
	for round := range rounds {
		text := fmt.Sprintf("message %d", round)
		publish(t, writes, text, round)
		if round == 1 {
			database.Kill()
			if err := database.Up(); err != nil {
				t.Fatal(err)
			}
		}
		reader.WaitFor("showing "+text, func() bool {
			p := reads.Start("timeline", "anna@example.com", "--server", reads.GRPC)
			return p.End() == nil && strings.Contains(p.Out(), text) // the database may be away
		})
	}
	verify := writes.Run(append(writes.Args("config", "verify", "timeline"), store...)...)
	for what, out := range map[string]string{"writer": writer.Out(), "reader": reader.Out(), "config": verify} {
		if strings.Contains(out, database.Password()) {
			t.Errorf("the %s shows the password:\n%s", what, out)
		}
	}
	if !strings.Contains(verify, "postgres://127.0.0.1:") {
		t.Errorf("the database is not named:\n%s", verify)
	}
	if err := writer.Stop(); err != nil {
		t.Errorf("%v\n%s", err, writer.Out())
	}
	if err := reader.Stop(); err != nil {
		t.Errorf("%v\n%s", err, reader.Out())
	}

	// The embedded store, folded from the same log, holds the same.
	inDatabase := writes.Run(append(writes.Args("store", "hash"), store...)...)
	embedded := writes.Up()
	embedded.WaitFor("folding it again", func() bool {
		return strings.Contains(writes.Run("timeline", "anna@example.com", "--server", writes.GRPC), fmt.Sprintf("message %d", rounds-1))
	})
	if err := embedded.Stop(); err != nil {
		t.Error(err)
	}
	if onDisk := writes.Run(writes.Args("store", "hash")...); inDatabase != onDisk || !strings.Contains(onDisk, "timeline/1") {
		t.Errorf("in the database:\n%s\non the disk:\n%s", inDatabase, onDisk)
	}
	if dropped := writes.Run(append(writes.Args("store", "drop"), store...)...); !strings.Contains(dropped, "dropped timeline/1") {
		t.Errorf("dropped: %s", dropped)
	}
	if left := writes.Run(append(writes.Args("store", "hash"), store...)...); left != "" {
		t.Errorf("left: %s", left)
	}
}

// Reads that hold one connection while they take another, as many at once as there are connections and more.
func TestManyReadsAtOnceShareAFewConnectionsOfADatabase(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t, pgtest.Options{Fast: true})
	s := newSite(t)
	srv := s.Up("--store", database.URL()+"?pool_max_conns=8")
	publish(t, s, "Hello", 1)
	conn, err := rpc.Dial(s.GRPC, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	conversations, customers := conversationv1.NewConversationServiceClient(conn), customerv1.NewCustomerServiceClient(conn)
	var conversation string
	srv.WaitFor("the conversation in the list", func() bool {
		list, err := conversations.List(t.Context(), &conversationv1.ListRequest{})
		if err != nil || len(list.GetWork()) == 0 {
			return false
		}
		conversation = list.GetWork()[0].GetConversationId()
		return true
	})
	anna := []*eventv1.Address{{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "anna@example.com"}}
	group, ctx := errgroup.WithContext(t.Context())
	for range 60 {
		group.Go(func() error {
			for range 10 {
				if _, err := conversations.Get(ctx, &conversationv1.GetRequest{ConversationId: conversation}); err != nil {
					return fmt.Errorf("get the conversation: %w", err)
				}
				if _, err := customers.Resolve(ctx, &customerv1.ResolveRequest{Addresses: anna}); err != nil {
					return fmt.Errorf("resolve the customer: %w", err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if err := srv.Stop(); err != nil {
		t.Errorf("%v\n%s", err, srv.Out())
	}
}

func publish(t *testing.T, s *skeintest.Site, text string, n int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	line := fmt.Sprintf(`{"type":"message.received","channel":"CHANNEL_WEB_CHAT","direction":"DIRECTION_INBOUND","provider":"demo","inbox":"web","thread":"t","nativeId":"m%d",`+
		`"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"anna@example.com"},"side":"SIDE_CUSTOMER"}],"content":{"messageReceived":{"text":%q}}}`, n, text)
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Run("publish", file, "--server", s.GRPC)
}
