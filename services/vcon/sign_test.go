package vcon_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/rpc"
	vconv1 "github.com/skein-cx/skein/proto/skein/vcon/v1"
	"github.com/skein-cx/skein/services/vcon"
)

// authority is a root with a certificate that it has issued.
type authority struct {
	root, leaf *x509.Certificate
	chain, key []byte // PEM, the leaf first
}

// issue makes an authority. It takes a while, so the tests share two.
func issue(name string) (authority, error) {
	make1 := func(serial int64, subject string, ca bool) (*x509.Certificate, *rsa.PrivateKey, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: subject}, NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(1, 0, 0),
			IsCA: ca, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		}, key, err
	}
	root, rootKey, err := make1(1, name+" root", true)
	if err != nil {
		return authority{}, err
	}
	leaf, leafKey, err := make1(2, name, false)
	if err != nil {
		return authority{}, err
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return authority{}, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, leafKey.Public(), rootKey)
	if err != nil {
		return authority{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return authority{}, err
	}
	a := authority{key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}
	for _, c := range [][]byte{leafDER, rootDER} {
		a.chain = append(a.chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c})...)
	}
	if a.root, err = x509.ParseCertificate(rootDER); err != nil {
		return authority{}, err
	}
	a.leaf, err = x509.ParseCertificate(leafDER)
	return a, err
}

var (
	lumen = sync.OnceValues(func() (authority, error) { return issue("lumen.example") })
	other = sync.OnceValues(func() (authority, error) { return issue("other.example") })
)

func authorityOf(t testing.TB, of func() (authority, error)) authority {
	t.Helper()
	a, err := of()
	must(t, err)
	return a
}

func signerOf(t testing.TB, a authority) *vcon.Signer {
	t.Helper()
	s, err := vcon.NewSigner(a.chain, a.key)
	must(t, err)
	return s
}

// trusting reads what an authority vouches for, and nothing unsigned.
func trusting(t testing.TB, a authority) *vcon.Reader {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	r, err := vcon.NewReader(vcon.Verifier{Roots: roots, Now: func() time.Time { return day }}, false)
	must(t, err)
	return r
}

func signed(t testing.TB, host *channeltest.Host, a authority) []byte {
	t.Helper()
	c, err := records{host}.Get(t.Context(), tenant, "")
	must(t, err)
	resp, err := server(t, host, func(cfg *vcon.Config) { cfg.Signer = signerOf(t, a) }).Export(call(t), &vconv1.ExportRequest{ConversationId: c.GetId(), Signed: true})
	must(t, err)
	return resp.GetVcon()
}

// short is a host with a little conversation: its vCon is small enough to try each of its bytes.
func short(t testing.TB) *channeltest.Host {
	t.Helper()
	x := &teller{t: t, host: channeltest.NewHost()}
	x.call(0, "CA9")
	return x.host
}

func TestASignedVConIsAJWSInTheGeneralSerialization(t *testing.T) {
	raw := signed(t, short(t), authorityOf(t, lumen))
	var jws struct {
		Payload    string
		Signatures []struct {
			Header    struct{ X5C, UUID any }
			Protected string
		}
	}
	must(t, json.Unmarshal(raw, &jws))
	protected, err := base64.RawURLEncoding.DecodeString(jws.Signatures[0].Protected)
	must(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	must(t, err)
	valid(t, payload)
	unsigned := export(t, short(t), &vconv1.ExportRequest{})
	if string(protected) != `{"alg":"RS256"}` || !bytes.Equal(payload, unsigned.GetVcon()) || jws.Signatures[0].Header.UUID != unsigned.GetUuid() {
		t.Errorf("%s", raw)
	}
	if !bytes.Equal(raw, signed(t, short(t), authorityOf(t, lumen))) {
		t.Error("signed again it is another one")
	}
}

func TestASignedVConComesInWhereItsAuthorityIsTrusted(t *testing.T) {
	a, b := authorityOf(t, lumen), authorityOf(t, other)
	raw := signed(t, short(t), a)
	v, signer, _, err := trusting(t, a).Read(raw)
	if err != nil || signer != "CN=lumen.example" || v.UUID == "" {
		t.Errorf("%q %v", signer, err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(raw)
	must(t, errors.Join(err, z.Close()))
	if _, _, _, err := trusting(t, a).Read(packed.Bytes()); err != nil {
		t.Error(err)
	}
	if _, _, _, err := trusting(t, b).Read(raw); !errors.Is(err, vcon.ErrNotTrusted) {
		t.Error(err)
	}
	late, err := vcon.NewReader(vcon.Verifier{Roots: poolOf(a.root), Now: func() time.Time { return day.AddDate(2, 0, 0) }}, false)
	must(t, err)
	if _, _, _, err := late.Read(raw); !errors.Is(err, vcon.ErrNotTrusted) || !strings.Contains(err.Error(), "expired") {
		t.Error(err)
	}
	pinned, err := vcon.NewReader(vcon.Verifier{Pinned: []*x509.Certificate{a.leaf}, Now: func() time.Time { return day.AddDate(2, 0, 0) }}, false)
	must(t, err)
	if _, _, _, err := pinned.Read(raw); err != nil {
		t.Error(err)
	}
	nobody, err := vcon.NewReader(vcon.Verifier{}, true)
	must(t, err)
	if _, _, _, err := nobody.Read(raw); !errors.Is(err, vcon.ErrNotTrusted) {
		t.Error(err)
	}
}

func poolOf(c *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return pool
}

// Every byte counts but those that prove nothing: the root that is brought along, which the reader has, and the name of the header's uuid, which
// may be missing.
func TestASignedVConWithOneOtherByteIsRejected(t *testing.T) {
	a := authorityOf(t, lumen)
	raw := signed(t, short(t), a)
	r := trusting(t, a)
	if _, _, _, err := r.Read(raw); err != nil {
		t.Fatal(err)
	}
	root := bytes.Index(raw, []byte(base64.StdEncoding.EncodeToString(a.root.Raw)))
	name := bytes.LastIndex(raw, []byte(`"uuid":`))
	spare := func(i int) bool {
		return i >= root && i < root+base64.StdEncoding.EncodedLen(len(a.root.Raw)) || i > name && i < name+5
	}
	broken, step := 0, max(1, len(raw)/1500)
	for i := 0; i < len(raw); i += step {
		if spare(i) {
			continue
		}
		for _, other := range []byte{raw[i] ^ 1, 'A', '.'} {
			if other == raw[i] {
				continue
			}
			changed := bytes.Clone(raw)
			changed[i] = other
			broken++
			if _, _, _, err := r.Read(changed); err == nil {
				t.Fatalf("byte %d, %q for %q: it is taken for good: %s", i, other, raw[i], around(changed, i))
			}
		}
	}
	if broken < 1000 {
		t.Errorf("only %d bytes were tried", broken)
	}
}

func around(raw []byte, i int) []byte { return raw[max(0, i-40):min(len(raw), i+40)] }

func TestWhatIsWrongWithASignatureIsToldByItsPath(t *testing.T) {
	a := authorityOf(t, lumen)
	good := signed(t, short(t), a)
	for name, c := range map[string]struct {
		change func(jws, one map[string]any)
		want   string
	}{
		"payload":     {func(jws, _ map[string]any) { jws["payload"] = "eyJ1dWlkIjoiIn0" }, "$.signatures[0].signature does not fit"},
		"no base64":   {func(jws, _ map[string]any) { jws["payload"] = "{}" }, "$.payload is no base64url"},
		"none":        {func(jws, _ map[string]any) { jws["signatures"] = []any{} }, "$.signatures holds no signature"},
		"algorithm":   {func(_, one map[string]any) { one["protected"] = b64(`{"alg":"none"}`) }, `$.signatures[0].protected.alg is "none"`},
		"hmac":        {func(_, one map[string]any) { one["protected"] = b64(`{"alg":"HS256"}`) }, `$.signatures[0].protected.alg is "HS256"`},
		"unprotected": {func(_, one map[string]any) { one["protected"] = b64(`{}`) }, `$.signatures[0].protected.alg is ""`},
		"signature":   {func(_, one map[string]any) { one["signature"] = "AAAA" }, "$.signatures[0].signature does not fit"},
		"certificate": {func(_, one map[string]any) { one["header"] = map[string]any{"x5c": []string{"AAAA"}} }, "$.signatures[0].header.x5c[0] is no certificate"},
		"without":     {func(_, one map[string]any) { one["header"] = map[string]any{} }, "header.x5c is missing"},
		"another uuid": {func(_, one map[string]any) {
			header, _ := one["header"].(map[string]any)
			header["uuid"] = "0199ded0-8a0f-87c2-b9a2-279e0d16bc46"
		}, "$.signatures[0].header.uuid is not the uuid"},
		"not signed": {func(jws, _ map[string]any) { delete(jws, "payload") }, "it is not signed"},
		"encrypted":  {func(jws, _ map[string]any) { delete(jws, "payload"); jws["ciphertext"] = "x" }, "$.ciphertext is encrypted"},
	} {
		var jws map[string]any
		must(t, json.Unmarshal(good, &jws))
		all, _ := jws["signatures"].([]any)
		one, _ := all[0].(map[string]any)
		c.change(jws, one)
		raw, err := json.Marshal(jws)
		must(t, err)
		if _, _, _, err := trusting(t, a).Read(raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestASignerNeedsAnRSAKeyThatFitsItsCertificate(t *testing.T) {
	a, b := authorityOf(t, lumen), authorityOf(t, other)
	if _, err := vcon.NewSigner(a.chain, b.key); err == nil {
		t.Error("the key is another one's")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: day}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	_, err = vcon.NewSigner(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	if err == nil || !strings.Contains(err.Error(), "not RSA") {
		t.Error(err)
	}
}

// jwcrypto is the library of PyPI that verifies signatures in the test.
const jwcrypto = "jwcrypto==1.5.6"

// verifies checks a vCon as somebody else would: with another library, by the certificate that it brings.
const verifies = `
import base64, json, sys
from cryptography import x509
from jwcrypto import jwk, jws
raw = open(sys.argv[1]).read()
root = x509.load_pem_x509_certificate(open(sys.argv[2], "rb").read())
chain = [x509.load_der_x509_certificate(base64.b64decode(c)) for c in json.loads(raw)["signatures"][0]["header"]["x5c"]]
chain[0].verify_directly_issued_by(root)
token = jws.JWS()
token.deserialize(raw)
token.verify(jwk.JWK.from_pyca(chain[0].public_key()), alg="RS256")
print(json.loads(token.payload)["uuid"])
`

func TestAnotherLibraryVerifiesTheSignature(t *testing.T) {
	missing := func(why string) {
		t.Helper()
		if slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "python" }) {
			t.Fatal(why)
		}
		t.Skip("skipped: " + why + " (SKEIN_REQUIRE=python makes this a failure)")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		missing("there is no python3")
	}
	dir := t.TempDir()
	packages := filepath.Join(dir, "packages")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if said, err := exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target", packages, jwcrypto).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		missing("pip cannot install " + jwcrypto + ": " + lines[len(lines)-1])
	}
	a := authorityOf(t, lumen)
	good := signed(t, fourChannels(t), a)
	root := filepath.Join(dir, "root.pem")
	must(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw}), 0o600))
	check := func(raw []byte) (string, error) {
		file := filepath.Join(dir, "signed.vcon")
		must(t, os.WriteFile(file, raw, 0o600))
		verify := exec.CommandContext(ctx, python, "-c", verifies, file, root)
		verify.Env = append(os.Environ(), "PYTHONPATH="+packages)
		said, err := verify.CombinedOutput()
		return strings.TrimSpace(string(said)), err
	}
	v, _, _, err := trusting(t, a).Read(good)
	must(t, err)
	if said, err := check(good); err != nil || said != v.UUID {
		t.Errorf("%v: %s", err, said)
	}
	bad := bytes.Clone(good)
	bad[20]++
	if said, err := check(bad); err == nil || !strings.Contains(said, "InvalidJWSSignature") {
		t.Errorf("a changed payload: %s", said)
	}
}

func TestWithoutACertificateExportsAreUnsignedOnly(t *testing.T) {
	host := short(t)
	c, err := records{host}.Get(t.Context(), tenant, "")
	must(t, err)
	plain := dial(t, server(t, host, func(cfg *vcon.Config) { cfg.MaxMedia = 5 }))
	_, err = plain.Export(t.Context(), &vconv1.ExportRequest{ConversationId: c.GetId(), Signed: true})
	refused(t, err, "NOT_CONFIGURED", "no certificate to sign with")
	_, err = plain.Export(t.Context(), &vconv1.ExportRequest{ConversationId: c.GetId(), Media: vconv1.Media_MEDIA_REFERENCE})
	refused(t, err, "NOT_CONFIGURED", "no public https address")
	_, err = plain.Export(t.Context(), &vconv1.ExportRequest{ConversationId: c.GetId()})
	refused(t, err, "TOO_LARGE", "ask for them by reference")
	strict := dial(t, server(t, host, func(cfg *vcon.Config) { cfg.Reader = trusting(t, authorityOf(t, lumen)) }))
	_, err = strict.Import(t.Context(), &vconv1.ImportRequest{Vcon: []byte(`{"uuid":"0199ded0-8a0f-87c2-b9a2-279e0d16bc46","created_at":"2026-01-01T00:00:00Z"}`), Inbox: "archive"})
	refused(t, err, "UNSIGNED", "only signed ones")
	_, err = strict.Import(t.Context(), &vconv1.ImportRequest{Vcon: signed(t, host, authorityOf(t, other)), Inbox: "archive"})
	refused(t, err, "NOT_TRUSTED", "nobody who is trusted")
}

func TestTheServiceAnswersOverGRPC(t *testing.T) {
	host, a := fourChannels(t), authorityOf(t, lumen)
	c, err := records{host}.Get(t.Context(), tenant, "")
	must(t, err)
	service := dial(t, server(t, host, func(cfg *vcon.Config) { cfg.Signer, cfg.Reader = signerOf(t, a), trusting(t, a) }))
	out, err := service.Export(t.Context(), &vconv1.ExportRequest{ConversationId: c.GetInteractions()[1].GetId(), Signed: true})
	must(t, err)
	in, err := service.Import(t.Context(), &vconv1.ImportRequest{Vcon: out.GetVcon(), Inbox: "archive"})
	must(t, err)
	if in.GetSigner() != "CN=lumen.example" || in.GetUuid() != out.GetUuid() || len(in.GetThreadIds()) != 5 || in.GetEvents() < 30 || len(in.GetPositions()) < 2 || len(in.GetNotes()) > 0 {
		t.Errorf("%v", in)
	}
	_, err = service.Export(t.Context(), &vconv1.ExportRequest{ConversationId: "0199ded0-8a0f-87c2-b9a2-279e0d16bc46"})
	if status.Code(err) != codes.NotFound {
		t.Error(err)
	}
	bad := bytes.Replace(out.GetVcon(), []byte(`"payload":"e`), []byte(`"payload":"f`), 1)
	_, err = service.Import(t.Context(), &vconv1.ImportRequest{Vcon: bad, Inbox: "archive"})
	if wrong := rpc.Violations(err); wrong["$.signatures[0].signature"] == "" {
		t.Errorf("%v %v", err, wrong)
	}
}

// dial calls a server as a stranger would.
func dial(t *testing.T, s *vcon.Server) vconv1.VconServiceClient {
	t.Helper()
	callers, err := auth.New(nil, auth.Identity{Tenant: tenant})
	must(t, err)
	served, err := rpc.NewServer(rpc.Config{Authenticator: callers, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	s.Register(served)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = served.Serve(l) }()
	t.Cleanup(func() { served.Server.Stop(); <-done })
	conn, err := rpc.Dial(l.Addr().String(), "", nil)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return vconv1.NewVconServiceClient(conn)
}

func refused(t *testing.T, err error, reason, text string) {
	t.Helper()
	answer, _ := status.FromError(err)
	for _, d := range answer.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetReason() == reason && strings.Contains(answer.Message(), text) {
			return
		}
	}
	t.Errorf("%v, not %s", err, reason)
}
