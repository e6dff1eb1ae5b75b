// Package feed takes the events that upstreams publish straight to NATS, on
// inbound.<source>.
package feed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/rpc"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/cloudevents"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/segment"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// What a message says about itself: an ingestv1.Inbound when the content type is
// Protobuf, the Segment dialect otherwise.
const (
	ContentType = "Content-Type"
	Protobuf    = "application/x-protobuf"
)

// Last tokens of the subjects that verified webhooks leave work on:
// inbound.<source>.<kind>.
const (
	KindFetch = "fetch"
	KindSales = "sales"
)

// retryAfter is how long a message waits when the log cannot take it.
const retryAfter = 2 * time.Second

// Deps are what a feed works with.
type Deps struct {
	Accept  func(ctx context.Context, subs []person.Submission) []person.Outcome
	Sources *source.Live
	Bus     *bus.Bus
	// Park puts away what cannot be used.
	Park func(ctx context.Context, p *ledgerv1.Parked) error
	Log  *slog.Logger
	// Dialects read what sources send, by their kind.
	Dialects map[string]hook.Dialect
	// Take makes durable what a webhook or a fetch told.
	Take func(ctx context.Context, told hook.Told) error
	// Fetcher asks senders that tell only ids.
	Fetcher Fetcher
	// Find gives the lead that a source once captured under an id; empty: none.
	Find func(ctx context.Context, source, externalID string) (lead string, err error)
	// Handoff is told what CRMs say; nil: that waits on INBOUND until it is known.
	Handoff handoffv1.HandoffServiceClient
}

// Feed reads INBOUND.
type Feed struct{ Deps }

// New makes a feed.
func New(d Deps) *Feed { return &Feed{d} }

// Names of the durable consumers.
const (
	durable      = "ingest"
	durableFetch = "ingest-fetch"
	durableSales = "ingest-sales"
)

// Transit is INBOUND, of which nothing is needed once it was read here.
func Transit(b *bus.Bus) bus.Transit {
	return bus.Transit{Bus: b, Stream: bus.Inbound, Readers: map[string]string{
		durable: "inbound.>", durableFetch: "inbound.*." + KindFetch, durableSales: "inbound.*." + KindSales,
	}}
}

// Run takes messages until ctx ends. All replicas share the work.
func (f *Feed) Run(ctx context.Context) error {
	queues := []struct {
		opts    bus.WorkOptions
		handler func(context.Context, []bus.Msg)
	}{
		{bus.WorkOptions{Durable: durable, Filters: []string{"inbound.>"}, Batch: 256, Workers: 2}, f.handle},
		{bus.WorkOptions{Durable: durableFetch, Filters: []string{"inbound.*." + KindFetch}, Batch: 1, Workers: 8, AckWait: time.Minute}, f.fetches},
	}
	if f.Handoff != nil {
		queues = append(queues, struct {
			opts    bus.WorkOptions
			handler func(context.Context, []bus.Msg)
		}{bus.WorkOptions{Durable: durableSales, Filters: []string{"inbound.*." + KindSales}, Batch: 1, AckWait: time.Minute}, f.sales})
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, q := range queues {
		q.opts.Stream = bus.Inbound
		group.Go(func() error { return f.Bus.Work(ctx, q.opts, q.handler) })
	}
	return group.Wait()
}

// handle brings the messages at hand through the flow together.
func (f *Feed) handle(ctx context.Context, msgs []bus.Msg) {
	ctx = context.WithoutCancel(ctx) // what was begun is finished
	var subs []person.Submission
	spans := make([]span, 0, len(msgs))
	for _, m := range msgs {
		if isWork(m.Subject) {
			f.log(m.Ack()) // others do it, see Run
			continue
		}
		mine, err := f.read(m)
		if err != nil {
			f.end(m, f.park(ctx, m, bus.ReasonUndecodable, err))
			continue
		}
		spans = append(spans, span{m, len(subs), len(subs) + len(mine)})
		subs = append(subs, mine...)
	}
	if len(spans) == 0 {
		return
	}
	if len(spans) == 1 {
		ctx = bus.Extract(ctx, spans[0].msg.Header)
	}
	outcomes := f.Accept(ctx, subs)
	for _, s := range spans {
		f.conclude(ctx, s.msg, outcomes[s.from:s.to])
	}
}

// IsWork reports whether a message is work that a webhook left, and nothing to
// be read: whoever has it again sends it back to where it was.
func IsWork(p *ledgerv1.Parked) bool { return isWork(p.GetSubject()) }

func isWork(subject string) bool {
	_, kind, ok := strings.Cut(strings.TrimPrefix(subject, "inbound."), ".")
	return ok && (kind == KindFetch || kind == KindSales)
}

// span is which submissions a message became.
type span struct {
	msg      bus.Msg
	from, to int
}

// conclude acknowledges a message, keeps it for later, or parks it.
func (f *Feed) conclude(ctx context.Context, m bus.Msg, outcomes []person.Outcome) {
	var refused error
	for _, o := range outcomes {
		if o.Err == nil {
			continue
		}
		if Passing(o.Err) {
			f.log(m.Retry(retryAfter))
			return
		}
		refused = errors.Join(refused, o.Err)
	}
	if refused != nil {
		f.end(m, f.park(ctx, m, bus.ReasonRefused, refused))
		return
	}
	f.end(m, nil)
}

// end acknowledges a message unless parking it failed.
func (f *Feed) end(m bus.Msg, parking error) {
	if parking != nil {
		f.log(parking)
		f.log(m.Retry(retryAfter))
		return
	}
	f.log(m.Ack())
}

func (f *Feed) log(err error) {
	if err != nil {
		f.Log.Warn("end inbound message", "error", err)
	}
}

// Passing reports whether an error passes by itself: what failed is to be tried again.
func Passing(err error) bool {
	code := rpc.Status(err).Code()
	return code == codes.Unavailable || code == codes.ResourceExhausted || code == codes.DeadlineExceeded || code == codes.Canceled
}

// read makes submissions of a message. Those without an id of their own get one of
// the message, so that a redelivery changes nothing. Bytes of a stranger that a parser
// trips over are an error: they would end one replica after the other.
func (f *Feed) read(m bus.Msg) (subs []person.Submission, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.Log.Error("reading a message broke", "stream", m.Stream, "seq", m.Seq, "error", p, "stack", string(debug.Stack()))
			subs, err = nil, fmt.Errorf("reading it broke: %v", p)
		}
	}()
	name := strings.TrimPrefix(m.Subject, "inbound.")
	if headers := canonical(m.Header); cloudevents.Is(headers) {
		subs, err = f.cloudEvents(name, m, headers)
	} else if m.Header.Get(ContentType) == Protobuf {
		subs, err = f.protobuf(name, m.Data)
	} else {
		subs, err = f.segment(name, m)
	}
	if err != nil {
		return nil, err
	}
	for i := range subs {
		if subs[i].ID == "" {
			subs[i].ID = "inbound/" + idOf(m) + "/" + strconv.Itoa(i)
		}
	}
	return subs, nil
}

// idOf is the message's place in the stream, unless its publisher gave it an id: then
// it may be published twice, and the log's server, which drops the second one, forgets
// ids when it is restarted after Transit removed the first. The content is part of
// it: for the server two minutes apart the same id may mean another message.
func idOf(m bus.Msg) string {
	id := m.Header.Get(jetstream.MsgIDHeader)
	if id == "" {
		return strconv.FormatUint(m.Seq, 10)
	}
	sum := sha256.Sum256(slices.Concat([]byte(id+"\x00"+m.Subject+"\x00"), m.Data))
	return hex.EncodeToString(sum[:16])
}

// Reread makes submissions of a message that was parked.
func (f *Feed) Reread(p *ledgerv1.Parked) ([]person.Submission, error) {
	m := bus.Msg{Subject: p.GetSubject(), Seq: p.GetSeq(), Time: p.GetMessageTime().AsTime(), Data: p.GetData(), Header: nats.Header{}}
	for name, value := range p.GetHeaders() {
		m.Header.Set(name, value)
	}
	return f.read(m)
}

func (f *Feed) country(name string) string {
	if src, ok := f.Sources.Current().Named(name); ok {
		return src.Country
	}
	return ""
}

func (f *Feed) segment(name string, m bus.Msg) ([]person.Submission, error) {
	env, err := segment.Open(m.Data, "")
	if err != nil {
		return nil, err
	}
	var subs []person.Submission
	for i, item := range env.Read(segment.From{Source: name, Country: f.country(name), Received: m.Time}) {
		if item.Submission == nil {
			return nil, fmt.Errorf("event %d: %w", i, describe(item.Faults))
		}
		subs = append(subs, *item.Submission)
	}
	return subs, nil
}

func (f *Feed) protobuf(name string, data []byte) ([]person.Submission, error) {
	in := &ingestv1.Inbound{}
	if err := proto.Unmarshal(data, in); err != nil {
		return nil, fmt.Errorf("decode protobuf: %w", err)
	}
	var sub *person.Submission
	var faults []normal.Fault
	switch c := in.GetCommand().(type) {
	case *ingestv1.Inbound_Capture:
		if c.Capture.GetSource() == "" {
			c.Capture.Source = name
		}
		if err := rpc.Validate(c.Capture); err != nil {
			return nil, err
		}
		sub, faults = person.FromCapture(c.Capture, f.country(name))
	case *ingestv1.Inbound_Track:
		if err := rpc.Validate(c.Track); err != nil {
			return nil, err
		}
		sub, faults = person.FromTrack(c.Track, name)
	case *ingestv1.Inbound_Consent:
		if err := rpc.Validate(c.Consent); err != nil {
			return nil, err
		}
		sub, faults = person.FromConsent(c.Consent, name)
	default:
		return nil, errors.New("the message has no command")
	}
	if len(faults) > 0 {
		return nil, describe(faults)
	}
	return []person.Submission{*sub}, nil
}

func describe(faults []normal.Fault) error {
	fields := make([]rpc.Field, len(faults))
	for i, f := range faults {
		fields[i] = rpc.Field(f)
	}
	return rpc.Invalid(fields...)
}

// park keeps a message that cannot be used where a person finds it.
func (f *Feed) park(ctx context.Context, m bus.Msg, reason string, cause error) error {
	headers := make(map[string]string, len(m.Header))
	for name := range m.Header {
		headers[name] = m.Header.Get(name)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, "inbound."), ".")
	if _, ok := f.Sources.Current().Named(name); !ok {
		name = "" // anybody may publish under any name
	}
	return f.Park(ctx, &ledgerv1.Parked{
		Service: "ingest", Source: name, Kind: reject.Inbound, Stream: m.Stream, Seq: m.Seq, Subject: m.Subject, Headers: headers, Data: m.Data,
		Reason: reason, Error: cause.Error(), Faults: []*ledgerv1.Fault{{Message: cause.Error()}}, Attempts: uint32(m.Attempt), //nolint:gosec // a small count
		FirstAt: timestamppb.New(m.Time), MessageTime: timestamppb.New(m.Time),
	})
}
