package chat

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/blob"
)

// AnyOrigin is what a widget has instead of origins where every site may use it.
const AnyOrigin = "any"

const minSecret = 32

// Widget is a chat on a site of the company's.
type Widget struct {
	// ID is the inbox of its messages, and stands in its address: letters, digits, ".", "_" and "-".
	ID, Tenant string
	// Name stands above the chat; ID unless set.
	Name string
	// Origins are the sites whose pages may use it, exactly as a browser names them, such as "https://shop.example"; or
	// AnyOrigin alone. The page that this package serves may always.
	Origins []string
	// Secret, of 32 bytes at least, lets the site sign tokens of its own; without one it cannot.
	Secret []byte
	// Logins is the name space of the customers' logins that tokens of the site name; "login" unless set.
	Logins string
	// MaxFile is the greatest file that a visitor may send, in bytes: DefaultMaxFile where it is zero, none at all where it is
	// negative, and no more than a blob may have.
	MaxFile int64
}

// DefaultMaxFile is how many bytes a file of a visitor's may have unless the widget says otherwise.
const DefaultMaxFile = 25 << 20

// widget is a Widget that was checked.
type widget struct {
	Widget
	key     []byte // signs this widget's tokens, and no other's
	fileKey []byte // signs the names of files
}

func newWidget(in Widget, secret []byte) (*widget, error) {
	w := &widget{Widget: in}
	def(&w.Name, w.ID)
	def(&w.Logins, "login")
	def(&w.MaxFile, DefaultMaxFile)
	var errs []error
	if !regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`).MatchString(w.ID) {
		errs = append(errs, errors.New(`its id must be 1 to 128 letters, digits and any of . _ -, and not begin with a dot`))
	}
	if w.Tenant == "" {
		errs = append(errs, errors.New("a tenant is needed"))
	}
	if len(w.Secret) > 0 && len(w.Secret) < minSecret {
		errs = append(errs, fmt.Errorf("its secret must have %d bytes at least", minSecret))
	}
	if slices.Contains(w.Origins, AnyOrigin) && len(w.Origins) > 1 {
		errs = append(errs, fmt.Errorf("origin %q must stand alone", AnyOrigin))
	}
	if w.MaxFile > blob.MaxSize {
		errs = append(errs, fmt.Errorf("a file may have %d bytes at most", blob.MaxSize))
	}
	for _, o := range w.Origins {
		if o != AnyOrigin && !exactOrigin(o) {
			errs = append(errs, fmt.Errorf(`origin %q is none: write it as a browser does, such as "https://shop.example", in lower case, without path and default port`, o))
		}
	}
	for purpose, key := range map[string]*[]byte{"token": &w.key, "file": &w.fileKey} {
		var err error
		*key, err = hkdf.Key(sha256.New, secret, nil, "skein web chat "+purpose+"\x00"+w.Tenant+"\x00"+w.ID, minSecret)
		errs = append(errs, err)
	}
	return w, errors.Join(errs...)
}

// exactOrigin reports whether s is the serialisation of an origin (RFC 6454, section 6.2).
func exactOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || strings.Contains(u.Host, "*") {
		return false
	}
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return false
	}
	return s == u.Scheme+"://"+strings.ToLower(u.Host)
}

// allows tells whether a page of an origin may use the widget. A request without an origin comes from no page of another
// site: what lets it in is its token. The page that this process serves has the host of the request.
func (w *widget) allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(w.Origins, origin) || slices.Contains(w.Origins, AnyOrigin) {
		return true
	}
	_, host, ok := strings.Cut(origin, "://")
	return ok && host != "" && strings.EqualFold(host, r.Host)
}
