package search

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxSteps is how many words and characters may be looked for at once.
	maxSteps = 64
	// minPrefix is how many letters of a word there must be before its star: all words with a are too many.
	minPrefix = 2
)

var (
	errNothing  = errors.New("names nothing to look for: at least one word that must be there is needed")
	errTooLong  = fmt.Errorf("names more than %d words and characters", maxSteps)
	errUnpaired = errors.New("has a quotation mark without a second one")
	errPrefix   = fmt.Errorf("has a star behind fewer than %d letters", minPrefix)
)

// words is what a query asks for.
type words struct {
	want, without []phrase
}

// phrase is tokens that stand together, one step for each position; mostly it is one word.
type phrase []step

// step is what one token must be.
type step struct {
	kind stepKind
	term string
}

type stepKind int

const (
	// stepAny: any token; what it must be follows from the step before.
	stepAny stepKind = iota
	// stepTerm: the word as it is written, or the two characters.
	stepTerm
	// stepStem: any form of the word.
	stepStem
	// stepPrefix: a word that begins so.
	stepPrefix
	// stepGram: the character, whatever follows.
	stepGram
)

// parse reads a query: words, "phrases", -without and beginnings*.
func parse(text string) (words, error) {
	var q words
	steps := 0
	rest := clean(text)
	for {
		rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		if rest == "" {
			break
		}
		var (
			p   phrase
			err error
		)
		part, without := strings.CutPrefix(rest, "-")
		if p, rest, err = parsePhrase(part); err != nil {
			return words{}, err
		}
		if steps += len(p); steps > maxSteps {
			return words{}, errTooLong
		}
		switch {
		case len(p) == 0: // nothing but punctuation
		case without:
			q.without = append(q.without, p)
		default:
			q.want = append(q.want, p)
		}
	}
	if len(q.want) == 0 {
		return words{}, errNothing
	}
	return q, nil
}

// isQuote tells whether a rune begins or ends a phrase: what keyboards and programs make of a quotation mark.
func isQuote(r rune) bool { return r == '"' || r == '“' || r == '”' || r == '„' || r == '＂' }

// parsePhrase reads what a text begins with: a phrase in quotation marks, or a word up to the next space.
func parsePhrase(text string) (p phrase, rest string, err error) {
	if r, size := utf8.DecodeRuneInString(text); isQuote(r) {
		text = text[size:]
		end := strings.IndexFunc(text, isQuote)
		if end < 0 {
			return nil, "", errUnpaired
		}
		_, size = utf8.DecodeRuneInString(text[end:])
		return steps(tokens(text[:end]), stepTerm), text[end+size:], nil
	}
	end := strings.IndexFunc(text, unicode.IsSpace)
	if end < 0 {
		end = len(text)
	}
	word, rest := text[:end], text[end:]
	begin := strings.TrimRight(word, "*＊")
	found := tokens(begin)
	p = steps(found, stepStem)
	if len(begin) < len(word) && len(found) > 0 && found[len(found)-1].end == len(begin) {
		if last := found[len(found)-1]; !last.gram { // a character has no beginning
			if utf8.RuneCountInString(last.term) < minPrefix {
				return nil, "", errPrefix
			}
			p[len(p)-1] = step{stepPrefix, last.term}
		}
	}
	return p, rest, nil
}

// steps are what the tokens of a text ask for, when its words are looked for in a way: stepTerm or stepStem.
func steps(found []token, word stepKind) phrase {
	p := make(phrase, 0, len(found))
	for i, t := range found {
		switch first := i == 0 || !found[i-1].gram || found[i-1].last; {
		case !t.gram && word == stepStem:
			term := t.term
			if t.stem != "" {
				term = t.stem
			}
			p = append(p, step{stepStem, term})
		case !t.gram:
			p = append(p, step{stepTerm, t.term})
		case !t.last:
			p = append(p, step{stepTerm, t.term})
		case first:
			p = append(p, step{stepGram, t.term})
		default: // the step before holds this character
			p = append(p, step{kind: stepAny})
		}
	}
	if n := len(p); n > 0 && p[n-1].kind == stepAny {
		p = p[:n-1]
	}
	return p
}
