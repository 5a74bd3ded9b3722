package esl_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esl"
)

const dialogue = "Content-Type: auth/request\n\n" +
	"Content-Type: command/reply\r\nReply-Text: +OK accepted\r\n\r\n" +
	"Content-Length: 85\nContent-Type: text/event-plain\n\n" +
	"Event-Name: CUSTOM\nCaller-Caller-ID-Name: M%C3%BCller%2C%20A\nContent-Length: 5\n\nhello"

func TestFramesAreReadHoweverTheyArrive(t *testing.T) {
	for name, stream := range map[string]io.Reader{
		"at once":      strings.NewReader(dialogue),
		"byte by byte": iotest.OneByteReader(strings.NewReader(dialogue)),
		"with the end": iotest.DataErrReader(strings.NewReader(dialogue)),
	} {
		t.Run(name, func(t *testing.T) {
			r := esl.NewReader(stream, 1<<10)
			for _, want := range []string{esl.AuthRequest, esl.CommandReply, esl.EventPlain} {
				f, err := r.Next()
				if err != nil || f.Type() != want {
					t.Fatal(f, err, want)
				}
				if want != esl.EventPlain {
					continue
				}
				e, err := esl.ParseEvent(f.Body)
				if err != nil || e.Get("caller-caller-id-name") != "Müller, A" || e.Body != "hello" {
					t.Errorf("%q, %v", e, err)
				}
			}
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
	}
}

func TestAFrameThatBreaksOffIsNoEnd(t *testing.T) {
	for cut := 1; cut < len(dialogue); cut++ {
		r := esl.NewReader(strings.NewReader(dialogue[:cut]), 1<<10)
		var err error
		frames := 0
		for ; err == nil; frames++ {
			_, err = r.Next()
		}
		between := strings.HasSuffix(dialogue[:cut], "\n\n") && frames < 3 || strings.HasSuffix(dialogue[:cut], "\r\n\r\n")
		if errors.Is(err, io.EOF) != between {
			t.Fatalf("after %d bytes: %v", cut, err)
		}
	}
}

func TestWhatIsNoFrameIsRefused(t *testing.T) {
	for name, stream := range map[string]string{
		"a body of hundreds of megabytes": "Content-Type: text/event-plain\nContent-Length: 700000000\n\n",
		"a length that is none":           "Content-Length: -4\n\n",
		"a length beyond every number":    "Content-Length: 99999999999999999999999\n\n",
		"a line without a name":           "GET / HTTP/1.1\n\n",
		"a line without an end":           strings.Repeat("a", 1<<20),
		"a long line":                     "a: " + strings.Repeat("a", 100<<10) + "\n\n",
		"headers without end":             manyHeaders(),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := esl.NewReader(strings.NewReader(stream), 1<<20).Next(); !errors.Is(err, esl.ErrFrame) {
				t.Error(err)
			}
		})
	}
}

func manyHeaders() string {
	var b strings.Builder
	for i := range 200 {
		b.WriteString(strings.Repeat("h", i+1) + ": 1\n")
	}
	return b.String() + "\n"
}

// A body takes as much room as has come of it, not as much as was announced.
func TestAnAnnouncedBodyTakesNoRoom(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := esl.NewReader(strings.NewReader("Content-Length: 1000000000\n\nshort"), 1<<30)
	if _, err := r.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
}

// Ready promises a frame exactly where Next would not have to read.
func TestReadyMeansThatNothingHasToBeRead(t *testing.T) {
	for cut := 1; cut <= len(dialogue); cut++ {
		stream := &counted{parts: []string{dialogue[:cut], dialogue[cut:]}}
		r := esl.NewReader(stream, 1<<10)
		for {
			ready, before := r.Ready(), stream.reads
			_, err := r.Next()
			if ready && stream.reads != before {
				t.Fatalf("cut at %d: it read although a frame was ready", cut)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

type counted struct {
	parts []string
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	if len(c.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.parts[0])
	if c.parts[0] = c.parts[0][n:]; c.parts[0] == "" {
		c.parts = c.parts[1:]
	}
	return n, nil
}

func TestValuesAreDecodedAsTheSwitchEncodesThem(t *testing.T) {
	e, err := esl.ParseEvent([]byte("a: 1%2B1+1%20%zz%\nA: second\nlist: ARRAY%3A%3Aone%7C%3Atwo\nbad: %ff%00\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"A": "1+1+1 %zz%", "list": "ARRAY::one|:two", "bad": "\uFFFD\uFFFD", "none": ""} {
		if got := e.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := esl.List(e.Get("list")); len(got) != 2 || got[1] != "two" {
		t.Error(got)
	}
	if _, err := esl.ParseEvent([]byte("Event-Name: X\nno header\n\n")); err == nil {
		t.Error("a line that is no header was taken")
	}
	if _, err := esl.ParseEvent([]byte("Content-Length: 9\n\nshort")); err == nil {
		t.Error("an event that is shorter than it says was taken")
	}
}

// Whatever comes, reading ends, keeps to its limit, and does not depend on how the bytes arrive.
func FuzzFrames(f *testing.F) {
	f.Add([]byte(dialogue), uint64(1))
	f.Add([]byte("Content-Length: 3\n\nabcContent-Length: 0\n\n\n\n"), uint64(2))
	f.Add([]byte("Content-Length: 700000000\n\n"), uint64(3))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		const limit = 1 << 10
		random := rand.New(rand.NewPCG(seed, 0))
		whole, pieces := esl.NewReader(bytes.NewReader(stream), limit), esl.NewReader(&pieces{stream, random}, limit)
		for {
			a, err := whole.Next()
			b, other := pieces.Next()
			if (err == nil) != (other == nil) || !bytes.Equal(a.Body, b.Body) || a.Type() != b.Type() {
				t.Fatalf("at once %q %v, in pieces %q %v", a.Body, err, b.Body, other)
			}
			if err != nil {
				return
			}
			if len(a.Body) > limit {
				t.Fatal("a body above the limit")
			}
			if e, err := esl.ParseEvent(a.Body); err == nil && !strings.Contains(e.Get("x"), "\x00") && e.Body != strings.ToValidUTF8(e.Body, "") {
				t.Fatal("no UTF-8")
			}
		}
	})
}

type pieces struct {
	rest   []byte
	random *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), 1+p.random.IntN(9))], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
