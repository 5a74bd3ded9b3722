package customer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// DefaultPageSize is how many entries a page has where nothing is asked for.
const DefaultPageSize = 50

var (
	errBadToken     = errors.New("customer: not a page token")
	errForeignToken = errors.New("customer: the page token belongs to another query")
	errExpiredToken = errors.New("customer: the page token has expired: list again from the start")
)

// pageToken says where a list goes on.
type pageToken struct {
	generation uint32
	query      [8]byte
	before     int64 // offset
}

const (
	tokenVersion = 1
	tokenSize    = 1 + 4 + 8 + 8
)

func (t pageToken) encode() string {
	b := binary.BigEndian.AppendUint32([]byte{tokenVersion}, t.generation)
	b = binary.BigEndian.AppendUint64(append(b, t.query[:]...), uint64(t.before))
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodePageToken(s string) (pageToken, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != tokenSize || b[0] != tokenVersion {
		return pageToken{}, errBadToken
	}
	t := pageToken{generation: binary.BigEndian.Uint32(b[1:]), query: [8]byte(b[5:]), before: int64(binary.BigEndian.Uint64(b[13:]))}
	if t.before < 0 {
		return pageToken{}, errBadToken
	}
	return t, nil
}

// queryDigest tells one list from another, whatever its page.
func queryDigest(tenant, call string, id event.ID) [8]byte {
	sum := sha256.Sum256(fmt.Append(nil, tenant, "\x00", call, "\x00", id))
	return [8]byte(sum[:])
}

// page lists entries of a tenant, newest first. lists gives the keys' prefixes, which all end at an offset.
func (x *Customers) page(ctx context.Context, tenant, token string, query [8]byte, size int, lists func(*view) ([][]byte, error)) ([]*customerv1.HistoryEntry, string, error) {
	t, at := pageToken{query: query, before: math.MaxInt64}, scope.At{}
	if token != "" {
		var err error
		if t, err = decodePageToken(token); err != nil {
			return nil, "", err
		}
		if t.query != query {
			return nil, "", errForeignToken
		}
		at.Version = version{generation: t.generation, asOf: asOf{t.before, math.MaxInt64}, present: unasked}.String()
	}
	v, err := x.view(ctx, tenant, at)
	if errors.Is(err, scope.ErrExpired) {
		return nil, "", errExpiredToken
	}
	if err != nil {
		return nil, "", err
	}
	defer v.close()
	v.walk.at = now // whose history it is, is asked anew
	if size == 0 {
		size = DefaultPageSize
	}
	prefixes, err := lists(v)
	if err != nil {
		return nil, "", err
	}
	rows, err := v.newest(ctx, prefixes, t.before, size+1)
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(rows) > size {
		rows = rows[:size]
		next = pageToken{v.version.generation, query, rows[size-1].offset}.encode()
	}
	entries, err := v.entries(ctx, rows)
	return entries, next, err
}

// listing is an event in a list.
type listing struct {
	offset int64
	id     event.ID
}

// newest merges the newest rows of several lists that stand before an offset: at most so many, each event once.
func (v *view) newest(ctx context.Context, prefixes [][]byte, before int64, most int) ([]listing, error) {
	var all []listing
	for _, start := range prefixes {
		n := 0
		end := binary.BigEndian.AppendUint64(slices.Clone(start), uint64(before))
		err := v.scan(ctx, kv.Range{Start: start, End: end, Reverse: true}, func(key, value []byte) error {
			if len(key) != len(end) || len(value) != len(event.ID{}) {
				return errDamaged
			}
			all = append(all, listing{int64(binary.BigEndian.Uint64(key[len(start):])), event.ID(value)})
			if n++; n == most {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b listing) int { return cmp.Compare(b.offset, a.offset) })
	all = slices.Compact(all)
	return all[:min(len(all), most)], nil
}

var errEnough = errors.New("customer: enough")

// entries reads what was decided.
func (v *view) entries(ctx context.Context, rows []listing) ([]*customerv1.HistoryEntry, error) {
	keys := make([][]byte, len(rows))
	for i, r := range rows {
		keys[i] = prefix(v.walk.tenant, subEvent, r.id)
	}
	values, err := v.snap.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	entries := make([]*customerv1.HistoryEntry, len(rows))
	for i, value := range values {
		o, err := decodeDecided(value)
		if err != nil {
			return nil, err
		}
		entries[i] = o.entry
		entries[i].Position = v.position(o)
	}
	return entries, nil
}

func (v *view) position(o *decided) *eventv1.Position {
	return &eventv1.Position{Topic: event.TopicLinks, Partition: v.partition, Offset: o.offset}
}

// histories are those of all nodes that mean a customer.
func (v *view) histories(ctx context.Context, id event.ID) ([][]byte, error) {
	c, err := v.named(ctx, id)
	if err != nil {
		return nil, err
	}
	aliases, err := v.walk.aliases(ctx, c)
	if err != nil {
		return nil, err
	}
	var prefixes [][]byte
	for _, n := range append(slices.Clone(c.nodes), aliases...) {
		prefixes = append(prefixes, prefix(v.walk.tenant, subHistory, n))
	}
	return prefixes, nil
}
