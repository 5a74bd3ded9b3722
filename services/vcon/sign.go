package vcon

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

var (
	// ErrUnsigned means that a vCon is not signed although it has to be.
	ErrUnsigned = errors.New("vcon: it is not signed, and only signed ones are taken in")
	// ErrNotTrusted means that nobody who is trusted has signed a vCon.
	ErrNotTrusted = errors.New("vcon: nobody who is trusted has signed it")
)

// Signer signs vCons. It is safe for concurrent use.
type Signer struct {
	signer jose.Signer
	chain  []string // DER in base64, the signer's own certificate first
}

// NewSigner makes a signer of a certificate with those that lead to its root, and its RSA key, all as PEM.
func NewSigner(certificates, key []byte) (*Signer, error) {
	pair, err := tls.X509KeyPair(certificates, key)
	if err != nil {
		return nil, fmt.Errorf("vcon: the certificate to sign with: %w", err)
	}
	private, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("vcon: the certificate to sign with: its key is not RSA, which RS256 needs")
	}
	s := &Signer{}
	for _, der := range pair.Certificate {
		s.chain = append(s.chain, base64.StdEncoding.EncodeToString(der))
	}
	if s.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: private}, nil); err != nil {
		return nil, fmt.Errorf("vcon: the certificate to sign with: %w", err)
	}
	return s, nil
}

// general is the General JSON Serialization of a JWS (RFC 7515, section 7.2.1).
type general struct {
	Payload    string      `json:"payload"`
	Signatures []signature `json:"signatures"`
}

type signature struct {
	Header    header `json:"header"`
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

// header is what is not protected: the certificates prove themselves, and the uuid is compared with the payload's.
type header struct {
	X5C  []string `json:"x5c,omitempty"`
	UUID string   `json:"uuid,omitempty"`
}

// UnmarshalJSON takes names as they are written only.
func (g *general) UnmarshalJSON(raw []byte) error {
	return exactly(raw, map[string]any{"payload": &g.Payload, "signatures": &g.Signatures})
}

// UnmarshalJSON takes names as they are written only.
func (s *signature) UnmarshalJSON(raw []byte) error {
	return exactly(raw, map[string]any{"header": &s.Header, "protected": &s.Protected, "signature": &s.Signature})
}

// UnmarshalJSON takes names as they are written only.
func (h *header) UnmarshalJSON(raw []byte) error {
	return exactly(raw, map[string]any{"x5c": &h.X5C, "uuid": &h.UUID})
}

// exactly reads members of an object. encoding/json would take PAYLOAD for payload.
func exactly(raw []byte, members map[string]any) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return err
	}
	for name, member := range members {
		if len(object[name]) == 0 {
			continue
		}
		if err := json.Unmarshal(object[name], member); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// Sign signs an unsigned vCon, whose uuid is told beside it. The same vCon gives the same bytes.
func (s *Signer) Sign(payload []byte, uuid string) ([]byte, error) {
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("vcon: sign: %w", err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("vcon: sign: %w", err)
	}
	parts := strings.Split(compact, ".")
	raw, err := encode(general{parts[1], []signature{{header{s.chain, uuid}, parts[0], parts[2]}}})
	if err != nil {
		return nil, fmt.Errorf("vcon: sign: %w", err)
	}
	return raw, nil
}

// Verifier says whose signatures count. The zero value trusts nobody.
type Verifier struct {
	// Roots are the authorities whose certificates may sign.
	Roots *x509.CertPool
	// Pinned certificates may sign whoever issued them, and when they are expired as well.
	Pinned []*x509.Certificate
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// verify gives what a JWS has signed, who signed it, and the uuid that its header tells. A *PathError tells what is wrong with it;
// ErrNotTrusted that it may be right, but of somebody else.
func (v *Verifier) verify(raw []byte) (payload []byte, signer, uuid string, err error) {
	var g general
	if err := json.Unmarshal(raw, &g); err != nil {
		return nil, "", "", wrong("$", "is no JWS in the General JSON Serialization: "+err.Error())
	}
	if payload, err = canonical(g.Payload); err != nil {
		return nil, "", "", wrong("$.payload", err.Error())
	}
	if len(g.Signatures) == 0 {
		return nil, "", "", wrong("$.signatures", "holds no signature")
	}
	var untrusted error
	for i, s := range g.Signatures {
		signer, err := v.one(fmt.Sprintf("$.signatures[%d]", i), g.Payload, s)
		switch {
		case errors.Is(err, ErrNotTrusted):
			untrusted = err
		case err != nil:
			return nil, "", "", err
		default:
			return payload, signer, s.Header.UUID, nil
		}
	}
	return nil, "", "", untrusted
}

// one verifies a signature and gives the subject of its certificate.
func (v *Verifier) one(path, payload string, s signature) (string, error) {
	protected, err := canonical(s.Protected)
	if err != nil {
		return "", wrong(path+".protected", err.Error())
	}
	if _, err := canonical(s.Signature); err != nil {
		return "", wrong(path+".signature", err.Error())
	}
	var (
		alg       string
		certified []string
	)
	if err := exactly(protected, map[string]any{"alg": &alg, "x5c": &certified}); err != nil {
		return "", wrong(path+".protected", "is no JSON: "+err.Error())
	}
	if alg != string(jose.RS256) {
		return "", wrong(path+".protected.alg", fmt.Sprintf("is %q, not RS256: only that is accepted, and only where it is protected", alg))
	}
	// What the compact form has no room for counts for nothing but finding the certificate.
	jws, err := jose.ParseSignedCompact(s.Protected+"."+payload+"."+s.Signature, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return "", wrong(path, "cannot be read: "+err.Error())
	}
	at, listed := path+".header.x5c", s.Header.X5C
	if len(listed) == 0 {
		at, listed = path+".protected.x5c", certified
	}
	if len(listed) == 0 {
		for _, c := range v.Pinned {
			if _, err := jws.Verify(c.PublicKey); err == nil {
				return c.Subject.String(), nil
			}
		}
		return "", fmt.Errorf("%w: %s is missing (x5u is not followed), and the signature is of no pinned certificate", ErrNotTrusted, path+".header.x5c")
	}
	chain := make([]*x509.Certificate, len(listed))
	for i, text := range listed {
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err == nil {
			chain[i], err = x509.ParseCertificate(der)
		}
		if err != nil {
			return "", wrong(fmt.Sprintf("%s[%d]", at, i), "is no certificate: "+err.Error())
		}
	}
	if _, err := jws.Verify(chain[0].PublicKey); err != nil {
		return "", wrong(path+".signature", "does not fit: what was signed, or the signature, has been changed")
	}
	return chain[0].Subject.String(), v.trust(chain)
}

// trust gives nil where a chain leads to a root, or begins with a pinned certificate.
func (v *Verifier) trust(chain []*x509.Certificate) error {
	for _, c := range v.Pinned {
		if c.Equal(chain[0]) {
			return nil
		}
	}
	if v.Roots == nil {
		return fmt.Errorf("%w: no authority is configured that could vouch for %s", ErrNotTrusted, chain[0].Subject)
	}
	o := x509.VerifyOptions{Roots: v.Roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if v.Now != nil {
		o.CurrentTime = v.Now()
	}
	if _, err := chain[0].Verify(o); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrNotTrusted, chain[0].Subject, err)
	}
	return nil
}

// canonical decodes base64url. Other spellings of the same bytes are refused, so that no byte of a signed vCon can be changed.
func canonical(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // which the decoder passes over
		return nil, errors.New("is no base64url: it holds a line break")
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("is no base64url: %w", err)
	}
	return raw, nil
}
