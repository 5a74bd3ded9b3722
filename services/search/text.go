package search

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
	"golang.org/x/text/unicode/norm"
)

const (
	// markOpen and markClose stand around what was found in a fragment; no text holds them.
	markOpen, markClose = '\uE000', '\uE001'
	// partEnd stands between the parts of a text, such as a subject and what follows: no phrase and no fragment goes across.
	partEnd = '\u2029'
	// partGap is how many positions it takes.
	partGap = 100
	// maxTerm is how many bytes of a word tell it from others.
	maxTerm = 64
	// maxText is how many bytes of one event's text can be found.
	maxText = 1 << 20
)

// token is a piece of a text that can be found: a word, or one character of a script that puts no spaces between words.
type token struct {
	// term is the word in lower case and without accents; of a character, this one and the next, if one follows.
	term string
	// stem is an English word without its ending; empty where that is the word itself.
	stem string
	// start and end are where it stands in the text, in bytes. Of a character they hold only itself.
	start, end int
	// position counts tokens from 1.
	position int
	// gram says that it is a character, not a word; last, that no other one of its run follows.
	gram, last bool
}

// class is what a rune is to the tokenizer.
type class int

const (
	classNone  class = iota
	classWord        // part of a word
	classGram        // a token by itself
	classMark        // belongs to the rune before it
	classBreak       // ends a part
)

func classOf(r rune) class {
	switch {
	case r < utf8.RuneSelf:
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' {
			return classWord
		}
		return classNone
	case 0x4E00 <= r && r <= 0x9FFF: // most of Chinese
		return classGram
	case r == partEnd:
		return classBreak
	case unicode.Is(unicode.M, r), r == '\uFF9E', r == '\uFF9F', r == '\u200D': // the marks of half-width katakana, and the joiner
		return classMark
	case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan), r == 'ー', r == 'ｰ':
		if unicode.IsLetter(r) || unicode.IsNumber(r) {
			return classGram
		}
		return classNone
	case unicode.IsLetter(r), unicode.IsNumber(r):
		return classWord
	}
	return classNone
}

// tokens takes a text apart. It must be valid UTF-8. Chinese, Japanese, Korean, Thai and their like give one token for each character, which
// holds the next character, too: so any stretch of such a text can be found, whatever its words are.
func tokens(text string) []token {
	all := make([]token, 0, len(text)/5+1)
	position := 0
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		switch classOf(r) {
		case classWord:
			end := wordEnd(text, at)
			position++
			term := normalWord(text[at:end])
			all = append(all, token{term: term, stem: stemOf(term), start: at, end: end, position: position})
			at = end
		case classGram:
			all, at = grams(all, text, at, &position)
		case classBreak:
			position += partGap
			at += size
		default:
			at += size
		}
	}
	return all
}

// wordEnd is where the word that begins at a place ends. An apostrophe inside of a word belongs to it, unless it is an elided article as in
// l'hôtel; and so does the point or comma in a number.
func wordEnd(text string, begin int) int {
	letters := 0
	last := rune(0)
	for at := begin; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		switch c := classOf(r); {
		case c == classWord:
			letters++
			last = r
		case c == classMark:
		case (r == '\'' || r == '’') && letters > 2 && wordAt(text[at+size:], unicode.IsLetter),
			(r == '.' || r == ',') && unicode.IsDigit(last) && wordAt(text[at+size:], unicode.IsDigit):
		default:
			return at
		}
		at += size
	}
	return len(text)
}

// wordAt tells whether a text goes on with a rune of a word, of some kind.
func wordAt(text string, kind func(rune) bool) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return classOf(r) == classWord && kind(r)
}

// grams appends the tokens of a run of characters, and gives where it ends.
func grams(all []token, text string, at int, position *int) (tokens []token, end int) {
	first := len(all)
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		if classOf(r) != classGram {
			break
		}
		end := at + size
		for end < len(text) {
			r, size := utf8.DecodeRuneInString(text[end:])
			if classOf(r) != classMark {
				break
			}
			end += size
		}
		*position++
		all = append(all, token{term: cut(unaccented(text[at:end])), start: at, end: end, position: *position, gram: true})
		at = end
	}
	for i := first; i < len(all)-1; i++ {
		all[i].term += all[i+1].term
	}
	all[len(all)-1].last = true
	return all, at
}

// normalWord is how a word is looked up: compatible forms are one, case and the accents of Latin letters do not matter.
func normalWord(word string) string {
	ascii := true
	for i := range len(word) {
		ascii = ascii && word[i] < utf8.RuneSelf
	}
	if !ascii {
		word = strings.ReplaceAll(unaccented(word), "’", "'")
	}
	return cut(strings.ToLower(word))
}

// unaccented makes compatible forms one, and takes accents from Latin letters.
func unaccented(s string) string {
	s = norm.NFKC.String(s)
	if !strings.ContainsFunc(s, accented) {
		return s
	}
	var b strings.Builder
	latin := false
	for _, r := range norm.NFD.String(s) {
		if unicode.Is(unicode.Mn, r) && latin {
			continue
		}
		latin = unicode.Is(unicode.Latin, r)
		b.WriteRune(r)
	}
	return norm.NFC.String(b.String())
}

func accented(r rune) bool { return r >= utf8.RuneSelf && unicode.Is(unicode.Latin, r) }

// cut keeps so much of a term as tells it from others.
func cut(s string) string {
	if len(s) <= maxTerm {
		return s
	}
	end := maxTerm
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

var stemmers = sync.Pool{New: func() any { return snowballstem.NewEnv("") }} //nolint:gochecknoglobals // a pool of scratch memory

// stemOf is an English word without its ending, or empty where nothing is taken away. Words of other languages lose something now and then,
// too; that does no harm, since what is looked for loses it as well.
func stemOf(word string) string {
	if len(word) < 3 || len(word) == maxTerm {
		return ""
	}
	for i := range len(word) {
		if (word[i] < 'a' || word[i] > 'z') && word[i] != '\'' {
			return ""
		}
	}
	env := stemmers.Get().(*snowballstem.Env) //nolint:errcheck // nothing else is in it
	defer stemmers.Put(env)
	env.SetCurrent(word)
	english.Stem(env)
	if stem := env.Current(); stem != word {
		return strings.Clone(stem)
	}
	return ""
}

// analyser gives the tokens of a text to the index: each word as it is and as its stem, at one position.
type analyser struct{}

func (analyser) Analyze(text []byte) analysis.TokenStream {
	all := tokens(string(text))
	stream := make(analysis.TokenStream, 0, 2*len(all))
	memory := make([]analysis.Token, 2*len(all))
	add := func(term string, position int) {
		t := &memory[len(stream)]
		t.Term, t.Position = []byte(term), position // where it stands in the text is found again when it is shown
		stream = append(stream, t)
	}
	for _, t := range all {
		add(t.term, t.position)
		if t.stem != "" {
			add(t.stem, t.position)
		}
	}
	return stream
}

// clean makes a text one that can be taken apart and shown: valid, composed, without the marks and no longer than maxText.
func clean(text string) string {
	if len(text) > maxText {
		text = text[:maxText]
	}
	text = strings.ToValidUTF8(text, "")
	text = strings.Map(func(r rune) rune {
		switch r {
		case markOpen, markClose:
			return -1
		case partEnd:
			return '\n'
		}
		return r
	}, text)
	return norm.NFC.String(text)
}
