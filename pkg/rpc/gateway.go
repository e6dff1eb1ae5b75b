package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/pkg/telemetry"
)

// MaxBody is how many bytes a REST request may have.
const MaxBody = 1 << 20

// router is an *http.ServeMux: it can say whether it has a route.
type router interface {
	http.Handler
	Handler(*http.Request) (http.Handler, string)
}

// handler puts the HTTP side together: probes and metrics, then the service's
// own routes, then the gateway.
func (s *server) handler(ctx context.Context) (http.Handler, error) {
	own, ok := s.opts.Handler.(router)
	if s.opts.Handler == nil {
		own = http.NewServeMux()
	} else if !ok {
		return nil, fmt.Errorf("ServeOptions.Handler is a %T: it must be an *http.ServeMux, "+
			"so that requests it has no route for can go to the gateway; wrap the handlers inside it instead", s.opts.Handler)
	}
	gateway, err := s.gateway(ctx)
	if err != nil {
		return nil, err
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = "" // name the span after the route that is found, not after "/"
		if _, pattern := own.Handler(r); pattern != "" {
			own.ServeHTTP(w, r)
			return
		}
		gateway.ServeHTTP(w, r)
	})
	root := http.NewServeMux()
	root.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	root.HandleFunc("GET /readyz", s.serveReady)
	root.HandleFunc("GET /metrics", s.serveMetrics)
	root.Handle("/", otelhttp.NewMiddleware("http")(guarded(s.opts.Log, app)))
	return root, nil
}

func (s *server) serveReady(w http.ResponseWriter, r *http.Request) {
	if err := s.ready(r.Context()); err != nil {
		WriteError(w, r, Mark(err, codes.Unavailable))
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// serveMetrics is for whoever may read: metrics name sources and programs.
func (s *server) serveMetrics(w http.ResponseWriter, r *http.Request) {
	c, err := s.opts.Access.know(r.Context(), fromHTTP(r, s.opts.Fronted))
	if err == nil && !access.Allows(c.roles, access.Read) {
		err = s.opts.Access.forbid(r.Context(), c, access.Read, "/metrics")
	}
	if err != nil {
		WriteError(w, r, err)
		return
	}
	telemetry.Handler().ServeHTTP(w, r)
}

// known lets only requests into the gateway whose caller is known; what each may
// do is decided where the call arrives.
func (s *server) known(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		c, err := s.opts.Access.know(r.Context(), fromHTTP(r, s.opts.Fronted))
		if err != nil {
			WriteError(w, r, err)
			return
		}
		next(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)), params)
	}
}

// nothing of a request's headers becomes metadata of the call: who calls is said
// by us.
func nothing(string) (string, bool) { return "", false }

// guarded answers 500 when a handler panics, and logs why.
func guarded(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer answerPanic(log, w, r)
		next.ServeHTTP(w, r)
	})
}

func answerPanic(log *slog.Logger, w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
		panic(p)
	}
	log.ErrorContext(r.Context(), "request panicked", "route", r.Pattern,
		"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	WriteError(w, r, errors.New("panic"))
}

// gateway serves the REST/JSON form of the services. Browsers may not send
// changes to it from pages of another origin.
func (s *server) gateway(ctx context.Context) (http.Handler, error) {
	rest := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			MarshalOptions: protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true},
		}),
		runtime.WithErrorHandler(gatewayError),
		runtime.WithRoutingErrorHandler(routingError),
		runtime.WithMiddlewares(noteRoute, s.known),
		runtime.WithIncomingHeaderMatcher(nothing),
		runtime.WithDisablePathLengthFallback(),
	)
	for _, register := range s.opts.Gateway {
		if err := register(ctx, rest, s.conn); err != nil {
			return nil, fmt.Errorf("register gateway: %w", err)
		}
	}
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > MaxBody {
			WriteError(w, r, &http.MaxBytesError{Limit: MaxBody})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		rest.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), routeKey{}, r)))
	})
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, r, Problem{
			Status: http.StatusForbidden,
			Detail: "a browser may send changes from pages of this origin only",
		})
	}))
	return sameOrigin.Handler(limited), nil
}

// routeKey finds the request whose Pattern becomes the name of the span.
type routeKey struct{}

func noteRoute(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		outer, _ := r.Context().Value(routeKey{}).(*http.Request)
		if path, ok := runtime.HTTPPattern(r.Context()); ok && outer != nil {
			outer.Pattern = r.Method + " " + strings.ReplaceAll(path.String(), "=*}", "}")
		}
		next(w, r, params)
	}
}

// gatewayError writes what a service answered, or what the gateway found wrong
// with the request before it could ask one.
func gatewayError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	if wrong, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		writeProblem(w, r, Problem{Status: wrong.HTTPStatus, Detail: plain(wrong.Err.Error())})
		return
	}
	s := status.Convert(err)
	if s.Code() == codes.InvalidArgument && len(s.Details()) == 0 {
		s = status.New(s.Code(), plain(s.Message()))
	}
	writeStatus(w, r, s)
}

func routingError(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, code int) {
	writeProblem(w, r, Problem{Status: code, Detail: "there is no " + r.Method + " " + r.URL.Path})
}

// plain makes the JSON decoder's messages readable: it varies its spaces and
// prefixes itself.
func plain(text string) string {
	text = strings.ReplaceAll(text, "\u00a0", " ")
	return strings.TrimPrefix(text, "proto: ")
}

// carryTrace hands the trace of the HTTP request to the server in memory.
func carryTrace(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	otel.GetTextMapPropagator().Inject(ctx, carrier(md))
	return invoke(metadata.NewOutgoingContext(ctx, md), method, req, reply, cc, opts...)
}

// carrier lets a propagator write into gRPC metadata.
type carrier metadata.MD

func (c carrier) Get(key string) string {
	if v := metadata.MD(c).Get(key); len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c carrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	return keys
}
