package app

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/pkg/channel/cursorkv"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/services/outbound"
	"github.com/skein-cx/skein/services/webhooks"
)

// OpenLog opens the log for a client command: that of a cluster, or the embedded one of a server that is running.
func OpenLog(ctx context.Context, cfg LogConfig) (*kafkalog.Log, error) {
	brokers := cfg.Kafka
	if len(brokers) == 0 {
		brokers = []string{cfg.Addr}
	}
	c, err := cfg.kafkalog(brokers)
	if err != nil {
		return nil, err
	}
	return kafkalog.Open(ctx, c)
}

// StateHash is the hash over one generation of a read model.
type StateHash struct {
	Namespace kv.Namespace
	kv.Digest
}

// StateHashes hashes the read models of a server that is not running: what is a function of the log alone. What the sink and the mirror of
// ClickHouse note is none: it holds random names and the numbers of batches, which depend on when events came.
func StateHashes(ctx context.Context, cfg Config) ([]StateHash, error) {
	var hashes []StateHash
	models := newReadModels()
	err := offline(ctx, cfg, func(store kv.Store, namespaces []kv.Namespace) error {
		for _, ns := range namespaces {
			if !models.has(ns.Slice) {
				continue
			}
			snap, err := store.Snapshot(ctx, ns)
			if err != nil {
				return err
			}
			digest, err := kv.Hash(ctx, snap)
			if err := snap.Close(); err != nil {
				return err
			}
			if err != nil {
				return err
			}
			hashes = append(hashes, StateHash{ns, digest})
		}
		return nil
	})
	return hashes, err
}

// DropStore drops every read model of a server that is not running, and what is noted about them. It keeps what the log
// cannot tell again: the places of the webhooks, what was attempted to send, the cursors of channels that pull.
func DropStore(ctx context.Context, cfg Config) (dropped []kv.Namespace, err error) {
	err = offline(ctx, cfg, func(store kv.Store, namespaces []kv.Namespace) error {
		for _, ns := range namespaces {
			if kept(ns) {
				continue
			}
			if err := store.Drop(ctx, ns); err != nil {
				return err
			}
			dropped = append(dropped, ns)
		}
		return nil
	})
	return dropped, err
}

func kept(ns kv.Namespace) bool {
	return ns == webhooks.Namespace || ns == outbound.Namespace || ns == cursorkv.Namespace
}

func offline(ctx context.Context, cfg Config, work func(kv.Store, []kv.Namespace) error) (err error) {
	store, _, err := openEngine(ctx, cfg, nil, nil)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := store.Close(); err == nil {
			err = closeErr
		}
	}()
	namespaces, err := store.Namespaces(ctx)
	if err != nil {
		return fmt.Errorf("list the read models: %w", err)
	}
	return work(store, namespaces)
}
