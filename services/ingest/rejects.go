package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/feed"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
	"github.com/nurturehq/nurture/services/ingest/internal/web"
)

// reject keeps what an authenticated source sent and nobody took, where a person
// sees it. A flood of them is counted and not kept: it must not fill the disk.
func (s *Service) reject(ctx context.Context, what reject.Rejected) error {
	if !s.keeps(ctx, what.Source, what.Reason) {
		return nil
	}
	return s.drawer.Reject(ctx, what.Parked())
}

// keeps counts a reject of a source and reports whether there is room for it.
func (s *Service) keeps(ctx context.Context, name, reason string) bool {
	src, known := s.sources.Current().Named(name)
	if name == returns { // the mails that come back are no source of the file
		src, known = &source.Source{Name: returns, Limits: source.DefaultLimits()}, true
	}
	kept := known && s.gate.keeps(src, s.deps.Now())
	s.tally.rejected(ctx, name, reason, kept)
	return kept
}

// redrive has a reject read again, by the source's present configuration, and
// takes it off the list when all of it is recorded.
func (s *Service) redrive(ctx context.Context, id uint64) (*ingestv1.RedriveRejectResponse, error) {
	p, err := s.drawer.Get(ctx, id)
	if errors.Is(err, bus.ErrNoMessage) || err == nil && !reject.Is(p.Parked) {
		return nil, rpc.Mark(reject.ErrUnknown, codes.NotFound)
	}
	if err != nil {
		return nil, err
	}
	resp := &ingestv1.RedriveRejectResponse{}
	faults, err := s.again(ctx, p, resp)
	if err != nil {
		return nil, err
	}
	for _, f := range faults {
		resp.Faults = append(resp.Faults, &ledgerv1.Fault{Field: f.Field, Message: f.Message})
	}
	if len(faults) > 0 {
		return resp, nil
	}
	resp.Taken = true
	return resp, s.deps.Bus.Dismiss(ctx, id)
}

// again has the reader that it was meant for read a reject as if it came now, and
// notes in resp what became of it. Faults say what is still wrong with it; an
// error passes by itself.
func (s *Service) again(ctx context.Context, p bus.ParkedMsg, resp *ingestv1.RedriveRejectResponse) ([]normal.Fault, error) {
	what := reject.From(p.Parked)
	switch {
	case what.Kind == reject.Mail:
		return s.returnAgain(ctx, what, resp)
	case what.Kind == reject.Inbound && feed.IsWork(p.Parked):
		return nil, s.sendBack(ctx, p)
	}
	src, ok := s.sources.Current().Named(what.Source)
	if stranger := what.Kind == reject.Inbound && what.Source == ""; !ok && !stranger {
		return []normal.Fault{{Field: "source", Message: what.Source + " is not in sources.yaml any more"}}, nil
	}
	if s.dialects[what.Kind] != nil {
		return s.hookAgain(ctx, what, src, resp)
	}
	subs, faults, err := s.reread(p, what, src)
	if err != nil {
		faults = append(faults, normal.Fault{Message: err.Error()})
	}
	if len(faults) > 0 {
		return faults, nil
	}
	return s.record(ctx, subs, resp)
}

// sendBack publishes work that a webhook left where it was read.
func (s *Service) sendBack(ctx context.Context, p bus.ParkedMsg) error {
	msg := &nats.Msg{Subject: p.GetSubject(), Data: p.GetData(), Header: nats.Header{}}
	for name, value := range p.GetHeaders() {
		msg.Header.Set(name, value)
	}
	msg.Header.Set(jetstream.MsgIDHeader, "redrive-"+strconv.FormatUint(p.Seq, 10))
	if _, err := s.deps.Bus.Publish(ctx, msg); err != nil {
		return fmt.Errorf("send back reject %d: %w", p.Seq, err)
	}
	return nil
}

// reread makes submissions of what was sent. The same reject always makes the
// same ones, so that redriving it twice has one effect.
func (s *Service) reread(p bus.ParkedMsg, what reject.Rejected, src *source.Source) ([]person.Submission, []normal.Fault, error) {
	subs, faults, err := s.read(p, what, src)
	sum := sha256.Sum256(append([]byte(what.At.UTC().String()), what.Raw...))
	for i := range subs {
		if subs[i].ID == "" {
			subs[i].ID = person.Scoped(what.Source, "redriven-"+hex.EncodeToString(sum[:16])+"-"+strconv.Itoa(i))
		}
		if c := subs[i].Apply.GetCapture(); c.GetOccurredAt() == nil {
			c.OccurredAt = timestamppb.New(what.At)
		}
	}
	return subs, faults, err
}

func (s *Service) read(p bus.ParkedMsg, what reject.Rejected, src *source.Source) ([]person.Submission, []normal.Fault, error) {
	if what.Kind == reject.Inbound {
		subs, err := feed.New(feed.Deps{Sources: s.sources}).Reread(p.Parked)
		return subs, nil, err
	}
	return web.Reread(what, src)
}

// record records submissions and notes what became of them. Faults say what was
// refused for good; an error passes by itself.
func (s *Service) record(ctx context.Context, subs []person.Submission, resp *ingestv1.RedriveRejectResponse) ([]normal.Fault, error) {
	if len(subs) == 0 {
		return []normal.Fault{{Message: "there is nothing in it to record"}}, nil
	}
	var faults []normal.Fault
	for _, out := range s.accept(ctx, subs) {
		switch code := rpc.Status(out.Err).Code(); {
		case out.Err == nil:
			note(resp, out)
		case code == codes.Unavailable, code == codes.ResourceExhausted, code == codes.Internal:
			return nil, out.Err
		default:
			faults = append(faults, normal.Fault{Message: rpc.Status(out.Err).Message()})
		}
	}
	return faults, nil
}

// note notes a submission that was recorded.
func note(resp *ingestv1.RedriveRejectResponse, out person.Outcome) {
	if out.Lead == "" { // it tells of a company alone
		return
	}
	resp.LeadIds = append(resp.LeadIds, out.Lead)
	if out.Created {
		resp.Created++
	}
}
