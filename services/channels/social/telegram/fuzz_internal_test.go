package telegram

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
)

// Whatever comes as an update gives an error, or events that differ from one another, twice the same, all of which Skein takes.
func FuzzUpdate(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "synthetic.story"))
	if err != nil {
		f.Fatal(err)
	}
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(section, "\n")
		f.Add([]byte(strings.TrimSpace(body)))
	}
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, body []byte) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		a := &account{Account: Account{Tenant: "lumen", Inbox: strconv.Itoa(n)}, bot: "110201543"} // so that executions never meet
		for range 2 {
			submissions, err := a.read(body)
			if err != nil {
				if strings.Contains(err.Error(), "110201543:") {
					t.Fatal(err)
				}
				continue
			}
			ids := map[string]bool{}
			for _, s := range submissions {
				id := s.GetThread() + "\x00" + s.GetType() + "\x00" + s.GetNativeId() + "\x00" + strconv.Itoa(int(s.GetOrdinal())) + string(s.GetDiscriminator())
				if ids[id] {
					t.Fatalf("two events are one: %v", submissions)
				}
				ids[id] = true
			}
			if _, err := host.Submit(t.Context(), "lumen", submissions...); err != nil {
				t.Fatal(err)
			}
		}
		if len(host.Conflicts()) > 0 {
			t.Fatal(host.Conflicts())
		}
	})
}

// Whatever is marked in a text, the HTML holds the text, and every tag is closed.
func FuzzEntities(f *testing.F) {
	f.Add("Is the Aurora 🌅 lamp in stock?", "bold", 7, 9, "italic", 10, 2)
	f.Add("👍", "pre", 0, 1, "text_link", 1, 1)
	f.Add("<b>", "code", -1, 3, "spoiler", 0, 99)
	f.Fuzz(func(t *testing.T, text, kind1 string, at1, length1 int, kind2 string, at2, length2 int) {
		got := markedUp(text, []entity{{Type: kind1, Offset: at1, Length: length1, URL: text}, {Type: kind2, Offset: at2, Length: length2, URL: text}})
		if strings.Count(got, "<") != 2*strings.Count(got, "</")+strings.Count(got, "<br>") {
			t.Errorf("%q", got)
		}
	})
}

// What nobody took is kept for a day; afterwards a cursor could only do harm.
func TestACursorIsGoodForADay(t *testing.T) {
	now := time.Unix(1772442000, 0)
	is := cursor(700001, now)
	if n := offset(is, now.Add(keeps)); n != 700001 {
		t.Error(n)
	}
	if n := offset(is, now.Add(keeps+time.Second)); n != 0 {
		t.Error(n)
	}
}

// Whatever a cursor holds, it is a place to go on from, or none.
func FuzzCursor(f *testing.F) {
	now := time.Unix(1772442000, 0)
	for _, seed := range []string{"", "1@1772442000", "700001@1772400000", "700001@1", "x@y", "-5@1772442000", "9@99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n := offset(text, now); n < 0 {
			t.Error(n)
		} else if n > 0 && offset(cursor(n, now), now) != n {
			t.Error("another place")
		}
	})
}

// Whatever the API answers to a message, it was sent, was not, or nobody knows.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"ok":true,"result":{"message_id":77,"chat":{"id":4201},"date":1772442000}}`)
	f.Add(200, `{"ok":true,"result":[{"message_id":77,"chat":{"id":4201}},{"message_id":78,"chat":{"id":4201}}]}`)
	f.Add(403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`)
	f.Add(400, `{"ok":false,"error_code":400,"description":"x","parameters":{"migrate_to_chat_id":-1002201}}`)
	f.Add(500, `{"ok":false,"error_code":500}`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		said := &answer{status: status}
		if json.Unmarshal([]byte(body), said) != nil {
			return
		}
		was, err := sent(said)
		_, isRefused := errors.AsType[*channel.RefusedError](err)
		n := 0
		for _, is := range []bool{was.NativeID != "", errors.Is(err, channel.ErrUnknown), isRefused} {
			if is {
				n++
			}
		}
		if n != 1 || (was.NativeID == "") == (err == nil) {
			t.Errorf("%d %q: %v, %v", status, body, was, err)
		}
	})
}

// Whatever a thread is called, the bot can write into it by the chat in its name, or not at all.
func FuzzThread(f *testing.F) {
	for _, seed := range []string{"4201", "-1002200/12", "-1003300/direct/4201", "business/BQADAgAD/4303", "guest/-1009", "post/-1001900/31", "inline_query", "a/b/c/d", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, thread string) {
		to, err := target(thread)
		if (to == nil) == (err == nil) {
			t.Error(to, err)
		}
		if chat, ok := to["chat_id"].(int64); to != nil && (!ok || !strings.Contains(thread, number(chat)) && !strings.ContainsAny(thread, "+0")) {
			t.Errorf("%q: %v", thread, to)
		}
	})
}
