package kf

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
)

// Whatever comes gives an error, or events that differ from one another, twice the same, and each is accepted or refused for good by Skein's own
// rules.
func FuzzItem(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "synthetic-sync.story"))
	if err != nil {
		f.Fatal(err)
	}
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(section, "\n")
		f.Add([]byte(strings.TrimSpace(body)))
	}
	f.Add([]byte(strings.Repeat("[", 10_000)))
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, item []byte) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		// An inbox for each, so that items of different executions never meet.
		a := &account{Account: Account{Tenant: "lumen", Inbox: strconv.Itoa(n), CorpID: "ww2f6c1d0a9b8e7f55", OpenKfID: "wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"}}
		for range 2 {
			submissions, err := a.readItem(item)
			if err != nil {
				continue
			}
			ids := map[string]bool{}
			for _, s := range submissions {
				id := s.GetThread() + "\x00" + s.GetType() + "\x00" + s.GetNativeId()
				if ids[id] {
					t.Fatalf("two events are one: %v", submissions)
				}
				ids[id] = true
			}
			var invalid *event.InvalidError
			if _, err := host.Submit(t.Context(), "lumen", submissions...); err != nil && !errors.As(err, &invalid) {
				t.Fatal(err)
			}
		}
		if len(host.Conflicts()) > 0 {
			t.Fatal(host.Conflicts())
		}
	})
}

// Whatever the API answers is a page, or is none; a number in it is one.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		`{"errcode":0,"errmsg":"ok","next_cursor":"4gw7MepFLfgF2VC5npN","has_more":1,"msg_list":[{"msgid":"1"},17,null]}`, `{"msg_list":{}}`, `{"has_more":1.5}`, "",
	} {
		f.Add([]byte(seed), "1")
	}
	f.Add([]byte(`{}`), `"23.10"`)
	f.Add([]byte(`{}`), `null`)
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		var p page
		if err := json.Unmarshal(raw, &p); err == nil {
			a := &account{Account: Account{Tenant: "lumen", Inbox: "shop", OpenKfID: "wk1"}}
			for _, item := range p.Items {
				_, _ = a.readItem(item)
			}
		}
		var n number
		if err := json.Unmarshal([]byte(text), &n); err == nil && n != "" {
			if _, err := n.float(); err != nil && !errors.Is(err, strconv.ErrRange) {
				t.Errorf("%q is no number: %v", n, err)
			}
		}
	})
}
