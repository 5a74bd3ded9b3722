package analytics

import (
	"bytes"
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/web"
)

// csv gives the whole table, its numbers as they were computed, with names for programs.
func (p *Pages) csv(c *web.Call) error {
	s, st, err := p.computed(c)
	if err != nil || s == nil {
		return err
	}
	data, err := st.csv(lang.In(c.Context(), s.zone))
	if err != nil {
		return err
	}
	name := st.of.id + "_" + s.period.begin.In(s.zone).Format(time.DateOnly) + "_" + s.period.end.In(s.zone).Add(-time.Second).Format(time.DateOnly) + ".csv"
	sent := false
	return c.Download(name, "text/csv; charset=utf-8", func() ([]byte, error) {
		if sent {
			return nil, io.EOF
		}
		sent = true
		return data, nil
	})
}

func (t *table) csv(ctx context.Context) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(mark)
	w := csv.NewWriter(&b)
	w.UseCRLF = true // RFC 4180
	var head []string
	if t.timed() {
		head = append(head, "from")
	}
	for _, d := range t.by {
		head = append(head, d, d+"_name")
	}
	for _, m := range t.metrics {
		if head = append(head, m.GetName()); t.compared {
			head = append(head, m.GetName()+"_before")
		}
	}
	_ = w.Write(head) // its errors are told by Error
	rows := t.rows
	if len(rows) == 0 && len(t.by) == 0 && !t.timed() {
		rows = []*analyticsv1.Row{t.total}
	}
	for _, row := range rows {
		var line []string
		if t.timed() {
			line = append(line, row.GetFrom().AsTime().In(lang.Zone(ctx)).Format(time.RFC3339))
		}
		for n, d := range t.by {
			line = append(line, harmless(row.GetGroup()[n]), harmless(valueName(ctx, d, row.GetGroup()[n], nameOf(row, n))))
		}
		for n := range t.metrics {
			if line = append(line, digits(valueAt(row.GetValues(), n))); t.compared {
				line = append(line, digits(valueAt(row.GetBefore(), n)))
			}
		}
		_ = w.Write(line)
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// digits are a number as programs read it; nothing where there is none.
func digits(v *analyticsv1.Value) string {
	if v == nil || v.Value == nil {
		return ""
	}
	return strconv.FormatFloat(v.GetValue(), 'f', -1, 64)
}

// harmless puts a quote before what a spreadsheet would compute: names come from outside. A telephone number stays one.
func harmless(text string) string {
	if text == "" || !strings.ContainsAny(text[:1], "=@+-\t\r") {
		return text
	}
	if text[0] == '+' && strings.Trim(text[1:], "0123456789 ()-./") == "" {
		return text
	}
	return "'" + text
}
