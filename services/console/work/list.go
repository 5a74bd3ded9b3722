package work

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/event"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

const (
	// onPage is how many rows are fetched at once, and atOnce how many of them are looked after at a time.
	onPage, atOnce = 50, 8
	// counted is how much open work the counts at the side look at, the most urgent; beyond it they say "at least".
	counted = 500
	// settle is how long the counts at the side may be behind, so that a busy centre does not count all the time.
	settle = 2 * time.Second
	// behind is how long rows wait for timelines that do not tell yet what their interactions tell. Then they show what those tell by now.
	behind = 2 * time.Second
)

// row is work in the list.
type row struct {
	*conversationv1.Work
	who string
	// last are the words that were said last, and ours whether the company said them.
	last string
	ours bool
	// order is where it stands, see rank.
	order string
}

// desk is what the page of the list shows.
type desk struct {
	selection
	view.Names
	me    string
	now   time.Time
	rows  []row
	next  string // page
	watch string // cursor
	// person is the name of the customer whose work is shown, where it is one's.
	person string
	// nobody: work of one's own is asked for by somebody who acts as no agent.
	nobody bool
	tally  tally
}

// asked is what the request selects.
func (p *Pages) asked(c *web.Call) (d desk, f *conversationv1.Filter, err error) {
	d = desk{selection: selected(c.R.URL.Query()), me: c.User.Agent, now: time.Now()}
	if n, err := strconv.ParseInt(c.Form("now"), 10, 64); err == nil {
		d.now = time.Unix(n, 0)
	}
	d.Names = c.Names()
	f, d.nobody, err = d.filter(c.Context(), d.Names, d.me, d.now)
	return d, f, err
}

// path is the address of more of the list.
func (d desk) path(part, page string) string {
	return view.With(view.At(view.Work, part), append(d.pairs(), "now", strconv.FormatInt(d.now.Unix(), 10), "page", page)...)
}

func (p *Pages) list(c *web.Call) error {
	d, f, err := p.asked(c)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() (err error) {
		d.tally, _, err = p.tally(ctx, d.Names, d.me)
		return err
	})
	if !d.nobody {
		g.Go(func() error { return p.page(ctx, &d, f, "") })
	}
	if d.Person != "" {
		g.Go(func() error {
			d.person = view.CustomerName(ctx, p.site.People(ctx, []string{d.Person})[d.Person])
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Work"), Section: view.Work}, listPage(d))
}

// more are the rows behind those that the page shows.
func (p *Pages) more(c *web.Call) error {
	d, f, err := p.asked(c)
	if err != nil {
		return err
	}
	if err := p.page(c.Context(), &d, f, c.Form("page")); err != nil {
		return err
	}
	return c.Parts(rows(d))
}

func (p *Pages) page(ctx context.Context, d *desk, f *conversationv1.Filter, token string) error {
	answer, err := p.conversations.List(ctx, &conversationv1.ListRequest{Filter: f, Order: orders()[d.Order], PageSize: onPage, PageToken: token})
	if err != nil {
		return err
	}
	d.rows, d.next, d.watch = p.rows(ctx, answer.GetWork(), d.Order), answer.GetNextPageToken(), answer.GetWatchCursor()
	return nil
}

// rows tells of each work whose it is and what was said last. What cannot be told is left out: the row is of use without.
func (p *Pages) rows(ctx context.Context, work []*conversationv1.Work, order string) []row {
	all := make([]row, len(work))
	ids := make([]string, len(work))
	waits, cancel := context.WithTimeout(ctx, behind)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, w := range work {
		all[i], ids[i] = row{Work: w, order: rank(w.GetInteraction(), orders()[order])}, w.GetCustomerId()
		g.Go(func() error {
			all[i].last, all[i].ours = p.lastWords(ctx, waits, w.GetInteraction())
			return nil
		})
	}
	people := p.site.People(ctx, ids)
	_ = g.Wait() // nothing in it fails
	for i, w := range work {
		all[i].who = view.CustomerName(ctx, people[w.GetCustomerId()])
	}
	return all
}

// excerpt is how much of the last words a row shows.
const excerpt = 160

// lastWords are those that the interaction tells of: a row that a watch brings is not brought again for words that its timeline has a moment
// later. Where waits ends before that, they are those that the timeline has.
func (p *Pages) lastWords(ctx, waits context.Context, i *conversationv1.Interaction) (words string, ours bool) {
	req := &timelinev1.ListRequest{
		ThreadIds: []string{i.GetThreadId()}, Types: []string{event.TypeMessageReceived, event.TypeMessageSent}, From: i.GetStartedAt(), PageSize: 1,
	}
	if at := i.GetPosition(); at != nil {
		req.MinPositions = []*eventv1.Position{at}
	}
	answer, err := p.timelines.List(waits, req)
	if err != nil && waits.Err() != nil {
		req.MinPositions = nil
		answer, err = p.timelines.List(ctx, req)
	}
	if err != nil || len(answer.GetEntries()) == 0 {
		return "", false
	}
	said := view.Describe(ctx, answer.GetEntries()[0], view.Files{})
	text := []rune(said.Message.GetText())
	return string(text[:min(len(text), excerpt)]), said.Ours
}

// tally is how much open work there is.
type tally struct {
	All, Mine, Unassigned, Breached int
	// Queues in order of their names.
	Queues []queueTally
	// More: there is more work than was counted.
	More bool
}

// queueTally is how much of it a queue has.
type queueTally struct {
	ID, Name       string
	Open, Breached int
	// Row of the board; nil where there is no board, or the board does not know the queue.
	Row *boardv1.QueueRow
}

// tally counts the open work, and gives the cursor from which it changes.
func (p *Pages) tally(ctx context.Context, h view.Names, agent string) (t tally, cursor string, err error) {
	var board *boardv1.GetResponse
	var open *conversationv1.ListResponse
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		board, err = p.boards.Get(ctx, &boardv1.GetRequest{Filter: &boardv1.BoardFilter{WithoutAgents: true, WithoutTeams: true}})
		if web.Unserved(err) || web.Busy(err) {
			return nil // the counts are of use without
		}
		return err
	})
	g.Go(func() (err error) {
		open, err = p.conversations.List(ctx, &conversationv1.ListRequest{PageSize: counted})
		return err
	})
	if err := g.Wait(); err != nil {
		return t, "", err
	}
	return count(h, agent, open, board.GetRows().GetQueues()), open.GetWatchCursor(), nil
}

func count(h view.Names, agent string, open *conversationv1.ListResponse, board []*boardv1.QueueRow) tally {
	t := tally{More: open.GetNextPageToken() != ""}
	queues := map[string]*queueTally{}
	of := func(carried string) *queueTally {
		id := h.Queues.ID(carried)
		if queues[id] == nil {
			queues[id] = &queueTally{ID: id, Name: h.Queues.NameOf(id)}
		}
		return queues[id]
	}
	for _, q := range h.Queues.All {
		of(q.ID)
	}
	for _, r := range board {
		of(r.GetQueue()).Row = r
	}
	for _, w := range open.GetWork() {
		i := w.GetInteraction()
		missed := breached(i)
		t.All++
		if missed {
			t.Breached++
		}
		switch h.Agents.ID(i.GetAgent()) {
		case "":
			t.Unassigned++
		case agent:
			t.Mine++
		}
		if i.GetQueue() == "" {
			continue
		}
		q := of(i.GetQueue())
		q.Open++
		if missed {
			q.Breached++
		}
	}
	for _, q := range queues {
		t.Queues = append(t.Queues, *q)
	}
	slices.SortFunc(t.Queues, func(a, b queueTally) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return t
}

// listStream sends rows as they change, come and go, and the counts at the side.
func (p *Pages) listStream(c *web.Call) error {
	d, f, err := p.asked(c)
	if err != nil {
		return err
	}
	return c.Stream(func(ctx context.Context, cursor string, send func(web.News) error) error {
		return together(ctx, send,
			func(ctx context.Context, send func(web.News) error) error {
				if d.nobody {
					return nil
				}
				return p.followRows(ctx, &conversationv1.WatchRequest{Filter: f, Cursor: cursor}, d, send)
			},
			func(ctx context.Context, send func(web.News) error) error { return p.followTally(ctx, d, send) },
		)
	})
}

// together follows several things at once, and sends what they have to tell one after the other.
func together(ctx context.Context, send func(web.News) error, follow ...func(context.Context, func(web.News) error) error) error {
	var mu sync.Mutex
	inTurn := func(n web.News) error {
		mu.Lock()
		defer mu.Unlock()
		return send(n)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, f := range follow {
		g.Go(func() error { return f(ctx, inTurn) })
	}
	return g.Wait()
}

func (p *Pages) followRows(ctx context.Context, req *conversationv1.WatchRequest, d desk, send func(web.News) error) error {
	watch, err := p.conversations.Watch(ctx, req)
	if err != nil {
		return err
	}
	return web.Each(watch, func(m *conversationv1.WatchResponse) error {
		news := web.News{Cursor: m.GetCursor(), Again: m.GetReset_()}
		switch {
		case m.GetWork() != nil:
			d.rows = p.rows(ctx, []*conversationv1.Work{m.GetWork()}, d.Order)
			news.Parts = append(news.Parts, newRow(d))
		case m.GetGone() != "":
			news.Parts = append(news.Parts, view.Gone(rowID(m.GetGone())))
		}
		return send(news)
	})
}

// followTally counts anew when any work has changed, and no more often than the counts need.
func (p *Pages) followTally(ctx context.Context, d desk, send func(web.News) error) error {
	for {
		next := time.NewTimer(settle)
		t, cursor, err := p.tally(ctx, d.Names, d.me)
		if err != nil {
			return err
		}
		d.tally = t
		if err := send(web.News{Parts: parts(side(d))}); err != nil {
			return err
		}
		if err := p.changed(ctx, cursor); err != nil {
			return err
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changed waits until any open work is not as it was at the cursor.
func (p *Pages) changed(ctx context.Context, cursor string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := p.conversations.Watch(ctx, &conversationv1.WatchRequest{Cursor: cursor})
	if err != nil {
		return err
	}
	for {
		m, err := watch.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || m.GetWork() != nil || m.GetGone() != "" || m.GetReset_() {
			return err
		}
	}
}
