package email

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText gives the text of HTML as a reader sees it, at most about the given number of bytes: blocks on lines of their
// own, list items with a dash, what is quoted from an earlier mail with "> " before each line. Styles and scripts go.
func htmlText(source string, most int) string {
	w := htmlWriter{most: most}
	z := html.NewTokenizer(strings.NewReader(source))
	hidden := atom.Atom(0) // element whose content is not shown
	for !w.full() {
		kind := z.Next()
		switch kind {
		case html.ErrorToken: // the end: strings have no other error
			return w.text()
		case html.TextToken:
			if hidden == 0 {
				w.write(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			name, hasAttributes := z.TagName()
			tag := atom.Lookup(name)
			if hidden != 0 {
				if kind == html.EndTagToken && tag == hidden {
					hidden = 0
				}
				continue
			}
			switch tag {
			case atom.Script, atom.Style, atom.Title:
				if kind != html.EndTagToken { // "<style/>" begins a style, too
					hidden = tag
				}
			case atom.Img, atom.Blockquote:
				w.tag(tag, kind == html.EndTagToken, attributes(z, hasAttributes))
			default:
				w.tag(tag, kind == html.EndTagToken, nil)
			}
		}
	}
	return w.text()
}

// attributes are the few that matter here.
func attributes(z *html.Tokenizer, more bool) map[string]string {
	found := map[string]string{}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		switch k := string(key); k {
		case "alt", "type", "class", "id", "cite":
			found[k] = string(value)
		}
	}
	return found
}

// htmlWriter lays text out in lines.
type htmlWriter struct {
	out      strings.Builder
	most     int
	newlines int    // that must stand before the next text
	blank    bool   // that must stand before the next text
	quotes   []bool // open blockquotes: whether they quote a mail
	depth    int    // of those that do
	pre      int
}

func (w *htmlWriter) full() bool { return w.out.Len() >= w.most }

func (w *htmlWriter) text() string { return strings.TrimSpace(w.out.String()) }

func (w *htmlWriter) tag(tag atom.Atom, end bool, attrs map[string]string) {
	switch tag {
	case atom.Br:
		w.newlines++
		w.blank = false
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Ul, atom.Ol, atom.Table:
		w.block(2)
	case atom.Div, atom.Tr, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Dl, atom.Dt, atom.Dd, atom.Form, atom.Hr,
		atom.Center, atom.Address, atom.Fieldset, atom.Body, atom.Option:
		w.block(1)
	case atom.Li:
		w.block(1)
		if !end {
			w.write("- ")
		}
	case atom.Td, atom.Th:
		w.blank = true
	case atom.Pre:
		w.block(1)
		if w.pre++; end {
			w.pre = max(0, w.pre-2)
		}
	case atom.Img:
		w.write(" " + attrs["alt"] + " ")
	case atom.Blockquote:
		w.block(1)
		if !end {
			quotesMail := strings.EqualFold(attrs["type"], "cite") || attrs["cite"] != "" ||
				strings.Contains(strings.ToLower(attrs["class"]+attrs["id"]), "quote") || attrs["id"] == "isReplyContent"
			w.quotes = append(w.quotes, quotesMail)
			if quotesMail {
				w.depth++
			}
		} else if n := len(w.quotes); n > 0 {
			if w.quotes[n-1] {
				w.depth--
			}
			w.quotes = w.quotes[:n-1]
		}
	}
}

// block asks for so many line ends before the next text.
func (w *htmlWriter) block(newlines int) {
	w.newlines = max(w.newlines, newlines)
	w.blank = false
}

// write lays text out: a run of white space is one blank, except in <pre>.
func (w *htmlWriter) write(s string) {
	s = cleanText(s)
	for _, r := range s {
		switch {
		case r == '\n' && w.pre > 0:
			w.newlines++
		case unicode.IsSpace(r) && w.pre == 0 || r == '\u00a0':
			w.blank = true
		case r == '\u200b' || r == '\u200c' || r == '\u00ad': // characters that show nothing, used as filling
		default:
			w.rune(r)
		}
		if w.full() {
			return
		}
	}
}

func (w *htmlWriter) rune(r rune) {
	if w.newlines > 0 || w.out.Len() == 0 {
		if w.out.Len() > 0 {
			prefix := strings.Repeat(">", min(w.depth, 10))
			for range min(w.newlines, 3) - 1 {
				w.out.WriteString("\n" + prefix)
			}
			w.out.WriteByte('\n')
		}
		if w.depth > 0 {
			w.out.WriteString(strings.Repeat(">", min(w.depth, 10)) + " ")
		}
	} else if w.blank {
		w.out.WriteByte(' ')
	}
	w.newlines, w.blank = 0, false
	w.out.WriteRune(r)
}
