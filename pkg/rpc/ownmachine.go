package rpc

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ElsewhereError is a request to a server that asks nobody for a token, which a program of its own machine did not make, or not of itself.
type ElsewhereError struct{ Host string }

func (e ElsewhereError) Error() string {
	return fmt.Sprintf("without auth.tokens, only programs of the same machine may call, as localhost or a loopback address, and no web page of another site; you asked %s", e.Host)
}

// OwnMachine checks a request to a server that asks nobody for a token: it comes from this machine, through no proxy, and means it by its address. A page
// from elsewhere, whose name was turned to this address (DNS rebinding), could else read everything; so could all the Internet, by a tunnel that was
// opened for a provider's calls. It fails with an ElsewhereError.
func OwnMachine(r *http.Request) error {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	named := err == nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	near := err != nil || from.Addr().Unmap().IsLoopback() // a connection that has no such address is none of a network
	if !named || !near || r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return ElsewhereError{r.Host}
	}
	return nil
}

// ownProgram checks in addition that no page of another site makes the call, which needs none of its answer to do harm.
func ownProgram(r *http.Request) error {
	if new(http.CrossOriginProtection).Check(r) != nil {
		return ElsewhereError{r.Host}
	}
	return OwnMachine(r)
}
