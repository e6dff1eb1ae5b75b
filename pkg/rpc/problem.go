package rpc

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// StatusClientClosedRequest answers a caller who is no longer there; it shows
// in metrics, nobody reads it.
const StatusClientClosedRequest = 499

// Problem is an RFC 9457 problem document.
type Problem struct {
	// Type is "about:blank": Code tells kinds apart.
	Type string `json:"type"`
	// Title is the text of the HTTP status.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Code is the gRPC code by name, e.g. "INVALID_ARGUMENT".
	Code string `json:"code,omitempty"`
	// Detail says what happened and what to do.
	Detail string `json:"detail,omitempty"`
	// Fields names each bad field of the request.
	Fields []Field `json:"fields,omitempty"`
	// TraceID finds the request in the logs.
	TraceID string `json:"trace_id,omitempty"`
}

// WriteError answers a request with the problem document of an error, mapped
// by Status. Services use it for their own HTTP routes, so that every error of
// every route looks the same.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		writeProblem(w, r, Problem{
			Status: http.StatusRequestEntityTooLarge,
			Detail: "the request body may have at most " + strconv.FormatInt(tooBig.Limit, 10) + " bytes",
		})
		return
	}
	writeStatus(w, r, Status(err))
}

func writeStatus(w http.ResponseWriter, r *http.Request, s *status.Status) {
	if delay := DelayOf(s); delay > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(delay.Seconds()))))
	}
	challenge(w.Header(), s)
	writeProblem(w, r, Problem{
		Status: httpStatus(s.Code()),
		Code:   codeName(s.Code()),
		Detail: s.Message(),
		Fields: FieldsOf(s),
	})
}

func writeProblem(w http.ResponseWriter, r *http.Request, p Problem) {
	p.Type = "about:blank"
	if p.Title = http.StatusText(p.Status); p.Title == "" {
		p.Title = "Client Closed Request"
	}
	if sc := trace.SpanContextFromContext(r.Context()); sc.HasTraceID() {
		p.TraceID = sc.TraceID().String()
	}
	body, err := json.Marshal(p)
	if err != nil { // a struct of strings and numbers always encodes
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

// httpStatus is the HTTP status of a gRPC code. It differs from the usual
// table in one place: FAILED_PRECONDITION is 409, for the request was fine and
// the state of the lead was in the way.
func httpStatus(code codes.Code) int {
	switch code {
	case codes.OK:
		return http.StatusOK
	case codes.Canceled:
		return StatusClientClosedRequest
	case codes.InvalidArgument, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted, codes.FailedPrecondition:
		return http.StatusConflict
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.Unknown, codes.Internal, codes.DataLoss:
		return http.StatusInternalServerError
	}
	return http.StatusInternalServerError
}

// codeName writes a code as the gRPC specification does: "NotFound" as NOT_FOUND.
func codeName(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	if code == codes.OK {
		return "OK"
	}
	var b strings.Builder
	for i, c := range code.String() {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}
