// Package auth finds out for which tenant a caller speaks. It knows no transport.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrUnauthenticated means that the caller showed no token, or one that is not known.
	ErrUnauthenticated = errors.New("auth: a known API token is needed: send \"authorization: Bearer TOKEN\"")
	// ErrForbidden means that the caller is known and lacks a right.
	ErrForbidden = errors.New("auth: this call needs a token with the")
)

// Identity is who calls.
type Identity struct {
	// Tenant that the caller may see and write.
	Tenant string
	// Name of the caller, for logs.
	Name string
	// Admin may operate the whole installation.
	Admin bool
	// Directory may change the tenant's directory.
	Directory bool
}

// ActorID is the name as the id of an actor: a name may be anything, and an id has letters, digits and a few signs.
func (id Identity) ActorID() string {
	const most = 128
	actor := strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._:/@+-", r)) {
			return r
		}
		return '-'
	}, id.Name)
	return actor[:min(len(actor), most)]
}

// Token is an API token as it stands in the configuration: its hash, never itself.
type Token struct {
	// SHA256 of the token, in hexadecimal digits.
	SHA256 string
	Identity
}

// Authenticator knows the API tokens. It is safe for concurrent use.
type Authenticator struct {
	byHash   map[[sha256.Size]byte]Identity
	fallback *Identity
}

// New makes an authenticator. Without any tokens every caller is the fallback: for a server that listens on loopback
// only.
func New(tokens []Token, fallback Identity) (*Authenticator, error) {
	a := &Authenticator{byHash: make(map[[sha256.Size]byte]Identity, len(tokens))}
	for i, t := range tokens {
		hash, err := hex.DecodeString(t.SHA256)
		if err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("auth: token %d (%s): sha256 must be 64 hexadecimal digits: printf %%s TOKEN | sha256sum", i, t.Name)
		}
		if t.Tenant == "" {
			return nil, fmt.Errorf("auth: token %d (%s): tenant is missing", i, t.Name)
		}
		a.byHash[[sha256.Size]byte(hash)] = t.Identity
	}
	if len(tokens) == 0 {
		a.fallback = &fallback
	}
	return a, nil
}

// Open reports whether callers need no token.
func (a *Authenticator) Open() bool { return a.fallback != nil }

// Authenticate tells who shows a token; an empty one means that none was shown. The token's hash is looked up, so that
// the time it takes tells nothing about tokens that exist.
func (a *Authenticator) Authenticate(token string) (Identity, error) {
	if a.fallback != nil {
		return *a.fallback, nil
	}
	id, ok := a.byHash[sha256.Sum256([]byte(token))]
	if !ok {
		return Identity{}, ErrUnauthenticated
	}
	return id, nil
}

type contextKey struct{}

// With gives the context of a call made by id.
func With(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// From tells who made the call; ErrUnauthenticated where nobody was found out.
func From(ctx context.Context) (Identity, error) {
	id, ok := ctx.Value(contextKey{}).(Identity)
	if !ok {
		return Identity{}, ErrUnauthenticated
	}
	return id, nil
}

// RequireAdmin gives ErrForbidden unless the caller has the admin right.
func RequireAdmin(ctx context.Context) error {
	id, err := From(ctx)
	if err == nil && !id.Admin {
		err = fmt.Errorf("%w admin right", ErrForbidden)
	}
	return err
}

// RequireDirectory gives ErrForbidden unless the caller has the directory right, or the admin right, which includes it.
func RequireDirectory(ctx context.Context) error {
	id, err := From(ctx)
	if err == nil && !id.Directory && !id.Admin {
		err = fmt.Errorf("%w directory right", ErrForbidden)
	}
	return err
}
