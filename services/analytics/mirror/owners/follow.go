package owners

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

const (
	waits = time.Second
	looks = 100 * time.Millisecond
	page  = 2048
)

// Timing says how a source waits. The zero value is that of a service.
type Timing struct {
	// Wait is how long Next waits for a change at most; 0 for a second.
	Wait time.Duration
	// Page is about how many entities are named at once; 0 for 2048.
	Page int
}

func (t Timing) orDefault() Timing {
	if t.Wait == 0 {
		t.Wait = waits
	}
	if t.Page == 0 {
		t.Page = page
	}
	return t
}

// place is how far a topic was followed in a generation of a read model.
type place struct {
	Generation uint32
	Next       projection.Vector
}

// precedes tells whether all changes from it on are known to a read model that keeps those of so many records of a partition.
func (p place) precedes(now place, window int64) bool {
	for partition, next := range p.Next {
		if next > now.Next[partition] {
			return false
		}
	}
	for partition, next := range now.Next {
		if next-p.Next[partition] > window {
			return false
		}
	}
	return p.Generation == now.Generation
}

// cursor is how far a source was followed.
type cursor struct {
	// Places are by topic.
	Places map[string]place
	// Scan is how far everything was gone through; nil where that is done.
	Scan *scan `json:",omitempty"`
	// Pending are entities that are to be named yet.
	Pending []string `json:",omitempty"`
}

// scan goes through everything, in order.
type scan struct {
	Tenant string
	Part   int
	Behind event.ID
}

// links is a read model at one moment, as a source follows it.
type links interface {
	// places are how far it is applied, by topic, and windows how many records back its changes are known.
	places() (at map[string]place, windows map[string]int64)
	tenants(ctx context.Context) ([]string, error)
	// parts is how many lists of ids there are of a tenant; scan gives those of one behind an id.
	parts() int
	scan(ctx context.Context, tenant string, part int, behind event.ID, most int) ([]event.ID, error)
	// named yields the entities that an id of a list stands for.
	named(ctx context.Context, tenant string, part int, id event.ID, yield func(entity string)) error
	// changes yields the entities that changed from some places on.
	changes(ctx context.Context, from map[string]place, yield func(entity string)) error
	Close() error
}

// next is what Next does, over a read model that open gives as it is now.
func next(ctx context.Context, t Timing, raw []byte, open func(context.Context) (links, error)) (mirror.News, error) {
	var c *cursor
	if len(raw) > 0 {
		c = &cursor{}
		if json.Unmarshal(raw, c) != nil {
			c = nil // another program wrote it
		}
	}
	until := time.Now().Add(t.Wait)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return mirror.News{}, ctx.Err()
		case <-pause.C:
		}
		l, err := open(ctx)
		if err != nil {
			return mirror.News{}, err
		}
		n, err := c.look(ctx, t, l)
		_ = l.Close() // nothing is written through it
		if err != nil {
			return mirror.News{}, err
		}
		if len(n.Entities) > 0 || n.Reset || n.Done || !time.Now().Before(until) {
			return n, nil
		}
		pause.Reset(min(looks, time.Until(until)))
	}
}

// look tells what has changed behind a cursor, nil for none.
func (c *cursor) look(ctx context.Context, t Timing, l links) (n mirror.News, err error) {
	at, windows := l.places()
	known := c != nil
	for topic, now := range at {
		known = known && c.Places[topic].precedes(now, windows[topic])
	}
	next := cursor{Places: at, Scan: &scan{}}
	if n.Reset = !known; known {
		next = *c
	}
	named := map[string]bool{}
	note := func(entity string) {
		if !named[entity] {
			named[entity] = true
			n.Entities = append(n.Entities, entity)
		}
	}
	switch {
	case next.Scan != nil:
		if next.Scan, err = next.Scan.goOn(ctx, t.Page, l, note); err != nil {
			return n, err
		}
		n.Done = next.Scan == nil
	case len(next.Pending) > 0:
		most := min(len(next.Pending), t.Page)
		n.Entities, next.Pending = next.Pending[:most:most], next.Pending[most:]
	default:
		if err := l.changes(ctx, next.Places, note); err != nil {
			return n, err
		}
		next.Places = at
		slices.Sort(n.Entities)
		most := min(len(n.Entities), t.Page)
		n.Entities, next.Pending = n.Entities[:most:most], n.Entities[most:]
	}
	if next.Scan == nil && len(next.Pending) == 0 {
		n.At = map[string]projection.Vector{}
		for topic, p := range next.Places {
			n.At[topic] = p.Next
		}
	}
	n.Cursor, err = json.Marshal(next)
	if err != nil {
		return n, fmt.Errorf("owners: encode a cursor: %w", err)
	}
	return n, nil
}

// goOn names what comes next; nil where that was all.
func (s *scan) goOn(ctx context.Context, most int, l links, note func(string)) (*scan, error) {
	tenants, err := l.tenants(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(tenants)
	for _, tenant := range tenants {
		if tenant < s.Tenant {
			continue
		}
		at := scan{Tenant: tenant}
		if tenant == s.Tenant {
			at = *s
		}
		for ; at.Part < l.parts(); at.Part, at.Behind = at.Part+1, (event.ID{}) {
			ids, err := l.scan(ctx, tenant, at.Part, at.Behind, most)
			if err != nil {
				return nil, err
			}
			for _, id := range ids {
				if err := l.named(ctx, tenant, at.Part, id, note); err != nil {
					return nil, err
				}
			}
			if len(ids) == most {
				at.Behind = ids[len(ids)-1]
				return &at, nil
			}
		}
	}
	return nil, nil //nolint:nilnil // that was all
}

// separator stands between the parts of an entity's name. No tenant has one.
const separator = "\x00"

func entity(tenant, what string, id event.ID) string {
	return strings.Join([]string{tenant, what, id.String()}, separator)
}

func parseEntity(text string) (tenant, what string, id event.ID, err error) {
	parts := strings.Split(text, separator)
	if len(parts) != 3 {
		return "", "", id, fmt.Errorf("owners: %q names nothing", text)
	}
	id, err = event.ParseID(parts[2])
	return parts[0], parts[1], id, err
}
