package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/lang/cjk"
	"github.com/blevesearch/bleve/v2/document"
	"github.com/blevesearch/bleve/v2/index/scorch"
	"github.com/blevesearch/bleve/v2/search/query"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// bareBatchSize is how many documents a batch has, as many as search writes at once while it catches up.
const bareBatchSize = 8000

// bareIndex is bleve alone.
type bareIndex struct {
	bleve.Index
	dir      string
	analyser analysis.Analyzer
	made     folded
	singled  int
}

// newBareIndex feeds the messages to an index.
func (m *searching) newBareIndex(ctx context.Context, messages []eventlog.Message) (*bareIndex, error) {
	x := &bareIndex{dir: m.dirOf("bleve")}
	if err := os.MkdirAll(filepath.Dir(x.dir), 0o700); err != nil {
		return nil, err
	}
	mapping := bleve.NewIndexMapping()
	mapping.ScoringModel = index.BM25Scoring
	mapping.DefaultAnalyzer = cjk.AnalyzerName
	x.analyser = mapping.AnalyzerNamed(cjk.AnalyzerName)
	var err error
	if x.Index, err = bleve.NewUsing(x.dir, mapping, scorch.Name, scorch.Name, nil); err != nil {
		return nil, fmt.Errorf("make an index: %w", err)
	}
	x.made, err = timed(func() error {
		for from := 0; from < len(messages); from += bareBatchSize {
			batch := x.NewBatch()
			for n := from; n < min(from+bareBatchSize, len(messages)); n++ {
				if err := batch.IndexAdvanced(x.document(m.corpus[n], n, m.events.at(n), messages[n].Key)); err != nil {
					return err
				}
			}
			if err := x.Batch(batch); err != nil {
				return err
			}
		}
		return nil
	})
	x.made.events = len(messages)
	if err == nil {
		x.made.disk, err = settled(ctx, func() (int64, error) { return diskBytes(x.dir) })
	}
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// document has the fields that a message has in Skein's index.
func (x *bareIndex) document(u utterance, n int, at time.Time, thread []byte) *document.Document {
	d := document.NewDocument(fmt.Sprintf("message-%016d", n))
	row := append(make([]byte, 100), u.text...) // what is known of a message takes about as much beside its text
	d.AddField(document.NewTextFieldCustom("row", nil, row, index.StoreField, nil))
	word := func(field string, value []byte, options index.FieldIndexingOptions) {
		d.AddField(document.NewTextFieldCustom(field, nil, value, options|index.IndexField|index.SkipFreqNorm, nil))
	}
	word("tenant", []byte(tenant), 0)
	word("thread", thread, 0)
	word("channel", []byte{1}, 0)
	word("endpoint", []byte(visitor(u.conversation/perVisitor).GetValue()), 0)
	word("moment", momentOf(at, n), index.DocValues)
	d.AddField(document.NewTextFieldCustom("text", nil, []byte(u.text), index.IndexField|index.IncludeTermVectors, x.analyser))
	return d
}

// ask asks a query.
func (x *bareIndex) ask(ctx context.Context, a asked) error {
	var q query.Query
	switch text := strings.Join(a.words, " "); a.kind {
	case askPhrase:
		q = phraseOf(a)
	case askPrefix:
		prefix := bleve.NewPrefixQuery(text)
		prefix.SetField("text")
		q = prefix
	case askWords, askCustomer:
		match := bleve.NewMatchQuery(strings.Trim(a.text, `"`))
		match.SetField("text")
		match.SetOperator(query.MatchQueryOperatorAnd)
		q = match
	}
	if a.kind == askCustomer {
		of := bleve.NewTermQuery(visitor(a.visitor).GetValue())
		of.SetField("endpoint")
		q = bleve.NewConjunctionQuery(q, of)
	}
	request := bleve.NewSearchRequestOptions(q, hits, 0, false)
	request.Fields = []string{"row"}
	found, err := x.SearchInContext(ctx, request)
	if err != nil {
		return fmt.Errorf("bleve: %w", err)
	}
	if found.Total == 0 {
		return fmt.Errorf("bleve: %s is found nowhere", a.text)
	}
	return nil
}

func phraseOf(a asked) query.Query {
	q := bleve.NewMatchPhraseQuery(strings.Trim(a.text, `"`))
	q.SetField("text")
	return q
}

// singles feeds one document after the other for a while.
func (x *bareIndex) singles(each time.Duration) (all delays, err error) {
	for began := time.Now(); time.Since(began) < each; x.singled++ {
		start := time.Now()
		batch := x.NewBatch()
		n := 1<<40 + x.singled
		u := utterance{conversation: -1, text: "My code is " + word(9, x.singled)}
		if err := errors.Join(batch.IndexAdvanced(x.document(u, n, start, nil)), x.Batch(batch)); err != nil {
			return nil, err
		}
		all = append(all, time.Since(start))
	}
	return all.sort(), nil
}

func (x *bareIndex) close() error { return errors.Join(x.Close(), os.RemoveAll(filepath.Dir(x.dir))) }
