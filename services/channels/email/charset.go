package email

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// toUTF8 turns bytes into valid UTF-8. The label is the charset that is stated for them; hints are charsets that the mail
// states elsewhere. The defect is empty where all went well.
func toUTF8(b []byte, label string, hints ...string) (text, defect string) {
	label = cleanLabel(label)
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	switch label {
	case "", "us-ascii", "ascii", "unknown", "unknown-8bit", "x-unknown", "default", "default_charset", "x-user-defined":
		return guess(b, hints)
	case "utf-8", "utf8":
		if utf8.Valid(b) {
			return string(b), ""
		}
		if text = strings.ToValidUTF8(string(b), "\ufffd"); mostlyUTF8(text) {
			return text, "text with bytes that are no UTF-8"
		}
		text, _ = guess(b, hints)
		return text, "text that is no UTF-8, although it is said to be: its charset was guessed"
	}
	enc := charset(label)
	if enc == nil {
		text, _ = guess(b, hints)
		return text, "unknown charset " + quote(label) + ": it was guessed"
	}
	if enc == charmap.Windows1252 && !isASCII(b) && utf8.Valid(b) {
		return string(b), fmt.Sprintf("text said to be %s is UTF-8", label)
	}
	decoded, err := enc.NewDecoder().Bytes(b)
	if err == nil && !bytes.ContainsRune(decoded, utf8.RuneError) {
		return string(decoded), ""
	}
	if utf8.Valid(b) && !isASCII(b) {
		return string(b), fmt.Sprintf("text said to be %s is UTF-8", label)
	}
	return strings.ToValidUTF8(string(decoded), "\ufffd"), "text with bytes that are not in its charset " + label
}

// guess reads bytes whose charset is not stated: as UTF-8, as a charset that the mail states elsewhere, as GB 18030 where
// they look like Chinese, else as windows-1252, which takes every byte.
func guess(b []byte, hints []string) (text, defect string) {
	if utf8.Valid(b) {
		return string(b), ""
	}
	try := func(enc encoding.Encoding) bool {
		decoded, err := enc.NewDecoder().Bytes(b)
		text = string(decoded)
		return err == nil && !strings.ContainsRune(text, utf8.RuneError)
	}
	for _, hint := range hints {
		if enc := charset(cleanLabel(hint)); enc != nil && enc != encoding.Replacement && try(enc) {
			return text, "8-bit text without a charset was read as " + cleanLabel(hint)
		}
	}
	if looksLikeGB(b) && try(simplifiedchinese.GB18030) {
		return text, "8-bit text without a charset was read as gb18030"
	}
	try(charmap.Windows1252)
	return strings.ToValidUTF8(text, "\ufffd"), "8-bit text without a charset was read as windows-1252"
}

// charset finds a charset by its label; nil where it is not known. What browsers know goes first, because it takes
// windows-1252 for ISO 8859-1 and CP949 for KS C 5601, as senders do.
func charset(label string) encoding.Encoding {
	switch label {
	case "":
		return nil
	case "gb2312", "gb_2312-80", "gbk", "gb18030", "cp936", "ms936", "windows-936", "x-gbk", "csgb2312", "euc-cn", "gb-2312", "chinesegb", "gb2312_charset":
		return simplifiedchinese.GB18030 // the superset of them
	case "chinesebig5", "cp950":
		return traditionalchinese.Big5
	}
	if enc, err := htmlindex.Get(label); err == nil && enc != encoding.Replacement {
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(label); err == nil && enc != nil {
		return enc
	}
	return nil
}

// cleanLabel cuts what senders write around a charset's name.
func cleanLabel(label string) string {
	label = strings.ToLower(strings.Trim(label, " \t\"'"))
	if i := strings.IndexAny(label, " \t(;,\""); i >= 0 {
		label = label[:i]
	}
	return cut(strings.ToValidUTF8(label, ""), 64)
}

// looksLikeGB tells whether the bytes beyond ASCII come in pairs of the rows that GB 2312 uses, two together at least
// once: so they do in Chinese text, and hardly ever in that of a single-byte charset ("Größe" has one pair).
func looksLikeGB(b []byte) bool {
	run, longest := 0, 0
	for i := 0; i < len(b); i++ {
		if b[i] < utf8.RuneSelf {
			run = 0
			continue
		}
		if i+1 == len(b) || b[i] < 0xa1 || b[i] > 0xf7 || b[i+1] < 0xa1 || b[i+1] == 0xff {
			return false
		}
		if b[i] >= 0xb0 { // the rows before hold signs
			run++
		}
		longest = max(longest, run)
		i++
	}
	return longest >= 2
}

// mostlyUTF8 tells whether few of the characters beyond ASCII were broken.
func mostlyUTF8(text string) bool {
	good, bad := 0, 0
	for _, r := range text {
		switch {
		case r == utf8.RuneError:
			bad++
		case r >= utf8.RuneSelf:
			good++
		}
	}
	return good > 4*bad
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cleanText ends lines with "\n" and leaves out control characters: no reader shows them, and some stores refuse NUL.
func cleanText(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\r':
			return '\n'
		case unicode.IsControl(r) || r == '\ufeff':
			return -1
		}
		return r
	}, s)
}

// cleanLine makes one line without control characters, a blank for each run of white space.
func cleanLine(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || r == '\ufeff':
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// cut shortens valid UTF-8 to at most n bytes, between characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// quote shows a piece of a mail in a defect.
func quote(s string) string {
	return fmt.Sprintf("%q", cut(cleanLine(strings.ToValidUTF8(s, "\ufffd")), 80))
}
