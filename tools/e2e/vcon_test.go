package e2e_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	vconv1 "github.com/skein-cx/skein/proto/skein/vcon/v1"
)

// signing makes a certificate of its own authority, and gives the settings by which it signs and is believed.
func signing(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Skein Home"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := write("certificate.pem", "CERTIFICATE", der)
	return fmt.Sprintf("vcon: {certificate: %s, key: %s, roots: %s}\n", certificate, write("key.pem", "PRIVATE KEY", private), certificate)
}

func TestAConversationTravelsAsASignedVCon(t *testing.T) {
	settings := signing(t)
	here := newSite(t)
	d, whole := tellStory(t, here, here.Up("-c", configured(t, storySettings+settings)))
	export := func(d *desk, id string) []byte {
		return got(d, d.vcons.Export, &vconv1.ExportRequest{ConversationId: id, Signed: true}).GetVcon()
	}
	signed := export(d, whole.GetId())
	if again := export(d, whole.GetInteractions()[2].GetId()); !bytes.Equal(again, signed) {
		t.Error("exported again, by another of its interactions, it is another one")
	}

	there := newSite(t)
	there.Up("-c", configured(t, settings))
	e := newDesk(there)
	payload := bytes.Index(signed, []byte(`"payload"`)) + 100
	broken := bytes.Clone(signed)
	broken[payload] ^= 1
	if _, err := e.vcons.Import(t.Context(), &vconv1.ImportRequest{Vcon: broken, Inbox: "archive"}); err == nil || !strings.Contains(rpc.Explain(err), "sign") {
		t.Errorf("with one byte changed it is taken in: %v", err)
	}
	in := got(e, e.vcons.Import, &vconv1.ImportRequest{Vcon: signed, Inbox: "archive"})
	if !strings.Contains(in.GetSigner(), "Skein Home") || len(in.GetThreadIds()) != len(whole.GetInteractions()) {
		t.Errorf("taken in: %v", in)
	}
	work := got(e, e.conversations.List, &conversationv1.ListRequest{
		Filter: &conversationv1.Filter{Statuses: []conversationv1.WorkStatus{
			conversationv1.WorkStatus_WORK_STATUS_OPEN, conversationv1.WorkStatus_WORK_STATUS_RESOLVED, conversationv1.WorkStatus_WORK_STATUS_CLOSED,
		}}, MinPositions: in.GetPositions(),
	}).GetWork()
	if len(work) != len(whole.GetInteractions()) {
		t.Fatalf("%d interactions came of it", len(work))
	}
	e.filed(work[0].GetConversationId(), in.GetPositions()...)
	if again := export(e, work[0].GetConversationId()); !bytes.Equal(again, signed) {
		t.Errorf("exported from there it is another one:\n%.3000s\n\n%.3000s", signed, again)
	}
}
