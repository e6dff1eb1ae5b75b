// Package visitor says where a request comes from, behind proxies or not, and what
// of that is kept.
package visitor

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Networks reads networks like 10.0.0.0/8; a plain address is a network of its
// own. The error names the one that cannot be read.
func Networks(texts []string) ([]netip.Prefix, error) {
	list := make([]netip.Prefix, 0, len(texts))
	for _, t := range texts {
		if ip, err := netip.ParseAddr(t); err == nil {
			list = append(list, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(t)
		if err != nil {
			return nil, fmt.Errorf("expected networks like 10.0.0.0/8, found %q", t)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// Peer is the address that the request came from directly, our proxy when there
// is one: a header that anybody can write proves nothing. Empty when unknown.
func Peer(req *http.Request) string {
	host, _, err := net.SplitHostPort(req.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// RealIP is where a request that came by our proxies comes from: the last
// address in X-Forwarded-For that is none of them. Empty when it did not come by
// one: then the header is anybody's word.
func RealIP(req *http.Request, proxies []netip.Prefix) string {
	peer := Peer(req)
	if len(proxies) == 0 || !among(peer, proxies) {
		return ""
	}
	hops := strings.Split(strings.Join(req.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := strings.TrimSpace(hops[i])
		if _, err := netip.ParseAddr(hop); err != nil {
			return ""
		}
		if !among(hop, proxies) {
			return hop
		}
	}
	return ""
}

// Public is the address of the internet that a request comes from; false for our
// own machines and networks, and when nobody knows.
func Public(req *http.Request, proxies []netip.Prefix) (netip.Addr, bool) {
	text := RealIP(req, proxies)
	if text == "" {
		text = Peer(req)
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	ip = ip.Unmap().WithZone("")
	return ip, internet(ip) && !among(text, proxies)
}

// internet tells whether an address is one of the internet, not of our networks.
func internet(ip netip.Addr) bool { return ip.IsGlobalUnicast() && !ip.IsPrivate() }

func among(address string, nets []netip.Prefix) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, n := range nets {
		if n.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}
