package vcon_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	vconv1 "github.com/skein-cx/skein/proto/skein/vcon/v1"
	"github.com/skein-cx/skein/services/vcon"
)

func TestInAnotherTenantItIsTheSameVConStill(t *testing.T) {
	first := export(t, fourChannels(t), &vconv1.ExportRequest{Notes: true})
	host := channeltest.NewHost()
	ctx := auth.With(t.Context(), auth.Identity{Tenant: "globex"})
	s := server(t, host)
	_, err := s.Import(ctx, &vconv1.ImportRequest{Vcon: first.GetVcon(), Inbox: "archive"})
	must(t, err)
	c, err := records{host}.Get(ctx, "globex", "")
	must(t, err)
	second, err := s.Export(ctx, &vconv1.ExportRequest{ConversationId: c.GetId(), Notes: true})
	must(t, err)
	if a, b := pretty(t, first.GetVcon()), pretty(t, second.GetVcon()); a != b {
		t.Error(difference(a, b))
	}
}

func TestFilesByReferenceStayReferences(t *testing.T) {
	at := func(cfg *vcon.Config) {
		cfg.BlobURL = func(key string) string { return "https://skein.example/v1/blobs/" + key }
	}
	host := fourChannels(t)
	c, err := records{host}.Get(t.Context(), tenant, "")
	must(t, err)
	first, err := server(t, host, at).Export(call(t), &vconv1.ExportRequest{ConversationId: c.GetId(), Media: vconv1.Media_MEDIA_REFERENCE})
	must(t, err)
	valid(t, first.GetVcon())
	text := string(first.GetVcon())
	if !strings.Contains(text, `"url":"https://skein.example/v1/blobs/acme/`) || !strings.Contains(text, `"content_hash":"sha512-`) || strings.Contains(text, "base64url") {
		t.Error(text)
	}
	second := again(t, first.GetVcon(), &vconv1.ExportRequest{})
	if a, b := pretty(t, first.GetVcon()), pretty(t, second.GetVcon()); a != b {
		t.Error(difference(a, b))
	}
}

func TestWhatIsNewInAnImportedConversationMakesAnotherVCon(t *testing.T) {
	first := export(t, fourChannels(t), &vconv1.ExportRequest{})
	host := channeltest.NewHost()
	_, err := server(t, host).Import(call(t), &vconv1.ImportRequest{Vcon: first.GetVcon(), Inbox: "archive"})
	must(t, err)
	x := &teller{t: t, host: host}
	x.tell(told{at: 100 * 3600e9, channel: eventv1.Channel_CHANNEL_SMS, from: "sms", thread: "s", id: "1", parties: []*eventv1.SubmittedParty{anna}}, message(&eventv1.Message{Text: "Thanks"}, false))
	if second := export(t, host, &vconv1.ExportRequest{}); second.GetUuid() == first.GetUuid() {
		t.Error("it has the same uuid")
	}
}

func TestTheSameVConTakenInAgainChangesNothing(t *testing.T) {
	first := export(t, fourChannels(t), &vconv1.ExportRequest{})
	host := channeltest.NewHost()
	s := server(t, host)
	a, err := s.Import(call(t), &vconv1.ImportRequest{Vcon: first.GetVcon(), Inbox: "archive"})
	must(t, err)
	n := len(host.Events())
	b, err := s.Import(call(t), &vconv1.ImportRequest{Vcon: first.GetVcon(), Inbox: "archive"})
	must(t, err)
	if len(host.Events()) != n || len(host.Conflicts()) > 0 || !slices.Equal(a.GetThreadIds(), b.GetThreadIds()) {
		t.Errorf("%d events, not %d; conflicts %v", len(host.Events()), n, host.Conflicts())
	}
	for _, e := range host.Events() {
		if !e.Event.GetBackfill() || e.Event.GetInbox() != "archive" {
			t.Errorf("%v is no history of the inbox", e.Event)
		}
	}
}

// The file is composed from the draft's text; it is of no product, and uses what Skein does not write.
func TestAForeignVConReadsAsAStory(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("testdata", "foreign-synthetic.vcon"))
	must(t, err)
	valid(t, raw)
	host := channeltest.NewHost()
	resp, err := server(t, host).Import(call(t), &vconv1.ImportRequest{Vcon: raw, Inbox: "archive", Region: "DE", Company: []*eventv1.Address{
		{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "Support@lumen.example"},
	}})
	must(t, err)
	var b strings.Builder
	b.WriteString(channeltest.Transcript(host.Events()))
	for _, n := range resp.GetNotes() {
		b.WriteString("note  " + n.GetPath() + " " + n.GetText() + "\n")
	}
	channeltest.Golden(t, filepath.Join("testdata", "foreign.txt"), b.String())
	export(t, host, &vconv1.ExportRequest{})
}

const head = `"uuid":"0199ded0-8a0f-87c2-b9a2-279e0d16bc46","created_at":"2026-01-01T00:00:00Z"`

func TestAnInvalidVConIsRejectedByThePathOfWhatIsWrong(t *testing.T) {
	parties := head + `,"parties":[{"tel":"+4930901820"},{"name":"anonymous"}]`
	for want, raw := range map[string]string{
		"$ is no JSON":                       `{"uuid":`,
		"$ is no JSON object":                `[]`,
		"$ is wrong: missing property":       `{"uuid":"0199ded0-8a0f-87c2-b9a2-279e0d16bc46"}`,
		"$.uuid is wrong":                    `{"uuid":"17","created_at":"2026-01-01T00:00:00Z"}`,
		"$.created_at is wrong":              `{"uuid":"0199ded0-8a0f-87c2-b9a2-279e0d16bc46","created_at":"yesterday"}`,
		"$.vcon is wrong":                    `{"vcon":"0.0.2",` + head + `}`,
		"$.critical[0] asks for":             `{` + head + `,"critical":["teleport"]}`,
		"$.amended stands beside redacted":   `{` + head + `,"redacted":{"type":"pii"},"amended":{}}`,
		"$.parties[1].tel is wrong":          `{` + head + `,"parties":[{},{"tel":17}]}`,
		"$.dialog[0].type is wrong":          `{` + parties + `,"dialog":[{"type":"smoke","start":"2026-01-01T00:00:00Z"}]}`,
		"$.dialog[0] is wrong: missing prop": `{` + parties + `,"dialog":[{"type":"text"}]}`,
		"$.dialog[0].parties is or holds 2":  `{` + parties + `,"dialog":[{"type":"text","start":"2026-01-01T00:00:00Z","parties":[0,2]}]}`,
		"$.dialog[0].originator is or":       `{` + parties + `,"dialog":[{"type":"text","start":"2026-01-01T00:00:00Z","originator":9}]}`,
		"$.dialog[0].disposition is missing": `{` + parties + `,"dialog":[{"type":"incomplete","start":"2026-01-01T00:00:00Z"}]}`,
		"$.dialog[0] is of the type incompl": `{` + parties + `,"dialog":[{"type":"incomplete","disposition":"busy","start":"2026-01-01T00:00:00Z","body":"x"}]}`,
		"$.dialog[0] is a transfer and must": `{` + parties + `,"dialog":[{"type":"transfer","start":"2026-01-01T00:00:00Z","parties":[0]}]}`,
		"$.dialog[0].original is or holds 1": `{` + parties + `,"dialog":[{"type":"transfer","start":"2026-01-01T00:00:00Z","original":[0,1]}]}`,
		"$.dialog[0].body must be a string":  `{` + parties + `,"dialog":[{"type":"text","start":"2026-01-01T00:00:00Z","body":{},"encoding":"none"}]}`,
		"$.dialog[0].body is no base64url":   `{` + parties + `,"dialog":[{"type":"recording","start":"2026-01-01T00:00:00Z","body":"+/","encoding":"base64url"}]}`,
		"$.dialog[0].url stands beside":      `{` + parties + `,"dialog":[{"type":"text","start":"2026-01-01T00:00:00Z","body":"x","url":"https://x.example"}]}`,
		"$.dialog[0].party_history[0].button": `{` + parties + `,"dialog":[{"type":"recording","start":"2026-01-01T00:00:00Z",
			"party_history":[{"party":0,"time":"2026-01-01T00:00:00Z","event":"keydown"}]}]}`,
		"$.dialog[0].party_history[0].event": `{` + parties + `,"dialog":[{"type":"recording","start":"2026-01-01T00:00:00Z",
			"party_history":[{"party":0,"time":"2026-01-01T00:00:00Z","event":"waves"}]}]}`,
		"$.attachments[0].dialog is or holds": `{` + parties + `,"attachments":[{"start":"2026-01-01T00:00:00Z","party":0,"dialog":0}]}`,
		"$.analysis[0] is wrong: missing":     `{` + parties + `,"analysis":[{"type":"summary"}]}`,
		"$.analysis[0].dialog is or holds 3":  `{` + parties + `,"analysis":[{"type":"summary","vendor":"x","dialog":[3]}]}`,
	} {
		_, _, _, err := reader(t).Read([]byte(raw))
		var malformed *vcon.PathError
		if !errors.As(err, &malformed) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestFilesAreTakenInOneByOneAndTheWrongOnesAreTold(t *testing.T) {
	dir := t.TempDir()
	good := export(t, fourChannels(t), &vconv1.ExportRequest{})
	must(t, os.WriteFile(filepath.Join(dir, "a.vcon"), good.GetVcon(), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "b.json"), []byte(`{`+head+`,"dialog":[{"type":"smoke","start":"2026-01-01T00:00:00Z"}]}`), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "c.vcon"), []byte(`{`+head+`,"mood":"good"}`), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "readme.txt"), []byte("no vCon"), 0o600))
	source, err := vcon.OpenFiles(dir, reader(t), vcon.Options{Tenant: tenant, Inbox: "archive"})
	must(t, err)
	host := channeltest.NewHost()
	var faults []string
	got, err := history.Import(t.Context(), host, source, history.Options{Workers: 1, Fault: func(f history.Fault) { faults = append(faults, f.Name+": "+f.Err.Error()) }})
	must(t, err)
	if len(faults) != 2 || !strings.HasPrefix(faults[0], "b.json: vcon: $.dialog[0].type is wrong") || faults[1] != "c.vcon $.mood: is not known" || got.Done != got.Size || got.Events < 30 {
		t.Errorf("%q %+v", faults, got)
	}
	if _, err := vcon.OpenFiles(filepath.Join(dir, "none"), reader(t), vcon.Options{}); err == nil {
		t.Error("there is none")
	}
}

// compiling is a host that keeps nothing, and refuses what the real one refuses.
type compiling struct {
	t        *testing.T
	compiler *event.Compiler
}

func (c compiling) Submit(_ context.Context, of string, all ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	acks := make([]channel.Acknowledgement, len(all))
	for i, s := range all {
		compiled, err := c.compiler.Compile(of, s, channeltest.ReceivedAt)
		if err != nil {
			c.t.Errorf("a valid vCon gave an invalid event: %v\n%v", err, s)
			return nil, err
		}
		if !s.GetBackfill() {
			c.t.Errorf("%v is no history", s)
		}
		acks[i] = channel.Acknowledgement{EventID: compiled.Event.GetId(), ThreadID: compiled.Event.GetThreadId()}
	}
	return acks, nil
}

func (c compiling) PutBlob(_ context.Context, info channel.BlobInfo, r io.Reader) (*eventv1.Blob, error) {
	_, err := io.Copy(io.Discard, r)
	return &eventv1.Blob{Key: info.Tenant + "/x/y", MediaType: info.MediaType}, err
}

func (compiling) Reject(context.Context, channel.Rejection) error { return nil }

// Whatever is a valid vCon gives valid events.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"foreign-synthetic.vcon", "four-channels.vcon.json"} {
		raw, err := os.ReadFile(filepath.Join("testdata", name))
		must(f, err)
		f.Add(raw)
	}
	f.Add([]byte(`{` + head + `,"parties":[{"tel":"110;phone-context=DE","mailto":"mailto:a%40b@c.example"},{}],"dialog":[{"type":"transfer","start":"2026-01-01T00:00:00+01:00","transferee":0}]}`))
	f.Add([]byte(`{"payload":"e30","signatures":[{"header":{"x5c":["AAAA"]},"protected":"eyJhbGciOiJSUzI1NiJ9","signature":"AA"}]}`))
	r, err := vcon.NewReader(vcon.Verifier{}, true)
	must(f, err)
	ring := keyring(f)
	compiler, err := event.NewCompiler(ring)
	must(f, err)
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = r.Import(t.Context(), compiling{t, compiler}, raw, vcon.Options{Tenant: tenant, Inbox: "archive", Keyring: ring}) // that it is none is fine
	})
}
