package search

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"
	"github.com/cespare/xxhash/v2"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
)

// layout is the version of what documents hold and how texts are taken apart. An index of another one is built anew.
const layout = "1"

// ErrLocked means that another process has the directory open.
var ErrLocked = errors.New("search: the directory is in use by another process")

// errUnfit means that an index is of no use: it cannot be read, is of another layout, or of another log.
var errUnfit = errors.New("search: the index is of no use")

var layoutKey = []byte("layout") //nolint:gochecknoglobals // a constant

func placeKey(partition int32) []byte {
	return binary.BigEndian.AppendUint32([]byte("place/"), uint32(partition))
}

// place is how far a partition is indexed: the last record that is, and its checksum.
type place struct {
	offset   int64
	checksum uint64
}

// placeOf is the place behind a record.
func placeOf(r eventlog.Record) place {
	h := xxhash.New()
	_, _ = h.Write(r.Key) // a hash never fails
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(r.Value)
	return place{r.Offset, h.Sum64()}
}

// table is rows in an index, and changes to them that are not written yet. One goroutine at a time may change it; anybody may search it.
type table struct {
	bleve.Index

	reader  index.IndexReader // of what is written
	pending map[key]*row
	waiting map[key][]key // of what is pending, the events that wait for somebody to open their thread
	places  map[int32]place
	size    int // of what is pending, in bytes
}

// openTable opens an index in a directory, or makes one. errUnfit says that what is there must be dropped.
func openTable(dir string) (t *table, err error) {
	defer func() {
		if r := recover(); r != nil { // of the library, about files that hold what it never wrote
			err = fmt.Errorf("%w: %v", errUnfit, r)
		}
	}()
	path := filepath.Join(dir, "index")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return makeTable(path)
	}
	opened, err := bleve.OpenUsing(path, map[string]any{"bolt_timeout": "1s"})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, ErrLocked
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnfit, err)
	}
	if found, err := opened.GetInternal(layoutKey); err != nil || string(found) != layout {
		_ = opened.Close() // it is dropped
		return nil, fmt.Errorf("%w: its layout is %q instead of %q: %w", errUnfit, found, layout, err)
	}
	return begun(opened)
}

// begun is a table that is ready for its first batch.
func begun(i bleve.Index) (*table, error) {
	t := &table{Index: i}
	if err := t.begin(); err != nil {
		_ = i.Close() // nothing is pending
		return nil, err
	}
	return t, nil
}

func makeTable(path string) (*table, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	mapping := bleve.NewIndexMapping() // documents come with their fields; only the way to score is taken from it
	mapping.ScoringModel = index.BM25Scoring
	made, err := bleve.NewUsing(path, mapping, scorch.Name, scorch.Name, map[string]any{"bolt_timeout": "1s"})
	if err != nil {
		return nil, fmt.Errorf("search: make an index: %w", err)
	}
	b := made.NewBatch()
	b.SetInternal(layoutKey, []byte(layout))
	if err := made.Batch(b); err != nil {
		_ = made.Close() // nothing is in it
		return nil, fmt.Errorf("search: make an index: %w", err)
	}
	return begun(made)
}

// dropTable removes an index.
func dropTable(dir string) error {
	if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
		return fmt.Errorf("search: drop an index: %w", err)
	}
	return nil
}

// begin begins a batch.
func (t *table) begin() error {
	if t.reader != nil {
		_ = t.reader.Close() // nothing is written through a reader
		t.reader = nil
	}
	t.pending, t.waiting, t.places, t.size = map[key]*row{}, map[key][]key{}, map[int32]place{}, 0
	advanced, err := t.Advanced()
	if err == nil {
		t.reader, err = advanced.Reader()
	}
	if err != nil {
		return fmt.Errorf("search: read the index: %w", err)
	}
	return nil
}

// close lets go of the index; what is pending is lost.
func (t *table) close() error {
	if t.reader != nil {
		_ = t.reader.Close() // nothing is written through a reader
		t.reader = nil
	}
	return t.Close()
}

// place tells how far a partition is indexed; false where nothing of it is.
func (t *table) place(partition int32) (place, bool, error) {
	b, err := t.GetInternal(placeKey(partition))
	if err != nil {
		return place{}, false, fmt.Errorf("search: read how far partition %d is indexed: %w", partition, err)
	}
	if len(b) != 16 {
		return place{}, false, nil
	}
	return place{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])}, true, nil
}

// get reads a row; nil where there is none. It must not be changed.
func (t *table) get(k key) (*row, error) {
	if r, ok := t.pending[k]; ok {
		return r, nil
	}
	doc := k.doc()
	if id, err := t.reader.InternalID(doc); err != nil || id == nil { // cheaper than a document that is not there
		return nil, err
	}
	return t.stored(doc)
}

func (t *table) stored(doc string) (*row, error) {
	d, err := t.reader.Document(doc)
	if err != nil {
		return nil, fmt.Errorf("search: read a row: %w", err)
	}
	if d == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	var raw string
	d.VisitFields(func(f index.Field) {
		if f.Name() == fieldRow {
			raw = string(f.Value())
		}
	})
	return decodeRow(raw)
}

// set writes a row.
func (t *table) set(k key, r *row) {
	t.pending[k] = r
	t.size += len(r.text) + rowSize
	if k.kind == kindEvent && r.state == stateShown && len(r.endpoints) == 0 {
		thread := key{kindThread, k.tenant, r.thread}
		t.waiting[thread] = append(t.waiting[thread], k)
	}
}

// waitingIn gives the events that wait for somebody to open a thread.
func (t *table) waitingIn(ctx context.Context, tenant string, thread event.ID) ([]key, error) {
	all, err := t.matching(ctx, term(fieldWaiting, waitingTerm(tenant, thread)))
	if err != nil {
		return nil, err
	}
	return append(all, t.waiting[key{kindThread, tenant, thread}]...), nil
}

// matching gives the keys of all that is written and matches a query.
func (t *table) matching(ctx context.Context, q query.Query) ([]key, error) {
	s, err := q.Searcher(ctx, t.reader, t.Mapping(), unscored)
	if err != nil {
		return nil, fmt.Errorf("search: find rows: %w", err)
	}
	defer func() { _ = s.Close() }() // nothing is written through a searcher
	var keys []key
	in := &search.SearchContext{DocumentMatchPool: search.NewDocumentMatchPool(s.DocumentMatchPoolSize()+1, 0), IndexReader: t.reader}
	for {
		d, err := s.Next(in)
		if err != nil {
			return nil, fmt.Errorf("search: find rows: %w", err)
		}
		if d == nil {
			return keys, nil
		}
		doc, err := t.reader.ExternalID(d.IndexInternalID)
		if err != nil {
			return nil, fmt.Errorf("search: find rows: %w", err)
		}
		in.DocumentMatchPool.Put(d)
		k, err := parseKey(doc)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
}

// write writes what is pending, and how far partitions are indexed with it, at once and durably.
func (t *table) write() error {
	b := t.NewBatch()
	for k, r := range t.pending {
		if err := b.IndexAdvanced(r.document(k)); err != nil {
			return fmt.Errorf("search: write: %w", err)
		}
	}
	for partition, p := range t.places {
		b.SetInternal(placeKey(partition), binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(p.offset)), p.checksum))
	}
	if err := t.Batch(b); err != nil {
		return fmt.Errorf("search: write: %w", err)
	}
	return t.begin()
}
