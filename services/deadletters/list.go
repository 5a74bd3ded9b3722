package deadletters

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// MaxPage is how many letters a page has at most.
	MaxPage = 1000
	// maxScan is how many records are looked at for a page.
	maxScan = 10_000
)

// Query says which letters to list. Empty fields do not filter.
type Query struct {
	Tenant  string
	Reasons []eventv1.DeadReason
	// Slice is the read model or side effect that could not use the record.
	Slice string
	// Topic of the log in which the record stands.
	Topic string
	// Provider is the one whose payload was rejected.
	Provider string
	// Open leaves out what was redriven.
	Open bool
}

func (q Query) matches(l Letter) bool {
	return (q.Tenant == "" || q.Tenant == l.GetTenant()) &&
		(len(q.Reasons) == 0 || slices.Contains(q.Reasons, l.GetReason())) &&
		(q.Slice == "" || q.Slice == l.GetSlice()) &&
		(q.Topic == "" || q.Topic == l.GetSource().GetTopic()) &&
		(q.Provider == "" || q.Provider == l.GetProvider()) &&
		(!q.Open || len(l.Redrives) == 0)
}

func (q Query) hash() uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%#v", q) // of a hash, no error comes
	return h.Sum64()
}

// Page is a part of a list.
type Page struct {
	// Letters are the newest first. A page may have few letters, or none, although more follow.
	Letters []Letter
	// Next asks for what follows; empty at the end.
	Next string
}

// List gives letters, the newest first, at most limit (0 or more than MaxPage: MaxPage) of them, from the beginning or from
// where a page's Next says. Letters that arrive meanwhile are not on later pages.
func (s *Service) List(ctx context.Context, q Query, limit int, token string) (Page, error) {
	if limit <= 0 || limit > MaxPage {
		limit = MaxPage
	}
	redrives, err := s.redrives(ctx)
	if err != nil {
		return Page{}, err
	}
	partitions, err := s.partitions(ctx, q, token)
	if err != nil {
		return Page{}, err
	}
	var page Page
	for range maxScan {
		newest, err := newestOf(ctx, partitions)
		if err != nil {
			return Page{}, fmt.Errorf("deadletters: list: %w", err)
		}
		if newest == nil {
			return page, nil
		}
		if len(page.Letters) == limit {
			break
		}
		record := newest.read[len(newest.read)-1]
		newest.take()
		letter, ok := letterOf(record)
		letter.Redrives = redrives(record.Position)
		if ok && q.matches(letter) {
			page.Letters = append(page.Letters, letter)
		}
	}
	page.Next = encodeToken(q, partitions)
	return page, nil
}

// newestOf is the partition with the newest record that was not yet taken; nil where there is none.
func newestOf(ctx context.Context, partitions []*backward) (newest *backward, err error) {
	var at *eventlog.Record
	for _, p := range partitions {
		r, err := p.peek(ctx)
		if err != nil {
			return nil, err
		}
		if r != nil && (at == nil || r.Time.After(at.Time)) {
			newest, at = p, r
		}
	}
	return newest, nil
}

// partitions begin at their ends, or where a token says.
func (s *Service) partitions(ctx context.Context, q Query, token string) ([]*backward, error) {
	n, err := s.cfg.Log.Partitions(ctx, event.TopicDead)
	if err != nil {
		return nil, fmt.Errorf("deadletters: list: %w", err)
	}
	var ends []int64
	if token != "" {
		if ends, err = decodeToken(q, n, token); err != nil {
			return nil, err
		}
	}
	partitions := make([]*backward, n)
	for i := range partitions {
		first, next, err := s.cfg.Log.Bounds(ctx, event.TopicDead, int32(i))
		if err != nil {
			return nil, fmt.Errorf("deadletters: list: %w", err)
		}
		if token != "" {
			if ends[i] > next {
				return nil, ErrBadToken
			}
			next = ends[i]
		}
		partitions[i] = &backward{Service: s, topic: event.TopicDead, partition: int32(i), first: first, end: next}
	}
	return partitions, nil
}

// encodeToken holds the query's hash and the offset of each partition.
func encodeToken(q Query, partitions []*backward) string {
	b := binary.BigEndian.AppendUint64(nil, q.hash())
	for _, p := range partitions {
		b = binary.BigEndian.AppendUint64(b, uint64(p.next()))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeToken(q Query, partitions int, token string) ([]int64, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != 8*(1+partitions) || binary.BigEndian.Uint64(b) != q.hash() {
		return nil, ErrBadToken
	}
	ends := make([]int64, partitions)
	for i := range ends {
		if ends[i] = int64(binary.BigEndian.Uint64(b[8*(1+i):])); ends[i] < 0 {
			return nil, ErrBadToken
		}
	}
	return ends, nil
}
