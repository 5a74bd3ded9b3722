package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/freeport"
	"github.com/skein-cx/skein/services/channels/phone/asterisk/amitest"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// A call through a switch is in the caller's timeline, whatever happens to Skein between its events. A switch that is away
// is told of, and holds up nothing.
func TestACallThroughASwitchIsWholeThoughSkeinIsKilledInTheMiddle(t *testing.T) {
	story, err := os.ReadFile(filepath.Join("..", "..", "services", "channels", "phone", "asterisk", "testdata", "stories", "queue-answered.ami"))
	if err != nil {
		t.Fatal(err)
	}
	middle := bytes.Index(story, []byte("Event: AgentConnect"))
	pbx := amitest.New(t, amitest.Options{Username: "skein", Secret: "s3cret"})
	config := filepath.Join(t.TempDir(), "skein.yaml")
	text := `inboxes:
  - {id: hotline, tenant: default, channel: asterisk, switch: {addr: "` + pbx.Addr() + `", username: skein, password: "env:PBX_SECRET", auth: md5, region: DE,
     numbers: ["20XX", "+4930901820*"], agents: {"PJSIP/2001": bob}}}
  - {id: branch, tenant: default, channel: freeswitch, switch: {addr: "` + freeport.Addr(t) + `", password: ClueCon}}
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PBX_SECRET", "s3cret")
	s := newSite(t)
	srv := s.Up("-c", config)
	pbx.AwaitLogins(t, 1)
	pbx.Play(t, string(story[:middle]))
	await(s, srv, "offering it to an agent", "assignment.offered")
	srv.Kill()

	srv = s.Up("-c", config)
	pbx.AwaitLogins(t, 2)
	pbx.Play(t, string(story[middle:]))
	shown := await(s, srv, "told that it is over", "interaction.ended")
	for _, typ := range []string{"interaction.started", "queue.entered", "assignment.connected", "assignment.ended"} {
		if n := strings.Count(shown, `"type":"`+typ+`"`); n != 1 {
			t.Errorf("%d times %s in\n%s", n, typ, shown)
		}
	}
	if told := s.Run("tail", "--from-beginning", "--end", "--json", "--kafka", s.Kafka); !strings.Contains(told, "source.gap_detected") {
		t.Errorf("no gap is told in\n%s", told)
	}
	srv.WaitFor("telling that the branch is away", func() bool {
		channels := s.Run("channels", "--server", s.GRPC)
		return strings.Contains(channels, "phone.asterisk") && strings.Contains(channels, "works") &&
			strings.Contains(channels, "phone.freeswitch") && strings.Contains(channels, "refused")
	})
	quit(t, srv)
}

// await waits until the timeline of the caller holds an event of a type, and gives it.
func await(s *skeintest.Site, srv *skeintest.Process, what, typ string) (shown string) {
	s.T.Helper()
	srv.WaitFor(what, func() bool {
		shown = strings.ReplaceAll(s.Run("timeline", "--json", "--server", s.GRPC, "+493012345678"), `": "`, `":"`)
		return strings.Contains(shown, `"type":"`+typ+`"`)
	})
	return shown
}
