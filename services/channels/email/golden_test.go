package email_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/email"
)

var update = flag.Bool("update", false, "write what the mails of testdata give as what is wanted")

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
			if len(host.Events()) != 1 || len(host.Conflicts()) != 0 {
				t.Fatalf("%d events, %d conflicts", len(host.Events()), len(host.Conflicts()))
			}
			got, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(host.Events()[0].Submission)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, strings.TrimSuffix(file, ".eml")+".json", got)
		})
	}
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	got = compact(t, got)
	if *update {
		var indented bytes.Buffer
		if err := json.Indent(&indented, got, "", "  "); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(indented.Bytes(), '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want = compact(t, want); !bytes.Equal(got, want) {
		t.Errorf("%s differs (-update writes it anew)\ngot  %s\nwant %s", file, got, want)
	}
}

// compact takes the white space out, which protojson varies on purpose.
func compact(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
