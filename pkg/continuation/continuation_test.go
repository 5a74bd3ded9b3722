package continuation_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/event"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestATokenNamesItsInteractionUntilItsTimeIsOverAndForItsTenantOnly(t *testing.T) {
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 64)))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := continuation.New(keyring)
	if err != nil {
		t.Fatal(err)
	}
	id := event.ID{1, 2, 3}
	token := tokens.Issue("acme", id, noon.Add(time.Hour))
	if len(token) > 128 {
		t.Errorf("%d bytes do not fit into a correlation id", len(token))
	}
	if got, err := tokens.Read("acme", token, noon); err != nil || got != id {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := tokens.Read("acme", token, noon.Add(time.Hour)); !errors.Is(err, continuation.ErrExpired) {
		t.Errorf("an hour later: %v", err)
	}
	if _, err := tokens.Read("other", token, noon); !errors.Is(err, continuation.ErrInvalid) {
		t.Errorf("another tenant: %v", err)
	}
	for i := range token {
		broken := []byte(token)
		broken[i] ^= 1
		if got, err := tokens.Read("acme", string(broken), noon); err == nil {
			t.Errorf("with another byte %d it names %v", i, got)
		}
	}
}
