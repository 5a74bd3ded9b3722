package email_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/skein-cx/skein/services/channels/email"
)

func messageIDs(tb testing.TB, secret byte) *email.MessageIDs {
	tb.Helper()
	ids, err := email.NewMessageIDs(bytes.Repeat([]byte{secret}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return ids
}

func makeID(t *testing.T, ids *email.MessageIDs, thread, unique string) string {
	t.Helper()
	id, err := ids.Make("lumen", "support", thread, unique, "lumen.example")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAMessageIDHoldsItsThread(t *testing.T) {
	ids := messageIDs(t, 1)
	for _, thread := range []string{"1@example.com", "hash:abc", "订单@例子.cn", strings.Repeat("x", 500)} {
		id := makeID(t, ids, thread, "request 1")
		if got, ok := ids.Thread("lumen", "support", id); !ok || got != thread {
			t.Errorf("%s holds %q, want %q", id, got, thread)
		}
		if again := makeID(t, ids, thread, "request 1"); again != id {
			t.Errorf("the same request gives %s and %s", id, again)
		}
		if other := makeID(t, ids, thread, "request 2"); other == id {
			t.Error("two requests give one Message-ID")
		}
	}
	long := makeID(t, ids, strings.Repeat("x", 501), "request 1")
	if _, ok := ids.Thread("lumen", "support", long); ok || len(long) > 100 {
		t.Errorf("a thread that is too long gives %q", long)
	}
}

func TestAForgedMessageIDHoldsNothing(t *testing.T) {
	ids := messageIDs(t, 1)
	id := makeID(t, ids, "1@example.com", "request 1")
	other := makeID(t, ids, "2@example.com", "request 1")
	parts, otherParts := strings.Split(id, "."), strings.Split(other, ".")
	mixed := strings.Join([]string{parts[0], otherParts[1], parts[2], strings.Join(parts[3:], ".")}, ".")
	for name, forged := range map[string]string{
		"of another thread": mixed, "cut": id[:len(id)/2], "of somebody else": "1@example.com", "empty": "", "without parts": "sk1.@x", "no base64": "sk1.!.!.!@x",
	} {
		if thread, ok := ids.Thread("lumen", "support", forged); ok {
			t.Errorf("one %s holds %q", name, thread)
		}
	}
	if _, ok := ids.Thread("lumen", "sales", id); ok {
		t.Error("it holds in another inbox")
	}
	if _, ok := ids.Thread("other", "support", id); ok {
		t.Error("it holds for another tenant")
	}
	if _, ok := messageIDs(t, 2).Thread("lumen", "support", id); ok {
		t.Error("it holds under another secret")
	}
	if _, err := ids.Make("lumen", "support", "1@a", "x", "lumen.example>\r\nBcc: all"); err == nil {
		t.Error("a domain may hold anything")
	}
}

// Whatever a client makes of References, the answer comes into the thread; a forged id does not bring a mail into another one.
func TestAnAnswerComesIntoTheThreadOfWhatWasSent(t *testing.T) {
	in := support(t)
	in.MessageIDs = messageIDs(t, 1)
	sent := makeID(t, in.MessageIDs, "1@example.com", "request 1")
	forged := makeID(t, messageIDs(t, 2), "1@example.com", "request 1")
	for header, thread := range map[string]string{
		"In-Reply-To: <" + sent + ">":                                                       "1@example.com",
		"In-Reply-To: <" + sent + ">\nReferences: <" + sent + ">":                           "1@example.com",
		"References: <0@else.example> <" + sent + "> <7@else.example>":                      "1@example.com",
		"In-Reply-To: <" + forged + ">":                                                     forged,
		"In-Reply-To: <7@else.example>":                                                     "7@else.example",
		"Message-ID: <" + sent + ">":                                                        "1@example.com",
		"In-Reply-To: <" + strings.Replace(sent, "lumen.example", "other.example", 1) + ">": "1@example.com", // the domain tells nothing
	} {
		m := parse(t, "From: jo@example.com", "Message-ID: <2@example.com>", header, "", "x")
		if strings.HasPrefix(header, "Message-ID") {
			m = parse(t, "From: jo@example.com", header, "", "x")
		}
		if got := m.Submission(in).GetThread(); got != thread {
			t.Errorf("%s: thread %q, want %q", header, got, thread)
		}
	}
}

func FuzzMessageIDs(f *testing.F) {
	ids := messageIDs(f, 1)
	id, err := ids.Make("lumen", "support", "1@example.com", "request 1", "lumen.example")
	if err != nil {
		f.Fatal(err)
	}
	local, _, _ := strings.Cut(id, "@")
	f.Add(id)
	f.Add("sk1.YQ.YQ.YQ@x")
	f.Fuzz(func(t *testing.T, messageID string) {
		if thread, ok := ids.Thread("lumen", "support", messageID); ok && (thread != "1@example.com" || !strings.HasPrefix(messageID, local)) {
			t.Errorf("%q holds the thread %q", messageID, thread)
		}
		made, err := ids.Make("lumen", "support", messageID, "x", "lumen.example")
		if err != nil {
			return // an empty thread
		}
		thread, ok := ids.Thread("lumen", "support", made)
		if ok != (len(messageID) <= 500) || ok && thread != messageID {
			t.Errorf("%q comes back as %q", messageID, thread)
		}
	})
}
