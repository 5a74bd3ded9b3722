package chat

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// maxToken is how long a token may be, in bytes.
	maxToken = 2 << 10
	// subprotocol is the WebSocket protocol of this package.
	subprotocol = "skein.chat.v1"
	// bearerProtocol begins the subprotocol in which a browser, which can set no header, hands in its token.
	bearerProtocol = "bearer."
)

// isID tells whether s can name a visitor, a thread or a message.
func isID(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	})
}

// Claims are what a token says (RFC 7519), signed with HS256.
type Claims struct {
	jwt.RegisteredClaims
	// Tenant and Widget are where the token is good.
	Tenant string `json:"tenant"`
	Widget string `json:"widget"`
	// Visitor and Thread are who may write and read, and where: 1 to 64 letters, digits, "_" and "-".
	Visitor string `json:"visitor"`
	Thread  string `json:"thread"`
	// Platform is what the visitor chats from; a web page where it is empty.
	Platform Platform `json:"platform,omitempty"`
	// Customer is the visitor's login, of which only the site knows: it stands in tokens of the site's own.
	Customer string `json:"customer,omitempty"`

	bySite bool // the site signed it
}

// Platform is what a visitor chats from.
type Platform string

// The platforms. What comes from an app is in-app messaging, not web chat.
const (
	Web     Platform = "web"
	IOS     Platform = "ios"
	Android Platform = "android"
)

func (p Platform) known() bool { return p == "" || p == Web || p == IOS || p == Android }

func (p Platform) channel() eventv1.Channel {
	if p == IOS || p == Android {
		return eventv1.Channel_CHANNEL_IN_APP
	}
	return eventv1.Channel_CHANNEL_WEB_CHAT
}

// Sign makes a token of claims with a widget's secret, as a site does by itself with any library.
func Sign(claims Claims, secret []byte) (string, error) {
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		return "", fmt.Errorf("web/chat: sign a token: %w", err)
	}
	return token, nil
}

func (c Claims) thread() channel.Thread {
	return channel.Thread{Tenant: c.Tenant, Inbox: c.Widget, Thread: c.Thread}
}

// token finds the token of a request; "" where there is none.
func token(r *http.Request) string {
	if scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return t
	}
	for _, offered := range r.Header.Values("Sec-WebSocket-Protocol") {
		for p := range strings.SplitSeq(offered, ",") {
			if t, ok := strings.CutPrefix(strings.TrimSpace(p), bearerProtocol); ok {
				return t
			}
		}
	}
	return ""
}

// authenticate tells who calls.
func (c *Channel) authenticate(w *widget, r *http.Request) (Claims, *problem) {
	t := token(r)
	if t == "" {
		return Claims{}, unauthorized("no token: get one by POST session, and send it as \"Authorization: Bearer TOKEN\" or, " +
			"for a WebSocket, as the subprotocol \"" + bearerProtocol + "TOKEN\" beside \"" + subprotocol + "\"")
	}
	claims, err := c.verify(w, t)
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, unauthorized("the token has expired: get a new one by POST session without a token, or from the site that signed it")
	case err != nil:
		c.log.Debug("a token was refused", "widget", w.ID, "error", err)
		return Claims{}, unauthorized("the token is not valid for this widget: get one by POST session without a token, or from the site that signed it")
	}
	return claims, nil
}

var errForeignToken = errors.New("it is another widget's, or its visitor, thread, customer or platform is malformed")

// verify reads a token that this channel or the widget's site has signed.
func (c *Channel) verify(w *widget, t string) (Claims, error) {
	if len(t) > maxToken {
		return Claims{}, jwt.ErrTokenMalformed
	}
	claims, err := c.parse(t, w.key)
	if errors.Is(err, jwt.ErrTokenSignatureInvalid) && len(w.Secret) > 0 {
		claims, err = c.parse(t, w.Secret)
		claims.bySite = true
	}
	switch {
	case err != nil:
		return Claims{}, err
	case claims.Tenant != w.Tenant || claims.Widget != w.ID,
		!isID(claims.Visitor) || !isID(claims.Thread), len(claims.Customer) > 256, !claims.Platform.known():
		return Claims{}, errForeignToken
	}
	return claims, nil
}

func (c *Channel) parse(t string, key []byte) (claims Claims, err error) {
	_, err = jwt.ParseWithClaims(t, &claims, func(*jwt.Token) (any, error) { return key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(c.cfg.Now))
	return claims, err
}

// Token signs a token with which a visitor writes and reads in a thread of a widget, for callers in this process: the same
// ids go on with the same conversation.
func (c *Channel) Token(widget, visitor, thread string) (string, error) {
	w, ok := c.widgets[widget]
	switch {
	case !ok:
		return "", fmt.Errorf("web/chat: there is no widget %q", widget)
	case !isID(visitor) || !isID(thread):
		return "", fmt.Errorf("web/chat: visitor %q in thread %q: 1 to 64 letters, digits, \"_\" and \"-\" are needed", visitor, thread)
	}
	t, _, err := c.issue(w, visitor, thread, Web)
	return t, err
}

// issue signs a token for a visitor.
func (c *Channel) issue(w *widget, visitor, thread string, platform Platform) (string, Claims, error) {
	now := c.cfg.Now().Truncate(time.Second)
	claims := Claims{
		RegisteredClaims: jwt.RegisteredClaims{IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(c.limits.TokenLife))},
		Tenant:           w.Tenant, Widget: w.ID, Visitor: visitor, Thread: thread, Platform: platform,
	}
	t, err := Sign(claims, w.key)
	return t, claims, err
}
