package chdb

import "strings"

// The kinds of token that matter here.
type tokenKind uint8

const (
	tokenWord tokenKind = iota
	tokenQuoted
	tokenString
	tokenNumber
	tokenSymbol
	tokenBad // a quote or a comment that never ends
)

// token is a piece of SQL: text[start:end].
type token struct {
	kind       tokenKind
	start, end int
}

// lexer cuts ClickHouse's SQL into tokens and passes over blanks and comments. It is not the engine's parser: it decides how a text is handed over
// to the engine, never whether a user may run it, other than by refusing more.
type lexer struct {
	text string
	pos  int
}

// next gives the next token, and false at the end.
func (l *lexer) next() (token, bool) {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch c := rest[0]; {
		case c <= ' ' || c == 0x7f:
			l.pos++
		case strings.HasPrefix(rest, "\u00a0"):
			l.pos += len("\u00a0")
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			l.pos += n
		case strings.HasPrefix(rest, "/*"):
			n := strings.Index(rest[2:], "*/")
			if n < 0 {
				return l.take(tokenBad, len(rest)), true
			}
			l.pos += n + 4
		case c == '\'':
			return l.quoted(tokenString, 0), true
		case c == '`' || c == '"':
			return l.quoted(tokenQuoted, 0), true
		case c == '$':
			return l.heredoc(), true
		case strings.HasPrefix(rest, "‘"):
			return l.until(tokenString, "’"), true
		case strings.HasPrefix(rest, "“"):
			return l.until(tokenQuoted, "”"), true
		case isWordByte(c):
			n := 1
			for n < len(rest) && (isWordByte(rest[n]) || rest[n] == '$') {
				n++
			}
			kind := tokenWord
			if c >= '0' && c <= '9' {
				kind = tokenNumber
			}
			if n == 1 && len(rest) > 1 && rest[1] == '\'' && (c == 'x' || c == 'X' || c == 'b' || c == 'B') {
				return l.quoted(tokenString, 1), true
			}
			return l.take(kind, n), true
		default:
			return l.take(tokenSymbol, 1), true
		}
	}
	return token{}, false
}

func (l *lexer) take(kind tokenKind, n int) token {
	t := token{kind, l.pos, l.pos + n}
	l.pos += n
	return t
}

// quoted takes what stands in quotes, of which the first is skip bytes ahead. A quote within is doubled or follows a backslash.
func (l *lexer) quoted(kind tokenKind, skip int) token {
	rest := l.text[l.pos+skip:]
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			i++
		case rest[0]:
			if i+1 < len(rest) && rest[i+1] == rest[0] {
				i++
				continue
			}
			return l.take(kind, skip+i+1)
		}
	}
	return l.take(tokenBad, skip+len(rest))
}

func (l *lexer) until(kind tokenKind, end string) token {
	rest := l.text[l.pos:]
	n := strings.Index(rest, end)
	if n < 0 {
		return l.take(tokenBad, len(rest))
	}
	return l.take(kind, n+len(end))
}

func (l *lexer) heredoc() token {
	rest := l.text[l.pos:]
	n := 1
	for n < len(rest) && isWordByte(rest[n]) {
		n++
	}
	if n == len(rest) || rest[n] != '$' {
		return l.take(tokenSymbol, 1)
	}
	tag := rest[:n+1]
	end := strings.Index(rest[n+1:], tag)
	if end < 0 {
		return l.take(tokenSymbol, 1)
	}
	return l.take(tokenString, n+1+end+len(tag))
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func (l *lexer) is(t token, word string) bool {
	return t.kind == tokenWord && strings.EqualFold(l.text[t.start:t.end], word)
}

func (l *lexer) symbol(t token, c byte) bool { return t.kind == tokenSymbol && l.text[t.start] == c }

// firstWord is the keyword that a statement begins with, in capitals, or "" where there is none. Parentheses are passed over.
func firstWord(sql string) string {
	l := &lexer{text: sql}
	for {
		t, ok := l.next()
		switch {
		case !ok:
			return ""
		case l.symbol(t, '('), l.symbol(t, ';'):
		case t.kind == tokenWord:
			return strings.ToUpper(sql[t.start:t.end])
		default:
			return ""
		}
	}
}

// insertHead is the head of an INSERT whose rows follow, in the text or after it.
type insertHead struct {
	statement string // up to VALUES or FORMAT, without them
	format    string
	data      int // where the rows begin in the text
}

// parseInsert finds the head of an INSERT with rows. It is false for other statements, among them INSERT ... SELECT; more is true where the text
// ends within the head, so that a longer one could be one.
func parseInsert(sql string) (head insertHead, found, more bool) {
	l := &lexer{text: sql}
	t, ok := l.next()
	if !ok {
		return insertHead{}, false, true
	}
	if !l.is(t, "INSERT") {
		return insertHead{}, false, t.end == len(sql) || t.kind == tokenBad
	}
	begin, depth, previous := t.start, 0, t
	for {
		t, ok = l.next()
		if !ok {
			return insertHead{statement: sql[begin:], format: "Values", data: len(sql)}, true, true
		}
		switch {
		case t.kind == tokenBad:
			return insertHead{}, false, true
		case l.symbol(t, '('):
			depth++
		case l.symbol(t, ')'):
			depth--
		case depth > 0:
		case l.symbol(t, ';'):
			return insertHead{statement: sql[begin:t.start], format: "Values", data: t.end}, true, false
		case l.symbol(previous, '.'), l.is(previous, "INTO"), l.is(previous, "TABLE"):
			// a name, whatever it is
		case l.is(t, "SELECT"), l.is(t, "WITH"), l.is(t, "FROM"), l.is(t, "WATCH"), l.is(t, "EXPLAIN"):
			return insertHead{}, false, false
		case l.is(t, "VALUES"):
			return insertHead{statement: sql[begin:t.start], format: "Values", data: t.end}, true, t.end == len(sql)
		case l.is(t, "FORMAT"):
			name, ok := l.next()
			if !ok {
				return insertHead{}, false, true
			}
			if name.kind != tokenWord {
				return insertHead{}, false, false
			}
			return insertHead{statement: sql[begin:t.start], format: sql[name.start:name.end], data: dataStart(sql, name.end)}, true, name.end == len(sql)
		}
		previous = t
	}
}

// dataStart passes over what ClickHouse passes over between the name of a format and the rows: blanks and one end of line, or a semicolon.
func dataStart(sql string, pos int) int {
	for pos < len(sql) && (sql[pos] == ' ' || sql[pos] == '\t' || sql[pos] == '\f') {
		pos++
	}
	if pos < len(sql) && sql[pos] == ';' {
		pos++
	}
	if pos < len(sql) && sql[pos] == '\r' {
		pos++
	}
	if pos < len(sql) && sql[pos] == '\n' {
		pos++
	}
	return pos
}

// answerFormat is the format that a statement names for its answer, or "".
func answerFormat(sql string) string {
	l := &lexer{text: sql}
	format := ""
	depth := 0
	var last token
	for {
		t, ok := l.next()
		if !ok {
			return format
		}
		switch {
		case l.symbol(t, '('):
			depth++
		case l.symbol(t, ')'):
			depth--
		case depth == 0 && t.kind == tokenWord && l.is(last, "FORMAT") && last.end > 0:
			format = sql[t.start:t.end]
		}
		last = t
	}
}

// calls gives the names, in small letters, that stand before a parenthesis, and whether there is a SETTINGS clause anywhere.
func calls(sql string) (names []string, settings bool) {
	l := &lexer{text: sql}
	var last, beforeLast token
	for {
		t, ok := l.next()
		if !ok {
			return names, settings
		}
		if l.symbol(t, '(') && last.end > 0 && (last.kind == tokenWord || last.kind == tokenQuoted) {
			names = append(names, strings.ToLower(unquoted(sql[last.start:last.end])))
		}
		if l.symbol(t, '=') && beforeLast.end > 0 && l.is(beforeLast, "SETTINGS") && (last.kind == tokenWord || last.kind == tokenQuoted) {
			settings = true
		}
		last, beforeLast = t, last
	}
}

// unquoted is what an identifier means.
func unquoted(name string) string {
	if len(name) < 2 || name[0] != '`' && name[0] != '"' {
		return strings.TrimSuffix(strings.TrimPrefix(name, "“"), "”")
	}
	var b strings.Builder
	for i := 1; i < len(name)-1; i++ {
		if name[i] == '\\' || name[i] == name[0] {
			i++
		}
		if i < len(name)-1 {
			b.WriteByte(name[i])
		}
	}
	return b.String()
}
