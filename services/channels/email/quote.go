package email

import (
	"regexp"
	"strings"
	"unicode"
)

// SplitQuote divides a mail's text into what is new and what is quoted from earlier mails: lines that begin with ">" or
// another sign, the line that says who wrote them, and where an old mail follows without such signs, as Outlook writes
// it, everything from its header on. It knows those lines in English, Chinese, German, French and Spanish. Signatures
// stay. No line is lost: each goes to one of the two, except for empty lines at the ends.
func SplitQuote(text string) (fresh, quoted string) {
	lines := strings.Split(text, "\n")
	isQuoted := make([]bool, len(lines))
	last := -1 // line that begins with ">"
	for i, line := range lines {
		if isQuoted[i] = isQuoteLine(line) && !isMboxFrom(lines, i); isQuoted[i] {
			last = i
		}
	}
	hasText, signs := false, 0
	header := 0 // lines before this one that follow the one at hand are of a header or empty
	for i := 0; i < len(lines); i++ {
		if isQuoted[i] || strings.TrimSpace(lines[i]) == "" {
			continue
		}
		isHeader := beginsOldMail(lines[i:])
		intro := attribution(lines[i:])
		if !isHeader && intro == 0 {
			hasText = true
			continue
		}
		begin := max(i+max(intro, 1), header)
		for begin < len(lines) && !isQuoted[begin] && (strings.TrimSpace(lines[begin]) == "" || isHeaderLine(lines[begin])) {
			begin++
		}
		header = begin
		sign := quoteSign(lines[begin:])
		switch {
		case begin < len(lines) && isQuoted[begin]:
			mark(isQuoted[i:begin])
			i = begin
		case sign != "" && signs < mostSigns:
			mark(isQuoted[i:begin])
			signs++
			for j := begin; j < len(lines); j++ {
				isQuoted[j] = isQuoted[j] || strings.HasPrefix(lines[j], sign)
			}
			i = begin
		case isHeader, hasText && last < i && begin < len(lines) && saysWhen(strings.Join(lines[i:i+intro], " ")):
			mark(isQuoted[i:])
			i = len(lines)
		default:
			hasText = true
		}
	}
	var kept, old []string
	for i, line := range lines {
		switch {
		case isQuoted[i]:
			old = append(old, line)
		case i > 0 && isQuoted[i-1] && strings.TrimSpace(line) == "" && len(kept) > 0 && strings.TrimSpace(kept[len(kept)-1]) == "":
			// one empty line instead of those before and behind what was taken out
		default:
			kept = append(kept, line)
		}
	}
	return trimLines(kept), trimLines(old)
}

// quoteSign is what two lines begin with that somebody quotes, where it is not ">"; empty where it is a letter, or a sign
// that authors themselves begin lines with.
func quoteSign(lines []string) string {
	if len(lines) < 2 {
		return ""
	}
	end := strings.IndexFunc(lines[0], func(r rune) bool { return !unicode.IsPunct(r) && !unicode.IsSymbol(r) })
	if end <= 0 || end > 4 {
		return ""
	}
	switch sign := lines[0][:end]; {
	case strings.Trim(sign, "-*.(\"'“‘•·") == "", !strings.HasPrefix(lines[1], sign):
		return ""
	default:
		return sign
	}
}

// isHeaderLine tells whether a line is one of a header block.
func isHeaderLine(line string) bool {
	return len(line) <= longestAttribution && (headerFrom.MatchString(line) || headerOther.MatchString(line))
}

func mark(marks []bool) {
	for i := range marks {
		marks[i] = true
	}
}

// trimLines joins lines without the empty ones at the ends.
func trimLines(lines []string) string {
	text := strings.TrimRight(strings.Join(lines, "\n"), " \t\n")
	for {
		line, after, found := strings.Cut(text, "\n")
		if !found || strings.TrimSpace(line) != "" {
			return text
		}
		text = after
	}
}

func isQuoteLine(line string) bool {
	return strings.HasPrefix(strings.TrimLeft(line[:min(len(line), 4)], " "), ">")
}

// isMboxFrom tells a line of the author's that begins with "From " from a quoted one: mail stores put a ">" before it.
func isMboxFrom(lines []string, i int) bool {
	return strings.HasPrefix(lines[i], ">From ") &&
		(i == 0 || !isQuoteLine(lines[i-1])) && (i+1 == len(lines) || !isQuoteLine(lines[i+1]))
}

var (
	// oldMailLine stands between dashes above an old mail.
	oldMailLine = regexp.MustCompile(`(?i)^\s*[-_*=]{2,}\s*(original message|original appointment|forwarded message|forwarded by .*|` +
		`原始邮件|原始郵件|原邮件|原邮件信息|转发邮件|转发的邮件|转发邮件信息|轉寄郵件|原始信件|回复的原邮件|ursprüngliche nachricht|weitergeleitete nachricht|` +
		`message d'origine|message transféré|mensaje original|mensaje reenviado)\s*[-_*=]*\s*$`)
	beginForward = regexp.MustCompile(`(?i)^\s*(begin forwarded message|anfang der weitergeleiteten nachricht|début du message réexpédié)\s*[:：]\s*$`)
	// headerFrom begins a header block, headerOther goes on with it.
	headerFrom  = regexp.MustCompile(`(?i)^\s*\*?(from|发件人|發件人|寄件者|寄件人|von|de)\s*\*?\s*[:：]\s*\*?\s*\S`)
	headerOther = regexp.MustCompile(`(?i)^\s*\*?(sent|date|to|cc|subject|importance|发送时间|發送時間|发送日期|时间|日期|收件人|收件者|抄送|副本|主题|主題|主旨|寄件日期|` +
		`gesendet|datum|an|betreff|envoyé|à|objet|enviado( el)?|fecha|para|asunto)\s*\*?\s*[:：]`)
	// attributionEnd ends the line that says who wrote what follows, attributionStart begins it.
	attributionEnd   = regexp.MustCompile(`(?i)(\b(wrote|writes|said|says|schrieb|schrieben)\b[^:：]{0,100}|a écrit\s*|escribió\s*|写道\s*|寫道\s*|写到\s*|來信\s*|说\s*)[:：]\s*$`)
	attributionStart = regexp.MustCompile(`(?i)^\s*(on|at|in|am|le|el|quoting|在|于|於|\d{4}[-/年]|"?[^\s"]+.*<[^<>\s]+@[^<>\s]+>)`)
	when             = regexp.MustCompile(`\d{1,2}:\d{2}|\d{4}|@`)
)

const (
	longestAttribution = 500 // bytes
	attributionLines   = 4
	headerBlockLines   = 8 // that are looked at to know a header
	mostSigns          = 4 // other than ">" that one text may quote with
)

// beginsOldMail tells whether everything from the first of the lines on is an old mail.
func beginsOldMail(lines []string) bool {
	line := lines[0]
	if len(line) > longestAttribution {
		return false
	}
	trimmed := strings.TrimSpace(line)
	switch {
	case trimmed == "":
		return false
	case strings.ContainsRune("-_*=", rune(trimmed[0])):
		if oldMailLine.MatchString(line) {
			return true
		}
		if !isRule(trimmed) { // Outlook draws one above the header
			return false
		}
		for i, next := range lines[1:min(len(lines), 3)] {
			if headerFrom.MatchString(next) {
				return beginsOldMail(lines[i+1:])
			}
		}
		return false
	case beginForward.MatchString(trimmed):
		return true
	case !headerFrom.MatchString(line):
		return false
	}
	others := 0
	for _, next := range lines[1:min(len(lines), headerBlockLines)] {
		if isHeaderLine(next) {
			others++
		}
	}
	return others >= 2
}

// isRule tells whether a line is drawn with underscores or dashes.
func isRule(line string) bool {
	return len(line) >= 10 && (strings.Trim(line, "_") == "" || strings.Trim(line, "-") == "")
}

// attribution tells how many lines say who wrote what follows: "On Tuesday Jo wrote:", wrapped perhaps. Zero where the
// first line begins none.
func attribution(lines []string) int {
	joined := ""
	for n := range min(len(lines), attributionLines) {
		line := strings.TrimSpace(lines[n])
		if line == "" || isQuoteLine(line) || len(joined)+len(line) > longestAttribution {
			return 0
		}
		joined = strings.TrimSpace(joined + " " + line)
		if !strings.HasSuffix(line, ":") && !strings.HasSuffix(line, "：") {
			continue
		}
		if attributionEnd.MatchString(joined) && (n == 0 || attributionStart.MatchString(joined)) {
			return n + 1
		}
		return 0
	}
	return 0
}

// saysWhen tells whether an attribution has a time, a year or an address, so that it is none of the author's own
// sentences.
func saysWhen(s string) bool { return attributionStart.MatchString(s) && when.MatchString(s) }
