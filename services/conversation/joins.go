package conversation

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
)

// LinksChangeWindow is how many records of a partition back Joins.LinkChanges tells of, at least.
const LinksChangeWindow = linksWindow

// Joins is what joins interactions, of all tenants, as it stands at one moment, for those who keep a copy of it. Close it. Not for concurrent
// use.
type Joins struct {
	r           *reading
	links, work projection.Vector
	walks       map[string]*walk
}

// Joins gives what is applied by now.
func (c *Conversations) Joins(ctx context.Context) (*Joins, error) {
	r, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	j := &Joins{r: r, walks: map[string]*walk{}}
	if j.links, err = projection.Applied(ctx, r.links, event.TopicLinks, c.cfg.Partitions); err == nil {
		j.work, err = r.view.Applied(ctx)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return j, nil
}

// Close lets go of it.
func (j *Joins) Close() error {
	j.r.close()
	return nil
}

// Generations are those of the links and of the interactions.
func (j *Joins) Generations() (links, work uint32) {
	return j.r.namespace.Generation, j.r.view.Namespace.Generation
}

// Applied is how far the topics of links and of interactions are contained.
func (j *Joins) Applied() (links, work projection.Vector) { return j.links, j.work }

// Tenants are those of whom anything was ever linked.
func (j *Joins) Tenants(ctx context.Context) ([]string, error) {
	return projection.Tenants(ctx, j.r.links, linksTenant)
}

// LinkChanges yields what the records of a partition of links from one offset to before another have joined or parted: ids of interactions and
// of threads.
func (j *Joins) LinkChanges(ctx context.Context, partition int32, from, until int64, yield func(tenant string, id event.ID)) error {
	return eachLinkChange(ctx, j.r.links, partition, from, until, func(c linkChange) {
		for _, id := range c.ids {
			yield(c.tenant, id)
		}
	})
}

// WorkChanges yields the threads that the records of a partition of interactions from one offset to before another have changed.
func (j *Joins) WorkChanges(ctx context.Context, partition int32, from, until int64, yield func(tenant string, thread event.ID)) error {
	return j.r.view.Changes(ctx, partition, from, until, func(_ int64, c Change) error {
		yield(c.Tenant, c.Thread)
		return nil
	})
}

// Linked gives the ids of interactions and threads that were ever linked or joined, behind one, in order, so many at most; the zero one is
// before all.
func (j *Joins) Linked(ctx context.Context, tenant string, behind event.ID, most int) (all []event.ID, err error) {
	r := kv.Prefix(linksKey(tenant, linksEdges, event.ID{})[:3+len(tenant)])
	if !behind.IsZero() {
		r.Start = append(linksKey(tenant, linksEdges, behind), 0)
	}
	it, err := j.r.links.Scan(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("conversation: read links: %w", err)
	}
	defer func() { _ = it.Close() }() // nothing is written through an iterator
	for len(all) < most && it.Next() {
		if len(it.Key()) < idSize {
			return nil, errLinksDamaged
		}
		all = append(all, event.ID(it.Key()[len(it.Key())-idSize:]))
	}
	return all, it.Err()
}

func (j *Joins) walk(tenant string) *walk {
	if j.walks[tenant] == nil {
		j.walks[tenant] = j.r.walk(tenant, present)
	}
	return j.walks[tenant]
}

// Touched yields the threads in which there are interactions of a conversation of which an id names an interaction or a thread, or one that is
// joined with it.
func (j *Joins) Touched(ctx context.Context, tenant string, id event.ID, yield func(thread event.ID)) error {
	w := j.walk(tenant)
	p, err := w.find(ctx, id)
	if err != nil {
		return fmt.Errorf("conversation: what %s names: %w", id, err)
	}
	if p != nil {
		return j.touched(ctx, w, p, yield)
	}
	for _, role := range []edgeRole{roleParent, roleChild} {
		threads, err := w.joined(ctx, id, role)
		if err != nil && !errors.Is(err, ErrTooLarge) {
			return fmt.Errorf("conversation: what is joined with %s: %w", id, err)
		}
		for _, thread := range append(threads, id) {
			yield(thread)
			parts, err := w.thread(ctx, thread)
			if err != nil {
				return err
			}
			for _, p := range parts {
				if err := j.touched(ctx, w, p, yield); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (j *Joins) touched(ctx context.Context, w *walk, p *part, yield func(thread event.ID)) error {
	yield(p.thread)
	m, err := w.matter(ctx, p)
	if errors.Is(err, ErrTooLarge) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("conversation: walk from %s: %w", p.id, err)
	}
	for _, other := range m.parts {
		yield(other.thread)
	}
	return nil
}

// Joined tells whether anything was ever linked with a thread or its last interaction.
func (j *Joins) Joined(ctx context.Context, tenant string, thread event.ID) (bool, error) {
	w := j.walk(tenant)
	if err := w.load(ctx, thread); err != nil || len(w.edges[thread]) > 0 {
		return err == nil, err
	}
	i, found, err := j.r.view.At(ctx, tenant, thread, math.MaxInt64)
	if err != nil || !found {
		return false, err
	}
	p, err := w.part(i)
	if err != nil {
		return false, err
	}
	err = w.load(ctx, p.id)
	return len(w.edges[p.id]) > 0, err
}

// Conversations yields the interactions of a thread that are joined with others, and the conversation of each.
func (j *Joins) Conversations(ctx context.Context, tenant string, thread event.ID, yield func(interaction, conversation event.ID)) error {
	w := j.walk(tenant)
	parts, err := w.thread(ctx, thread)
	if err != nil {
		return err
	}
	for _, p := range parts {
		m, err := w.matter(ctx, p)
		if errors.Is(err, ErrTooLarge) {
			continue
		}
		if err != nil {
			return fmt.Errorf("conversation: walk from %s: %w", p.id, err)
		}
		if len(m.parts) > 1 {
			yield(p.id, m.id())
		}
	}
	return nil
}
