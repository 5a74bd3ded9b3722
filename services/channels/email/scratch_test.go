package email_test

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/services/channels/email"
)

func TestScratch(t *testing.T) {
	mails := corpus(t)
	t.Log(len(mails))
	c := map[string]int{}
	ex := map[string][]string{}
	threads := map[string]bool{}
	nat := map[string]string{}
	out, _ := os.Create("/tmp/parsed.txt")
	start := time.Now()
	for _, m := range mails {
		p := email.Parse(m.raw)
		threads[p.Thread()] = true
		k := p.Thread() + "|" + p.NativeID() + string(p.Fingerprint[:])
		if o, ok := nat[k]; ok {
			c["dup"]++
			_ = o
		}
		nat[k] = m.name
		add := func(k string) { c[k]++; ex[k] = append(ex[k], m.name) }
		if len(p.Defects) > 0 {
			add("DEFECTIVE")
		}
		for _, d := range p.Defects {
			add(d)
		}
		if p.AutoReply {
			add("AUTO")
		}
		if p.Bulk {
			add("BULK")
		}
		if p.Bounce != nil {
			add("BOUNCE")
		}
		if p.Quoted != "" {
			add("QUOTED")
		}
		if p.Text == "" {
			add("NOTEXT")
			if p.Quoted != "" {
				add("NOTEXT but quoted")
			}
		}
		if len(p.Attachments) > 0 {
			add("ATTACH")
		}
		s := p.Submission(email.Inbox{ID: "x"})
		if len(s.Parties) == 0 {
			add("NOPARTIES")
		}
		for _, d := range s.Content.GetMessageReceived().Defects[len(p.Defects):] {
			add("S: " + d)
		}
		c["PARTIES"] += len(s.Parties)
		fmt.Fprintf(out, "##### %s\nSubject: %s\nFrom: %v\nTo: %v\nDate: %v\nDefects: %q\nAtt: ", m.name, p.Subject, p.From, p.To, p.Date, p.Defects)
		for _, a := range p.Attachments {
			fmt.Fprintf(out, "[%s %q %d]", a.MediaType, a.Name, len(a.Data))
		}
		fmt.Fprintf(out, "\n--- TEXT\n%s\n--- QUOTED\n%s\n", p.Text, p.Quoted)
	}
	t.Log(time.Since(start), "threads", len(threads), "native", len(nat))
	var ks []string
	for k := range c {
		ks = append(ks, k)
	}
	sort.Slice(ks, func(i, j int) bool { return c[ks[i]] > c[ks[j]] })
	for _, k := range ks {
		t.Log(c[k], k, strings.Join(ex[k][:min(3, len(ex[k]))], " "))
	}
}
