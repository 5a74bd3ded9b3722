package operation

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	// textShown and hexShown are how many raw bytes a page shows; the others are in the file.
	textShown = 64 << 10
	hexShown  = 8 << 10
)

// visible is what bytes say, as far as they are text, with everything visible: what is no text, what would steer a terminal, and what would turn the
// direction of writing around is written as an escape.
func visible(raw []byte) string {
	var b strings.Builder
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&b, `\x%02x`, raw[0])
		case r == '\r' && bytes.HasPrefix(raw, []byte("\r\n")): // a line ends
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < 0x80 && unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case !unicode.IsGraphic(r) && r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case !unicode.IsGraphic(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
		raw = raw[size:]
	}
	return b.String()
}

// begin is at most so many of the first bytes, without a part of a letter at its end.
func begin(raw []byte, most int) []byte {
	if len(raw) <= most {
		return raw
	}
	raw = raw[:most]
	for i := 1; i < utf8.UTFMax && i < len(raw); i++ {
		if utf8.RuneStart(raw[len(raw)-i]) && !utf8.FullRune(raw[len(raw)-i:]) {
			return raw[:len(raw)-i]
		}
	}
	return raw
}

// dump shows bytes as numbers, with what they are as ASCII beside them.
func dump(raw []byte) string { return hex.Dump(begin(raw, hexShown)) }

// readable is JSON, indented; false where the bytes are none, or too many.
func readable(raw []byte) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > textShown || raw[0] != '{' && raw[0] != '[' || !json.Valid(raw) {
		return "", false
	}
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return "", false
	}
	return visible(b.Bytes()), true
}

// written is a message as JSON.
func written(m proto.Message) string {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return err.Error()
	}
	text, _ := readable(raw)
	if text == "" {
		text = visible(begin(raw, textShown))
	}
	return text
}
