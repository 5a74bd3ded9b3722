package email

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// parameters reads a structured field such as Content-Type: its first word in lower case, and its parameters by their
// lower-case names, decoded (RFC 2045, section 5.1, and RFC 2231: charsets and continuations). Like mail programs, and
// unlike the standard library, it takes what it can from a broken field, raw 8-bit names and encoded words.
func (p *parser) parameters(field string) (value string, params map[string]string) {
	value, rest, _ := strings.Cut(field, ";")
	value, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(value)), " ")
	raw := map[string]string{}
	for rest != "" {
		name, after, found := strings.Cut(rest, "=")
		if !found {
			break
		}
		if i := strings.LastIndexByte(name, ';'); i >= 0 {
			name = name[i+1:]
		}
		var content string
		content, rest = cutParameter(after)
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := raw[name]; !twice && name != "" {
			raw[name] = content
		}
	}
	params = make(map[string]string, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) { // in a fixed order, so that the defects are
		base, _, extended := strings.Cut(name, "*")
		if _, done := params[base]; done {
			continue
		}
		if base == "boundary" && !extended {
			params[base] = raw[name] // bytes to look for, not text
			continue
		}
		if !extended {
			if _, better := raw[base+"*"]; better || raw[base+"*0*"] != "" {
				continue
			}
			params[base] = p.decodeWords(raw[name])
			continue
		}
		params[base] = p.extended(raw, base)
	}
	return value, params
}

// cutParameter takes a parameter's value, quoted or not, and what follows its semicolon.
func cutParameter(s string) (value, rest string) {
	s = strings.TrimLeft(s, " \t")
	if !strings.HasPrefix(s, `"`) {
		value, rest, _ = strings.Cut(s, ";")
		return strings.TrimSpace(value), rest
	}
	var b strings.Builder
	i := 1
	for ; i < len(s) && s[i] != '"'; i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') { // others stand for themselves, as in C:\x
			i++
		}
		b.WriteByte(s[i])
	}
	if i < len(s) {
		_, rest, _ = strings.Cut(s[i+1:], ";")
	}
	return b.String(), rest
}

// extended joins name*, name*0, name*0*, name*1 and so on.
func (p *parser) extended(raw map[string]string, base string) string {
	label := ""
	decode := func(s string, first bool) string {
		if first {
			if parts := strings.SplitN(s, "'", 3); len(parts) == 3 {
				label, s = parts[0], parts[2]
			}
		}
		if plain, err := url.PathUnescape(s); err == nil {
			return plain
		}
		return s
	}
	var b strings.Builder
	if whole, ok := raw[base+"*"]; ok {
		b.WriteString(decode(whole, true))
	}
	for i := 0; b.Len() < maxName; i++ {
		name := base + "*" + strconv.Itoa(i)
		if encoded, ok := raw[name+"*"]; ok {
			b.WriteString(decode(encoded, i == 0))
		} else if plain, ok := raw[name]; ok {
			b.WriteString(plain)
		} else {
			break
		}
	}
	text, defect := toUTF8([]byte(b.String()), label, p.hints...)
	p.note(defect)
	return cleanLine(text)
}
