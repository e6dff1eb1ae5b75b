package rpc

import (
	"fmt"
	"log/slog"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
)

// streamInterceptors is what every streaming call passes, outermost first: the
// mapping of errors, the net for panics, the door, the rules of each message. A
// stream has no deadline of ours: it lives as long as there is something to say.
func streamInterceptors(log *slog.Logger, d *door) []grpc.StreamServerInterceptor {
	return []grpc.StreamServerInterceptor{
		mappedStream(log),
		recovery.StreamServerInterceptor(recovery.WithRecoveryHandler(recovered)),
		d.stream,
		validatedStream,
	}
}

func mappedStream(log *slog.Logger) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		err := handle(srv, stream)
		if err == nil {
			return nil
		}
		s := Status(err)
		if s.Code() == codes.Internal {
			log.ErrorContext(stream.Context(), "stream failed", "method", info.FullMethod, "error", err)
		}
		return s.Err()
	}
}

func validatedStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return handle(srv, checked{stream})
}

// checked refuses messages that break the rules written in the proto files.
type checked struct{ grpc.ServerStream }

// RecvMsg receives a message and checks it.
func (c checked) RecvMsg(m any) error {
	if err := c.ServerStream.RecvMsg(m); err != nil {
		return err //nolint:wrapcheck // io.EOF must stay what it is
	}
	if msg, ok := m.(proto.Message); ok {
		if err := Validate(msg); err != nil {
			return fmt.Errorf("message of the stream: %w", err)
		}
	}
	return nil
}
