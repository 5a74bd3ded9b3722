package webhooks

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

// public tells whether an address belongs to the public Internet.
func public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsValid() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// onlyPublic is a net.Dialer's ControlContext. It sees the address after the name was resolved, so that no name can lead
// inside, whenever and however it is answered.
func onlyPublic(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is no address: %w", address, err)
	}
	if !public(to.Addr()) {
		return fmt.Errorf("refused: %s is no public address", to.Addr())
	}
	return nil
}
