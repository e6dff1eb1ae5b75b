package guard

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestNoFormOfAForbiddenAddressIsReached dials every form for real: a listener
// on the loopback counts who gets through.
func TestNoFormOfAForbiddenAddressIsReached(t *testing.T) {
	reached := 0
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	guard, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: guard.Dial}}
	for _, host := range []string{
		"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
		"localhost", "LOCALHOST", "localhost.", "0.0.0.0", "0", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
		"[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "127.127.127.127", "[::1%25lo]",
	} {
		url := "http://" + host + ":" + port + "/"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
		if err != nil {
			continue // Go itself refuses the form
		}
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s was reached", url)
		}
	}
	if reached != 0 {
		t.Fatalf("%d requests got through", reached)
	}
}

func TestEveryAddressThatIsNotPublicIsBlocked(t *testing.T) {
	guard, _ := New(nil)
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.255",
		"169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1",
		"100::1", "2001::1", "2001:db8::1", "2002:a00:1::1", "2002:c0a8:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
		"febf::1", "fec0::1", "ff02::1", "ff0e::1", "fe80::1%eth0",
	} {
		addr := netip.MustParseAddr(a)
		if err := guard.control("tcp", netip.AddrPortFrom(addr, 443).String(), nil); !errors.Is(err, ErrBlocked) {
			t.Errorf("%s: got %v", a, err)
		}
		host := a
		if addr.Is6() {
			host = "[" + strings.ReplaceAll(a, "%", "%25") + "]"
		}
		if err := guard.CheckURL("https://" + host + "/hook"); !errors.Is(err, ErrBlocked) {
			t.Errorf("https://%s: got %v", host, err)
		}
	}
	for _, a := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450:4001::1", "64:ff9b::808:808"} {
		if err := guard.control("tcp", netip.AddrPortFrom(netip.MustParseAddr(a), 443).String(), nil); err != nil {
			t.Errorf("%s is public: %v", a, err)
		}
	}
}

func TestAURLIsCheckedBeforeAnythingIsResolved(t *testing.T) {
	guard, err := New([]string{"crm.internal", "127.0.0.0/8", "10.1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	for url, ok := range map[string]bool{
		"https://crm.example/hook":           true,
		"http://crm.example/hook":            false,
		"http://crm.internal:9000/hook":      true,
		"http://CRM.internal/hook":           true,
		"http://127.0.0.1:8090/hook":         true,
		"http://localhost:8090/hook":         true,
		"http://10.1.2.3/hook":               true,
		"http://10.1.2.4/hook":               false,
		"http://[::1]:8090/hook":             false,
		"https://user:word@crm.example/hook": false,
		"https://169.254.169.254/latest":     false,
		"ftp://crm.example/":                 false,
		"file:///etc/passwd":                 false,
		"gopher://crm.example/":              false,
		"https:///hook":                      false,
		"//crm.example/hook":                 false,
		"crm.example/hook":                   false,
		"https://crm.example:bad/":           false,
	} {
		if err := guard.CheckURL(url); (err == nil) != ok {
			t.Errorf("%s: got %v", url, err)
		}
	}
	strict, _ := New(nil)
	if err := strict.CheckURL("https://crm.example:6379/hook"); !errors.Is(err, ErrBlocked) {
		t.Errorf("an odd port: got %v", err)
	}
	if err := strict.control("tcp", "1.1.1.1:6379", nil); !errors.Is(err, ErrBlocked) {
		t.Errorf("an odd port of a public address: got %v", err)
	}
}

func TestTheAddressThatIsDialledIsTheOneThatWasChecked(t *testing.T) {
	// A name whose answer changes between a check and a dial: the first look-up
	// gives a public address, all later ones the loopback.
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	guard, _ := New(nil)
	if err := guard.CheckURL("https://rebind.example/hook"); err != nil {
		t.Fatal(err) // the URL looks harmless
	}
	// Whatever the resolver answers later, Control sees the final address.
	d := &net.Dialer{Control: guard.control}
	conn, err := d.DialContext(context.Background(), "tcp", srv.Listener.Addr().String())
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, ErrBlocked) {
		t.Fatalf("got %v", err)
	}
}

func TestAnAllowListEntryMustBeReadable(t *testing.T) {
	for _, entry := range []string{"", "http://crm", "10.0.0.0/99", "a b", "crm:80"} {
		if _, err := New([]string{entry}); err == nil {
			t.Errorf("%q was taken", entry)
		}
	}
}
