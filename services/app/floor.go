package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/hours"
	"github.com/skein-cx/skein/pkg/scope"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/alerts"
	"github.com/skein-cx/skein/services/board"
	"github.com/skein-cx/skein/services/conversation"
	keeper "github.com/skein-cx/skein/services/directory"
	"github.com/skein-cx/skein/services/staffing"
)

func (a *App) openBooks(ctx context.Context) error {
	partitions, err := a.log.Partitions(ctx, event.TopicDirectory)
	if err != nil {
		return err
	}
	a.books = keeper.NewDirectory(a.store, partitions, a.slices.progress(keeper.Slice), a.logger)
	return nil
}

func (a *App) followBooks(ctx context.Context) error { return a.books.Run(ctx) }

// floor is who is at work, and what waits, as this process sees it live.
type floor struct {
	agents *agent.Agents
	live   *agent.Floor
	board  *board.Server
	work   work
}

func (a *App) openFloor(ctx context.Context) error {
	ofInteractions, err := a.log.Partitions(ctx, event.TopicInteractions)
	if err != nil {
		return err
	}
	ofAgents, err := a.log.Partitions(ctx, event.TopicAgents)
	if err != nil {
		return err
	}
	f := &floor{work: work{a.links}}
	f.agents = agent.NewAgents(a.store, ofAgents, a.slices.progress(agent.Slice), a.books, workOfAgents{f.work})
	f.live = agent.NewFloor(f.agents, a.logger)
	f.board, err = board.NewServer(board.Config{
		Books: a.books, Agents: agentsOfBoard{f.live}, Work: workOfBoard{f.work}, InteractionPartitions: ofInteractions, AgentPartitions: ofAgents,
		Registerer: a.registry, Logger: a.logger,
	})
	a.floor = f
	return err
}

func (a *App) runFloor(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.floor.live.Run(ctx) })
	g.Go(func() error { return a.floor.board.Run(ctx) })
	return g.Wait()
}

func (a *App) registerAgents(ctx context.Context) error {
	compiler, err := event.NewCompiler(a.keyring)
	if err != nil {
		return err
	}
	ofAlerts, err := a.log.Partitions(ctx, event.TopicAlerts)
	if err != nil {
		return err
	}
	keeper.NewServer(keeper.Config{Directory: a.books, Keyring: a.keyring, Host: a.intake, Log: a.log}).Register(a.grpc)
	agent.NewServer(agent.Config{Agents: a.floor.agents, Floor: a.floor.live, Compiler: compiler, Host: a.intake, Matters: a.links}).Register(a.grpc)
	a.floor.board.Register(a.grpc)
	alerts.NewServer(alerts.NewAlerts(a.store, ofAlerts, a.slices.progress(alerts.Slice))).Register(a.grpc)
	staffing.NewServer(staffing.Config{
		Books: a.books, Visits: workOfStaffing{a.floor.work}, Agents: signedIn{a.floor.board}, Hours: opened,
	}).Register(a.grpc)
	return nil
}

func (a *App) openAlerts(ctx context.Context) error {
	rules, err := alerts.NewRules(alerts.Settings{Alerts: a.cfg.Alerts})
	if err != nil {
		return err
	}
	partitions, err := a.log.Partitions(ctx, event.TopicAlerts)
	if err != nil {
		return err
	}
	a.alerts = alerts.NewWorker(alerts.Config{
		Rules: rules, Alerts: alerts.NewAlerts(a.store, partitions, a.slices.progress(alerts.Slice)), Board: boardOfAlerts{a.floor.board},
		Host: a.intake, Log: a.log, Metrics: alerts.NewMetrics(a.registry), Logger: a.logger,
	})
	return nil
}

func (a *App) runAlerts(ctx context.Context) error { return a.alerts.Run(ctx) }

// work is the read model of interactions as agents, boards and forecasts see it.
type work struct{ *links }

// Shares implements agent.Work.
func (w work) Shares(
	ctx context.Context, tenant, name string, from, until time.Time, yield func(*conversationv1.Interaction, *conversationv1.Assignment) bool,
) error {
	return w.view(ctx, func(v *conversation.View) error { return v.Shares(ctx, tenant, name, from, until, yield) })
}

// Await implements agent.Work.
func (w work) Await(ctx context.Context, at ...eventlog.Position) error {
	return w.interactions.Await(ctx, at...)
}

// Queues implements board.Work.
func (w work) Queues(ctx context.Context, tenant string, yield func(queue string) bool) error {
	return w.view(ctx, func(v *conversation.View) error { return v.Queues(ctx, tenant, yield) })
}

func (w work) visits(ctx context.Context, tenant, queue string, from, until time.Time, yield func(conversation.Visit) bool) error {
	return w.view(ctx, func(v *conversation.View) error { return v.Visits(ctx, tenant, queue, from, until, yield) })
}

func (w work) view(ctx context.Context, read func(*conversation.View) error) error {
	_, err := viewed(ctx, w.interactions.read, func(v *conversation.View) (struct{}, error) { return struct{}{}, read(v) })
	return err
}

type workOfAgents struct{ work }

// FollowWork implements agent.Work.
func (w workOfAgents) FollowWork(ctx context.Context, tenant string, yield func(agent.WorkNews) error) error {
	return w.conversations.FollowWork(ctx, tenant, func(n conversation.WorkNews) error {
		threads := make([]agent.ThreadWork, len(n.Threads))
		for i, t := range n.Threads {
			threads[i] = agent.ThreadWork(t)
		}
		return yield(agent.WorkNews{Reset: n.Reset, Complete: n.Complete, Threads: threads, At: n.At})
	})
}

type workOfBoard struct{ work }

// FollowWork implements board.Work.
func (w workOfBoard) FollowWork(ctx context.Context, tenant string, yield func(board.WorkNews) error) error {
	return w.conversations.FollowWork(ctx, tenant, func(n conversation.WorkNews) error {
		threads := make([]board.ThreadWork, len(n.Threads))
		for i, t := range n.Threads {
			threads[i] = board.ThreadWork(t)
		}
		return yield(board.WorkNews{Reset: n.Reset, Complete: n.Complete, Threads: threads, At: n.At})
	})
}

// Visits implements board.Work.
func (w workOfBoard) Visits(ctx context.Context, tenant, queue string, from, until time.Time, yield func(board.Visit) bool) error {
	return w.visits(ctx, tenant, queue, from, until, func(v conversation.Visit) bool {
		b := board.Visit{
			ID: v.ID, Thread: v.Thread, Provider: v.Provider, Backfill: v.Backfill, Entered: v.Entered.UnixNano(), Outcome: v.Outcome,
			SLATarget: v.SLATarget, Handled: v.Handled, HandleTime: v.HandleTime,
		}
		if !v.Left.IsZero() {
			b.Left = v.Left.UnixNano()
		}
		return yield(b)
	})
}

type workOfStaffing struct{ work }

// Visits implements staffing.Visits.
func (w workOfStaffing) Visits(ctx context.Context, tenant, queue string, from, until time.Time, yield func(staffing.Visit) bool) error {
	return w.visits(ctx, tenant, queue, from, until, func(v conversation.Visit) bool {
		return yield(staffing.Visit{
			Provider: v.Provider, Entered: v.Entered, Left: v.Left, Outcome: v.Outcome, Handled: v.Handled, HandleTime: v.HandleTime,
		})
	})
}

// agentsOfBoard are the agents as the board sees them.
type agentsOfBoard struct{ *agent.Floor }

// Follow implements board.Agents.
func (f agentsOfBoard) Follow(ctx context.Context, tenant string, yield func(board.AgentNews) error) error {
	return f.Floor.Follow(ctx, tenant, func(n agent.News) error { return yield(board.AgentNews(n)) })
}

// boardOfAlerts is the board as alerts see it.
type boardOfAlerts struct{ *board.Server }

// Follow implements alerts.Board.
func (b boardOfAlerts) Follow(ctx context.Context, tenant string, yield func(alerts.BoardNews) error) error {
	return b.Server.Follow(ctx, tenant, &boardv1.WatchRequest{Filter: &boardv1.BoardFilter{WithoutTeams: true}}, func(n *boardv1.WatchResponse) error {
		if err := readable(n); err != nil {
			return err
		}
		return yield(alerts.BoardNews{Reset: n.GetReset_(), Complete: n.GetComplete(), Rows: n.GetRows(), Removed: n.GetRemoved()})
	})
}

// readable reads a message that is made of bytes, so that its getters show them.
func readable(m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("read a board: %w", err)
	}
	return proto.Unmarshal(b, m)
}

// signedIn tells forecasts who is there, by the board.
type signedIn struct{ *board.Server }

var errSeen = errors.New("seen")

// SignedIn implements staffing.Agents.
func (s signedIn) SignedIn(ctx context.Context, tenant, queue string) (have int, err error) {
	filter := &boardv1.BoardFilter{Queues: []string{queue}, WithoutTeams: true, WithoutAgents: true}
	err = s.Follow(ctx, tenant, &boardv1.WatchRequest{Filter: filter}, func(n *boardv1.WatchResponse) error {
		if err := readable(n); err != nil {
			return err
		}
		for _, q := range n.GetRows().GetQueues() {
			have = int(q.GetSignedInAgents())
		}
		return errSeen
	})
	if errors.Is(err, errSeen) {
		err = nil
	}
	return have, err
}

// opened tells when business hours of the directory are open.
func opened(h *eventv1.DirectoryHours) (open func(from, until time.Time) bool, err error) {
	calendar, err := hours.New(h.GetTimeZone(), h.GetOpen(), h.GetExcept())
	if err != nil {
		return nil, err
	}
	return calendar.OpenWithin, nil
}

// Matter implements agent.Matters.
func (l *links) Matter(ctx context.Context, tenant string, i *conversationv1.Interaction) (talk, customer string, err error) {
	return l.conversations.Matter(ctx, tenant, i)
}

// Customer implements agent.Matters.
func (l *links) Customer(ctx context.Context, tenant string, id event.ID) (string, error) {
	s, err := l.customers.Scope(ctx, tenant, event.CustomerOf(id), scope.At{})
	switch {
	case errors.Is(err, scope.ErrUnknown):
		return event.CustomerOf(id).String(), nil
	case err != nil:
		return "", err
	}
	return s.ID.String(), nil
}
