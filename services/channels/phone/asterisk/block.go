package asterisk

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// How much is read of what a switch sends. Asterisk's own lines end at about a kilobyte, but a variable or a command's
// output may be as long as somebody likes.
const (
	maxLine    = 16 << 10
	maxBlock   = 256 << 10
	maxHeaders = 2048
	readBuffer = 64 << 10
)

// field is a line of a block.
type field struct{ key, value string }

// block is an event, a response or an action: lines "Key: value" up to an empty one. Keys may come again.
type block struct {
	// raw is the block as it came, as far as it was kept, without the empty line.
	raw    []byte
	fields []field
	// cut tells that a line or the block was too long, and that the rest was thrown away.
	cut bool
}

// get is the value of a key in any case, the first where there are several; empty where there is none. Bytes that are no
// UTF-8 (a caller's name in Latin-1) are replaced.
func (b *block) get(key string) string {
	for _, f := range b.fields {
		if strings.EqualFold(f.key, key) {
			return f.value
		}
	}
	return ""
}

// time is the moment by the switch's clock that a block states in its Timestamp, seconds with a fraction.
func (b *block) time() time.Time { return parseTime(b.get("Timestamp")) }

// parseTime reads seconds since 1970 with a fraction; zero where there are none.
func parseTime(s string) time.Time {
	whole, fraction, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || seconds <= 0 || seconds > 1<<38 {
		return time.Time{}
	}
	nanos := 0
	if fraction != "" {
		if len(fraction) > 9 {
			fraction = fraction[:9]
		}
		n, err := strconv.ParseUint(fraction, 10, 32)
		if err != nil {
			return time.Time{}
		}
		nanos = int(n)
		for range 9 - len(fraction) {
			nanos *= 10
		}
	}
	return time.Unix(seconds, int64(nanos)).UTC()
}

// digest is a hash over what a block tells, without what differs from one manager's account to another's.
func (b *block) digest() []byte {
	h := sha256.New()
	for _, f := range b.fields {
		switch strings.ToLower(f.key) {
		case "privilege", "actionid", "systemname", "sequencenumber", "file", "line", "func":
			continue
		}
		fmt.Fprintf(h, "%s\x00%s\x00", strings.ToLower(f.key), f.value)
	}
	return h.Sum(nil)[:16]
}

// reader takes blocks from a connection. However long what comes is, it keeps no more than maxBlock of it.
type reader struct{ buffered *bufio.Reader }

func newReader(r io.Reader) *reader { return &reader{bufio.NewReaderSize(r, readBuffer)} }

// ready tells whether a whole block is there, so that reading it does not wait for the switch.
func (r *reader) ready() bool {
	n := r.buffered.Buffered()
	if n == 0 {
		return false
	}
	there, err := r.buffered.Peek(n)
	return err == nil && (bytes.Contains(there, []byte("\n\r\n")) || bytes.Contains(there, []byte("\n\n")))
}

// line reads up to a line's end, LF or CRLF, which it leaves out. Of what is longer than maxLine it gives the begin.
func (r *reader) line() (line []byte, cut bool, err error) {
	for {
		part, err := r.buffered.ReadSlice('\n')
		if room := maxLine - len(line); len(part) > room {
			part, cut = part[:room], true
		}
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil:
			return line, cut, err
		default:
			return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), cut, nil
		}
	}
}

// endOfCommand ends the output of a command in AMI 1.x, where empty lines are part of it.
const endOfCommand = "--END COMMAND--"

// next reads a block. What a broken connection leaves of one is no block.
func (r *reader) next() (*block, error) {
	b := &block{}
	command := false
	for {
		line, cut, err := r.line()
		if err != nil {
			return nil, err
		}
		b.cut = b.cut || cut
		if len(line) == 0 && !command {
			if len(b.raw) == 0 {
				continue // several empty lines
			}
			return b, nil
		}
		if len(b.raw)+len(line)+2 > maxBlock {
			b.cut = true
		} else {
			b.raw = append(append(b.raw, line...), "\r\n"...)
			if len(b.fields) < maxHeaders {
				b.add(line)
			} else {
				b.cut = true
			}
		}
		if !command && len(b.fields) == 1 && strings.EqualFold(b.fields[0].key, "Response") && b.fields[0].value == "Follows" {
			command = true
		}
		if command && bytes.HasSuffix(line, []byte(endOfCommand)) {
			command = false
		}
	}
}

// add takes a line in; one that has no key is no field.
func (b *block) add(line []byte) {
	key, value, ok := strings.Cut(strings.ToValidUTF8(string(line), "\uFFFD"), ":")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		return
	}
	b.fields = append(b.fields, field{key, strings.TrimSpace(value)})
}
