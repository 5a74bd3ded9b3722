package customer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
)

// Customers reads who is behind endpoints. It is safe for concurrent use.
type Customers struct {
	store        kv.Store
	partitions   int
	progress     *projection.Progress
	interactions scope.Interactions
	logger       *slog.Logger

	mu      sync.Mutex
	waiting map[string]map[event.ID]map[*waiter]struct{} // by tenant and customer
}

var (
	_ scope.Source    = (*Customers)(nil)
	_ scope.Customers = (*Customers)(nil)
)

// NewCustomers reads from a store into which the links topic is folded, which has so many partitions. Progress tells of what is applied
// in this process; interactions tells where those stand that are attributed. Each of them, and the logger, may be nil.
func NewCustomers(store kv.Store, partitions int, progress *projection.Progress, interactions scope.Interactions, logger *slog.Logger) *Customers {
	return &Customers{
		store: store, partitions: partitions, progress: progress, interactions: interactions, logger: logger,
		waiting: map[string]map[event.ID]map[*waiter]struct{}{},
	}
}

// Scope implements scope.Source. Every id means a customer, but for none; an endpoint's the one who has it at present, or had it at the
// moment that is asked about.
func (x *Customers) Scope(ctx context.Context, tenant string, id event.ID, at scope.At) (scope.Scope, error) {
	if id.IsZero() {
		return scope.Scope{}, scope.ErrUnknown
	}
	v, err := x.view(ctx, tenant, at)
	if err != nil {
		return scope.Scope{}, err
	}
	defer v.close()
	s, err := v.scope(ctx, id)
	if err != nil {
		return scope.Scope{}, fmt.Errorf("customer: scope of %s: %w", id, err)
	}
	return s, nil
}

// Owner implements scope.Customers.
func (x *Customers) Owner(ctx context.Context, tenant string, endpoint event.ID, at int64) (event.ID, error) {
	v, err := x.view(ctx, tenant, scope.At{})
	if err != nil {
		return event.ID{}, err
	}
	defer v.close()
	id, err := v.walk.owner(ctx, endpoint, at)
	if err != nil {
		return event.ID{}, fmt.Errorf("customer: owner of endpoint %s: %w", endpoint, err)
	}
	return id, nil
}

// OwnerThen is the customer whose an endpoint was at a moment, by the links that had been received until then: what was linked, merged or
// split later does not count. It is the endpoint itself where that was alone.
func (x *Customers) OwnerThen(ctx context.Context, tenant string, endpoint event.ID, moment time.Time) (event.ID, error) {
	v, err := x.view(ctx, tenant, scope.At{Time: moment})
	if err != nil {
		return event.ID{}, err
	}
	defer v.close()
	id, err := v.walk.owner(ctx, endpoint, nanosOf(moment))
	if err == nil && id == event.CustomerOf(endpoint) {
		var c *customer
		if c, err = v.walk.customer(ctx, id); err == nil && len(c.nodes) == 1 && len(c.holdings) <= 1 {
			id = endpoint
		}
	}
	if err != nil {
		return event.ID{}, fmt.Errorf("customer: owner of endpoint %s then: %w", endpoint, err)
	}
	return id, nil
}

// Decided tells what was decided about an event of the links topic; false where it was not seen yet, or changes nothing about customers.
func (x *Customers) Decided(ctx context.Context, tenant string, id event.ID) (*customerv1.HistoryEntry, bool, error) {
	v, err := x.view(ctx, tenant, scope.At{})
	if err != nil {
		return nil, false, err
	}
	defer v.close()
	o, err := v.walk.decidedOn(ctx, id)
	if err != nil || o == nil || o.entry.GetKind() == customerv1.ChangeKind_CHANGE_KIND_UNSPECIFIED {
		return nil, false, err
	}
	o.entry.Position = v.position(o)
	return o.entry, true, nil
}

// Wait returns once positions were applied, or when ctx ends.
func (x *Customers) Wait(ctx context.Context, positions ...eventlog.Position) error {
	return projection.Await(ctx, x.store, Slice, event.TopicLinks, positions, x.progress)
}

// version names a state of the links: what was applied to a generation, perhaps as far as it was received by a moment.
type version struct {
	generation uint32
	asOf
	// present is the moment at which it was asked who has an endpoint; unasked where it was not.
	present int64
}

const unasked = math.MinInt64

const versionForm = "a version is made of numbers joined by dots"

// String is the form that a scope has.
func (v version) String() string {
	s := strconv.FormatUint(uint64(v.generation), 10) + "." + strconv.FormatInt(v.before, 10)
	if v.by != math.MaxInt64 || v.present != unasked {
		s += "." + strconv.FormatInt(v.by, 10)
	}
	if v.present != unasked {
		s += "." + strconv.FormatInt(v.present, 10)
	}
	return s
}

func parseVersion(s string) (version, error) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 4 {
		return version{}, fmt.Errorf("%w: %s", scope.ErrExpired, versionForm)
	}
	generation, err := strconv.ParseUint(parts[0], 10, 32)
	v := version{generation: uint32(generation), asOf: now, present: unasked}
	for i, into := range []*int64{&v.before, &v.by, &v.present}[:len(parts)-1] {
		var failed error
		*into, failed = strconv.ParseInt(parts[1+i], 10, 64)
		err = cmp.Or(err, failed)
	}
	if err != nil || v.before < 0 {
		return version{}, fmt.Errorf("%w: %s", scope.ErrExpired, versionForm)
	}
	return v, nil
}

// view is what can be read of a tenant at one moment.
type view struct {
	snap         kv.Snapshot
	walk         *walk
	partition    int32
	version      version
	present      int64 // the moment that counts as now
	interactions scope.Interactions
}

// view reads what serves, or the generation of a version. Close it.
func (x *Customers) view(ctx context.Context, tenant string, at scope.At) (*view, error) {
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	wanted := version{generation: ns.Generation, asOf: now, present: unasked}
	if at.Version != "" {
		if wanted, err = parseVersion(at.Version); err != nil {
			return nil, err
		}
		ns.Generation = wanted.generation // the one before a switch stays for as long as tokens live
	}
	if !at.Time.IsZero() {
		wanted.by = min(wanted.by, nanosOf(at.Time))
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("customer: read the links: %w", err)
	}
	v := &view{snap: snap, partition: eventlog.Partition([]byte(tenant), x.partitions), interactions: x.interactions}
	applied, err := projection.Applied(ctx, snap, event.TopicLinks, x.partitions)
	next := applied[v.partition]
	if err == nil && at.Version != "" && next < wanted.before {
		err = scope.ErrExpired
	}
	if err != nil {
		v.close()
		return nil, err
	}
	if wanted.before >= next {
		wanted.before = math.MaxInt64
	}
	v.walk = newWalk(snap, tenant, wanted.asOf)
	v.version, v.present = wanted, wanted.present
	switch {
	case v.present != unasked:
	case wanted.by != math.MaxInt64:
		v.present = wanted.by
	default:
		v.present = time.Now().UnixNano()
	}
	v.version.before = min(wanted.before, next)
	return v, nil
}

// nanosOf gives a time in nanoseconds since 1970; one that is too far off, as the first or last there is.
func nanosOf(t time.Time) int64 {
	switch y := t.Year(); {
	case y < minYear:
		return math.MinInt64
	case y > maxYear:
		return math.MaxInt64
	}
	return t.UnixNano()
}

func (v *view) close() { _ = v.snap.Close() } // nothing is written through a snapshot

// named gives the customer that an id means: of an endpoint's, the one who has it, whoever the customer of that name has become.
func (v *view) named(ctx context.Context, id event.ID) (*customer, error) {
	if !id.IsCustomer() {
		owner, err := v.walk.owner(ctx, id, v.present)
		if err != nil {
			return nil, err
		}
		return v.walk.customer(ctx, owner)
	}
	_, c, err := v.walk.resolve(ctx, id)
	return c, err
}

// scan yields the rows of a range until that fails. Keys and values are lent.
func (v *view) scan(ctx context.Context, r kv.Range, yield func(key, value []byte) error) error {
	it, err := v.snap.Scan(ctx, r)
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		if err := yield(it.Key(), it.Value()); err != nil {
			return err
		}
	}
	return it.Err()
}

func (v *view) scope(ctx context.Context, id event.ID) (scope.Scope, error) {
	c, err := v.named(ctx, id)
	if err != nil {
		return scope.Scope{}, err
	}
	if !id.IsCustomer() {
		v.version.present = v.present
	}
	s := scope.Scope{ID: c.root, Version: v.version.String()}
	for _, h := range c.holdings {
		for _, r := range h.ranges() {
			s.Endpoints = append(s.Endpoints, scope.Span{ID: h.endpoint, Range: r})
		}
	}
	if v.interactions == nil {
		return s, nil
	}
	aliases, err := v.walk.aliases(ctx, c)
	if err != nil {
		return scope.Scope{}, err
	}
	own, err := v.attributed(ctx, c, aliases)
	if err != nil {
		return scope.Scope{}, err
	}
	for _, interaction := range own {
		span, found, err := v.stretch(ctx, interaction)
		if err != nil {
			return scope.Scope{}, err
		}
		if found {
			s.Threads = append(s.Threads, span)
		}
	}
	s.Threads = joined(s.Threads)
	s.Without, err = v.without(ctx, c, aliases)
	return s, err
}

// stretch tells where an interaction stands, if that is known.
func (v *view) stretch(ctx context.Context, interaction event.ID) (span scope.Span, found bool, err error) {
	span, err = v.interactions.Stretch(ctx, v.walk.tenant, interaction)
	if errors.Is(err, scope.ErrUnknown) {
		return scope.Span{}, false, nil
	}
	return span, err == nil, err
}

// joined makes one of spans that overlap.
func joined(spans []scope.Span) []scope.Span {
	slices.SortFunc(spans, func(a, b scope.Span) int { return cmp.Or(compare(a.ID, b.ID), cmp.Compare(a.From, b.From)) })
	var all []scope.Span
	for _, s := range spans {
		if n := len(all); n > 0 && all[n-1].ID == s.ID && s.From <= all[n-1].Until {
			all[n-1].Until = max(all[n-1].Until, s.Until)
			continue
		}
		all = append(all, s)
	}
	return all
}

// listed scans the interactions under a prefix, and tells what was attributed of them.
func (v *view) listed(ctx context.Context, start []byte, yield func(interaction event.ID, a *attribution)) error {
	var ids []event.ID
	err := v.scan(ctx, kv.Prefix(start), func(key, _ []byte) error {
		if len(key) != len(start)+len(event.ID{}) {
			return errDamaged
		}
		ids = append(ids, event.ID(key[len(start):]))
		return nil
	})
	if err != nil || len(ids) == 0 {
		return err
	}
	all, err := v.walk.attributions(ctx, ids...)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if a := inForce(all[i], v.walk.at); a != nil {
			yield(id, a)
		}
	}
	return nil
}

// attributed gives the interactions that are a customer's by attribution, in order of their ids.
func (v *view) attributed(ctx context.Context, c *customer, aliases []event.ID) ([]event.ID, error) {
	var own []event.ID
	for _, n := range append(slices.Clone(c.nodes), aliases...) {
		if !v.walk.nodes[n].attributed {
			continue
		}
		err := v.listed(ctx, prefix(v.walk.tenant, subAttributed, n), func(interaction event.ID, a *attribution) {
			if a.node == n {
				own = append(own, interaction)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(own, compare)
	return own, nil
}

// without gives what was attributed to others, and is or may be filed under a customer's endpoints.
func (v *view) without(ctx context.Context, c *customer, aliases []event.ID) ([]scope.Exception, error) {
	values, err := v.snap.GetMany(ctx, [][]byte{prefix(v.walk.tenant, subTenant)})
	if err != nil {
		return nil, err
	}
	row, err := decodeTenant(values[0])
	if err != nil {
		return nil, err
	}
	var from []event.ID
	if row.taken {
		from = append(from, event.ID{}) // whichever it is filed under
	}
	for _, h := range c.holdings {
		if v.walk.endpoints[h.endpoint].taken {
			from = append(from, h.endpoint)
		}
	}
	var out []scope.Exception
	for _, endpoint := range from {
		var taken []event.ID
		err := v.listed(ctx, prefix(v.walk.tenant, subTaken, endpoint), func(interaction event.ID, a *attribution) {
			if a.endpoint == endpoint && !c.has[a.node] && !slices.Contains(aliases, a.node) {
				taken = append(taken, interaction)
			}
		})
		if err != nil {
			return nil, err
		}
		for _, interaction := range taken {
			span, found, err := v.stretch(ctx, interaction)
			if err != nil {
				return nil, err
			}
			if found {
				out = append(out, scope.Exception{Thread: span.ID, Endpoint: endpoint, Range: span.Range})
			}
		}
	}
	return out, nil
}
