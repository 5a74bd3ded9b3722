package web

import (
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/rpc"
	authv1 "github.com/skein-cx/skein/proto/skein/auth/v1"
	"github.com/skein-cx/skein/services/console/view"
)

// knownFor is how long it is not asked again who somebody is, so that a page does not wait for that before it asks for what it shows. Every call of
// the API is checked there all the same.
const knownFor = 10 * time.Second

// acquaintances are those who were here just now, by token: as many at most as there are tokens.
type acquaintances struct {
	mu  sync.Mutex
	all map[string]acquaintance
}

type acquaintance struct {
	who   *authv1.WhoamiResponse
	until time.Time
}

// recognise finds out who calls, and refuses who is not known.
func (s *Site) recognise(c *Call) error {
	token := s.sessions.token(c.R)
	who := s.known.recall(token)
	if who == nil {
		var err error
		if who, err = authv1.NewAuthServiceClient(s.api).Whoami(c.ctx, &authv1.WhoamiRequest{}); err != nil {
			return err
		}
		s.known.remember(token, who)
	}
	if who.GetOpen() {
		if err := rpc.OwnMachine(c.R); err != nil {
			return err
		}
	}
	c.User = view.User{
		Name: who.GetName(), Tenant: who.GetTenant(), Admin: who.GetAdmin(), Directory: who.GetDirectory(), Open: who.GetOpen(),
		Agent: cookie(c.R, agentCookie), Version: who.GetVersion(),
	}
	return nil
}

func (p *acquaintances) recall(token string) *authv1.WhoamiResponse {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.all[token]
	if time.Now().After(known.until) {
		return nil
	}
	return known.who
}

func (p *acquaintances) remember(token string, who *authv1.WhoamiResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[string]acquaintance{}
	}
	if who.GetOpen() {
		token = "" // where anything is a token, none of them is kept
	}
	p.all[token] = acquaintance{who, time.Now().Add(knownFor)}
}
