package conversation_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

// tenants are such that one is the beginning of another one, and orders differ with length.
func threadsOf(t *testing.T, n int) (events []*eventv1.Event, all []conversation.Change) {
	t.Helper()
	for _, tenant := range []string{"a", "ab", "b", "zz"} {
		for k := range n {
			e := said(t, fmt.Sprint(tenant, k), fmt.Sprint(tenant, k, "e"), event.TypeMessageReceived, k, nil)
			e.Tenant = tenant
			events = append(events, e)
			all = append(all, conversation.Change{Tenant: tenant, Thread: hashed(fmt.Sprint(tenant, k))})
		}
	}
	return events, all
}

func order(a, b conversation.Change) int {
	if len(a.Tenant) != len(b.Tenant) {
		return len(a.Tenant) - len(b.Tenant)
	}
	if a.Tenant != b.Tenant {
		return strings.Compare(a.Tenant, b.Tenant)
	}
	return slices.Compare(a.Thread[:], b.Thread[:])
}

func TestAScanGivesEachThreadOfEachTenantOnce(t *testing.T) {
	events, all := threadsOf(t, 5)
	v := folded(t, events...)
	defer func() { _ = v.Close() }()
	slices.SortFunc(all, order)
	for most := 1; most <= len(all)+1; most++ {
		var got []conversation.Change
		behind := conversation.Change{}
		for {
			some, err := v.Threads(t.Context(), behind, most)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, some...)
			if len(some) < most {
				break
			}
			behind = some[len(some)-1]
		}
		if !slices.Equal(got, all) {
			t.Errorf("%d at a time: %v", most, got)
		}
	}
	empty := viewOf(t, memkv.New())
	defer func() { _ = empty.Close() }()
	if some, err := empty.Threads(t.Context(), conversation.Change{}, 10); err != nil || len(some) != 0 {
		t.Error(some, err)
	}
}

func TestWhoFollowsIsToldEachThreadThatChanged(t *testing.T) {
	events, all := threadsOf(t, 6)
	v := folded(t, append(events, events...)...)
	defer func() { _ = v.Close() }()
	applied, err := v.Applied(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		at := projection.Vector{}
		seen := map[conversation.Change]bool{}
		for range 100 {
			some, until, err := v.Since(t.Context(), at, rapid.IntRange(1, 9).Draw(r, "most"))
			if err != nil {
				r.Fatal(err)
			}
			for _, c := range some {
				seen[c] = true
			}
			for p, next := range at {
				if until[p] < next {
					r.Fatal("it went back", at, until)
				}
			}
			if at = until; fmt.Sprint(at) == fmt.Sprint(applied) {
				break
			}
		}
		if len(seen) != len(all) || fmt.Sprint(at) != fmt.Sprint(applied) {
			r.Fatal(len(seen), at, applied)
		}
	})
}

func TestWhoIsAheadOrTooFarBehindHasToLookAtAll(t *testing.T) {
	e := said(t, "t", "1", event.TypeMessageReceived, 0, nil)
	v := folded(t, e)
	defer func() { _ = v.Close() }()
	partition := eventlog.Partition([]byte(e.GetThreadId()), lawPartitions)
	if _, _, err := v.Since(t.Context(), projection.Vector{partition: 2}, 10); !errors.Is(err, conversation.ErrForgotten) {
		t.Error(err)
	}
	if some, until, err := v.Since(t.Context(), projection.Vector{partition: 1}, 10); err != nil || len(some) != 0 || until[partition] != 1 {
		t.Error(some, until, err)
	}
}
