// Package publicnet keeps requests that others can steer (where a webhook goes, where a picture lies) on the public Internet,
// away from this machine and its own network.
package publicnet

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// special are the address blocks that are not for the public Internet, or stand for an address inside another one: IANA's
// registries of special-purpose addresses (RFC 6890), with those of cloud providers' metadata inside them.
var special = prefixes( //nolint:gochecknoglobals // a constant
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32",
	"2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// Contains tells whether an address belongs to the public Internet.
func Contains(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// RefusedError is the error of a connection to an address that is not public.
type RefusedError struct{ Addr netip.Addr }

// Error names the address.
func (e *RefusedError) Error() string { return fmt.Sprintf("refused: %s is no public address", e.Addr) }

// Control is a net.Dialer's ControlContext that connects to public addresses only. It sees the address after the name was
// resolved, so that no name can lead inside, whenever and however it is answered. Use no proxy beside it: it would resolve names
// and connect where the dialer must not.
func Control(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address: %w", address, err)
	}
	if !Contains(to.Addr()) {
		return &RefusedError{to.Addr()}
	}
	return nil
}
