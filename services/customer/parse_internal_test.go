package customer

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
)

func FuzzPageToken(f *testing.F) {
	f.Add(pageToken{generation: 1, query: queryDigest("acme", "history", event.ID{1}), before: 42}.encode())
	f.Add("")
	f.Add("no token")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := decodePageToken(s)
		if err != nil {
			if !errors.Is(err, errBadToken) {
				t.Error(err)
			}
			return
		}
		if again, err := decodePageToken(token.encode()); err != nil || again != token {
			t.Errorf("%v became %v, %v", token, again, err)
		}
	})
}

func FuzzVersion(f *testing.F) {
	f.Add(version{generation: 3, asOf: asOf{7, math.MaxInt64}, present: unasked}.String())
	f.Add(version{generation: 3, asOf: asOf{7, -5}, present: unasked}.String())
	f.Add(version{generation: 3, asOf: asOf{7, math.MaxInt64}, present: 11}.String())
	f.Add("1.-2")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := parseVersion(s)
		if err != nil {
			if !errors.Is(err, scope.ErrExpired) {
				t.Error(err)
			}
			return
		}
		if again, err := parseVersion(v.String()); err != nil || again != v {
			t.Errorf("%v became %v, %v", v, again, err)
		}
	})
}

// A row that is damaged is told from one that is not, and the others come back as they were written.
func FuzzRows(f *testing.F) {
	c := change{event: event.ID{1}, made: stamp{1, 2}, undone: stamp{offset: never}}
	f.Add((&node{linked: []event.ID{{2}}, out: []merge{{c, event.ID{3}}}, erased: stamp{offset: never}}).encode())
	f.Add((&endpoint{kind: 2, address: "a", links: []link{{change: c, node: event.ID{4}, Range: scope.Ever, split: true}}}).encode())
	f.Add(encodeAttributions([]attribution{{c, event.ID{5}, event.ID{6}}}))
	f.Add(encodeChanged("acme", []event.ID{{7}}, event.ID{9}))
	f.Add(tenantRow{clock: 8, taken: true}.encode())
	row, err := decided{9, []byte("digest"), &customerv1.HistoryEntry{EventId: "e"}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := decodeNode(b); err == nil {
			same(t, n, n.encode(), decodeNode)
		}
		if e, err := decodeEndpoint(b); err == nil {
			same(t, e, e.encode(), decodeEndpoint)
		}
		if all, err := decodeAttributions(b); err == nil {
			same(t, all, encodeAttributions(all), decodeAttributions)
		}
		if row, err := decodeTenant(b); err == nil {
			same(t, row, row.encode(), decodeTenant)
		}
		if tenant, customers, interaction, err := decodeChanged(b); err == nil {
			same(t, customers, encodeChanged(tenant, customers, interaction), func(b []byte) ([]event.ID, error) {
				_, customers, _, err := decodeChanged(b)
				return customers, err
			})
		}
		if _, err := decodeDecided(b); err != nil && !errors.Is(err, errDamaged) {
			t.Error(err)
		}
	})
}

func same[T any](t *testing.T, v T, encoded []byte, decode func([]byte) (T, error)) {
	t.Helper()
	if again, err := decode(encoded); err != nil || !reflect.DeepEqual(again, v) {
		t.Errorf("%v became %v, %v", v, again, err)
	}
}
