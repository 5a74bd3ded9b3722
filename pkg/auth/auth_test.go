package auth_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/auth"
)

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func TestATokenGivesItsTenantAndNothingElseDoes(t *testing.T) {
	desk := auth.Identity{Tenant: "acme", Name: "agent desktop"}
	a, err := auth.New([]auth.Token{{SHA256: hash("secret"), Identity: desk}}, auth.Identity{Tenant: "default"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Authenticate("secret"); err != nil || got != desk {
		t.Errorf("the token: %v, %v", got, err)
	}
	for _, wrong := range []string{"", "Secret", hash("secret")} {
		if _, err := a.Authenticate(wrong); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if a.Open() {
		t.Error("open although there are tokens")
	}
}

func TestWithoutTokensEverybodyIsTheFallback(t *testing.T) {
	a, err := auth.New(nil, auth.Identity{Tenant: "default"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Authenticate("anything"); err != nil || got.Tenant != "default" || !a.Open() {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAWrongTokenInTheConfigurationIsNamed(t *testing.T) {
	for want, token := range map[string]auth.Token{
		"64 hexadecimal digits": {SHA256: "secret", Identity: auth.Identity{Tenant: "acme", Name: "desk"}},
		"tenant is missing":     {SHA256: hash("secret"), Identity: auth.Identity{Name: "desk"}},
	} {
		if _, err := auth.New([]auth.Token{token}, auth.Identity{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "desk") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAContextWithoutACallerIsRefused(t *testing.T) {
	if _, err := auth.From(t.Context()); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyAdminsMayOperate(t *testing.T) {
	if err := auth.RequireAdmin(auth.With(t.Context(), auth.Identity{Tenant: "acme"})); !errors.Is(err, auth.ErrForbidden) {
		t.Errorf("without the right: %v", err)
	}
	if err := auth.RequireAdmin(auth.With(t.Context(), auth.Identity{Tenant: "acme", Admin: true})); err != nil {
		t.Errorf("with the right: %v", err)
	}
	if err := auth.RequireAdmin(t.Context()); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}

func TestTheDirectoryIsChangedByThoseWhoMay(t *testing.T) {
	for who, want := range map[auth.Identity]error{
		{Tenant: "acme"}:                  auth.ErrForbidden,
		{Tenant: "acme", Directory: true}: nil,
		{Tenant: "acme", Admin: true}:     nil,
	} {
		if err := auth.RequireDirectory(auth.With(t.Context(), who)); !errors.Is(err, want) {
			t.Errorf("%v: %v", who, err)
		}
	}
	if err := auth.RequireDirectory(t.Context()); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("nobody: %v", err)
	}
}

func TestANameBecomesTheIDOfAnActor(t *testing.T) {
	for name, want := range map[string]string{"agent desktop": "agent-desktop", "crm@acme/1": "crm@acme/1", "李": "-", strings.Repeat("n", 200): strings.Repeat("n", 128)} {
		if got := (auth.Identity{Name: name}).ActorID(); got != want {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}
