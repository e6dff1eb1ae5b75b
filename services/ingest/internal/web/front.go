package web

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/pkg/visitor"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Bounds of the memory that requests may take together.
const (
	// maxMemory is how many bytes of bodies are in memory at once.
	maxMemory = 64 << 20
	// maxBody is the largest body of any route, also after decompression.
	maxBody = 1 << 20
	// minBody is what the smallest request is counted as, and what a larger one
	// grows by.
	minBody = 4 << 10
	// fuller is what a sender is told to wait when memory is full.
	fuller = time.Second
)

var errFull = rpc.RetryAfter(errors.New("too many bodies are being read; send again in a moment"), codes.Unavailable, fuller)

// Front is what stands before all routes: it bounds memory, and knows where
// requests come from.
type Front struct {
	*http.ServeMux
	routes *routes
	memory *semaphore.Weighted
}

// ServeHTTP lets a request in when there is room for it.
func (f *Front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body := &metered{ReadCloser: req.Body, memory: f.memory}
	if !body.hold(minBody) {
		share(w.Header(), req)
		rpc.WriteError(w, req, errFull)
		return
	}
	defer body.release()
	req.Body = body
	if ip := visitor.RealIP(req, f.routes.Proxies); ip != "" {
		req.RemoteAddr = net.JoinHostPort(ip, "0")
	}
	f.ServeMux.ServeHTTP(w, req)
}

// metered is a body that takes the memory of what has come of it, and not of what
// is still to come: whoever announces much and sends nothing takes nobody's place.
type metered struct {
	io.ReadCloser
	memory     *semaphore.Weighted
	held, read int64
}

// Read fails with errFull when there is no room for what came.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.read += int64(n)
	for m.held < m.read {
		if !m.hold(max(minBody, m.held)) {
			return n, errFull
		}
	}
	return n, err
}

// hold takes n bytes more until the request is answered.
func (m *metered) hold(n int64) bool {
	if !m.memory.TryAcquire(n) {
		return false
	}
	m.held += n
	return true
}

func (m *metered) release() { m.memory.Release(m.held) }

// visit asks for a form of a visitor. Addresses that are not of the internet are
// our own machines, or a proxy that nobody told us of: these are not limited.
func (r *routes) visit(req *http.Request, src *source.Source) (aside bool, err error) {
	ip, err := netip.ParseAddr(visitor.Peer(req))
	if err != nil || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() {
		return false, nil //nolint:nilerr // whoever has no address of the internet is not limited
	}
	return r.Visit(req.Context(), src, site(ip.Unmap()), wantsJSON(req))
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
