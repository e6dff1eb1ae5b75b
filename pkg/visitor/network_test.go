package visitor_test

import (
	"net/netip"
	"testing"

	"github.com/nurturehq/nurture/pkg/visitor"
)

func TestOfAnAddressItsNetworkIsKept(t *testing.T) {
	for address, want := range map[string]string{
		"198.51.100.7": "198.51.100.0/24", " 198.51.100.7 ": "198.51.100.0/24", "::ffff:198.51.100.7": "198.51.100.0/24",
		"2001:db8:1:2::3": "2001:db8:1::/48", "fe80::1%eth0": "", "10.1.2.3": "", "127.0.0.1": "", "::1": "", "": "", "unknown": "", "1.2.3.4, 5.6.7.8": "",
	} {
		if got := visitor.NetworkOf(address); got != want {
			t.Errorf("of %q is kept %q, want %q", address, got, want)
		}
	}
	if got := visitor.Network(netip.Addr{}); got != "" {
		t.Errorf("of no address is kept %q", got)
	}
}
