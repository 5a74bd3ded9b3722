package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-mbox"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

const (
	oldMails     = 3000
	oldCustomers = 30
	// Every tenth of a customer's mails is the company's answer.
	oldAnswers = 10
)

// mailbox writes an archive of mails, as a mail program keeps it.
func mailbox(t *testing.T) (path string) {
	t.Helper()
	var b bytes.Buffer
	w := mbox.NewWriter(&b)
	for i := range oldMails {
		customer := fmt.Sprintf("customer%d@example.com", i%oldCustomers)
		from, to := customer, "support@skein.example"
		if i/oldCustomers%oldAnswers == 0 {
			from, to = to, from
		}
		at := time.Date(2024, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(i) * time.Minute)
		mail, err := w.CreateMessage(from, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(mail, "From: <%s>\r\nTo: <%s>\r\nSubject: Lamp %d\r\nDate: %s\r\nMessage-ID: <old-%d@mail.example>\r\n\r\nMail %d.\r\nFrom then on it was dark.\r\n",
			from, to, i, at.Format(time.RFC1123Z), i, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "support.mbox")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Mails of years are taken in beside the server that runs. The import is killed in the middle, and goes on from there.
func TestAMailboxIsImportedOnceThoughTheImportIsKilled(t *testing.T) {
	t.Parallel()
	config := configured(t, `inboxes:
  - {id: support, tenant: default, channel: email, addresses: ["support@skein.example"], from: support@skein.example}
`)
	archive := mailbox(t)
	s := newSite(t)
	srv := s.Up("-c", config)
	command := []string{"import", "-c", config, "--data", s.Dir, "--inbox", "support", archive}
	first := s.Start(command...)
	first.WaitFor("in the middle", func() bool {
		kept, err := os.ReadFile(filepath.Join(s.Dir, "imports.json"))
		return err == nil && bytes.Contains(kept, []byte(archive))
	})
	first.Kill()
	var events, faults int
	said := s.Run(append(command, "--quiet")...)
	if _, err := fmt.Sscanf(said, "%d events taken in, %d faults", &events, &faults); err != nil || events == 0 || events >= oldMails || faults > 0 {
		t.Errorf("the second import says %q", said)
	}
	t.Logf("%d of %d mails were left for the second import", events, oldMails)

	each := oldMails / oldCustomers
	srv.WaitFor("telling of the last mail", func() bool {
		return len(told(s, fmt.Sprintf("customer%d@example.com", oldCustomers-1), "")) == each
	})
	for i := range oldCustomers {
		all := told(s, fmt.Sprintf("customer%d@example.com", i), "")
		ids, answers := map[string]bool{}, 0
		for _, e := range all {
			ids[e.GetContent().GetNativeId()] = true
			if e.GetEvent().GetType() == "message.sent" {
				answers++
			}
			if text := e.GetContent().GetMessageReceived().GetText() + e.GetContent().GetMessageSent().GetText(); !e.GetEvent().GetBackfill() || !strings.Contains(text, "\nFrom then on") {
				t.Fatalf("it is told as %v", e)
			}
		}
		if len(all) != each || len(ids) != each || answers != each/oldAnswers {
			t.Errorf("customer %d: %d mails, %d of them different, %d answers; want %d and %d", i, len(all), len(ids), answers, each, each/oldAnswers)
		}
	}
	if dead := s.Run("dead", "list", "--server", s.GRPC); !strings.Contains(dead, "No dead letters.") {
		t.Errorf("there are dead letters:\n%s", dead)
	}
	quit(t, srv)
}

// imported runs an import of which some is wrong, and gives what it says.
func imported(s *skeintest.Site, args ...string) string {
	s.T.Helper()
	p := s.Start(append([]string{"import", "--data", s.Dir, "--quiet"}, args...)...)
	if err := p.End(); err == nil {
		s.T.Error("the import says that all was well")
	}
	return p.Out()
}

func TestATableAndChatwootsConversationsAreImported(t *testing.T) {
	s := newSite(t)
	srv := s.Up()
	tickets := filepath.Join(t.TempDir(), "tickets.csv")
	if err := os.WriteFile(tickets, []byte("\xef\xbb\xbfTicket;Created At;E-Mail;Richtung;Text\r\n"+
		"17;01.03.2024 09:15;mia@example.com;in;\"Die Lampe flackert;\nwas nun?\"\r\n"+
		"17;01.03.2024 09:30;mia@example.com;out;Wir senden eine neue.\r\n"+
		"18;gestern;mia@example.com;in;Und?\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table := []string{
		"--inbox", "old-tickets", "--map", "time=Created At", "--map", "customer=E-Mail", "--map", "direction=Richtung",
		"--time-format", "02.01.2006 15:04", "--zone", "Europe/Berlin", "--channel", "email", tickets,
	}
	chatwoot := []string{"--inbox", "chatwoot", filepath.Join("..", "..", "services", "channels", "custom", "archive", "testdata", "chatwoot-synthetic.json")}
	for range 2 { // what comes again is there once
		if said := imported(s, table...); !strings.Contains(said, "2 events taken in, 1 faults") || !strings.Contains(said, "line 5") || !strings.Contains(said, "gestern") {
			t.Errorf("the table: %s", said)
		}
		if said := imported(s, chatwoot...); !strings.Contains(said, "16 events taken in, 2 faults") || !strings.Contains(said, "conversation 43, message 9: ") {
			t.Errorf("Chatwoot: %s", said)
		}
	}
	if said := imported(s, "--inbox", "old-tickets", "nowhere.csv"); !strings.Contains(said, "nowhere.csv: no such file") || strings.Contains(said, "taken in") {
		t.Errorf("a file that is not there: %s", said)
	}
	if said := imported(s, "--inbox", "old-tickets", "--format", "excel", tickets); !strings.Contains(said, "chatwoot, lines, mail, table") {
		t.Errorf("a format that there is not: %s", said)
	}
	awaitTold(s, srv, "mia@example.com", "", 2)
	if got := texts(told(s, "mia@example.com", "message.received")); !slices.Equal(got, []string{"Die Lampe flackert;\nwas nun?"}) {
		t.Errorf("the table says %q", got)
	}
	awaitTold(s, srv, "anna@example.com", "interaction.resolved", 1)
	awaitTold(s, srv, "+8613800138000", "message.failed", 1)
	for address, want := range map[string]map[string]int{
		"mia@example.com":  {"message.received": 1, "message.sent": 1},
		"anna@example.com": {"interaction.started": 1, "message.received": 1, "ext.chatwoot.activity": 1, "note.added": 1, "message.sent": 1, "survey.answered": 1, "interaction.attributes_updated": 1, "interaction.resolved": 1},
	} {
		got := map[string]int{}
		for _, e := range told(s, address, "") {
			got[e.GetEvent().GetType()]++
			if !e.GetEvent().GetBackfill() || e.GetEvent().GetOccurredAt().AsTime().Year() != 2024 {
				t.Errorf("%s is told of %v", address, e.GetEvent())
			}
		}
		for typ, n := range want {
			if got[typ] != n {
				t.Errorf("%s is told of %d %s in %v, want %d", address, got[typ], typ, got, n)
			}
		}
	}
	quit(t, srv)
}
