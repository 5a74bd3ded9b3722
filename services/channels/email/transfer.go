package email

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// undo undoes a Content-Transfer-Encoding (RFC 2045, section 6). Unlike the standard library it goes on after a wrong
// byte, as mail programs do: most of a damaged part can still be read.
func undo(encoding string, b []byte, note func(string)) []byte {
	encoding, _, _ = strings.Cut(encoding, ";")
	switch encoding = strings.ToLower(strings.Trim(encoding, " \t\"'.")); encoding {
	case "binary":
		return b
	case "", "7bit", "8bit", "7-bit", "8-bit", "7bits", "8bits", "none":
		return crlf(b)
	case "base64":
		return undoBase64(b, note)
	case "quoted-printable":
		return undoQuotedPrintable(b, note)
	}
	note("unknown transfer encoding " + quote(encoding) + ": the part is kept as it came")
	return b
}

// undoBase64 leaves out what is not in the alphabet (as RFC 2045 asks) and begins anew after padding, which stands in
// the middle where somebody joined two encodings.
func undoBase64(b []byte, note func(string)) []byte {
	out := make([]byte, 0, base64.StdEncoding.DecodedLen(len(b))+3)
	var group [4]byte
	n, strange := 0, false
	flush := func() {
		if n == 1 {
			strange = true
		} else if n > 1 {
			var decoded [3]byte
			m, _ := base64.RawStdEncoding.Decode(decoded[:], group[:n]) // the alphabet was checked
			out = append(out, decoded[:m]...)
		}
		n = 0
	}
	for _, c := range b {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/':
			group[n] = c
			if n++; n == 4 {
				flush()
			}
		case c == '=':
			flush()
		case c == '\r', c == '\n', c == ' ', c == '\t':
		default:
			strange = true
		}
	}
	flush()
	if strange {
		note("base64 with bytes that do not belong there: they were left out")
	}
	return out
}

func undoQuotedPrintable(b []byte, note func(string)) []byte {
	out := make([]byte, 0, len(b))
	strange := false
	for len(b) > 0 {
		line, after := b, []byte(nil)
		end := bytes.IndexByte(b, '\n')
		if end >= 0 {
			line, after = b[:end], b[end+1:]
		}
		ending := "\r\n"
		if end < 0 {
			ending = ""
		} else {
			line = bytes.TrimRight(line, " \t\r") // blanks at the end were added on the way
		}
		b = after
		for i := 0; i < len(line); i++ {
			if line[i] != '=' {
				out = append(out, line[i])
				continue
			}
			if i == len(line)-1 { // a soft line break
				ending = ""
				break
			}
			var code [1]byte
			if _, err := hex.Decode(code[:], line[i+1:min(i+3, len(line))]); err != nil {
				strange = true
				out = append(out, '=')
				continue
			}
			out = append(out, code[0])
			i += 2
		}
		out = append(out, ending...)
	}
	if strange {
		note(`quoted-printable with "=" that begins no code: it was kept as it is`)
	}
	return out
}
