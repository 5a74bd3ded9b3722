package event_test

import (
	"bytes"
	"encoding/hex"
	"sync"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
)

// fixedKeyring has the secret 0, 1, 2 … 31 as its only key.
func fixedKeyring(t testing.TB) *event.Keyring {
	t.Helper()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	k, err := event.NewKeyring(bytes.NewReader(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The ids were computed with another program (HMAC-SHA-256 and HKDF of Python's standard library). Changing one of them
// loses every event and customer that was ever stored.
func TestIdsNeverChange(t *testing.T) {
	ids := fixedKeyring(t).Tenant("acme")
	thread := ids.Thread("support", "<1@example.com>")
	for name, ids := range map[string][2]string{
		"mail endpoint":   {ids.Endpoint(event.Endpoint{Kind: email, Value: "anna@example.com"}).String(), "017dfbac-a4ac-851a-abd0-ddd8698d877e"},
		"social endpoint": {ids.Endpoint(event.Endpoint{Kind: social, Namespace: "wechat/gh_1", Value: "OPENID"}).String(), "012a9539-dbd4-823d-870d-ba9b774fd2df"},
		"thread":          {thread.String(), "016d633d-c69a-821f-bc9d-9f47f9b4696e"},
		"event":           {ids.Event(thread, "<1@example.com>", "message.received", 300, []byte{0xde, 0xad}).String(), "015233bf-2506-8565-94e5-59de8f2725a2"},
		"interaction":     {ids.Interaction(thread, "4711").String(), "015dc4a4-6ac9-8738-8681-f8428ff6514f"},
		"visit":           {ids.Visit(thread, "4711").String(), "01244f80-f2dc-8f91-8811-1016b900f744"},
		"assignment":      {ids.Assignment(thread, "4711").String(), "01d53cf1-2fc2-826f-93d5-f170ed0a4407"},
		"digest":          {hex.EncodeToString(ids.Digest([]byte("what was said"))), "9a842082aaebec87ca2ad770e6a4466f"},
	} {
		if ids[0] != ids[1] {
			t.Errorf("%s: got %s, want %s", name, ids[0], ids[1])
		}
	}
}

func TestAnIdIsAUUIDOfVersion8ThatBearsItsKeysVersion(t *testing.T) {
	ids := fixedKeyring(t).Tenant("acme")
	rapid.Check(t, func(t *rapid.T) {
		id := ids.Thread(rapid.String().Draw(t, "inbox"), rapid.String().Draw(t, "native"))
		u, err := uuid.Parse(id.String())
		if err != nil || u.Version() != 8 || u.Variant() != uuid.RFC4122 || id.KeyVersion() != ids.KeyVersion() || id.IsZero() {
			t.Fatalf("%s is version %d, variant %v, key %d, %v", id, u.Version(), u.Variant(), id.KeyVersion(), err)
		}
	})
}

func TestFieldsDoNotRunTogether(t *testing.T) {
	k := fixedKeyring(t)
	ids := k.Tenant("acme")
	thread := ids.Thread("a", "b")
	seen := map[event.ID]string{}
	for name, id := range map[string]event.ID{
		"thread ab|c":             ids.Thread("ab", "c"),
		"thread a|bc":             ids.Thread("a", "bc"),
		"thread abc|":             ids.Thread("abc", ""),
		"other tenant":            k.Tenant("other").Thread("ab", "c"),
		"interaction":             ids.Interaction(thread, "x"),
		"visit":                   ids.Visit(thread, "x"),
		"assignment":              ids.Assignment(thread, "x"),
		"other thread":            ids.Visit(ids.Thread("a", "c"), "x"),
		"event":                   ids.Event(thread, "x", "call.dialed", 0, nil),
		"event of another type":   ids.Event(thread, "x", "call.failed", 0, nil),
		"second event":            ids.Event(thread, "x", "call.dialed", 1, nil),
		"event with more":         ids.Event(thread, "x", "call.dialed", 0, []byte{0}),
		"event, fields shifted":   ids.Event(thread, "xc", "all.dialed", 0, nil),
		"mail endpoint":           ids.Endpoint(event.Endpoint{Kind: email, Value: "x"}),
		"visitor endpoint":        ids.Endpoint(event.Endpoint{Kind: visitor, Value: "x"}),
		"visitor in a name space": ids.Endpoint(event.Endpoint{Kind: visitor, Namespace: "x"}),
	} {
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s have one id", name, other)
		}
		seen[id] = name
	}
}

func TestIdsAreTheSameFromManyGoroutines(t *testing.T) {
	k := fixedKeyring(t)
	want := k.Tenant("acme").Thread("inbox", "native")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if got := k.Tenant("acme").Thread("inbox", "native"); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				k.Tenant("acme").Digest([]byte("something else in between"))
			}
		})
	}
	wg.Wait()
}

func TestAnIdReadsBackFromItsTextInEitherCase(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := event.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		for _, s := range []string{id.String(), string(bytes.ToUpper([]byte(id.String())))} {
			if got, err := event.ParseID(s); err != nil || got != id {
				t.Fatalf("%s reads %s, %v", s, got, err)
			}
		}
	})
}

func TestOnlyTheTextFormOfAUUIDIsAnId(t *testing.T) {
	for _, s := range []string{
		"", "016d633d", "016d633dc69a821fbc9d9f47f9b4696e", "{016d633d-c69a-821f-bc9d-9f47f9b4696e}",
		"urn:uuid:016d633d-c69a-821f-bc9d-9f47f9b4696e", "016d633d-c69a-821f-bc9d-9f47f9b4696", "016d633d-c69a-821f-bc9d-9f47f9b4696g",
		"016d633d-c69a-821f-bc9d-9f47f9b4696e ", "016d633d-c69a-821f-bc9d_9f47f9b4696e", "+16d633d-c69a-821f-bc9d-9f47f9b4696e",
		"016d633dc-69a-821f-bc9d-9f47f9b4696e",
	} {
		if id, err := event.ParseID(s); err == nil {
			t.Errorf("%q was taken for %s", s, id)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Fuzz(func(t *testing.T, s string) {
		id, err := event.ParseID(s)
		u, uerr := uuid.Parse(s)
		if accepted := err == nil; accepted != (uerr == nil && len(s) == 36) {
			t.Fatalf("%q: %v, but %v", s, err, uerr)
		}
		if err == nil && (id != event.ID(u) || id.String() != u.String()) {
			t.Fatalf("%q reads %s, but %s", s, id, u)
		}
	})
}

func BenchmarkIDs(b *testing.B) {
	ids := fixedKeyring(b).Tenant("acme")
	thread := ids.Thread("support", "<1@example.com>")
	endpoint := event.Endpoint{Kind: email, Value: "anna.berg@example.com"}
	for name, f := range map[string]func() event.ID{
		"endpoint": func() event.ID { return ids.Endpoint(endpoint) },
		"thread":   func() event.ID { return ids.Thread("support", "<CAF3bq7=x8rTz@mail.example.com>") },
		"event": func() event.ID {
			return ids.Event(thread, "<CAF3bq7=x8rTz@mail.example.com>", event.TypeMessageReceived, 0, nil)
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
	b.Run("String", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = thread.String()
		}
	})
	b.Run("ParseID", func(b *testing.B) {
		s := thread.String()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := event.ParseID(s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
