package app

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/skein-cx/skein/services/blobs"
	"github.com/skein-cx/skein/services/vcon"
)

// VConConfig says who signs vCons that are exported, and whose are believed.
type VConConfig struct {
	Certificate string `koanf:"certificate" help:"PEM file of the certificate by which exports are signed, and those that lead to it; exports are unsigned without one"`
	Key         string `koanf:"key" help:"PEM file of the certificate's RSA key"`
	Roots       string `koanf:"roots" help:"PEM file of the authorities whose certificates may sign what is imported"`
	Pinned      string `koanf:"pinned" help:"PEM file of certificates that may sign what is imported, whoever issued them"`
	Unsigned    bool   `koanf:"unsigned" help:"import vCons without a signature, too"`
	BaseURL     string `koanf:"base_url" help:"https address at which this server's HTTP is reached, for recordings by reference"`
}

// signer signs exports; nil where there is no certificate.
func (c *VConConfig) signer() (*vcon.Signer, error) {
	if c.Certificate == "" {
		return nil, nil
	}
	certificate, err := os.ReadFile(c.Certificate)
	if err != nil {
		return nil, fmt.Errorf("vcon.certificate: %w", err)
	}
	key, err := os.ReadFile(c.Key)
	if err != nil {
		return nil, fmt.Errorf("vcon.key: %w", err)
	}
	s, err := vcon.NewSigner(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("vcon.certificate: %w", err)
	}
	return s, nil
}

// reader reads imports.
func (c *VConConfig) reader() (*vcon.Reader, error) {
	var v vcon.Verifier
	if c.Roots != "" {
		certificates, err := certificatesIn(c.Roots)
		if err != nil {
			return nil, fmt.Errorf("vcon.roots: %w", err)
		}
		v.Roots = x509.NewCertPool()
		for _, certificate := range certificates {
			v.Roots.AddCert(certificate)
		}
	}
	if c.Pinned != "" {
		var err error
		if v.Pinned, err = certificatesIn(c.Pinned); err != nil {
			return nil, fmt.Errorf("vcon.pinned: %w", err)
		}
	}
	return vcon.NewReader(v, c.Unsigned)
}

// blobURL is where a file is had; nil where nobody says where this server is.
func (c *VConConfig) blobURL() func(string) string {
	if c.BaseURL == "" {
		return nil
	}
	return func(key string) string { return strings.TrimSuffix(c.BaseURL, "/") + blobs.Path + "/" + key }
}

func certificatesIn(path string) (all []*x509.Certificate, err error) {
	rest, err := os.ReadFile(path) //nolint:gosec // the operator says which file
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, certificate)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return all, nil
}
