package rpc

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/nurturehq/nurture/pkg/access"
)

// How a caller is known.
const (
	byToken       = "token"
	byCertificate = "certificate"
	byPlace       = "loopback" // it is on this machine, and there are no tokens
	byProcess     = "process"  // it is a part of this process
)

// caller is who calls, and what it may do.
type caller struct {
	name, kind string
	roles      []access.Role
}

// origin is where a call comes from, and what it shows.
type origin struct {
	// token is what stands after Bearer; other says that there was another
	// kind of authorization.
	token string
	other bool
	// local: from this machine, and not by way of a proxy.
	local bool
	// name is the name in a verified client certificate.
	name string
	// addr is the address it comes from.
	addr string
}

var (
	errNoBook = errors.New("the API is served to callers on this machine until there is an access file: " +
		"make one with `nurture access create`, name it with NURTURE_ACCESS_FILE, and send the token as Authorization: Bearer")
	errNoToken = errors.New("this call needs a token: send it as Authorization: Bearer; `nurture access create` makes one (the CLI reads NURTURE_TOKEN)")
	errOther   = errors.New("this call needs a token: Authorization must be Bearer and the token")
)

// know says who calls.
func (a *Access) know(ctx context.Context, o origin) (caller, error) {
	book := a.current(ctx)
	switch {
	case o.name != "":
		return caller{name: o.name, kind: byCertificate, roles: []access.Role{access.Admin}}, nil
	case book == nil && o.local:
		return caller{name: "loopback", kind: byPlace, roles: []access.Role{access.Admin}}, nil
	case book == nil:
		return caller{}, a.refuse(ctx, "no_access_file", errNoBook)
	case o.token == "" && o.other:
		return caller{}, a.refuse(ctx, "missing", errOther)
	case o.token == "":
		return caller{}, a.refuse(ctx, "missing", errNoToken)
	}
	c, err := a.holder(book, o.token)
	if err == nil {
		return c, nil
	}
	if wait := a.guesses.wrong(o.addr, a.opts.Now()); wait > 0 {
		return caller{}, a.refuseForNow(ctx, wait)
	}
	why := "unknown"
	if errors.Is(err, access.ErrExpired) {
		why = "expired"
	}
	return caller{}, a.refuse(ctx, why, err)
}

// fromHTTP says where a request comes from. fronted: the world reaches this
// listener through a proxy, so that nobody is local.
func fromHTTP(r *http.Request, fronted bool) origin {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	o := origin{addr: host, local: !fronted && isLoopback(host) && direct(r)}
	o.bearer(r.Header.Values("Authorization"))
	return o
}

// direct reports whether a request shows no sign of having come through a proxy
// or from a page whose name was pointed at this machine.
func direct(r *http.Request) bool {
	for _, sign := range proxySigns() {
		if r.Header.Get(sign) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	// Proxies of the old school speak HTTP/1.0 and add nothing.
	return r.ProtoAtLeast(1, 1) && (host == "localhost" || isLoopback(strings.Trim(host, "[]")))
}

// proxySigns are headers that only proxies add.
func proxySigns() []string {
	return []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via", "X-Envoy-External-Address", "Cf-Connecting-Ip"}
}

// Elsewhere reports whether an address that the world knows a listener by, like
// https://in.example.com, is another one than this machine's own: then a proxy
// stands before it.
func Elsewhere(public string) bool {
	u, err := url.Parse(public)
	return err != nil || u.Hostname() != "" && u.Hostname() != "localhost" && !isLoopback(u.Hostname())
}

func isLoopback(host string) bool { return net.ParseIP(host).IsLoopback() }

// fromNetwork says where a gRPC call comes from.
func fromNetwork(ctx context.Context) origin {
	md, _ := metadata.FromIncomingContext(ctx)
	var o origin
	if p, ok := peer.FromContext(ctx); ok {
		o.addr = p.Addr.String()
		if host, _, err := net.SplitHostPort(o.addr); err == nil {
			o.addr = host
		}
		if info, ok := p.AuthInfo.(credentials.TLSInfo); ok {
			o.name = nameIn(info.State.VerifiedChains)
		} else {
			// NURTURE_TLS=off says that everybody in the network is trusted.
			o.local = loopbackAddr(p.Addr) || os.Getenv("NURTURE_TLS") == "off"
		}
	}
	for _, sign := range proxySigns() {
		o.local = o.local && len(md.Get(sign)) == 0
	}
	o.bearer(md.Get("authorization"))
	return o
}

// bearer reads the token.
func (o *origin) bearer(values []string) {
	for _, v := range values {
		kind, token, _ := strings.Cut(v, " ")
		if strings.EqualFold(kind, "Bearer") && strings.TrimSpace(token) != "" {
			o.token = strings.TrimSpace(token)
			return
		}
		o.other = o.other || v != ""
	}
}

// nameIn is the name of a verified caller.
func nameIn(chains [][]*x509.Certificate) string {
	if len(chains) == 0 || len(chains[0]) == 0 {
		return ""
	}
	leaf := chains[0][0]
	switch {
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	case leaf.Subject.CommonName != "":
		return leaf.Subject.CommonName
	}
	return "certificate"
}

// callerKey carries the caller of an HTTP request to the connection in memory, and
// of a call to whoever answers it.
type callerKey struct{}

// May reports whether whoever makes a call has a role, for answers that show one
// caller more than another. ctx is the one that the call is answered with; nobody
// calls with any other.
func May(ctx context.Context, role access.Role) bool {
	c, _ := ctx.Value(callerKey{}).(caller)
	return access.Allows(c.roles, role)
}

// inMemory are the names under which it travels from there; nothing that came
// over HTTP has them.
const (
	callerName  = "nurture-caller-name"
	callerKind  = "nurture-caller-kind"
	callerRoles = "nurture-caller-roles"
)

// introduced adds the caller to what a call over the connection in memory says.
func introduced(ctx context.Context) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	if md == nil {
		md = metadata.MD{}
	}
	c, _ := ctx.Value(callerKey{}).(caller)
	md.Set(callerName, c.name)
	md.Set(callerKind, c.kind)
	md.Set(callerRoles, access.Names(c.roles)...)
	return metadata.NewOutgoingContext(ctx, md)
}

func introduce(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(introduced(ctx), method, req, reply, cc, opts...)
}

func introduceStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(introduced(ctx), desc, cc, method, opts...)
}

// fromMemory reads who calls over the connection in memory. Whoever was not
// introduced has no roles.
func fromMemory(ctx context.Context) (caller, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	c := caller{name: first(md.Get(callerName)), kind: first(md.Get(callerKind))}
	for _, name := range md.Get(callerRoles) {
		if role, ok := access.RoleNamed(name); ok {
			c.roles = append(c.roles, role)
		}
	}
	return c, nil
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
