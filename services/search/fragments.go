package search

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	// maxFragments is how many pieces of a text are shown.
	maxFragments = 3
	// fragmentRunes is about how long one is.
	fragmentRunes = 160
)

// span is a part of a text, in bytes, that one of the phrases of a query is.
type span struct{ start, end, phrase int }

// is tells whether a token is what a step asks for.
func (s step) is(t token) bool {
	switch s.kind {
	case stepTerm:
		return t.term == s.term
	case stepStem:
		return t.stem == s.term || t.term == s.term
	case stepPrefix:
		return !t.gram && strings.HasPrefix(t.term, s.term)
	case stepGram:
		return t.gram && strings.HasPrefix(t.term, s.term)
	default:
		return true
	}
}

// at tells whether the phrase begins with the first of some tokens, and where it ends.
func (p phrase) at(found []token) (end int, ok bool) {
	if len(found) < len(p) {
		return 0, false
	}
	for i, s := range p {
		if found[i].position != found[0].position+i || !s.is(found[i]) {
			return 0, false
		}
	}
	n := len(p)
	if found[n-1].gram && p[n-1].kind == stepTerm && !found[n-1].last { // two characters, of which the token holds the first
		return found[n].end, true
	}
	return found[n-1].end, true
}

// spans finds the phrases in a text.
func spans(found []token, phrases []phrase) []span {
	var all []span
	for i := range found {
		for n, p := range phrases {
			if end, ok := p.at(found[i:]); ok {
				all = append(all, span{found[i].start, end, n})
			}
		}
	}
	return all
}

// piece is a part of a text, and the spans in it.
type piece struct {
	begin, end int
	spans      []span
}

// fragments gives the pieces of a text that show the most of what was looked for, in the order of the text, with marks around it. Where
// nothing of it is found, it gives the beginning.
func fragments(text string, phrases []phrase) []string {
	found := tokens(text)
	all := spans(found, phrases)
	if len(all) == 0 {
		all = []span{{phrase: -1}}
	}
	pieces := group(text, found, all)
	if len(pieces) > maxFragments {
		weight := func(p piece) int {
			seen := map[int]bool{}
			for _, s := range p.spans {
				seen[s.phrase] = true
			}
			return len(seen)
		}
		slices.SortStableFunc(pieces, func(a, b piece) int { return weight(b) - weight(a) })
		pieces = pieces[:maxFragments]
		slices.SortFunc(pieces, func(a, b piece) int { return a.begin - b.begin })
	}
	var out []string
	for _, p := range pieces {
		if shown := strings.TrimSpace(p.show(text)); shown != "" {
			out = append(out, shown)
		}
	}
	return out
}

// group puts spans that stand near to one another into pieces, which do not overlap.
func group(text string, found []token, all []span) []piece {
	var pieces []piece
	for len(all) > 0 {
		n := 1
		last := all[0].end
		for n < len(all) && utf8.RuneCountInString(text[all[0].start:max(all[n].end, last)]) <= fragmentRunes && !strings.ContainsRune(text[all[0].start:all[n].end], partEnd) {
			last = max(last, all[n].end)
			n++
		}
		p := piece{begin: all[0].start, end: last, spans: all[:n]}
		all = all[n:]
		low, high := 0, len(text)
		if len(pieces) > 0 {
			low = pieces[len(pieces)-1].end
		}
		if len(all) > 0 {
			high = max(all[0].start, p.end)
		}
		p.widen(text, found, min(low, p.begin), high)
		pieces = append(pieces, p)
	}
	return pieces
}

// widen takes in what stands around, as far as there is room, in whole words.
func (p *piece) widen(text string, found []token, low, high int) {
	if i := strings.LastIndex(text[low:p.begin], string(partEnd)); i >= 0 {
		low += i + len(string(partEnd))
	}
	if i := strings.IndexRune(text[p.end:high], partEnd); i >= 0 {
		high = p.end + i
	}
	room := fragmentRunes - utf8.RuneCountInString(text[p.begin:p.end])
	begin, left := p.begin, room/2
	for ; begin > low && left > 0; left-- {
		_, size := utf8.DecodeLastRuneInString(text[low:begin])
		begin -= size
	}
	end := p.end
	for right := room - room/2 + left; end < high && right > 0; right-- {
		_, size := utf8.DecodeRuneInString(text[end:high])
		end += size
	}
	if begin > low {
		i, _ := slices.BinarySearchFunc(found, begin, func(t token, at int) int { return cmp.Compare(t.start, at) })
		if i < len(found) {
			begin = min(found[i].start, p.begin)
		}
	}
	if end < high {
		i, _ := slices.BinarySearchFunc(found, end+1, func(t token, at int) int { return cmp.Compare(t.end, at) })
		if i > 0 {
			end = max(found[i-1].end, p.end)
		}
	}
	p.begin, p.end = begin, end
}

// show writes the piece with marks around its spans; spans that overlap are marked as one.
func (p *piece) show(text string) string {
	var b strings.Builder
	at := p.begin
	for i := 0; i < len(p.spans); {
		s := p.spans[i]
		for i++; i < len(p.spans) && p.spans[i].start <= s.end; i++ {
			s.end = max(s.end, p.spans[i].end)
		}
		if s.end == s.start {
			continue
		}
		b.WriteString(text[at:s.start])
		b.WriteRune(markOpen)
		b.WriteString(text[s.start:s.end])
		b.WriteRune(markClose)
		at = s.end
	}
	b.WriteString(text[at:p.end])
	return b.String()
}
