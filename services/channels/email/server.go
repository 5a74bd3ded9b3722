package email

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// The ways in which a connection to a mail server is protected.
const (
	ImplicitTLS = "implicit" // from the first byte
	StartTLS    = "starttls" // after a greeting in clear
	NoTLS       = "none"     // not at all: only to this machine
)

// ServerTLS is how a client speaks to the mail server at host:port, whose certificate must be the host's; nil for NoTLS. The file
// has the authorities, in PEM, that the certificate is checked with; those of the system unless given. The error names everything
// that is wrong.
func ServerTLS(addr, mode, caFile string) (*tls.Config, error) {
	var errs []error
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		errs = append(errs, fmt.Errorf("the server's address must be host:port: %w", err))
	}
	switch mode {
	case ImplicitTLS, StartTLS:
		config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		if caFile != "" {
			pem, err := os.ReadFile(caFile) //nolint:gosec // whoever configures the server says which
			config.RootCAs = x509.NewCertPool()
			if err == nil && !config.RootCAs.AppendCertsFromPEM(pem) {
				err = fmt.Errorf("%s holds no certificate in PEM", caFile)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("the certificate authorities: %w", err))
			}
		}
		return config, errors.Join(errs...)
	case NoTLS:
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			errs = append(errs, errors.New("without TLS only a server on this machine is spoken to"))
		}
	default:
		errs = append(errs, fmt.Errorf("unknown TLS mode %q: it is implicit, starttls or none", mode))
	}
	return nil, errors.Join(errs...)
}
