package imap_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/mailtest"
	"github.com/skein-cx/skein/services/channels/email"
)

// fake is an IMAP server of three mails that misbehaves as a test likes: fetch answers "UID FETCH <uids> (UID BODY…" in its place.
func fake(t *testing.T, fetch func(tag, uids string, mails []string) string) (addr string) {
	t.Helper()
	return fakeSizes(t, nil, fetch)
}

// fakeSizes is such a server whose sizes may be wrong as well: sizes, if not nil, answers "UID FETCH <uids> (UID RFC822.SIZE)".
func fakeSizes(t *testing.T, sizes, fetch func(tag, uids string, mails []string) string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	mails := []string{mail(1), mail(2), mail(3)}
	serve := func(c net.Conn) {
		defer c.Close()
		_, _ = fmt.Fprint(c, "* OK [CAPABILITY IMAP4rev1] ready\r\n")
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			words := strings.Fields(line)
			tag, rest := words[0], strings.Join(words[1:], " ")
			out := tag + " OK done\r\n"
			switch {
			case strings.HasPrefix(rest, "CAPABILITY"):
				out = "* CAPABILITY IMAP4rev1\r\n" + out
			case strings.HasPrefix(rest, "LIST"):
				out = "* LIST () \"/\" INBOX\r\n" + out
			case strings.HasPrefix(rest, "EXAMINE"):
				out = "* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 4] x\r\n" + tag + " OK [READ-ONLY] done\r\n"
			case strings.HasPrefix(rest, "UID SEARCH"):
				first := 1
				var upper string
				_, _ = fmt.Sscanf(rest[strings.Index(rest, "UID ")+0:], "UID SEARCH UID %d%s", &first, &upper)
				out = "* SEARCH"
				for uid := first; uid <= 3 && (upper != "" || uid == first); uid++ {
					out += fmt.Sprintf(" %d", uid)
				}
				out += "\r\n" + tag + " OK done\r\n"
			case strings.HasPrefix(rest, "UID FETCH") && strings.Contains(rest, "RFC822.SIZE") && sizes != nil:
				out = sizes(tag, words[3], mails)
			case strings.HasPrefix(rest, "UID FETCH") && strings.Contains(rest, "RFC822.SIZE"):
				out = ""
				for i, m := range mails {
					out += fmt.Sprintf("* %d FETCH (UID %d RFC822.SIZE %d)\r\n", i+1, i+1, len(m))
				}
				out += tag + " OK done\r\n"
			case strings.HasPrefix(rest, "UID FETCH"):
				out = fetch(tag, words[3], mails)
			}
			if _, err := fmt.Fprint(c, out); err != nil || out == "" {
				return
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

// give answers a fetch; bad is what stands for mail 2.
func give(tag, uids string, mails []string, bad string) string {
	out := ""
	for i, m := range mails {
		uid := fmt.Sprint(i + 1)
		if uids != "1:3" && uids != uid && !strings.Contains(","+uids+",", ","+uid+",") && !(uids == "2:3" && i > 0) && !(uids == "1:2" && i < 2) {
			continue
		}
		if i == 1 {
			out += bad
			continue
		}
		out += fmt.Sprintf("* %s FETCH (UID %s BODY[] {%d}\r\n%s)\r\n", uid, uid, len(m), m)
	}
	return out + tag + " OK done\r\n"
}

// A mail that the server does not give is passed over after some tries, and is told of; the others come.
func TestAMailThatTheServerDoesNotGiveHoldsNothingUp(t *testing.T) {
	for name, bad := range map[string]string{
		"NIL":            "* 2 FETCH (UID 2 BODY[] NIL)\r\n",
		"nothing":        "",
		"what is wrong":  "* 2 FETCH (UID 2 NONSENSE[] {3}\r\nabc)\r\n",
		"an odd literal": "* 2 FETCH (UID 2 BODY[] {-1}\r\n)\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			addr := fake(t, func(tag, uids string, mails []string) string { return give(tag, uids, mails, bad) })
			host := channeltest.NewHost()
			run(t, puller(t, config(t, addr)), host)
			await(t, host, 2)
			until(t, "rejection", func() bool { return len(host.Rejections()) == 1 })
			if r := host.Rejections()[0]; !strings.Contains(string(r.Raw), "UID 2 ") || !strings.Contains(r.Reason, "does not give it") {
				t.Errorf("rejection %s: %s", r.Reason, r.Raw)
			}
		})
	}
	t.Run("refusal", func(t *testing.T) {
		addr := fake(t, func(tag, uids string, mails []string) string {
			if strings.Contains(uids, "2") || uids == "1:3" {
				return tag + " NO cannot be read\r\n"
			}
			return give(tag, uids, mails, "")
		})
		host := channeltest.NewHost()
		run(t, puller(t, config(t, addr)), host)
		await(t, host, 2)
		until(t, "rejection", func() bool { return len(host.Rejections()) == 1 })
	})
}

// A mail whose size the server does not tell is no deleted one, and keeps no other from coming: whether it can be had, the mail itself decides.
func TestAMailWhoseSizeIsNotToldIsAskedForItself(t *testing.T) {
	for name, sizes := range map[string]func(tag, uids string, mails []string) string{
		"left out": func(tag, _ string, mails []string) string {
			return fmt.Sprintf("* 1 FETCH (UID 1 RFC822.SIZE %d)\r\n* 3 FETCH (UID 3 RFC822.SIZE %d)\r\n%s OK done\r\n", len(mails[0]), len(mails[2]), tag)
		},
		"refused": func(tag, _ string, _ []string) string { return tag + " NO a mail is damaged\r\n" },
	} {
		t.Run(name+", the mail is there", func(t *testing.T) {
			addr := fakeSizes(t, sizes, func(tag, uids string, mails []string) string {
				return give(tag, uids, mails, fmt.Sprintf("* 2 FETCH (UID 2 BODY[] {%d}\r\n%s)\r\n", len(mails[1]), mails[1]))
			})
			host := channeltest.NewHost()
			run(t, puller(t, config(t, addr)), host)
			await(t, host, 3)
			if n := len(host.Rejections()); n != 0 {
				t.Errorf("%d rejections", n)
			}
		})
		t.Run(name+", the mail is damaged", func(t *testing.T) {
			addr := fakeSizes(t, sizes, func(tag, uids string, mails []string) string { return give(tag, uids, mails, "") })
			host := channeltest.NewHost()
			run(t, puller(t, config(t, addr)), host)
			await(t, host, 2)
			until(t, "rejection", func() bool { return len(host.Rejections()) == 1 })
		})
	}
}

// A server that has a bad moment loses nothing: what it gives at last is taken.
func TestAMailThatComesAtLastIsTaken(t *testing.T) {
	var asked atomic.Int64
	addr := fake(t, func(tag, uids string, mails []string) string {
		if asked.Add(1) <= 2 {
			return tag + " NO not now\r\n"
		}
		return give(tag, uids, mails, fmt.Sprintf("* 2 FETCH (UID 2 BODY[] {%d}\r\n%s)\r\n", len(mails[1]), mails[1]))
	})
	host := channeltest.NewHost()
	run(t, puller(t, config(t, addr)), host)
	await(t, host, 3)
	if n := len(host.Rejections()); n != 0 {
		t.Errorf("%d rejections", n)
	}
}

// A server that says nothing is left, however long it would keep the connection.
func TestAServerThatSaysNothingIsLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := config(t, l.Addr().String())
	cfg.StallTimeout = 10 * time.Millisecond
	p := puller(t, cfg)
	run(t, p, channeltest.NewHost())
	for range 3 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
		if err == nil {
			t.Error("it speaks before the server does")
		}
	}
}

// Tokens come from an OAuth server, and Dovecot asks there whether they are good.
func TestTokensLogIn(t *testing.T) {
	var issued atomic.Int64
	tokens := http.NewServeMux()
	tokens.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		id, secret, ok := r.BasicAuth()
		if !ok {
			id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
		}
		grant := r.FormValue("grant_type")
		if id != "skein" || secret != "hush" || grant != "client_credentials" && (grant != "refresh_token" || r.FormValue("refresh_token") != "again") {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		issued.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"access_token":"good","token_type":"Bearer","expires_in":3600}`)
	})
	tokens.HandleFunc("/introspect/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !strings.HasSuffix(r.URL.Path, "/good") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"active":true,"user":%q,"email":%q}`, user, user)
	})
	server := httptest.NewServer(tokens)
	defer server.Close()
	for _, mechanism := range []string{"xoauth2", "oauthbearer"} {
		d := mailtest.StartDovecot(t, "auth_mechanisms = "+mechanism, "auth_failure_delay = 0",
			"passdb {\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = DIR/oauth2.conf\n}")
		d.Write(t, "oauth2.conf", "tokeninfo_url = "+server.URL+"/introspect/\nintrospection_mode = get\nintrospection_url = "+server.URL+"/introspect/\nusername_attribute = email\nactive_attribute = active\nactive_value = true\nforce_introspection = no\n")
		d.Restart(t)
		deliver(t, d.LMTP, mail(1))
		for name, oauth := range map[string]email.OAuth{
			"client credentials": {TokenURL: server.URL + "/token", ClientID: "skein", ClientSecret: "hush"},
			"refresh token":      {TokenURL: server.URL + "/token", ClientID: "skein", ClientSecret: "hush", RefreshToken: "again"},
		} {
			t.Run(mechanism+" by "+name, func(t *testing.T) {
				cfg := config(t, d.IMAP)
				cfg.Accounts[0].Password, cfg.Accounts[0].OAuth = "", &oauth
				host, p := channeltest.NewHost(), puller(t, cfg)
				run(t, p, host)
				until(t, "event or failure", func() bool {
					return len(host.Events()) == 1 || p.Statuses()[0].Err != nil && strings.Contains(p.Statuses()[0].Err.Error(), "log in")
				})
				if len(host.Events()) != 1 {
					t.Error(p.Statuses()[0].Err)
				}
				wrong := oauth
				wrong.ClientSecret = "wrong"
				cfg.Accounts[0].OAuth = &wrong
				refused := puller(t, cfg)
				run(t, refused, channeltest.NewHost())
				until(t, "refusal", func() bool {
					err := refused.Statuses()[0].Err
					return err != nil && strings.Contains(err.Error(), "the token endpoint refuses") && !strings.Contains(err.Error(), "wrong")
				})
			})
		}
	}
	if issued.Load() == 0 {
		t.Error("no token was issued")
	}
}
