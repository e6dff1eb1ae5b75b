package web

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/pkg/visitor"
)

// Bounds of the memory that requests may take together.
const (
	// maxMemory is how many bytes of bodies are in memory at once.
	maxMemory = 64 << 20
	// maxBody is the largest body of any route, also after decompression; a
	// request that does not say its size is counted as one of these.
	maxBody = 1 << 20
	// minBody is what the smallest request is counted as.
	minBody = 4 << 10
	// fuller is what a sender is told to wait when memory is full.
	fuller = time.Second
)

var errFull = errors.New("too many bodies are being read; send again in a moment")

// Front is what stands before all routes: it bounds memory, knows where requests
// come from, and keeps one visitor from filling everybody's forms.
type Front struct {
	*http.ServeMux
	routes *routes
	memory *semaphore.Weighted
}

// ServeHTTP lets a request in when there is room for it.
func (f *Front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	size := weight(req)
	if !f.memory.TryAcquire(size) {
		share(w.Header(), req)
		rpc.WriteError(w, req, rpc.RetryAfter(errFull, codes.Unavailable, fuller))
		return
	}
	defer f.memory.Release(size)
	if ip := visitor.RealIP(req, f.routes.Proxies); ip != "" {
		req.RemoteAddr = net.JoinHostPort(ip, "0")
	}
	if err := f.visit(req); err != nil {
		share(w.Header(), req)
		rpc.WriteError(w, req, err)
		return
	}
	f.ServeMux.ServeHTTP(w, req)
}

// weight is the memory that a request's body may take, in bytes.
func weight(req *http.Request) int64 {
	switch n := req.ContentLength; {
	case req.Method == http.MethodGet, req.Method == http.MethodOptions:
		return minBody
	case n < 0, n > maxBody, req.Header.Get("Content-Encoding") != "":
		return maxBody
	default:
		return max(n, minBody)
	}
}

// visit asks for a form of a visitor. Addresses that are not of the internet are
// our own machines, or a proxy that nobody told us of: these are not limited.
func (f *Front) visit(req *http.Request) error {
	name, isForm := strings.CutPrefix(req.URL.Path, "/v1/forms/")
	if !isForm || req.Method != http.MethodPost {
		return nil
	}
	src, ok := f.routes.Sources.Current().Named(name)
	ip, err := netip.ParseAddr(visitor.Peer(req))
	if !ok || err != nil || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() {
		return nil //nolint:nilerr // whoever has no address of the internet is not limited
	}
	return f.routes.Visit(req.Context(), src, site(ip.Unmap()))
}

// site is what counts as one visitor: an address, of IPv6 the network that one
// customer gets.
func site(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ip.String()
	}
	return p.String()
}
