package email_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/email"
)

// support is an inbox of a company that owns a domain.
func support(tb testing.TB) email.Inbox {
	tb.Helper()
	own := &email.Routes[struct{}]{}
	for _, pattern := range []string{"help@lumen.example", "*@lumen.example"} {
		if err := own.Add(pattern, struct{}{}); err != nil {
			tb.Fatal(err)
		}
	}
	return email.Inbox{Tenant: "lumen", ID: "support", Own: own}
}

// Each mail of testdata/mails gives the submission beside it.
func TestMailsGiveTheSubmissionsBesideThem(t *testing.T) {
	mails, err := filepath.Glob(filepath.Join("testdata", "mails", "*.eml"))
	if err != nil || len(mails) == 0 {
		t.Fatal(err, "no mails")
	}
	for _, file := range mails {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".eml"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			host := channeltest.NewHost()
			for range 2 { // the second time changes nothing
				if reason, err := email.Parse(raw).Deliver(t.Context(), host, support(t)); err != nil || reason != "" {
					t.Fatal(err, reason)
				}
			}
			if len(host.Conflicts()) != 0 {
				t.Fatalf("%d conflicts", len(host.Conflicts()))
			}
			var all [][]byte
			for _, e := range host.Events() {
				got, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(e.Submission)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, got)
			}
			got := bytes.Join(all, []byte(","))
			if len(all) > 1 {
				got = slices.Concat([]byte("["), got, []byte("]"))
			}
			compare(t, strings.TrimSuffix(file, ".eml")+".json", got)
		})
	}
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	var tight, indented bytes.Buffer // protojson puts spaces where it likes
	if err := json.Compact(&tight, got); err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&indented, tight.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	channeltest.Golden(t, file, indented.String()+"\n")
}
