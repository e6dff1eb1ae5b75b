package visitor_test

import (
	"net/http"
	"testing"

	"github.com/nurturehq/nurture/pkg/visitor"
)

func TestOnlyAnAddressOfTheInternetIsPublic(t *testing.T) {
	proxies, err := visitor.Networks([]string{"10.0.0.0/8", "203.0.113.9"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"198.51.100.7:1", "", "198.51.100.7"},
		{"[2001:db8::1]:1", "", "2001:db8::1"},
		{"198.51.100.7:1", "192.0.2.1", "198.51.100.7"}, // not by a proxy of ours: anybody's word
		{"10.0.0.1:1", "198.51.100.7", "198.51.100.7"},
		{"203.0.113.9:1", "198.51.100.7, 10.0.0.2", "198.51.100.7"},
		{"10.0.0.1:1", "", ""},
		{"10.0.0.1:1", "192.168.0.7", ""},
		{"203.0.113.9:1", "", ""},
		{"127.0.0.1:1", "", ""},
		{"[::1]:1", "", ""},
		{"[::ffff:127.0.0.1]:1", "", ""},
		{"[fe80::1%eth0]:1", "", ""},
		{"[fd00::1]:1", "", ""},
		{"nowhere", "", ""},
	} {
		req := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		if c.forwarded != "" {
			req.Header.Set("X-Forwarded-For", c.forwarded)
		}
		ip, ok := visitor.Public(req, proxies)
		if got := ip.String(); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%s by %q: %s, %t; want %q", c.peer, c.forwarded, got, ok, c.want)
		}
	}
	if _, err := visitor.Networks([]string{"nowhere"}); err == nil {
		t.Error("a network that is none")
	}
}
