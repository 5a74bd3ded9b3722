package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	"github.com/skein-cx/skein/services/customer"
	"github.com/skein-cx/skein/services/search"
)

const (
	// hits is how many a search asks for, distinctQueries how many queries of each kind there are.
	hits, distinctQueries = 20, 500
	// freshShare is how much of the pace of other jobs comes in while it is measured how soon a message is found.
	freshShare = 0.05
)

func measureSearch(ctx context.Context, b *bench) ([]*Table, error) {
	corpus, err := readCorpus(b.Data)
	if err != nil {
		return nil, err
	}
	m := &searching{bench: b, corpus: corpus, tables: searchTables(b, corpus)}
	name, err := b.onMain(ctx, func(log *broker) error { return m.run(ctx, log) })
	if err != nil {
		return nil, fmt.Errorf("on %s: %w", name, err)
	}
	return m.tables, nil
}

func searchTables(b *bench, corpus []utterance) []*Table {
	bytes, chinese := 0, 0
	for _, u := range corpus {
		bytes += len(u.text)
		if u.chinese {
			chinese++
		}
	}
	return []*Table{
		{
			Title: "Search: the log becomes an index",
			Text: fmt.Sprintf(`How fast a log of %s real messages, %s of them Chinese, the rest English, with %d bytes of text on average, becomes an index that
can be searched, durable, and what the index takes once it is quiet. Ceiling: bleve alone in the same process, fed the same documents in batches as
large, from memory, with its own analyser for both scripts; it knows nothing of edits, duplicates and places in the log.`,
				count(len(corpus)), count(chinese), bytes/len(corpus)),
			Columns: []string{"log", "contender", "messages", "of ceiling", "allocations per message", "index bytes per message"},
		},
		{
			Title: "Search: queries",
			Text: fmt.Sprintf(`SearchService.Search over gRPC for the best %d, one of %s queries of each kind, whose words stand in random messages: a word or two, three
words together, how a word begins, and a word among what one customer said; of Chinese two, four and two characters. Ceiling: the same asked of bleve
directly, in this process and of its own index, the stored row loaded.`, hits, count(distinctQueries)),
			Columns: []string{"callers", "query", "p50", "p99", "per second", "ceiling p50", "p99", "p50 of ceiling", "hits on average"},
		},
		{
			Title: "Search: appended to found",
			Text: fmt.Sprintf(`The time from when a message with a word of its own is handed to the log to the first search that finds it, one after the other, searching all
the time; with nothing else coming in, and with %s beside it. Ceiling: bleve alone takes one document in, until its batch is durable.`,
				rate(freshShare*float64(b.Rate))),
			Columns: []string{"log", "beside it", "messages", "p50", "p99", "max", "ceiling p50", "p99"},
		},
	}
}

// searching is one run of the job.
type searching struct {
	*bench
	corpus []utterance
	tables []*Table

	log     eventlog.Log
	store   kv.Store
	service *search.Service
	server  *inside
	bare    *bareIndex
}

func (m *searching) run(ctx context.Context, log *broker) (err error) {
	l, err := openLog(ctx, log, foldTopic, event.TopicLinks)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	m.log = l
	store, _, remove, err := onPebble().open(ctx, m.bench)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	m.store = store
	m.say("  filling a log with %s messages ...", count(len(m.corpus)))
	messages, err := m.messages()
	if err != nil {
		return err
	}
	positions, err := eventlog.AppendAll(ctx, l, messages)
	if err != nil {
		return err
	}
	if m.bare, err = m.newBareIndex(ctx, messages); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.bare.close()) }()
	return m.indexed(ctx, log, positions)
}

// messages are those of the corpus as they stand in the log.
func (m *searching) messages() ([]eventlog.Message, error) {
	all := make([]eventlog.Message, len(m.corpus))
	for n, u := range m.corpus {
		var err error
		if all[n], err = m.events.compile(foldTopic, u.submission(n, m.events.at(n))); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// indexed measures the index while it comes into being, and what it answers then.
func (m *searching) indexed(ctx context.Context, log *broker, positions []eventlog.Position) (err error) {
	dir := m.newDir()
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	blobs, err := blob.Open(ctx, "mem://")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, blobs.Close()) }()
	customers := customer.NewCustomers(m.store, partitions, nil, nil, nil)
	m.service, err = search.New(ctx, search.Config{Log: m.log, Dir: dir, Keyring: m.events.keyring, Blobs: blobs, Customers: customers})
	if err != nil {
		return err
	}
	if m.server, err = serveInside(ctx, search.NewServer(m.service)); err != nil {
		return err
	}
	rctx, stop := context.WithCancel(ctx)
	ran := make(chan error, 1)
	defer func() {
		err = errors.Join(err, m.server.close())
		stop()
		err = errors.Join(err, <-ran)
	}()
	var f folded
	p, err := profiled(func() error {
		f, err = timed(func() error {
			go func() { ran <- m.service.Run(rctx) }()
			return m.await(ctx, positions)
		})
		return err
	})
	if err != nil {
		return err
	}
	f.events = len(m.corpus)
	if f.disk, err = settled(ctx, func() (int64, error) { return diskBytes(dir) }); err != nil {
		return err
	}
	t := m.tables[0]
	ceiling := rateOf(m.bare.made.events, m.bare.made.took)
	for _, c := range []struct {
		name string
		folded
	}{{"ceiling: bleve", m.bare.made}, {"**Skein**", f}} {
		r := rateOf(c.events, c.took)
		m.say("  %s: %s", c.name, r)
		t.row(log.name, c.name, r.String(), r.of(ceiling), c.perEvent(float64(c.allocations)), c.perEvent(float64(c.disk)))
	}
	t.profile("indexing", p)
	return errors.Join(m.queries(ctx), m.freshness(ctx, log))
}

// await returns once all positions can be found.
func (m *searching) await(ctx context.Context, positions []eventlog.Position) error {
	last := map[int32]int64{}
	for _, p := range positions {
		last[p.Partition] = max(last[p.Partition], p.Offset)
	}
	req := &searchv1.SearchRequest{Query: "order"}
	for p, offset := range last {
		req.MinPositions = append(req.MinPositions, &eventv1.Position{Topic: foldTopic, Partition: p, Offset: offset})
	}
	_, err := m.search(ctx, 0, req)
	return err
}

func (m *searching) search(ctx context.Context, i int, req *searchv1.SearchRequest) (*searchv1.SearchResponse, error) {
	answer, err := searchv1.NewSearchServiceClient(m.server.conns[i%len(m.server.conns)]).Search(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("search: %s", rpc.Explain(err))
	}
	return answer, nil
}

// asked is a query, as both are asked.
type asked struct {
	kind    askedKind
	text    string   // of the query
	words   []string // in it
	visitor int      // whose messages; of a kind with a customer
}

// askedKind is a kind of query.
type askedKind int

const (
	askWords askedKind = iota
	askPhrase
	askPrefix
	askCustomer
)

// kinds are the kinds of query in both languages. A Chinese character has no beginning.
func (m *searching) kinds() []struct {
	name    string
	kind    askedKind
	chinese bool
} {
	return []struct {
		name    string
		kind    askedKind
		chinese bool
	}{
		{"English: words", askWords, false},
		{"English: phrase", askPhrase, false},
		{"English: prefix", askPrefix, false},
		{"English: a customer's", askCustomer, false},
		{"Chinese: words", askWords, true},
		{"Chinese: phrase", askPhrase, true},
		{"Chinese: a customer's", askCustomer, true},
	}
}

// asks makes queries of a kind from random messages, the same ones each time.
func (m *searching) asks(kind askedKind, chinese bool) []asked {
	random := rand.New(rand.NewPCG(1, uint64(kind)))
	var all []asked
	for len(all) < distinctQueries {
		u := m.corpus[random.IntN(len(m.corpus))]
		if u.chinese != chinese {
			continue
		}
		if a, ok := askOf(random, u, kind); ok {
			all = append(all, a)
		}
	}
	return all
}

// askOf makes a query that a message answers, where it has the words for it.
func askOf(random *rand.Rand, u utterance, kind askedKind) (asked, bool) {
	a := asked{kind: kind, visitor: u.conversation / perVisitor}
	most, join := 1+random.IntN(2), " "
	words := strings.Fields(u.text)
	if u.chinese {
		words, join = characters(u.text), ""
		most = 2
	}
	if kind == askPhrase {
		most = 3
		if u.chinese {
			most = 4
		}
	}
	if len(words) < most {
		return asked{}, false
	}
	at := random.IntN(len(words) - most + 1)
	a.words = words[at : at+most]
	a.text = strings.Join(a.words, join)
	if strings.ContainsFunc(a.text, func(r rune) bool { return !unicode.IsLetter(r) && r != ' ' }) { // nobody asks for it so
		return asked{}, false
	}
	switch kind {
	case askPhrase:
		a.text = `"` + a.text + `"`
	case askPrefix:
		if len(words[at]) < 5 {
			return asked{}, false
		}
		a.words = []string{strings.ToLower(words[at][:4])}
		a.text = a.words[0] + "*"
	case askWords, askCustomer:
	}
	return a, true
}

// characters are those of the longest run of Chinese characters.
func characters(text string) []string {
	var longest []string
	for _, run := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.Is(unicode.Han, r) }) {
		if c := strings.Split(run, ""); len(c) > len(longest) {
			longest = c
		}
	}
	return longest
}

func (m *searching) queries(ctx context.Context) error {
	var mixed []asked
	for _, k := range m.kinds() {
		asks := m.asks(k.kind, k.chinese)
		mixed = append(mixed, asks...)
		if err := m.queryRow(ctx, 1, k.name, asks); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	for _, callers := range []int{1, 16} {
		if err := m.queryRow(ctx, callers, "**all of them**", mixed); err != nil {
			return err
		}
	}
	p, err := profiled(func() error {
		_, _, err := m.repeat(ctx, 4, func(ctx context.Context, i int) error {
			_, err := m.search(ctx, i, &searchv1.SearchRequest{Query: mixed[i*7%len(mixed)].text, PageSize: hits})
			return err
		})
		return err
	})
	if err == nil {
		m.tables[1].profile("searches by 4 callers, client and server in one process", p)
	}
	return err
}

func (m *searching) queryRow(ctx context.Context, callers int, name string, asks []asked) error {
	requests := make([]*searchv1.SearchRequest, len(asks))
	total := 0
	for n, a := range asks {
		requests[n] = &searchv1.SearchRequest{Query: a.text, PageSize: hits}
		if a.kind == askCustomer {
			endpoint, err := event.Normalise(visitor(a.visitor))
			if err != nil {
				return err
			}
			requests[n].CustomerId = event.CustomerOf(m.events.keyring.Tenant(tenant).Endpoint(endpoint)).String()
		}
		found, err := m.search(ctx, n, requests[n]) // warms up, too
		if err != nil {
			return err
		}
		if found.GetTotal() == 0 {
			return fmt.Errorf("%s is found nowhere", a.text)
		}
		total += int(found.GetTotal())
	}
	ours, perSecond, err := m.repeat(ctx, callers, func(ctx context.Context, i int) error {
		_, err := m.search(ctx, i, requests[i%len(requests)])
		return err
	})
	if err != nil {
		return err
	}
	bare, _, err := m.repeat(ctx, callers, func(ctx context.Context, i int) error { return m.bare.ask(ctx, asks[i%len(asks)]) })
	if err != nil {
		return err
	}
	m.tables[1].row(fmt.Sprint(callers), name, show(ours.at(0.5)), show(ours.at(0.99)), perSecond.String(), show(bare.at(0.5)), show(bare.at(0.99)),
		times(ours.at(0.5), bare.at(0.5)), count(total/len(asks)))
	return nil
}

func (m *searching) freshness(ctx context.Context, log *broker) error {
	beside := int(freshShare * float64(m.Rate))
	single, err := m.bare.singles(m.Each)
	if err != nil {
		return err
	}
	for turn, perSecond := range []int{0, beside} {
		found, err := m.fresh(ctx, turn, perSecond)
		if err != nil {
			return err
		}
		name := "nothing"
		if perSecond > 0 {
			name = rate(perSecond).String()
		}
		m.tables[2].row(log.name, name, count(len(found)), show(found.at(0.5)), show(found.at(0.99)), show(found.at(1)), show(single.at(0.5)), show(single.at(0.99)))
	}
	return nil
}

// fresh measures how soon messages are found, while others come in at a pace.
func (m *searching) fresh(ctx context.Context, turn, perSecond int) (found delays, err error) {
	g, gctx := errgroup.WithContext(ctx)
	number := (turn + 1) * 100 * len(m.corpus) // of messages that nobody has appended yet
	if perSecond > 0 {
		g.Go(func() error { return m.paceCorpus(gctx, number, perSecond) })
	}
	g.Go(func() error {
		for began, n := time.Now(), 0; time.Since(began) < m.Each; n++ {
			word := word(turn, n)
			message, err := m.events.compile(foldTopic, utterance{conversation: -1 - n, text: "My code is " + word}.submission(2*number+n, time.Now()))
			if err != nil {
				return err
			}
			start := time.Now()
			if _, err := eventlog.AppendAll(gctx, m.log, []eventlog.Message{message}); err != nil {
				return err
			}
			for {
				answer, err := m.search(gctx, n, &searchv1.SearchRequest{Query: word, PageSize: 1})
				if err != nil {
					return err
				}
				if answer.GetTotal() > 0 {
					break
				}
				if time.Since(start) > patience {
					return fmt.Errorf("%s is not found in time", word)
				}
			}
			found = append(found, time.Since(start))
		}
		return nil
	})
	err = g.Wait()
	return found.sort(), err
}

// word is one that nobody has written.
func word(turn, n int) string {
	b := []byte("zq")
	for _, d := range fmt.Sprintf("%d%05d", turn, n) {
		b = append(b, 'a'+byte(d-'0'))
	}
	return string(b)
}

// paceCorpus appends the corpus once more, as other messages, at a pace.
func (m *searching) paceCorpus(ctx context.Context, number, perSecond int) error {
	var all sync.WaitGroup
	var c collector
	_, err := pace(ctx, perSecond, m.Each, func(from, to int, _ time.Time) error {
		for ; from < to; from++ {
			message, err := m.events.compile(foldTopic, m.corpus[from%len(m.corpus)].submission(number+from, time.Now()))
			if err != nil {
				return err
			}
			all.Add(1)
			err = m.log.Append(ctx, message, func(_ eventlog.Position, err error) {
				c.add(0, err)
				all.Done()
			})
			if err != nil {
				all.Done()
				return err
			}
		}
		return nil
	})
	all.Wait()
	return errors.Join(err, c.err())
}

// dirOf names a directory for an index.
func (b *bench) dirOf(name string) string { return filepath.Join(b.newDir(), name) }

// momentOf is when a message happened, and its number, as bytes that are ordered as moments are.
func momentOf(at time.Time, n int) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano())), uint64(n))
}
