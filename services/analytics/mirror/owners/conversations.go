package owners

import (
	"context"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// Joins is what joins interactions at one moment. Close it. It serves one goroutine.
type Joins interface {
	// Generations are those of the read models of links and of interactions, Applied how far their topics are contained; Windows are of how many
	// records of a partition back their changes are told.
	Generations() (links, work uint32)
	Applied() (links, work projection.Vector)
	Windows() (links, work int64)
	Tenants(ctx context.Context) ([]string, error)
	// LinkChanges yields the ids of interactions and threads that the records of a partition from one offset to before another have joined or
	// parted, WorkChanges the threads in which interactions changed.
	LinkChanges(ctx context.Context, partition int32, from, until int64, yield func(tenant string, id event.ID)) error
	WorkChanges(ctx context.Context, partition int32, from, until int64, yield func(tenant string, thread event.ID)) error
	// Linked gives the ids of interactions and threads that were ever linked or joined, behind one, in order, so many at most.
	Linked(ctx context.Context, tenant string, behind event.ID, most int) ([]event.ID, error)
	// Joined tells whether anything was ever linked with a thread.
	Joined(ctx context.Context, tenant string, thread event.ID) (bool, error)
	// Touched yields the threads in which there are interactions of a conversation of which an id names an interaction or a thread.
	Touched(ctx context.Context, tenant string, id event.ID, yield func(thread event.ID)) error
	// Conversations yields the interactions of a thread that are joined with others, and the conversation of each.
	Conversations(ctx context.Context, tenant string, thread event.ID, yield func(interaction, conversation event.ID)) error
	Close() error
}

// Conversations gives which interactions are one conversation. An entity is a thread.
type Conversations struct {
	timing Timing
	open   func(ctx context.Context) (Joins, error)
	table  *mirror.Table
	view   Joins // nil for none
}

var _ mirror.Source = (*Conversations)(nil)

// NewConversations makes the source. Open gives what is joined now.
func NewConversations(t Timing, open func(ctx context.Context) (Joins, error)) *Conversations {
	return &Conversations{timing: t.orDefault(), open: open, table: &mirror.Table{
		Name: "conversation_interactions", Columns: []string{"tenant", "interaction", "conversation"}, Append: mirror.AppendValues,
	}}
}

// Name implements mirror.Source.
func (s *Conversations) Name() string { return "conversations" }

// Tables implements mirror.Source.
func (s *Conversations) Tables() []*mirror.Table { return []*mirror.Table{s.table} }

// Next implements mirror.Source.
func (s *Conversations) Next(ctx context.Context, cursor []byte) (mirror.News, error) {
	s.drop()
	return next(ctx, s.timing, cursor, func(ctx context.Context) (links, error) {
		v, err := s.open(ctx)
		return joins{v}, err
	})
}

func (s *Conversations) drop() {
	if s.view != nil {
		_ = s.view.Close() // nothing is written through it
		s.view = nil
	}
}

// Rows implements mirror.Source. All rows behind one call of Next are of one moment.
func (s *Conversations) Rows(ctx context.Context, text string) (rows []mirror.Row, err error) {
	tenant, _, thread, err := parseEntity(text)
	if err != nil {
		return nil, err
	}
	if s.view == nil {
		if s.view, err = s.open(ctx); err != nil {
			return nil, err
		}
	}
	err = s.view.Conversations(ctx, tenant, thread, func(interaction, conversation event.ID) {
		var v mirror.Values
		v.Text(tenant)
		v.ID(interaction)
		v.ID(conversation)
		rows = append(rows, mirror.Row{Table: s.table, Key: string(interaction[:]), Data: v.Encoded()})
	})
	if err != nil {
		s.drop()
		return nil, err
	}
	return rows, nil
}

// joins is what joins interactions, as it is followed.
type joins struct{ Joins }

func (j joins) places() (map[string]place, map[string]int64) {
	links, work := j.Generations()
	linksAt, workAt := j.Applied()
	linksWindow, workWindow := j.Windows()
	return map[string]place{event.TopicLinks: {links, linksAt}, event.TopicInteractions: {work, workAt}},
		map[string]int64{event.TopicLinks: linksWindow, event.TopicInteractions: workWindow}
}

func (j joins) tenants(ctx context.Context) ([]string, error) { return j.Tenants(ctx) }

func (j joins) parts() int { return 1 }

func (j joins) scan(ctx context.Context, tenant string, _ int, behind event.ID, most int) ([]event.ID, error) {
	return j.Linked(ctx, tenant, behind, most)
}

func (j joins) named(ctx context.Context, tenant string, _ int, id event.ID, yield func(string)) error {
	return j.Touched(ctx, tenant, id, func(thread event.ID) { yield(entity(tenant, ofThread, thread)) })
}

// name is an id of a tenant's.
type name struct {
	tenant string
	id     event.ID
}

func (j joins) changes(ctx context.Context, from map[string]place, yield func(string)) error {
	linked, threads := map[name]bool{}, map[name]bool{}
	linksAt, workAt := j.Applied()
	for partition, until := range linksAt {
		err := j.LinkChanges(ctx, partition, from[event.TopicLinks].Next[partition], until, func(tenant string, id event.ID) { linked[name{tenant, id}] = true })
		if err != nil {
			return err
		}
	}
	for partition, until := range workAt {
		err := j.WorkChanges(ctx, partition, from[event.TopicInteractions].Next[partition], until, func(tenant string, thread event.ID) {
			threads[name{tenant, thread}] = true
		})
		if err != nil {
			return err
		}
	}
	for n := range threads {
		joined, err := j.Joined(ctx, n.tenant, n.id)
		if err != nil {
			return err
		}
		if joined {
			linked[n] = true
		}
	}
	for n := range linked {
		if err := j.named(ctx, n.tenant, 0, n.id, yield); err != nil {
			return err
		}
	}
	return nil
}
