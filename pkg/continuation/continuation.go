// Package continuation makes and reads continuation tokens: what a customer takes along from one channel to the next, so that both
// contacts are one conversation. A token names an interaction and a time until when it is valid, and is signed for its tenant, so that
// it cannot be guessed or made up. It holds nothing personal.
package continuation

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/event"
)

// Prefix is what every token begins with, so that one is known among other correlation ids.
const Prefix = "skein-c."

// ErrInvalid means that a text is no token of the tenant, ErrExpired that its time is over.
var (
	ErrInvalid = errors.New("continuation: not a token of this tenant")
	ErrExpired = errors.New("continuation: the token has expired")
)

const (
	macSize  = 16
	bodySize = len(event.ID{}) + 8
)

// Tokens makes and reads tokens. It is safe for concurrent use.
type Tokens struct{ secret []byte }

// New makes tokens under a keyring's secret.
func New(k *event.Keyring) (*Tokens, error) {
	secret, err := k.Secret("continuation")
	if err != nil {
		return nil, fmt.Errorf("continuation: %w", err)
	}
	return &Tokens{secret: secret}, nil
}

// Issue makes a token for an interaction.
func (t *Tokens) Issue(tenant string, interaction event.ID, until time.Time) string {
	body := binary.BigEndian.AppendUint64(append([]byte(nil), interaction[:]...), uint64(until.Unix()))
	return Prefix + base64.RawURLEncoding.EncodeToString(append(body, t.mac(tenant, body)...))
}

// Read gives the interaction that a token names. Now is when the contact that brings it took place.
func (t *Tokens) Read(tenant, token string, now time.Time) (event.ID, error) {
	text, ok := strings.CutPrefix(token, Prefix)
	if !ok {
		return event.ID{}, ErrInvalid
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != bodySize+macSize || !hmac.Equal(raw[bodySize:], t.mac(tenant, raw[:bodySize])) {
		return event.ID{}, ErrInvalid
	}
	if now.Unix() >= int64(binary.BigEndian.Uint64(raw[len(event.ID{}):])) {
		return event.ID{}, ErrExpired
	}
	return event.ID(raw), nil
}

func (t *Tokens) mac(tenant string, body []byte) []byte {
	m := hmac.New(sha256.New, t.secret)
	m.Write([]byte(tenant))
	m.Write([]byte{0})
	m.Write(body)
	return m.Sum(nil)[:macSize]
}
