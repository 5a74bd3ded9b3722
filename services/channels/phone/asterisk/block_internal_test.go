package asterisk

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
)

// all reads the blocks of a text.
func all(tb testing.TB, r io.Reader) []*block {
	tb.Helper()
	var blocks []*block
	for in := newReader(r); ; {
		b, err := in.next()
		if errors.Is(err, io.EOF) {
			return blocks
		}
		if err != nil {
			tb.Fatal(err)
		}
		blocks = append(blocks, b)
	}
}

func TestBlocks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want [][]field
	}{
		"CRLF":                   {"A: 1\r\nB: 2\r\n\r\n", [][]field{{{"A", "1"}, {"B", "2"}}}},
		"LF":                     {"A: 1\nB: 2\n\nC: 3\n\n", [][]field{{{"A", "1"}, {"B", "2"}}, {{"C", "3"}}}},
		"several empty lines":    {"\r\n\r\nA: 1\r\n\r\n\r\n\r\nB: 2\r\n\r\n", [][]field{{{"A", "1"}}, {{"B", "2"}}}},
		"a key again":            {"A: 1\r\nA: 2\r\n\r\n", [][]field{{{"A", "1"}, {"A", "2"}}}},
		"no value, no space":     {"A:\r\nB:2\r\n\r\n", [][]field{{{"A", ""}, {"B", "2"}}}},
		"a colon in the value":   {"A: b: c\r\n\r\n", [][]field{{{"A", "b: c"}}}},
		"no key":                 {"hello\r\n: x\r\nA: 1\r\n\r\n", [][]field{{{"A", "1"}}}},
		"half a block":           {"A: 1\r\n\r\nB: 2\r\nC:", [][]field{{{"A", "1"}}}},
		"no UTF-8":               {"A: \xfc\r\n\r\n", [][]field{{{"A", "\uFFFD"}}}},
		"a command of AMI 1.x":   {"Response: Follows\r\nActionID: 1\r\nhello\r\n\r\nworld\r\n--END COMMAND--\r\n\r\nA: 1\r\n\r\n", [][]field{{{"Response", "Follows"}, {"ActionID", "1"}}, {{"A", "1"}}}},
		"a command since AMI 2":  {"Response: Success\r\nOutput: a\r\nOutput: b\r\n\r\n", [][]field{{{"Response", "Success"}, {"Output", "a"}, {"Output", "b"}}}},
		"a command ends in line": {"Response: Follows\r\n\r\nnothing--END COMMAND--\r\n\r\nA: 1\r\n\r\n", [][]field{{{"Response", "Follows"}}, {{"A", "1"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text)), iotest.DataErrReader(strings.NewReader(c.text))} {
				blocks := all(t, r)
				if len(blocks) != len(c.want) {
					t.Fatalf("%d blocks, want %d", len(blocks), len(c.want))
				}
				for i, b := range blocks {
					if !reflect.DeepEqual(b.fields, c.want[i]) || b.cut {
						t.Errorf("block %d: %v, want %v", i, b.fields, c.want[i])
					}
				}
			}
		})
	}
}

func TestBlocksAreBounded(t *testing.T) {
	t.Parallel()
	text := "A: " + strings.Repeat("x", 5<<20) + "\r\n\r\n" + strings.Repeat("B: y\r\n", 200_000) + "\r\nC: 1\r\n\r\n"
	blocks := all(t, strings.NewReader(text))
	if len(blocks) != 3 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for i, b := range blocks {
		if b.cut != (i < 2) || len(b.raw) > maxBlock || len(b.fields) > maxHeaders {
			t.Errorf("block %d: cut %v, %d bytes, %d fields", i, b.cut, len(b.raw), len(b.fields))
		}
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"A: 1\r\n\r\nB: 2\r\n\r\n": true, "A: 1\r\n\r\nB: 2\r\n": false, "A: 1\n\nB: 2\n\n": true, "A: 1\r\n\r\n": false,
	} {
		r := newReader(strings.NewReader(text))
		if _, err := r.next(); err != nil || r.ready() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"1409169929.412068":     time.Unix(1409169929, 412068000).UTC(),
		"1409169929.5":          time.Unix(1409169929, 500_000_000).UTC(),
		"1409169929":            time.Unix(1409169929, 0).UTC(),
		"1409169929.1234567899": time.Unix(1409169929, 123456789).UTC(),
		"":                      {},
		"yesterday":             {},
		"1409169929.-5":         {},
		"-1.0":                  {},
		"99999999999999999.0":   {},
	} {
		if got := parseTime(text); !got.Equal(want) {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	// as Asterisk counts: the number is no fraction
	ids := []string{"1414510600.9", "1414510600.10", "pbx1-1414510601.2", "1414510602.0"}
	for i, a := range ids {
		for j, b := range ids {
			if older(a, b) != (i < j) {
				t.Errorf("older(%s, %s)", a, b)
			}
		}
	}
}

func TestDevices(t *testing.T) {
	t.Parallel()
	for channel, want := range map[string]string{
		"PJSIP/2001-0000001a":                "PJSIP/2001",
		"SIP/trunk-out-0000095f":             "SIP/trunk-out",
		"Local/2001@from-queue-00000001;1":   "Local/2001@from-queue",
		"Local/2001@from-queue-00000001;2":   "Local/2001@from-queue",
		"Local/2001@from-queue/n-00000001;2": "Local/2001@from-queue",
		"DAHDI/i1/0301234-1":                 "DAHDI/i1/0301234",
		"PJSIP/front-desk":                   "PJSIP/front-desk",
		"":                                   "",
	} {
		if got := device(channel); got != want {
			t.Errorf("%s is of %s, want %s", channel, got, want)
		}
	}
}

func TestOwnNumbers(t *testing.T) {
	t.Parallel()
	n, err := newNumbers("DE", []string{"2XXX", "+4930901820*", "0800123", "4989*"})
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]bool{
		"2001": true, "200": false, "20011": false, "2a01": false, "03090182017": true, "+49 30 901820 17": true, "0049309018201": true,
		"030901821": false, "0800123": true, "49891": true, "anonymous": false, "": false, "<unknown>": false,
	} {
		if n.own(number) != want {
			t.Errorf("%q", number)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	de, err := newNumbers("DE", nil)
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[string]string{
		"03090182017": "+493090182017", "+442079460000": "+442079460000", "110": "110", "alice@example.com": "alice@example.com",
		"": "", "anonymous": "", "Anonymous": "", "<unknown>": "", "unknown": "", "alice": "", "asterisk": "",
	} {
		got := ""
		if a, _ := de.address(number); a != nil {
			e, err := event.Normalise(a)
			if err != nil {
				t.Fatal(err)
			}
			got = e.Value
		}
		if got != want {
			t.Errorf("%q reaches %q, want %q", number, got, want)
		}
	}
	none, err := newNumbers("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, shown := none.address("03090182017"); a != nil || shown != "03090182017" {
		t.Errorf("a national number without a region: %v, %q", a, shown)
	}
}

// Whatever a switch sends, blocks are bounded and the same in whatever pieces they come; each becomes events that Skein takes
// or refuses as wrong, the same ones again when it is read again from what is kept of it.
func FuzzBlock(f *testing.F) {
	sw := Switch{Tenant: "acme", Inbox: "hotline", Addr: "127.0.0.1:1", Username: "u", Secret: "s", Region: "DE", OwnNumbers: []string{"2XXX"}, Agents: map[string]string{"PJSIP/2001": "bob"}}
	m, err := newMetrics(nil)
	if err != nil {
		f.Fatal(err)
	}
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	l, err := newLine(&c.cfg, sw, m)
	if err != nil {
		f.Fatal(err)
	}
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	if err != nil {
		f.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		blocks := all(t, bytes.NewReader(text))
		if again := all(t, iotest.HalfReader(bytes.NewReader(text))); !reflect.DeepEqual(blocks, again) {
			t.Fatalf("in pieces: %v, want %v", again, blocks)
		}
		digests := map[string][]byte{}
		for _, b := range blocks {
			if len(b.raw) > maxBlock || len(b.fields) > maxHeaders {
				t.Fatalf("%d bytes, %d fields", len(b.raw), len(b.fields))
			}
			for _, f := range b.fields {
				if !utf8.ValidString(f.key+f.value) || f.key == "" {
					t.Fatalf("%q", f)
				}
			}
			if !b.cut {
				kept := all(t, strings.NewReader(string(b.raw)+"\r\n"))
				if len(kept) != 1 || !reflect.DeepEqual(kept[0].fields, b.fields) {
					t.Fatalf("%q is kept as %v", b.fields, kept)
				}
			}
			for range 2 {
				submissions, err := l.read(b)
				if err != nil {
					continue
				}
				for _, s := range submissions {
					compiled, err := compiler.Compile("acme", s, channeltest.ReceivedAt)
					if _, invalid := errors.AsType[*event.InvalidError](err); invalid {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					if first, known := digests[compiled.Event.GetId()]; known && !bytes.Equal(first, compiled.Event.GetDigest()) {
						t.Fatalf("a conflict: %v", s)
					}
					digests[compiled.Event.GetId()] = bytes.Clone(compiled.Event.GetDigest())
				}
			}
		}
	})
}
