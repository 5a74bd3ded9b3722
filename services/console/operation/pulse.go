package operation

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// pulse asks for something once for all who watch it. What it tells is for callers with the admin right, whose answers are the same.
type pulse[T any] struct {
	every  time.Duration
	ask    func(context.Context) T
	turn   chan struct{} // holds one: whoever put it there looks, and asks
	latest T
	at     time.Time
}

func newPulse[T any](every time.Duration, ask func(context.Context) T) *pulse[T] {
	return &pulse[T]{every: every, ask: ask, turn: make(chan struct{}, 1)}
}

// now is an answer that is hardly older than a beat. It fails only where ctx ends.
func (p *pulse[T]) now(ctx context.Context) (T, error) {
	var none T
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	defer func() { <-p.turn }()
	if time.Since(p.at) < p.every*9/10 { // who comes by the same beat comes a little early at times
		return p.latest, nil
	}
	got := p.ask(ctx)
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	p.latest, p.at = got, time.Now()
	return got, nil
}

// forget has the next one ask anew, because something was changed.
func (p *pulse[T]) forget() {
	p.turn <- struct{}{}
	p.at = time.Time{}
	<-p.turn
}

// models are the read models and tables.
type models struct {
	at     time.Time
	slices []*adminv1.Slice
	tables []*adminv1.Tables
	// paces of what is being built, by name.
	paces map[string]pace
	err   error
}

func askModels(ctx context.Context, admin adminv1.AdminServiceClient, paces *paces) models {
	answer, err := admin.ListSlices(ctx, &adminv1.ListSlicesRequest{})
	m := models{at: time.Now(), slices: answer.GetSlices(), tables: answer.GetTables(), err: err}
	m.paces = paces.note(m.at, m.builds())
	return m
}

// build is something that can be built anew, and how far that is.
type build struct {
	name              string
	serving, building uint32
	done, total       int64
	// topic that it is built from; empty for tables of ClickHouse.
	topic string
	// records that the log holds of it; 0 where that is not known.
	records int64
}

func (m models) builds() (all []build) {
	for _, s := range m.slices {
		b := build{name: s.GetName(), serving: s.GetServing(), building: s.GetBuilding(), done: s.GetDone(), total: s.GetTotal(), topic: s.GetTopic()}
		b.records = held(s)
		all = append(all, b)
	}
	for _, t := range m.tables {
		all = append(all, build{name: t.GetName(), serving: t.GetServing(), building: t.GetBuilding(), done: t.GetDone(), total: t.GetTotal()})
	}
	return all
}

// surroundings are what stands around the read models. What could not be asked for has an error of its own: one thing that does not answer must
// not hide the others.
type surroundings struct {
	topics      []*adminv1.Topic
	topicsErr   error
	channels    []*adminv1.Channel
	channelsErr error
	webhooks    []*adminv1.Webhook
	webhooksErr error
	status      *analyticsv1.StatusResponse
	statusErr   error
	// letters are how many dead letters are open, at least; more says that there are others.
	letters    int
	more       bool
	lettersErr error
}

// lettersCounted is up to how many dead letters are counted.
const lettersCounted = 100

func askSurroundings(ctx context.Context, admin adminv1.AdminServiceClient, dead adminv1.DeadLetterServiceClient, hooks adminv1.WebhookServiceClient,
	reports analyticsv1.AnalyticsServiceClient,
) (s surroundings) {
	var g errgroup.Group
	g.Go(func() error {
		answer, err := admin.ListTopics(ctx, &adminv1.ListTopicsRequest{})
		s.topics, s.topicsErr = answer.GetTopics(), err
		return nil
	})
	g.Go(func() error {
		answer, err := admin.ListChannels(ctx, &adminv1.ListChannelsRequest{})
		s.channels, s.channelsErr = answer.GetChannels(), err
		return nil
	})
	g.Go(func() error {
		answer, err := hooks.ListWebhooks(ctx, &adminv1.ListWebhooksRequest{})
		s.webhooks, s.webhooksErr = answer.GetWebhooks(), err
		return nil
	})
	g.Go(func() error {
		s.status, s.statusErr = reports.Status(ctx, &analyticsv1.StatusRequest{})
		return nil
	})
	g.Go(func() error {
		answer, err := dead.ListDeadLetters(ctx, &adminv1.ListDeadLettersRequest{Open: true, PageSize: lettersCounted})
		s.letters, s.more, s.lettersErr = len(answer.GetLetters()), answer.GetNextPageToken() != "", err
		return nil
	})
	_ = g.Wait() // each keeps its own error
	return s
}

// behind is how far the read models are behind: the events of all of them, and the oldest.
func (m models) behind() (events int64, age time.Duration) {
	for _, s := range m.slices {
		e, a := lag(s)
		events, age = events+e, max(age, a)
	}
	return events, age
}

// records are how many the log holds.
func (s surroundings) records() (n int64) {
	for _, t := range s.topics {
		n += records(t)
	}
	return n
}

// brokenSources are how many connections of channels do not work.
func (s surroundings) brokenSources() (n int) {
	for _, c := range s.channels {
		n += len(broken(c))
	}
	return n
}

// held is how many records a read model is folded from.
func held(s *adminv1.Slice) (records int64) {
	for _, p := range s.GetPartitions() {
		records += p.GetNextOffset() + p.GetLagEvents()
	}
	return records
}

// mostBehind is the lag of the partition that is furthest behind.
func mostBehind(s *adminv1.Slice) (events int64) {
	for _, p := range s.GetPartitions() {
		events = max(events, p.GetLagEvents())
	}
	return events
}
