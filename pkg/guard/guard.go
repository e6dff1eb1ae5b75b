// Package guard keeps requests that we make from reaching into our own network
// (server-side request forgery).
package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ErrBlocked: the address is one that a webhook must not reach.
var ErrBlocked = errors.New("address is not allowed for webhooks")

// Guard keeps webhooks from reaching into the own network (server-side request
// forgery). Public addresses on the usual ports pass, everything private,
// local or reserved does not, unless it is on the allow-list.
//
// The address is checked in the dialer's Control hook, when the name has been
// resolved and this very address is about to be connected to: no second
// resolution happens that could answer differently (DNS rebinding).
type Guard struct {
	hosts    []string
	prefixes []netip.Prefix
}

// New makes a guard whose allow-list holds host names ("crm.internal"),
// addresses ("127.0.0.1") and networks ("10.1.0.0/16").
func New(allow []string) (*Guard, error) {
	g := &Guard{}
	for _, entry := range allow {
		switch prefix, addr, err := parseEntry(entry); {
		case err != nil:
			return nil, err
		case prefix.IsValid():
			g.prefixes = append(g.prefixes, prefix)
		default:
			g.hosts = append(g.hosts, addr)
		}
	}
	return g, nil
}

func parseEntry(entry string) (netip.Prefix, string, error) {
	if p, err := netip.ParsePrefix(entry); err == nil {
		return p.Masked(), "", nil
	}
	if a, err := netip.ParseAddr(entry); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), "", nil
	}
	if entry == "" || strings.ContainsAny(entry, "/:@ ") {
		return netip.Prefix{}, "", fmt.Errorf("allow-list entry %q is neither a host name, an address nor a network like 10.1.0.0/16", entry)
	}
	return netip.Prefix{}, strings.ToLower(entry), nil
}

// CheckURL refuses what is wrong whatever the name resolves to: another scheme
// than http and https, credentials in the URL, plain http or an odd port to a
// host that is not on the allow-list, and literal addresses that are blocked.
func (g *Guard) CheckURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	host := strings.ToLower(u.Hostname())
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%w: scheme %q, use https", ErrBlocked, u.Scheme)
	case host == "":
		return fmt.Errorf("%w: %q has no host", ErrBlocked, raw)
	case u.User != nil:
		return fmt.Errorf("%w: credentials in the URL; the signature authenticates webhooks", ErrBlocked)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if g.allows(addr) {
			return nil
		}
		if err := g.checkAddr(addr); err != nil {
			return err
		}
	}
	if slices.Contains(g.hosts, host) || (host == "localhost" && g.allows(netip.AddrFrom4([4]byte{127, 0, 0, 1}))) {
		return nil
	}
	if u.Scheme != "https" {
		return fmt.Errorf("%w: plain http to %s, use https or put the host on the allow-list", ErrBlocked, host)
	}
	if len(g.prefixes) > 0 {
		return nil // only the resolved address can tell which ports are open
	}
	return checkPort(u.Port())
}

func checkPort(port string) error {
	if port == "" || port == "443" || port == "80" {
		return nil
	}
	return fmt.Errorf("%w: port %s, only 443 and 80 are open", ErrBlocked, port)
}

// Dial connects like net.Dialer.DialContext, to allowed addresses only.
func (g *Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	if host, _, err := net.SplitHostPort(address); err == nil && slices.Contains(g.hosts, strings.ToLower(host)) {
		d.Control = nil
	}
	return d.DialContext(ctx, network, address)
}

// control sees the address that is about to be connected to.
func (g *Guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrBlocked, address)
	}
	if g.allows(ap.Addr()) {
		return nil
	}
	if err := g.checkAddr(ap.Addr()); err != nil {
		return err
	}
	return checkPort(fmt.Sprint(ap.Port()))
}

func (g *Guard) allows(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	return slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (g *Guard) checkAddr(a netip.Addr) error {
	if g.allows(a) {
		return nil
	}
	if why := blocked(a.WithZone("")); why != "" {
		return fmt.Errorf("%w: %s is %s; put it on the allow-list if it really is there", ErrBlocked, a, why)
	}
	return nil
}

// blocked says what kind of address must not be reached; empty for a public one.
func blocked(a netip.Addr) string {
	if v4, ok := embedded(a); ok {
		return blocked(v4)
	}
	switch {
	case !a.IsValid(), a.IsUnspecified():
		return "unspecified"
	case a.IsLoopback():
		return "loopback"
	case a.IsPrivate():
		return "private"
	case a.IsLinkLocalUnicast(), a.IsLinkLocalMulticast(), a.IsInterfaceLocalMulticast():
		return "link-local"
	case a.IsMulticast():
		return "multicast"
	case !a.IsGlobalUnicast():
		return "not a public address"
	}
	for _, r := range reserved() {
		if r.net.Contains(a) {
			return r.why
		}
	}
	return ""
}

type reservedNet struct {
	net netip.Prefix
	why string
}

// reserved are networks that the standard library counts as global although
// nobody on the internet answers there.
func reserved() []reservedNet {
	list := []struct{ cidr, why string }{
		{"0.0.0.0/8", "this network"},
		{"100.64.0.0/10", "carrier-grade NAT"},
		{"192.0.0.0/24", "reserved"},
		{"192.0.2.0/24", "documentation"},
		{"192.88.99.0/24", "reserved"},
		{"198.18.0.0/15", "benchmarking"},
		{"198.51.100.0/24", "documentation"},
		{"203.0.113.0/24", "documentation"},
		{"240.0.0.0/4", "reserved"},
		{"100::/64", "discard only"},
		{"2001::/23", "reserved"},
		{"2001:db8::/32", "documentation"},
		{"3fff::/20", "documentation"},
		{"5f00::/16", "reserved"},
		{"fec0::/10", "site-local"},
	}
	nets := make([]reservedNet, len(list))
	for i, e := range list {
		nets[i] = reservedNet{netip.MustParsePrefix(e.cidr), e.why}
	}
	return nets
}

// embedded gives the IPv4 address inside an IPv6 one: mapped (::ffff:a.b.c.d),
// compatible (::a.b.c.d), NAT64 (64:ff9b::/96, 64:ff9b:1::/48) and 6to4 (2002::/16).
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() || a.IsLoopback() || a.IsUnspecified() {
		return netip.Addr{}, false
	}
	b := a.As16()
	last := netip.AddrFrom4([4]byte(b[12:16]))
	switch {
	case a.Is4In6():
		return a.Unmap(), true
	case netip.MustParsePrefix("::/96").Contains(a),
		netip.MustParsePrefix("64:ff9b::/96").Contains(a),
		netip.MustParsePrefix("64:ff9b:1::/48").Contains(a):
		return last, true
	case netip.MustParsePrefix("2002::/16").Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	default:
		return netip.Addr{}, false
	}
}
