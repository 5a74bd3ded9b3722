package entries

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// memory is what a Source knows beside the cursor that it handed out last. With another one it is worth nothing.
type memory struct {
	last     []byte
	scanning bool
	told     map[string]*directory.Book // by tenant
	waiting  []string                   // entities that are to be named yet
	at       projection.Vector          // what is contained once none waits
}

// Next implements mirror.Source.
func (s *Source) Next(ctx context.Context, raw []byte) (mirror.News, error) {
	over := time.NewTimer(s.cfg.Wait)
	defer over.Stop()
	var n mirror.News
	if s.last == nil || !bytes.Equal(raw, s.last) {
		s.memory, n.Reset = memory{scanning: true, told: map[string]*directory.Book{}}, true
	}
	s.last = nil // what fails leaves what is remembered behind the cursor
	for late := false; ; {
		changed := s.cfg.Directory.Changed()
		if len(s.waiting) == 0 {
			if err := s.look(ctx); err != nil {
				return mirror.News{}, err
			}
		}
		if s.scanning || len(s.waiting) > 0 || late {
			break
		}
		select {
		case <-ctx.Done():
			return mirror.News{}, ctx.Err()
		case <-changed:
		case <-over.C:
			late = true
		}
	}
	most := min(len(s.waiting), s.cfg.Page)
	n.Entities, s.waiting = s.waiting[:most:most], s.waiting[most:]
	if len(s.waiting) == 0 {
		n.Done, s.scanning = s.scanning, false
		n.At = map[string]projection.Vector{topic: s.at}
	}
	s.round = max(s.round+1, time.Now().UnixNano()) // no process hands out the cursor of another one
	n.Cursor = binary.BigEndian.AppendUint64(nil, uint64(s.round))
	s.last = n.Cursor
	return n, nil
}

// look notes what the directories say now that they did not say before.
func (s *Source) look(ctx context.Context) error {
	at, err := s.cfg.Directory.Followed(ctx)
	if err != nil {
		return fmt.Errorf("entries: follow the directory: %w", err)
	}
	tenants, err := s.cfg.Directory.Tenants(ctx)
	if err != nil {
		return fmt.Errorf("entries: find the tenants: %w", err)
	}
	for _, tenant := range tenants {
		book, err := s.cfg.Directory.Book(ctx, tenant)
		if err != nil {
			return fmt.Errorf("entries: read the directory: %w", err)
		}
		if before, known := s.told[tenant]; !known || before != book {
			s.waiting = append(s.waiting, differing(tenant, before, book)...)
			s.told[tenant] = book
		}
	}
	s.at = at
	return nil
}

// differing are the entities of which two books do not say the same.
func differing(tenant string, a, b *directory.Book) []string {
	changed := map[string]struct{}{}
	hours := map[string]bool{}
	for _, kind := range []string{directory.Hours, directory.Agent, directory.Team, directory.Queue, directory.Setting} {
		for _, id := range either(a.IDs(kind), b.IDs(kind)) {
			was, is := a.Versions(kind, id), b.Versions(kind, id)
			same := slices.EqualFunc(was, is, func(x, y directory.Version) bool {
				return x.From == y.From && (x.Stated == y.Stated || proto.Equal(x.Stated, y.Stated))
			})
			if same && !(kind == directory.Queue && slices.ContainsFunc(is, func(v directory.Version) bool { return hours[v.Stated.GetQueue().GetHours()] })) {
				continue
			}
			hours[id] = hours[id] || kind == directory.Hours
			changed[entity(tenant, ofEntry, kind, id)] = struct{}{}
			for _, book := range []*directory.Book{a, b} {
				for _, n := range book.Natives(kind, id)[1:] {
					changed[entity(tenant, ofNative, kind, n.ID)] = struct{}{}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(changed))
}

// either are those of two lists, each once.
func either(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
