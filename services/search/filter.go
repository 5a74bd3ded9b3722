package search

import (
	"bytes"
	"context"
	"fmt"

	"github.com/blevesearch/bleve/v2/mapping"
	"github.com/blevesearch/bleve/v2/search"
	"github.com/blevesearch/bleve/v2/search/query"
	"github.com/blevesearch/bleve/v2/search/searcher"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/skein-cx/skein/pkg/scope"
)

// The queries below say how searchers are put together. The library's own boolean query takes a part that can match nothing for one that
// is not there, so that a word which nobody wrote would find everything, of every tenant.

// unscored is how the searchers of filters are made: who is in does not fit better than somebody else.
var unscored = search.SearcherOptions{Score: "none"} //nolint:gochecknoglobals // a constant

// every matches what all of its queries match. Those of filter add nothing to the score.
type every struct {
	scored []query.Query
	filter []query.Query
}

// Searcher implements query.Query.
func (q every) Searcher(ctx context.Context, i index.IndexReader, m mapping.IndexMapping, options search.SearcherOptions) (search.Searcher, error) {
	var all []search.Searcher
	shut := func() {
		for _, s := range all {
			_ = s.Close() // nothing is written through a searcher
		}
	}
	nothing := false
	add := func(queries []query.Query, options search.SearcherOptions) error {
		for _, part := range queries {
			s, err := part.Searcher(ctx, i, m, options)
			if err != nil {
				return err
			}
			all = append(all, s)
			_, none := s.(*searcher.MatchNoneSearcher)
			nothing = nothing || none
		}
		return nil
	}
	err := add(q.scored, options)
	if err == nil {
		err = add(q.filter, unscored)
	}
	switch {
	case err != nil:
		shut()
		return nil, err
	case nothing || len(all) == 0:
		shut()
		return searcher.NewMatchNoneSearcher(i)
	}
	if len(q.scored) == 0 {
		options = unscored
	}
	s, err := searcher.NewConjunctionSearcher(ctx, i, all, options)
	if err != nil {
		shut()
	}
	return s, err
}

// except matches what one query matches and none of the others do.
type except struct {
	want    query.Query
	without []query.Query
}

// Searcher implements query.Query.
func (q except) Searcher(ctx context.Context, i index.IndexReader, m mapping.IndexMapping, options search.SearcherOptions) (search.Searcher, error) {
	want, err := q.want.Searcher(ctx, i, m, options)
	if err != nil {
		return nil, err
	}
	if _, none := want.(*searcher.MatchNoneSearcher); none || len(q.without) == 0 {
		return want, nil
	}
	without, err := anyOf(q.without).Searcher(ctx, i, m, unscored)
	if err != nil {
		_ = want.Close() // nothing is written through a searcher
		return nil, err
	}
	return searcher.NewBooleanSearcher(ctx, i, want, nil, without, options)
}

// anyOf matches what one of the queries matches.
func anyOf(queries []query.Query) query.Query {
	if len(queries) == 1 {
		return queries[0]
	}
	return query.NewDisjunctionQuery(queries)
}

// unranked matches what its query matches, and all of it fits equally well.
type unranked struct{ query.Query }

// Searcher implements query.Query.
func (q unranked) Searcher(ctx context.Context, i index.IndexReader, m mapping.IndexMapping, _ search.SearcherOptions) (search.Searcher, error) {
	return q.Query.Searcher(ctx, i, m, unscored)
}

// during matches what its query matches and what happened in a stretch of time. It looks at the moment of each, so that the index needs
// no terms for them.
type during struct {
	query.Query
	scope.Range
}

// Searcher implements query.Query.
func (q during) Searcher(ctx context.Context, i index.IndexReader, m mapping.IndexMapping, options search.SearcherOptions) (search.Searcher, error) {
	s, err := q.Query.Searcher(ctx, i, m, options)
	if err != nil || q.Range == scope.Ever {
		return s, err
	}
	values, err := i.DocValueReader([]string{fieldMoment})
	if err != nil {
		_ = s.Close() // nothing is written through a searcher
		return nil, fmt.Errorf("read the moments: %w", err)
	}
	from, until := appendNanos(nil, q.From), appendNanos(nil, q.Until)
	within := func(_ context.Context, d *search.DocumentMatch) (ok bool, err error) {
		err = values.VisitDocValues(d.IndexInternalID, func(_ string, moment []byte) {
			ok = bytes.Compare(moment, from) >= 0 && bytes.Compare(moment, until) < 0
		})
		return ok, err
	}
	return searcher.NewCustomFilterSearcher(ctx, s, within, nil, i, nil), nil
}

// term matches what has one value in a field.
func term(field, value string) query.Query {
	q := query.NewTermQuery(value)
	q.SetField(field)
	return q
}

// terms matches what has one of the values in a field.
func terms[V any](field string, values []V, encode func(V) string) query.Query {
	queries := make([]query.Query, len(values))
	for i, v := range values {
		queries[i] = term(field, encode(v))
	}
	return anyOf(queries)
}

// query gives what finds the phrase.
func (p phrase) query() query.Query {
	var (
		parts []query.Query
		exact [][]string
		known int
	)
	for _, s := range p {
		switch s.kind {
		case stepTerm, stepStem:
			known++
			exact = append(exact, []string{s.term})
			continue
		case stepPrefix, stepGram:
			begins := query.NewPrefixQuery(s.term)
			begins.SetField(fieldText)
			parts = append(parts, unranked{begins})
		case stepAny:
		}
		exact = append(exact, []string{""}) // a position that takes anything
	}
	for len(exact) > 0 && exact[0][0] == "" {
		exact = exact[1:]
	}
	for len(exact) > 0 && exact[len(exact)-1][0] == "" {
		exact = exact[:len(exact)-1]
	}
	switch {
	case known == 1:
		parts = append(parts, term(fieldText, exact[0][0]))
	case known > 1:
		parts = append(parts, query.NewMultiPhraseQuery(exact, fieldText))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return every{scored: parts}
}

// query gives what finds the words among what passes the filters.
func (w words) query(filter []query.Query) query.Query {
	all := every{filter: filter}
	for _, p := range w.want {
		all.scored = append(all.scored, p.query())
	}
	out := except{want: all}
	for _, p := range w.without {
		out.without = append(out.without, p.query())
	}
	return out
}

// belonging matches what a scope holds.
func belonging(s scope.Scope) query.Query {
	var parts []query.Query
	for _, e := range s.Endpoints {
		own := except{want: during{term(fieldEndpoint, string(e.ID[:])), e.Range}}
		for _, w := range s.Without {
			if w.Endpoint.IsZero() || w.Endpoint == e.ID {
				own.without = append(own.without, during{term(fieldThread, string(w.Thread[:])), w.Range})
			}
		}
		parts = append(parts, own)
	}
	for _, t := range s.Threads {
		parts = append(parts, during{term(fieldThread, string(t.ID[:])), t.Range})
	}
	if len(parts) == 0 {
		return query.NewMatchNoneQuery()
	}
	return anyOf(parts)
}
