package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
)

// DefaultRetryAfter is what a caller is told to wait when the service is
// unavailable and nobody knows better.
const DefaultRetryAfter = time.Second

// hidden is all that a caller learns about an error nobody foresaw.
const hidden = "internal error; the log of the service has the cause"

// Field is what is wrong with one field of a request.
type Field struct {
	// Field is its path in the request, e.g. "profile.email".
	Field string `json:"field"`
	// Message says what is expected, e.g. "must be a valid email address".
	Message string `json:"message"`
}

// marked is an error with the status it has for a caller.
type marked struct {
	error
	code   codes.Code
	after  time.Duration
	fields []Field
}

func (m *marked) Unwrap() error { return m.error }

// GRPCStatus lets gRPC itself understand the error.
func (m *marked) GRPCStatus() *status.Status {
	return withDetails(status.New(m.code, m.Error()), m.fields, m.after)
}

// Mark gives an error the status code a caller sees; its text becomes the
// status message. errors.Is and errors.As still find err. Mark(nil, ...) is nil.
func Mark(err error, code codes.Code) error {
	if err == nil {
		return nil
	}
	return &marked{error: err, code: code}
}

// RetryAfter is Mark for what passes by itself: callers are told how long to
// wait, in the status details and in the Retry-After header. Use it with
// codes.Unavailable (503) and codes.ResourceExhausted (429).
func RetryAfter(err error, code codes.Code, after time.Duration) error {
	if err == nil {
		return nil
	}
	return &marked{error: err, code: code, after: after}
}

// Invalid is INVALID_ARGUMENT that names each bad field. Without fields it is nil.
func Invalid(fields ...Field) error {
	if len(fields) == 0 {
		return nil
	}
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i] = strings.TrimPrefix(f.Field+": "+f.Message, ": ")
	}
	return &marked{error: errors.New(strings.Join(texts, "; ")), code: codes.InvalidArgument, fields: fields}
}

// foreseen is the code of the errors that mean the same in every service.
func foreseen(err error) (codes.Code, bool) {
	for _, known := range [...]struct {
		err  error
		code codes.Code
	}{
		{ledger.ErrNotFound, codes.NotFound},
		{ledger.ErrUnavailable, codes.Unavailable},
		{ledger.ErrStopped, codes.Unavailable},
		{bus.ErrUnavailable, codes.Unavailable},
		{bus.ErrConflict, codes.Aborted},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{context.Canceled, codes.Canceled},
	} {
		if errors.Is(err, known.err) {
			return known.code, true
		}
	}
	return codes.Internal, false
}

// Status says what a caller is told about an error: THE mapping. The outermost
// mark wins, then a status that another service answered, then the foreseen
// errors; anything else is INTERNAL and keeps its text to itself.
func Status(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	if m, ok := errors.AsType[*marked](err); ok {
		return withDetails(status.New(m.code, err.Error()), m.fields, m.after)
	}
	if s, ok := status.FromError(err); ok {
		return passedOn(s)
	}
	if code, ok := foreseen(err); ok {
		return withDetails(status.New(code, err.Error()), nil, 0)
	}
	return status.New(codes.Internal, hidden)
}

// passedOn is what the caller learns of a status another service answered to
// us. That our request was bad or not allowed is our fault and not the caller's.
func passedOn(s *status.Status) *status.Status {
	switch s.Code() {
	case codes.Unknown, codes.Internal, codes.DataLoss,
		codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented:
		return status.New(codes.Internal, hidden)
	default:
		if DelayOf(s) > 0 {
			return s
		}
		return withDetails(s, nil, 0)
	}
}

// withDetails adds what machines read: the fields, and how long to wait.
func withDetails(s *status.Status, fields []Field, after time.Duration) *status.Status {
	var details []protoadapt.MessageV1
	if len(fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range fields {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: f.Field, Description: f.Message})
		}
		details = append(details, bad)
	}
	if after == 0 && (s.Code() == codes.Unavailable || s.Code() == codes.ResourceExhausted) {
		after = DefaultRetryAfter
	}
	if after > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
	}
	if detailed, err := s.WithDetails(details...); err == nil {
		return detailed
	}
	return s
}

// FieldsOf reads the bad fields back from a status.
func FieldsOf(s *status.Status) []Field {
	var fields []Field
	for _, d := range s.Details() {
		bad, _ := d.(*errdetails.BadRequest)
		for _, v := range bad.GetFieldViolations() {
			fields = append(fields, Field{Field: v.GetField(), Message: v.GetDescription()})
		}
	}
	return fields
}

// DelayOf reads back how long to wait; 0 when the status does not say.
func DelayOf(s *status.Status) time.Duration {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
