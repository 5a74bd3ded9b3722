package vcon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	vconv1 "github.com/skein-cx/skein/proto/skein/vcon/v1"
	"github.com/skein-cx/skein/services/vcon"
)

var errNone = errors.New("there is none")

func bytesOf(text string) io.Reader { return strings.NewReader(text) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keyring is the one that channeltest's hosts have.
func keyring(t testing.TB) *event.Keyring {
	t.Helper()
	k, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	must(t, err)
	return k
}

func reader(t testing.TB) *vcon.Reader {
	t.Helper()
	r, err := vcon.NewReader(vcon.Verifier{}, true)
	must(t, err)
	return r
}

func server(t testing.TB, host *channeltest.Host, change ...func(*vcon.Config)) *vcon.Server {
	t.Helper()
	cfg := vcon.Config{Conversations: records{host}, Blobs: blobs{host}, Host: host, Keyring: keyring(t), Reader: reader(t)}
	for _, c := range change {
		c(&cfg)
	}
	return vcon.NewServer(cfg)
}

func call(t testing.TB) context.Context {
	t.Helper()
	return as(t.Context(), tenant)
}

// as makes the context of a call.
func as(ctx context.Context, of string) context.Context {
	return auth.With(ctx, auth.Identity{Tenant: of})
}

// export gives the only conversation of a host.
func export(t testing.TB, host *channeltest.Host, req *vconv1.ExportRequest) *vconv1.ExportResponse {
	t.Helper()
	c, err := records{host}.Get(t.Context(), tenant, "")
	must(t, err)
	req.ConversationId = c.GetId()
	resp, err := server(t, host).Export(call(t), req)
	must(t, err)
	valid(t, resp.GetVcon())
	return resp
}

// valid checks a vCon against the schema of the draft.
func valid(t testing.TB, raw []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	must(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile(filepath.Join("schema", "vcon_json_schema.json"))
	must(t, err)
	if err := schema.Validate(doc); err != nil {
		t.Errorf("%v\n%s", err, raw)
	}
}

func pretty(t testing.TB, raw []byte) string {
	t.Helper()
	var b bytes.Buffer
	must(t, json.Indent(&b, raw, "", "  "))
	return b.String() + "\n"
}

func TestAConversationOverFourChannelsIsOneVCon(t *testing.T) {
	resp := export(t, fourChannels(t), &vconv1.ExportRequest{Notes: true})
	channeltest.Golden(t, filepath.Join("testdata", "four-channels.vcon.json"), pretty(t, resp.GetVcon()))
	if resp.GetMediaType() != "application/vcon" {
		t.Error(resp.GetMediaType())
	}
}

func TestTheSameConversationGivesTheSameBytes(t *testing.T) {
	host := fourChannels(t)
	a, b := export(t, host, &vconv1.ExportRequest{}), export(t, host, &vconv1.ExportRequest{})
	if !bytes.Equal(a.GetVcon(), b.GetVcon()) || a.GetUuid() == "" || a.GetUuid()[14] != '8' {
		t.Errorf("%s\n%s", a, b)
	}
}

// again imports a vCon into another host, and exports it from there.
func again(t testing.TB, raw []byte, req *vconv1.ExportRequest) *vconv1.ExportResponse {
	t.Helper()
	host := channeltest.NewHost()
	resp, err := server(t, host).Import(call(t), &vconv1.ImportRequest{Vcon: raw, Inbox: "archive"})
	must(t, err)
	if len(resp.GetNotes()) > 0 {
		t.Errorf("notes %v", resp.GetNotes())
	}
	if len(host.Conflicts()) > 0 {
		t.Errorf("conflicts %v", host.Conflicts())
	}
	return export(t, host, req)
}

func TestExportImportExportGivesTheSameBytes(t *testing.T) {
	for name, req := range map[string]*vconv1.ExportRequest{
		"inline": {}, "with notes": {Notes: true}, "without files": {Media: vconv1.Media_MEDIA_OMITTED},
	} {
		first := export(t, fourChannels(t), req)
		second := again(t, first.GetVcon(), req)
		if a, b := pretty(t, first.GetVcon()), pretty(t, second.GetVcon()); a != b {
			t.Errorf("%s: %s", name, difference(a, b))
		}
	}
}

// difference shows where two texts part.
func difference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return strings.Join(x[max(0, i-6):min(len(x), i+6)], "\n") + "\n--- and\n" + strings.Join(y[max(0, i-6):min(len(y), i+6)], "\n")
		}
	}
	return "one is longer"
}
