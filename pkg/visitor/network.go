package visitor

import (
	"net/netip"
	"strings"
)

// Of an address its network is kept: /24, of IPv6 /48, less than one household of it.
const (
	bits4 = 24
	bits6 = 48
)

// Network is what is kept of an address. Empty for what is not of the internet.
func Network(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if !internet(ip) {
		return ""
	}
	bits := bits6
	if ip.Is4() {
		bits = bits4
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// NetworkOf is what is kept of an address that is written down. Empty for what is
// no address as well.
func NetworkOf(address string) string {
	ip, err := netip.ParseAddr(strings.TrimSpace(address))
	if err != nil {
		return ""
	}
	return Network(ip)
}
