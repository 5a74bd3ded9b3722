package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The files of a secure cluster: an authority of its own, and who it vouches for.
const (
	caFile         = "ca.pem"
	brokerFile     = "broker.pem" // key and certificate, as Kafka takes them
	clientCertFile = "client.pem"
	clientKeyFile  = "client-key.pem"
)

// CAFile holds the certificate of the authority that vouches for the brokers of a secure cluster.
func (c *Cluster) CAFile() string { return filepath.Join(c.cfg.Dir, caFile) }

// ClientFiles hold a certificate and its key by which a client may show itself to a secure cluster.
func (c *Cluster) ClientFiles() (cert, key string) {
	return filepath.Join(c.cfg.Dir, clientCertFile), filepath.Join(c.cfg.Dir, clientKeyFile)
}

// makeCertificates makes an authority and has it vouch for the brokers and for a client. The authority's key is forgotten.
func makeCertificates(dir string) error {
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Skein test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	issue := func(template *x509.Certificate, key *ecdsa.PrivateKey) (certPEM, keyPEM []byte, err error) {
		cert, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, authorityKey)
		if err != nil {
			return nil, nil, err
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), nil
	}
	authorityPEM, _, err := issue(authority, authorityKey)
	if err != nil {
		return err
	}
	files := map[string][]byte{caFile: authorityPEM}
	for serial, name := range []string{"broker", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(serial) + 2), Subject: pkix.Name{CommonName: "Skein test " + name},
			NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		}
		if name == "client" {
			template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			if files[clientCertFile], files[clientKeyFile], err = issue(template, key); err != nil {
				return err
			}
			continue
		}
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		template.IPAddresses, template.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
		cert, private, err := issue(template, key)
		if err != nil {
			return err
		}
		files[brokerFile] = append(private, cert...)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
