package chat

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"time"
)

// session is what a client needs to chat.
type session struct {
	Token   string `json:"token"`
	Visitor string `json:"visitor"`
	Thread  string `json:"thread"`
	// Platform is what the token says that its holder chats from.
	Platform Platform  `json:"platform"`
	Expires  time.Time `json:"expires"`
	Now      time.Time `json:"now"`
}

// hello is the body of POST session; it may be left out.
type hello struct {
	Platform Platform `json:"platform"`
}

// session answers POST session: a new visitor or, with a token, the same one on the same platform with a fresh token. A token
// that the site has signed stays as it is: only the site can make it longer.
func (c *Channel) session(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
	visitor, thread := rand.Text(), rand.Text()
	in := hello{Platform: Web}
	raw, p := readBody(w, r)
	if p == nil && len(raw) > 0 {
		p = decode(raw, &in)
	}
	if p != nil {
		return p
	}
	if !in.Platform.known() {
		return invalid("platform", "web, ios or android is needed")
	}
	if old := token(r); old != "" {
		who, p := c.authenticate(wd, r)
		if p != nil {
			return p
		}
		if p := c.visitors.allow(who); p != nil {
			return p
		}
		if who.bySite {
			c.answer(w, old, who)
			return nil
		}
		visitor, thread, in.Platform = who.Visitor, who.Thread, who.Platform
	}
	fresh, who, err := c.issue(wd, visitor, thread, in.Platform)
	if err != nil {
		c.log.Error("no token can be signed", "error", err)
		return unavailable("no token can be signed", retryAfter)
	}
	c.answer(w, fresh, who)
	return nil
}

func (c *Channel) answer(w http.ResponseWriter, t string, who Claims) {
	writeJSON(w, http.StatusOK, session{
		Token: t, Visitor: who.Visitor, Thread: who.Thread, Platform: cmp.Or(who.Platform, Web), Expires: who.ExpiresAt.UTC(), Now: c.cfg.Now().UTC(),
	})
}
