package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
)

// MaxDeadline is the time a call may take when its caller set no deadline.
const MaxDeadline = 30 * time.Second

// interceptors is what every unary call passes, outermost first: a deadline,
// the mapping of errors, the net for panics, the door, the rules of the request.
func interceptors(log *slog.Logger, d *door) []grpc.UnaryServerInterceptor {
	return []grpc.UnaryServerInterceptor{
		bounded,
		mapped(log),
		recovery.UnaryServerInterceptor(recovery.WithRecoveryHandler(recovered)),
		d.unary,
		validated,
	}
}

func bounded(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, MaxDeadline)
		defer cancel()
	}
	return handle(ctx, req)
}

// mapped turns errors into statuses and logs those whose text the caller does
// not get to see.
func mapped(log *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		resp, err := handle(ctx, req)
		if err == nil {
			return resp, nil
		}
		s := Status(err)
		if s.Code() == codes.Internal {
			log.ErrorContext(ctx, "call failed", "method", info.FullMethod, "error", err)
		}
		return nil, s.Err()
	}
}

// recovered makes an error of a panic, to be logged with the stack like any
// other that nobody foresaw.
func recovered(p any) error {
	return fmt.Errorf("panic: %v\n%s", p, debug.Stack())
}

// validated refuses requests that break the rules written in the proto files.
func validated(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if msg, ok := req.(proto.Message); ok {
		if err := Validate(msg); err != nil {
			return nil, err
		}
	}
	return handle(ctx, req)
}

// Validate applies the rules written in the proto files to a message: gRPC
// requests have passed it, messages that came another way have not. What it
// finds is Invalid, naming each field.
func Validate(msg proto.Message) error {
	err := protovalidate.GlobalValidator.Validate(msg)
	if err == nil {
		return nil
	}
	broken, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return fmt.Errorf("validate %s: %w", msg.ProtoReflect().Descriptor().FullName(), err)
	}
	fields := make([]Field, len(broken.Violations))
	for i, v := range broken.Violations {
		fields[i] = Field{
			Field:   protovalidate.FieldPathString(v.Proto.GetField()),
			Message: v.Proto.GetMessage(),
		}
	}
	return Invalid(fields...)
}

// notHealth keeps probes out of traces and metrics.
func notHealth(info *stats.RPCTagInfo) bool {
	return !strings.HasPrefix(info.FullMethodName, "/grpc.health.")
}
