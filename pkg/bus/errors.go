package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Codes of JetStream that decide what to do next.
const (
	// CodeWrongLast: the expected last sequence of the subject was not the last.
	CodeWrongLast jetstream.ErrorCode = 10071
	// CodeWrongLastBatch: two conditional writes to one subject in a batch, and
	// a conflict on a replicated stream.
	CodeWrongLastBatch jetstream.ErrorCode = 10164
	// CodeBatchTooLarge: more messages than the server allows in one batch.
	CodeBatchTooLarge jetstream.ErrorCode = 10199
	// CodeBatchDuplicate: a message id of the batch was stored before.
	CodeBatchDuplicate jetstream.ErrorCode = 10201
	// CodeBatchBusy: too many batches are open on the stream.
	CodeBatchBusy jetstream.ErrorCode = 10210
	// CodeBatchIncomplete: the batch timed out or lost a message, nothing was stored.
	CodeBatchIncomplete jetstream.ErrorCode = 10176
	// CodeTooLarge: the message exceeds what the stream or server takes.
	CodeTooLarge jetstream.ErrorCode = 10054
)

// Code gives JetStream's own error code, 0 when the error has none.
func Code(err error) jetstream.ErrorCode {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	return 0
}

// Classify wraps an error of JetStream in ErrConflict or ErrUnavailable where
// it is one, and returns any other as it is.
func Classify(err error) error {
	switch {
	case err == nil:
		return nil
	case Code(err) == CodeWrongLast, Code(err) == CodeWrongLastBatch:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case Code(err) == CodeBatchBusy, Code(err) == CodeBatchIncomplete, unreachable(err):
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		return err
	}
}

func unreachable(err error) bool {
	return isAny(err, context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders,
		nats.ErrDisconnected, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded,
		jetstream.ErrAsyncPublishTimeout, jetstream.ErrNoStreamResponse, jetstream.ErrTooManyStalledMsgs)
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code >= 500
}
