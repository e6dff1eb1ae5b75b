package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of the bus.
var (
	// ErrNoMessage: the subject has no message.
	ErrNoMessage = errors.New("no message on subject")
	// ErrConflict: the subject's last message is not the expected one.
	ErrConflict = errors.New("subject was written by somebody else")
	// ErrUnavailable: the log did not acknowledge in time; whether it stored the
	// message is unknown.
	ErrUnavailable = errors.New("log unavailable")
)

// ackTimeout bounds the wait for a publish acknowledgement.
const ackTimeout = 5 * time.Second

// maxAsync bounds the publishes in flight of one connection.
const maxAsync = 4000

// syncQueue bounds the answers that wait in one read of many subjects, each of
// which opens a subscription: the default of 64k costs half a megabyte a read.
const syncQueue = 4096

// Options say where the log is.
type Options struct {
	// URL of NATS, e.g. "nats://127.0.0.1:4222". Not needed with Server.
	URL string
	// Name of the connection, shown by the server: the service's name.
	Name string
	Log  *slog.Logger
	// Server is an embedded server to connect to instead of URL. Optional.
	Server *server.Server
	// MonitorURL is the server's monitoring endpoint, asked once whether it
	// fsyncs before it acknowledges. Optional.
	MonitorURL string
}

// Bus is a connection to the log.
type Bus struct {
	NC  *nats.Conn
	JS  jetstream.JetStream
	log *slog.Logger
	// streams are the handles of streams read from: opening one asks the server.
	streams sync.Map
}

// Connect opens a connection that reconnects by itself for ever, and checks
// that the log is durable: if it is not, or that cannot be known, it says so in
// the log and in the metric nurture_bus_durable.
func Connect(ctx context.Context, o Options) (*Bus, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	url := o.URL
	if o.Server != nil {
		url = o.Server.ClientURL()
	}
	nc, err := nats.Connect(url,
		nats.Name(o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.SyncQueueLen(syncQueue),
		nats.Timeout(3*time.Second),
		nats.ErrorHandler(reportAsync(o.Log)), //nolint:contextcheck // called for as long as the connection lives
	)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w (is nats-server running with JetStream? set NATS_URL, or leave it empty to use the embedded server)", url, err)
	}
	js, err := jetstream.New(nc,
		jetstream.WithPublishAsyncMaxPending(maxAsync),
		jetstream.WithPublishAsyncTimeout(ackTimeout),
		jetstream.WithDefaultTimeout(ackTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open JetStream at %s: %w", url, err)
	}
	b := &Bus{NC: nc, JS: js, log: o.Log}
	if _, err := js.AccountInfo(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("open JetStream at %s: %w (start nats-server with -js)", url, err)
	}
	b.checkDurable(ctx, o)
	return b, nil
}

// reportAsync makes visible what JetStream tells only here: a publish without
// permission looks like a timeout to the publisher.
func reportAsync(log *slog.Logger) nats.ErrHandler {
	errs := counter("nurture_bus_async_errors", "Errors reported by the NATS connection outside any call.")
	return func(_ *nats.Conn, sub *nats.Subscription, err error) {
		errs.Add(context.Background(), 1)
		subject := ""
		if sub != nil {
			subject = sub.Subject
		}
		log.Warn("nats reported an error", "subject", subject, "error", err)
	}
}

// Close flushes what was published and closes the connection.
func (b *Bus) Close() {
	if err := b.NC.FlushTimeout(2 * time.Second); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		b.log.Warn("flush on close", "error", err)
	}
	b.NC.Close()
}

// Publish stores a message and returns its sequence once it is durable. It may
// carry a Nats-Msg-Id, within whose window a repeat is stored only once.
func (b *Bus) Publish(ctx context.Context, msg *nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	ack, err := b.JS.PublishMsg(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("publish %s: %w", msg.Subject, Classify(err))
	}
	return ack.Sequence, nil
}

// Claim writes data to a subject only if nothing was ever written there: won
// says whether this call did. It holds for ever, unlike message ids.
func (b *Bus) Claim(ctx context.Context, subject string, data []byte) (won bool, err error) {
	msg := ExpectLast(&nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}, 0)
	_, err = b.Publish(ctx, msg)
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// LastMsg reads the last message of a subject from the stream itself;
// ErrNoMessage when there is none.
func (b *Bus) LastMsg(ctx context.Context, stream, subject string) (*jetstream.RawStreamMsg, error) {
	s, err := b.opened(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", stream, Classify(err))
	}
	msg, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, fmt.Errorf("read %s: %w", subject, ErrNoMessage)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subject, Classify(err))
	}
	return msg, nil
}

// opened gives the handle of a stream.
func (b *Bus) opened(ctx context.Context, name string) (jetstream.Stream, error) {
	if s, ok := b.streams.Load(name); ok {
		return s.(jetstream.Stream), nil //nolint:forcetypeassert,errcheck // nothing else is stored
	}
	s, err := b.JS.Stream(ctx, name)
	if err == nil {
		b.streams.Store(name, s)
	}
	return s, err
}

// ExpectLast makes a publish conditional: the subject's last message must have
// this sequence, 0 for "there must be none".
func ExpectLast(msg *nats.Msg, seq uint64) *nats.Msg {
	if msg.Header == nil {
		msg.Header = nats.Header{}
	}
	msg.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(seq, 10)}
	return msg
}
