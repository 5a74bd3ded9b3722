package telegram

import (
	"cmp"
	"html"
	"slices"
	"strings"
	"unicode/utf16"
)

// markedUp is a text with its entities as HTML; empty where these say no more than the text. Entities are nested and do not
// overlap; their places count in units of UTF-16 (https://core.telegram.org/bots/api#messageentity).
func markedUp(text string, entities []entity) string {
	units := utf16.Encode([]rune(text))
	var marks []entity
	for _, e := range entities {
		if open, _ := tags(e); open != "" && e.Offset >= 0 && e.Length > 0 && e.Offset <= len(units)-e.Length {
			marks = append(marks, e)
		}
	}
	if len(marks) == 0 {
		return ""
	}
	slices.SortStableFunc(marks, func(a, b entity) int { return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(b.Length, a.Length)) })
	w := &markup16{units: units}
	for _, e := range marks {
		w.closeUntil(e.Offset)
		w.begin(e)
	}
	w.closeUntil(len(units))
	w.write(len(units))
	return w.b.String()
}

// tags are the HTML of an entity; empty for one that marks what the text itself shows, such as a hashtag.
func tags(e entity) (open, closing string) {
	switch e.Type {
	case "bold":
		return "<b>", "</b>"
	case "italic":
		return "<i>", "</i>"
	case "underline":
		return "<u>", "</u>"
	case "strikethrough":
		return "<s>", "</s>"
	case "spoiler":
		return `<span class="tg-spoiler">`, "</span>"
	case "blockquote", "expandable_blockquote":
		return "<blockquote>", "</blockquote>"
	case "code":
		return "<code>", "</code>"
	case "pre":
		return "<pre>", "</pre>"
	case "text_link":
		return `<a href="` + html.EscapeString(e.URL) + `">`, "</a>"
	case "text_mention":
		if e.User != nil {
			return `<a href="tg://user?id=` + number(e.User.ID) + `">`, "</a>"
		}
	}
	return "", ""
}

// markup16 writes HTML of a text that is counted in units of UTF-16.
type markup16 struct {
	b     strings.Builder
	units []uint16
	at    int
	open  []struct {
		end     int
		closing string
	}
}

func (w *markup16) begin(e entity) {
	end := e.Offset + e.Length
	if n := len(w.open); n > 0 && end > w.open[n-1].end {
		return // it overlaps
	}
	w.write(e.Offset)
	open, closing := tags(e)
	w.b.WriteString(open)
	w.open = append(w.open, struct {
		end     int
		closing string
	}{end, closing})
}

// closeUntil ends what ends at a place or before.
func (w *markup16) closeUntil(place int) {
	for n := len(w.open); n > 0 && w.open[n-1].end <= place; n = len(w.open) {
		w.write(w.open[n-1].end)
		w.b.WriteString(w.open[n-1].closing)
		w.open = w.open[:n-1]
	}
}

func (w *markup16) write(until int) {
	text := html.EscapeString(string(utf16.Decode(w.units[w.at:until])))
	w.b.WriteString(strings.ReplaceAll(text, "\n", "<br>"))
	w.at = until
}
