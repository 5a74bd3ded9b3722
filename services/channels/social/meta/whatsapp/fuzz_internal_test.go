package whatsapp

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
)

// told is how much a host has.
type told struct{ events, conflicts, rejections int }

func (t told) since(b told) told {
	return told{t.events - b.events, t.conflicts - b.conflicts, t.rejections - b.rejections}
}

func on(host *channeltest.Host) told {
	return told{len(host.Events()), len(host.Conflicts()), len(host.Rejections())}
}

// FuzzTake reads whatever comes as a webhook, twice: it gives an error and nothing else, or events and rejections, and then the same
// again. What was rejected is rejected again by itself, as it was kept.
func FuzzTake(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "kettle.synthetic.json"))
	if err != nil {
		f.Fatal(err)
	}
	var story []struct{ Body json.RawMessage }
	if err := json.Unmarshal(raw, &story); err != nil {
		f.Fatal(err)
	}
	for _, d := range story {
		f.Add(compact(d.Body))
	}
	c, err := New(Config{Mux: http.NewServeMux(), Accounts: []Account{{
		Tenant: "lumen", Inbox: "desk", PhoneNumberID: "111222333", BusinessAccountID: "100200300", AppSecret: "s", VerifyToken: "t",
	}, {
		Tenant: "lumen", Inbox: "shop", PhoneNumberID: "444555666", BusinessAccountID: "100200300", AppSecret: "s", VerifyToken: "t",
	}}})
	if err != nil {
		f.Fatal(err)
	}
	desk, shop := c.accounts[Key{"lumen", "desk"}], c.accounts[Key{"lumen", "shop"}]
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, body []byte) {
		if n++; n%200 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		desk.Inbox, shop.Inbox = "desk"+strconv.Itoa(n), "shop"+strconv.Itoa(n) // so that bodies of different executions never meet
		before := on(host)
		err := desk.take(t.Context(), host, body)
		once := on(host).since(before)
		if err != nil {
			if once != (told{}) {
				t.Fatalf("%v, although there are %+v", err, once)
			}
			return
		}
		if once == (told{}) && len(body) == 0 {
			t.Fatal("nothing came of nothing")
		}
		before = on(host)
		if err := desk.take(t.Context(), host, body); err != nil {
			t.Fatalf("the second time: %v", err)
		}
		// Two items may have one id and differ, as whoever made the body chose; but they do so each time.
		if again := on(host).since(before); again.events != 0 || again.conflicts != once.conflicts || again.rejections != once.rejections {
			t.Fatalf("%+v, and then %+v", once, again)
		}
		for _, r := range host.Rejections()[before.rejections-once.rejections : before.rejections] {
			before := on(host)
			if err := desk.take(t.Context(), host, r.Raw); err != nil {
				t.Fatalf("%s: %v: %s", r.Reason, err, r.Raw)
			}
			if alone := on(host).since(before); alone != (told{rejections: 1}) {
				t.Fatalf("%s: by itself %+v: %s", r.Reason, alone, r.Raw)
			}
			if kept := host.Rejections(); !bytes.Equal(kept[len(kept)-1].Raw, r.Raw) {
				t.Fatalf("%s: kept as %s, and then as %s", r.Reason, r.Raw, kept[len(kept)-1].Raw)
			}
		}
	})
}
