package rpc

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nurturehq/nurture/pkg/access"
)

// accessDomain marks the details of refusals.
const accessDomain = "access.nurture"

// refusal is an error that says why a caller may not call. Unlike a refusal that
// another service answered to us it is the caller's business.
type refusal struct{ status *status.Status }

func (r *refusal) Error() string { return r.status.Message() }

// GRPCStatus lets gRPC itself understand the error.
func (r *refusal) GRPCStatus() *status.Status { return r.status }

func newRefusal(code codes.Code, why, text, scope string) *refusal {
	s := status.New(code, text)
	info := &errdetails.ErrorInfo{Reason: why, Domain: accessDomain}
	if scope != "" {
		info.Metadata = map[string]string{"scope": scope}
	}
	if detailed, err := s.WithDetails(info); err == nil {
		s = detailed
	}
	return &refusal{s}
}

// refuse is 401.
func (a *Access) refuse(ctx context.Context, why string, err error) error {
	a.count(ctx, why)
	return newRefusal(codes.Unauthenticated, why, err.Error(), "")
}

// refuseForNow is 429: too many wrong tokens.
func (a *Access) refuseForNow(ctx context.Context, wait time.Duration) error {
	a.count(ctx, "limited")
	return RetryAfter(fmt.Errorf("too many wrong tokens from this address: wait %s", wait.Round(time.Second)), codes.ResourceExhausted, wait)
}

// forbid is 403.
func (a *Access) forbid(ctx context.Context, c caller, need access.Role, method string) error {
	a.count(ctx, "role")
	have := strings.Join(access.Names(c.roles), ", ")
	if have == "" {
		have = "nothing"
	}
	text := fmt.Sprintf("%s needs the role %s; %s has %s", method[strings.LastIndex(method, "/")+1:], access.NameOf(need), c.name, have)
	return newRefusal(codes.PermissionDenied, "role", text, access.NameOf(need))
}

// challenge tells an HTTP caller how to authenticate (RFC 6750).
func challenge(h http.Header, s *status.Status) {
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != accessDomain {
			continue
		}
		text := `Bearer realm="nurture"`
		switch info.GetReason() {
		case "unknown", "expired":
			text += `, error="invalid_token"`
		case "role":
			text += `, error="insufficient_scope", scope="` + info.GetMetadata()["scope"] + `"`
		}
		h.Set("WWW-Authenticate", text)
	}
}
