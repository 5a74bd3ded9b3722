package event

import (
	"strings"
	"unicode/utf8"
)

// maxWord is how long a provider's name for something may be as a word of a type: two of them fit beside the provider's own.
const maxWord = 48

// ForeignType is the type of what only a provider has a name for: ext.PROVIDER.NAME, and further names behind it. The names are made fit for
// it: in lower case, "_" for all but letters and digits, "unnamed" where nothing is left, and not longer than 48 bytes.
func ForeignType(provider string, names ...string) string {
	var b strings.Builder
	b.WriteString("ext." + provider)
	for _, name := range names {
		b.WriteString("." + Word(name))
	}
	return b.String()
}

// Word is a name of a provider's as ForeignType has it, for ids as well.
func Word(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, name)
	name = strings.TrimLeft(name, "_")
	if name = strings.TrimRight(name[:min(len(name), maxWord)], "_"); name == "" {
		return "unnamed"
	}
	return name
}

// Clip makes a provider's text fit for a field of so many bytes or characters: valid UTF-8, and not longer, without half a character at its end.
func Clip(text string, most int) string {
	return cut(strings.ToValidUTF8(text, "\uFFFD"), most)
}

// cut gives the first bytes of s, without half a character at the end.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
