package bus

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// Reasons why a message is parked.
const (
	// ReasonUndecodable: the payload is not what the subject promises.
	ReasonUndecodable = "undecodable"
	// ReasonRefused: the decision about it failed, and would fail again.
	ReasonRefused = "refused"
	// ReasonAmbiguous: it was attempted and nobody knows with what result.
	ReasonAmbiguous = "ambiguous"
	// ReasonExhausted: it was tried as often as is sensible.
	ReasonExhausted = "exhausted"
	// ReasonAdvisory: the server gave up on it before a service did.
	ReasonAdvisory = "advisory"
)

// Park stores a message that could not be processed where a person finds it.
// Parking the same message of a service again within two minutes is one entry; what
// is parked of one message under several subjects is as many.
// What a source sent (Source is set) is among the rejects of the source as well.
func (b *Bus) Park(ctx context.Context, p *ledgerv1.Parked) error {
	if p.GetParkedAt() == nil {
		p.ParkedAt = timestamppb.Now()
	}
	data, err := proto.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode parked message: %w", err)
	}
	subject := ParkedSubject(p.GetService(), p.GetLeadId())
	if p.GetSource() != "" {
		subject = RejectSubject(p.GetSource())
	}
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
	msg.Header.Set(jetstream.MsgIDHeader, fmt.Sprintf("park-%s-%s-%d-%s", p.GetService(), p.GetStream(), p.GetSeq(), p.GetSubject()))
	Inject(ctx, msg.Header)
	if _, err := b.Publish(ctx, msg); err != nil {
		return fmt.Errorf("park %s/%d: %w", p.GetStream(), p.GetSeq(), err)
	}
	counter("nurture_parked", "Messages parked for a person.").Add(ctx, 1,
		metric.WithAttributes(attribute.String("service", p.GetService()), attribute.String("reason", p.GetReason())))
	b.log.Error("parked a message", "service", p.GetService(), "lead_id", p.GetLeadId(),
		"stream", p.GetStream(), "seq", p.GetSeq(), "reason", p.GetReason(), "error", p.GetError())
	return nil
}

// ParkedMsg is one entry of the list of parked messages.
type ParkedMsg struct {
	// Seq identifies the entry.
	Seq uint64
	*ledgerv1.Parked
}

// ListParked reads all parked messages, oldest first.
func (b *Bus) ListParked(ctx context.Context) ([]ParkedMsg, error) {
	return b.listParked(ctx, "parked.>")
}

// ListParkedOf reads what a service parked of one lead, oldest first.
func (b *Bus) ListParkedOf(ctx context.Context, service, lead string) ([]ParkedMsg, error) {
	return b.listParked(ctx, ParkedSubject(service, lead))
}

func (b *Bus) listParked(ctx context.Context, filter string) ([]ParkedMsg, error) {
	s, err := b.JS.Stream(ctx, Parked)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", Parked, Classify(err))
	}
	state := s.CachedInfo().State
	list := make([]ParkedMsg, 0, state.Msgs)
	for seq := state.FirstSeq; state.Msgs > 0 && seq <= state.LastSeq; {
		raw, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(filter))
		if isAny(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read parked message %d: %w", seq, Classify(err))
		}
		entry, err := decodeParked(raw)
		if err != nil {
			return nil, err
		}
		list = append(list, entry)
		seq = raw.Sequence + 1
	}
	return list, nil
}

// GetParked reads one entry; ErrNoMessage when there is none of this number.
func (b *Bus) GetParked(ctx context.Context, seq uint64) (ParkedMsg, error) {
	s, err := b.JS.Stream(ctx, Parked)
	if err != nil {
		return ParkedMsg{}, fmt.Errorf("open stream %s: %w", Parked, Classify(err))
	}
	raw, err := s.GetMsg(ctx, seq)
	if isAny(err, jetstream.ErrMsgNotFound) {
		return ParkedMsg{}, fmt.Errorf("parked message %d: %w", seq, ErrNoMessage)
	}
	if err != nil {
		return ParkedMsg{}, fmt.Errorf("read parked message %d: %w", seq, Classify(err))
	}
	return decodeParked(raw)
}

// Headers of a redriven input: what it was when it was first read.
const (
	HeaderRedriveSubject = "Nurture-Redrive-Subject"
	HeaderRedriveStream  = "Nurture-Redrive-Stream"
	HeaderRedriveTime    = "Nurture-Redrive-Time"
)

// Redrive sends a parked message back to the service that gave up on it and
// takes it off the list. Redriving the same entry twice has one effect.
func (b *Bus) Redrive(ctx context.Context, seq uint64) error {
	p, err := b.GetParked(ctx, seq)
	if err != nil {
		return err
	}
	if p.GetReason() == ReasonAmbiguous {
		return fmt.Errorf("parked message %d is an ambiguous touch: find out whether the mail went out and settle it with ResolveTouch; that takes the entry off the list", seq)
	}
	if p.GetLeadId() != "" && streamOf(p.GetService()) == "" {
		return fmt.Errorf("parked message %d was read by %q, which is no service with a stream of its own: only dismiss it", seq, p.GetService())
	}
	if len(p.GetSealed()) > 0 {
		return fmt.Errorf("parked message %d is sealed, and only ingest can open it: send it back with `nurture rejects redrive`", seq)
	}
	if p.GetSubject() == "" {
		return fmt.Errorf("parked message %d is what source %s sent and ingest did not take: send it back with `nurture rejects redrive`", seq, p.GetSource())
	}
	msg := redriven(p)
	if _, err := b.Publish(ctx, msg); err != nil && !isAny(err, ErrConflict) {
		return fmt.Errorf("redrive parked message %d: %w", seq, err)
	}
	return b.Dismiss(ctx, seq)
}

// redriven builds the message that brings a parked one back: a lead's input
// goes to the redrive subject of the owner's stream, anything else to where it
// was read.
func redriven(p ParkedMsg) *nats.Msg {
	h := nats.Header{}
	for k, v := range p.GetHeaders() {
		h[k] = []string{v}
	}
	id := "redrive-" + strconv.FormatUint(p.Seq, 10)
	own := streamOf(p.GetService())
	if p.GetLeadId() == "" || p.GetStream() == Inbound {
		h.Set(jetstream.MsgIDHeader, id)
		return &nats.Msg{Subject: p.GetSubject(), Data: p.GetData(), Header: h}
	}
	h.Set(HeaderRedriveSubject, p.GetSubject())
	h.Set(HeaderRedriveStream, p.GetStream())
	h.Set(HeaderRedriveTime, p.GetMessageTime().AsTime().Format(time.RFC3339Nano))
	return ExpectLast(&nats.Msg{Subject: Subject(own, p.GetLeadId(), KindRedrive, id), Data: p.GetData(), Header: h}, 0)
}

// streamOf names the stream a service owns; empty for an unknown service.
func streamOf(service string) string {
	switch service {
	case "ingest":
		return Leads
	case "scoring":
		return Scores
	case "campaign":
		return Campaign
	case "handoff":
		return Handoff
	}
	return ""
}

// Dismiss takes an entry off the list for good.
func (b *Bus) Dismiss(ctx context.Context, seq uint64) error {
	s, err := b.JS.Stream(ctx, Parked)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", Parked, Classify(err))
	}
	if err := s.SecureDeleteMsg(ctx, seq); err != nil {
		return fmt.Errorf("dismiss parked message %d: %w", seq, Classify(err))
	}
	return nil
}

func decodeParked(raw *jetstream.RawStreamMsg) (ParkedMsg, error) {
	p := &ledgerv1.Parked{}
	if err := proto.Unmarshal(raw.Data, p); err != nil {
		return ParkedMsg{}, fmt.Errorf("decode parked message %d: %w", raw.Sequence, err)
	}
	return ParkedMsg{Seq: raw.Sequence, Parked: p}, nil
}
