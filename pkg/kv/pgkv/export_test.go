package pgkv

import "github.com/skein-cx/skein/pkg/kv"

// Arranged is what arrange makes of a batch.
type Arranged struct {
	Lows, Highs           [][]byte
	From                  []byte
	Deletes, Keys, Values [][]byte
}

// Arrange shows arrange.
func Arrange(b *kv.Batch) Arranged {
	w := arrange(b.Ops())
	return Arranged{w.lows, w.highs, w.from, w.deletes, w.keys, w.values}
}

// Session are the settings of each connection.
func Session(schema string) map[string]string { return session(schema) }

// Statements are those on a table that exists, each with arguments for it.
func Statements(s *Store, ns kv.Namespace) map[string][]any {
	t := s.known(ns)
	keys := [][]byte{{1}, {2}}
	return map[string][]any{
		t.get:          {[]byte{1}},
		t.getMany:      {keys},
		t.up:           {64, []byte{1}},
		t.upTo:         {64, []byte{1}, []byte{2}},
		t.down:         {64, []byte{1}},
		t.downFrom:     {64, []byte{1}, []byte{2}},
		t.check:        {keys, keys},
		t.deleteRanges: {keys, keys},
		t.deleteFrom:   {[]byte{1}},
		t.deleteKeys:   {keys},
	}
}
