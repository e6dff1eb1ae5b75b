package page

import (
	"net"
	"net/http"
	"net/netip"
)

// Own serves only who asks for this machine by its address or as localhost: a
// page whose name was pointed at it is not from here, and a browser would let
// that page read what it is answered.
func Own(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !own(r.Host) {
			http.Error(w, "Open this page by the address of the machine, like http://127.0.0.1, or as http://localhost.", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func own(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	_, err := netip.ParseAddr(host)
	return err == nil || host == "localhost"
}
