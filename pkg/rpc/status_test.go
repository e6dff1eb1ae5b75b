package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
)

func TestEveryErrorHasOneStatus(t *testing.T) {
	const hidden = "internal error; the log of the service has the cause"
	full := errors.New("no rep has capacity")
	for _, c := range []struct {
		what  string
		err   error
		code  codes.Code
		text  string
		after time.Duration
	}{
		{"none", nil, codes.OK, "", 0},
		{"unforeseen", errors.New("secret detail"), codes.Internal, hidden, 0},
		{"not found", fmt.Errorf("get lead: %w", ledger.ErrNotFound), codes.NotFound, "get lead: lead not found", 0},
		{"log unavailable", fmt.Errorf("capture: %w", ledger.ErrUnavailable), codes.Unavailable, "capture: log unavailable", time.Second},
		{"stopped", ledger.ErrStopped, codes.Unavailable, "ledger stopped", time.Second},
		{"publish unavailable", bus.ErrUnavailable, codes.Unavailable, "log unavailable", time.Second},
		{"somebody else was faster", bus.ErrConflict, codes.Aborted, "subject was written by somebody else", 0},
		{"too late", fmt.Errorf("ask: %w", context.DeadlineExceeded), codes.DeadlineExceeded, "ask: context deadline exceeded", 0},
		{"gone", context.Canceled, codes.Canceled, "context canceled", 0},
		{"marked", rpc.Mark(full, codes.FailedPrecondition), codes.FailedPrecondition, "no rep has capacity", 0},
		{"marked below", fmt.Errorf("accept: %w", rpc.Mark(full, codes.FailedPrecondition)), codes.FailedPrecondition, "accept: no rep has capacity", 0},
		{"marked twice: the outer wins", rpc.Mark(rpc.Mark(full, codes.NotFound), codes.Aborted), codes.Aborted, "no rep has capacity", 0},
		{"mark beats foreseen", rpc.Mark(ledger.ErrNotFound, codes.FailedPrecondition), codes.FailedPrecondition, "lead not found", 0},
		{"come back later", rpc.RetryAfter(full, codes.ResourceExhausted, 90*time.Second), codes.ResourceExhausted, "no rep has capacity", 90 * time.Second},
		{"limit without a time", rpc.Mark(full, codes.ResourceExhausted), codes.ResourceExhausted, "no rep has capacity", time.Second},
		{"peer: not found", fmt.Errorf("ask ingest: %w", status.Error(codes.NotFound, "lead not found")), codes.NotFound, "ask ingest: rpc error: code = NotFound desc = lead not found", 0},
		{"peer: unavailable", status.Error(codes.Unavailable, "draining"), codes.Unavailable, "draining", time.Second},
		{"peer: internal", status.Error(codes.Internal, "secret"), codes.Internal, hidden, 0},
		{"peer: our request was bad", status.Error(codes.InvalidArgument, "lead_ids: too many"), codes.Internal, hidden, 0},
		{"peer: we are not allowed", status.Error(codes.PermissionDenied, "no"), codes.Internal, hidden, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			got := rpc.Status(c.err)
			if got.Code() != c.code || got.Message() != c.text || rpc.DelayOf(got) != c.after {
				t.Errorf("got  %v %q after %v\nwant %v %q after %v",
					got.Code(), got.Message(), rpc.DelayOf(got), c.code, c.text, c.after)
			}
		})
	}
}

func TestAMarkedErrorIsStillItself(t *testing.T) {
	err := fmt.Errorf("accept: %w", rpc.Mark(ledger.ErrNotFound, codes.FailedPrecondition))
	if !errors.Is(err, ledger.ErrNotFound) {
		t.Error("the sentinel is lost")
	}
	if got := status.Code(err); got != codes.FailedPrecondition {
		t.Errorf("gRPC itself sees %v", got)
	}
	if rpc.Mark(nil, codes.Internal) != nil || rpc.RetryAfter(nil, codes.Internal, 1) != nil || rpc.Invalid() != nil {
		t.Error("no error became one")
	}
}

func TestInvalidNamesEachField(t *testing.T) {
	want := []rpc.Field{{Field: "email", Message: "must be an address"}, {Message: "at least one id"}}
	s := rpc.Status(fmt.Errorf("identify: %w", rpc.Invalid(want...)))
	if s.Code() != codes.InvalidArgument || !strings.HasSuffix(s.Message(), "email: must be an address; at least one id") {
		t.Errorf("got %v %q", s.Code(), s.Message())
	}
	if diff := cmp.Diff(want, rpc.FieldsOf(s)); diff != "" {
		t.Error(diff)
	}
}
