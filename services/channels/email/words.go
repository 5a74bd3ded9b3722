package email

import (
	"regexp"
	"strings"
)

// encodedWord is RFC 2047's, with the language of RFC 2231 and the blanks that some senders leave inside.
var encodedWord = regexp.MustCompile(`=\?([^?*\s]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?]*)\?=`)

// decodeWords turns a field's unstructured text into valid UTF-8 on one line. Adjacent words of one charset are joined
// before they are decoded, because senders cut characters in two between them.
func (p *parser) decodeWords(raw string) string {
	var out strings.Builder
	var pending []byte // of adjacent words
	var label string
	plain := func(s string) {
		text, defect := toUTF8([]byte(s), "", p.hints...)
		p.note(defect)
		out.WriteString(text)
	}
	flush := func() {
		if pending != nil {
			text, defect := toUTF8(pending, label, p.hints...)
			p.note(defect)
			out.WriteString(text)
			pending = nil
		}
	}
	at := 0
	for _, m := range encodedWord.FindAllStringSubmatchIndex(raw, -1) {
		between, word := raw[at:m[0]], raw[m[6]:m[7]]
		if pending == nil || strings.TrimSpace(between) != "" {
			flush()
			plain(between)
		}
		if charset := cleanLabel(raw[m[2]:m[3]]); charset != label {
			flush()
			label = charset
		}
		if strings.EqualFold(raw[m[4]:m[5]], "b") {
			pending = append(pending, undoBase64([]byte(word), p.note)...)
		} else {
			pending = append(pending, undoQuotedPrintable([]byte(strings.ReplaceAll(word, "_", " ")), p.note)...)
		}
		if pending == nil {
			pending = []byte{}
		}
		at = m[1]
	}
	flush()
	plain(raw[at:])
	return cleanLine(out.String())
}
