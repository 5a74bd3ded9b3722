// Package esl reads what FreeSWITCH's event socket says: frames of a header and a body, and the events inside them. It knows
// neither sockets nor what an event means.
//
// A frame is header lines, an empty line and, with Content-Length, a body. A text/event-plain body is an event: header lines
// whose values are URL-encoded, an empty line and perhaps a body of its own
// (https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_event_socket_1048924).
package esl

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Content types of frames.
const (
	AuthRequest      = "auth/request"
	CommandReply     = "command/reply"
	APIResponse      = "api/response"
	EventPlain       = "text/event-plain"
	DisconnectNotice = "text/disconnect-notice"
	RudeRejection    = "text/rude-rejection"
)

// What a frame and an event may have at most. The largest events that FreeSWITCH makes have some hundred headers.
const (
	maxLine    = 64 << 10
	maxHeaders = 100
	maxEvent   = 4096
	keptBody   = 1 << 20 // how much room is kept between frames
)

// ErrFrame is what every error wraps that tells that the other side does not speak the protocol, or that a frame is too long.
// What follows in the stream means nothing any more.
var ErrFrame = errors.New("esl: no frame")

// Headers are values by name, in lower case: FreeSWITCH does not tell upper from lower case in names. Where a name comes
// twice, the first counts.
type Headers map[string]string

// Get gives a value; empty where there is none.
func (h Headers) Get(name string) string { return h[strings.ToLower(name)] }

// First gives the first value that is there.
func (h Headers) First(names ...string) string {
	for _, name := range names {
		if v := h.Get(name); v != "" {
			return v
		}
	}
	return ""
}

// Frame is one message of the socket.
type Frame struct {
	Header Headers
	// Body is valid until the next frame is read.
	Body []byte
}

// Type is the frame's Content-Type.
func (f Frame) Type() string { return f.Header.Get("Content-Type") }

// Reader reads frames. It reads no further ahead than its buffer, and takes room for a body only as the body arrives. It is not
// safe for concurrent use.
type Reader struct {
	br   *bufio.Reader
	max  int
	body bytes.Buffer
}

// NewReader makes a reader of frames whose bodies have at most maxBody bytes.
func NewReader(r io.Reader, maxBody int) *Reader {
	return &Reader{br: bufio.NewReaderSize(r, 4*maxLine), max: maxBody}
}

// Next reads a frame. The error is io.EOF between frames, io.ErrUnexpectedEOF within one, an ErrFrame, or the stream's own.
func (r *Reader) Next() (Frame, error) {
	f := Frame{Header: Headers{}}
	begun := false
	for {
		line, err := r.line()
		if err != nil {
			if errors.Is(err, io.EOF) && (begun || len(line) > 0) {
				err = io.ErrUnexpectedEOF
			}
			return Frame{}, err
		}
		if len(line) == 0 {
			if begun {
				break
			}
			continue // some versions put an empty line behind a body
		}
		begun = true
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(f.Header) == maxHeaders {
			return Frame{}, fmt.Errorf("%w: a header of a frame is no name: value, or there are more than %d", ErrFrame, maxHeaders)
		}
		f.Header.add(string(name), strings.TrimSpace(string(value)))
	}
	length, err := contentLength(f.Header.Get("Content-Length"))
	if err != nil {
		return Frame{}, err
	}
	if length > r.max {
		return Frame{}, fmt.Errorf("%w: a body of %d bytes is announced, more than the %d that are read", ErrFrame, length, r.max)
	}
	if r.body.Cap() > keptBody {
		r.body = bytes.Buffer{}
	}
	r.body.Reset()
	if _, err := io.CopyN(&r.body, r.br, int64(length)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	f.Body = r.body.Bytes()
	return f, nil
}

// line reads a line without its end. It is valid until the next read.
func (r *Reader) line() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if len(line) > maxLine || errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("%w: a header of more than %d bytes", ErrFrame, maxLine)
	}
	if err != nil {
		return line, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// Ready tells whether a whole frame lies in the buffer, so that Next will not wait.
func (r *Reader) Ready() bool {
	ahead, err := r.br.Peek(r.br.Buffered())
	if err != nil {
		return false
	}
	length := 0
	for begun := false; ; {
		line, rest, ok := bytes.Cut(ahead, []byte("\n"))
		if !ok {
			return false
		}
		ahead = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			if begun {
				break
			}
			continue
		}
		begun = true
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")) {
			if length, err = contentLength(string(bytes.TrimSpace(value))); err != nil {
				return true // Next fails at once
			}
		}
	}
	return length > r.max || len(ahead) >= length
}

func contentLength(stated string) (int, error) {
	if stated == "" {
		return 0, nil
	}
	length, err := strconv.ParseUint(stated, 10, 62)
	if err != nil {
		return 0, fmt.Errorf("%w: the Content-Length %.40q is no length", ErrFrame, stated)
	}
	return int(length), nil
}

func (h Headers) add(name, value string) {
	name = strings.ToLower(strings.TrimSpace(name))
	if _, known := h[name]; !known {
		h[name] = value
	}
}

// Event is what a text/event-plain frame tells.
type Event struct {
	Headers
	// Body is what follows the headers; most events have none.
	Body string
}

// ParseEvent reads the body of a text/event-plain frame. Values are decoded; what is no UTF-8 in them is replaced. It fails
// where a line is no header.
func ParseEvent(body []byte) (Event, error) {
	e := Event{Headers: Headers{}}
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, []byte("\n"))
		body = rest
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(e.Headers) == maxEvent {
			return Event{}, fmt.Errorf("esl: a line of an event is no name: value, or there are more than %d", maxEvent)
		}
		e.add(valid(string(name)), unescape(strings.TrimSpace(string(value))))
	}
	if length, err := contentLength(e.Get("Content-Length")); err != nil || length > len(body) {
		return Event{}, errors.New("esl: an event is shorter than it says")
	} else if length > 0 {
		e.Body = valid(string(body[:length]))
	}
	return e, nil
}

// unescape undoes FreeSWITCH's URL-encoding, in which "+" stands for itself. A "%" that begins nothing stays.
func unescape(s string) string {
	at := strings.IndexByte(s, '%')
	if at < 0 {
		return valid(s)
	}
	out := append(make([]byte, 0, len(s)), s[:at]...)
	for i := at; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(b))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return valid(string(out))
}

func valid(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
}

// List reads a value that holds several, as FreeSWITCH writes them: ARRAY::one|:two. Another value is one, an empty one none.
func List(value string) []string {
	if value == "" {
		return nil
	}
	if rest, ok := strings.CutPrefix(value, "ARRAY::"); ok {
		return strings.Split(rest, "|:")
	}
	return []string{value}
}
