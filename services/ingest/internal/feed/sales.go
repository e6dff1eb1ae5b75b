package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// salesTries is about an hour of what handoff cannot do now.
const salesTries = 8

// sales tells handoff what CRMs say, one after the other: accepted comes before
// won.
func (f *Feed) sales(ctx context.Context, msgs []bus.Msg) {
	ctx = context.WithoutCancel(ctx)
	for _, m := range msgs {
		ctx := bus.Extract(ctx, m.Header)
		f.finish(ctx, m, f.sale(ctx, m))
	}
}

func (f *Feed) sale(ctx context.Context, m bus.Msg) *failure {
	in := &ingestv1.Inbound{}
	if err := proto.Unmarshal(m.Data, in); err != nil || in.GetSales() == nil {
		return forGood(fmt.Errorf("the message is not about a handoff: %w", cmp.Or(err, errors.New("another command"))))
	}
	s := in.GetSales()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if s.GetLeadId() == "" {
		lead, err := f.Find(ctx, s.GetSource(), s.GetExternalId())
		switch {
		case err != nil:
			return again(err)
		case lead == "":
			return forGood(fmt.Errorf("source %s never told of a lead with the id %.100q, so nobody knows whose handoff it is", s.GetSource(), s.GetExternalId()))
		}
		s.LeadId = lead
	}
	return f.judge(ctx, s, f.tell(ctx, s))
}

// tell gives handoff one word of sales. The request id makes repeats harmless.
func (f *Feed) tell(ctx context.Context, s *ingestv1.Sales) error {
	id, by := s.GetSource()+"/"+s.GetId(), cmp.Or(s.GetBy(), s.GetSource())
	if len(id) > 200 {
		id = id[len(id)-200:]
	}
	outcome := func(o handoffv1.Outcome) error {
		_, err := f.Handoff.RecordOutcome(ctx, &handoffv1.RecordOutcomeRequest{
			LeadId: s.GetLeadId(), Outcome: o, AmountMinor: s.GetAmountMinor(), Currency: s.GetCurrency(),
			Text: s.GetText(), By: by, RequestId: id,
		})
		return err
	}
	switch s.GetStatus() {
	case ingestv1.SalesStatus_SALES_STATUS_ACCEPTED:
		_, err := f.Handoff.Accept(ctx, &handoffv1.AcceptRequest{LeadId: s.GetLeadId(), By: by, RequestId: id})
		return err
	case ingestv1.SalesStatus_SALES_STATUS_REJECTED:
		return f.reject(ctx, s, by, id)
	case ingestv1.SalesStatus_SALES_STATUS_QUALIFIED:
		return outcome(handoffv1.Outcome_OUTCOME_SALES_QUALIFIED)
	case ingestv1.SalesStatus_SALES_STATUS_WON:
		return outcome(handoffv1.Outcome_OUTCOME_WON)
	case ingestv1.SalesStatus_SALES_STATUS_LOST:
		return outcome(handoffv1.Outcome_OUTCOME_LOST)
	case ingestv1.SalesStatus_SALES_STATUS_DELETED:
		return f.deleted(ctx, s, by, id)
	case ingestv1.SalesStatus_SALES_STATUS_UNSPECIFIED:
	}
	return status.Errorf(codes.InvalidArgument, "the status %s means nothing", s.GetStatus())
}

func (f *Feed) reject(ctx context.Context, s *ingestv1.Sales, by, id string) error {
	why, text := s.GetReason(), s.GetText()
	if why == leadv1.RejectReason_REJECT_REASON_UNSPECIFIED {
		why = leadv1.RejectReason_REJECT_REASON_OTHER
	}
	if why == leadv1.RejectReason_REJECT_REASON_OTHER {
		text = cmp.Or(text, "rejected in the CRM without a reason")
	}
	_, err := f.Handoff.Reject(ctx, &handoffv1.RejectRequest{LeadId: s.GetLeadId(), Reason: why, Text: text, By: by, RequestId: id})
	return err
}

// deleted takes back what the CRM threw away: a lead that a rep had taken is
// recycled, one that nobody had answered is rejected, for no reason that would
// disqualify it. What is closed stays closed.
func (f *Feed) deleted(ctx context.Context, s *ingestv1.Sales, by, id string) error {
	const text = "deleted in the CRM"
	got, err := f.Handoff.GetHandoff(ctx, &handoffv1.GetHandoffRequest{LeadId: s.GetLeadId()})
	if err != nil {
		return err
	}
	switch got.GetHandoff().GetStatus() { //nolint:exhaustive // all others are over
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED:
		_, err = f.Handoff.Reject(ctx, &handoffv1.RejectRequest{
			LeadId: s.GetLeadId(), Reason: leadv1.RejectReason_REJECT_REASON_OTHER, Text: text, By: by, RequestId: id,
		})
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED, handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED:
		_, err = f.Handoff.Recycle(ctx, &handoffv1.RecycleRequest{
			LeadId: s.GetLeadId(), Reason: leadv1.RejectReason_REJECT_REASON_OTHER, Text: text, By: by, RequestId: id,
		})
	}
	return err
}

// judge says what handoff's answer means.
func (f *Feed) judge(ctx context.Context, s *ingestv1.Sales, err error) *failure {
	if err == nil {
		return nil
	}
	said := errors.New(status.Convert(err).Message())
	switch status.Code(err) { //nolint:exhaustive // all others pass by themselves
	case codes.FailedPrecondition:
		if f.overtaken(ctx, s) {
			return nil
		}
		return &failure{said, true, salesTries}
	case codes.NotFound, codes.InvalidArgument, codes.OutOfRange:
		return forGood(said)
	default:
		return again(said)
	}
}

// overtaken reports whether what is told is already so, or was so before
// something later became known: CRMs do not keep the order.
func (f *Feed) overtaken(ctx context.Context, s *ingestv1.Sales) bool {
	got, err := f.Handoff.GetHandoff(ctx, &handoffv1.GetHandoffRequest{LeadId: s.GetLeadId()})
	if err != nil {
		return false
	}
	is := got.GetHandoff().GetStatus()
	in := func(list ...handoffv1.HandoffStatus) bool {
		for _, l := range list {
			if l == is {
				return true
			}
		}
		return false
	}
	const (
		accepted  = handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED
		confirmed = handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED
		won       = handoffv1.HandoffStatus_HANDOFF_STATUS_WON
		lost      = handoffv1.HandoffStatus_HANDOFF_STATUS_LOST
		recycled  = handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED
		out       = handoffv1.HandoffStatus_HANDOFF_STATUS_DISQUALIFIED
	)
	switch s.GetStatus() { //nolint:exhaustive // the others are never overtaken
	case ingestv1.SalesStatus_SALES_STATUS_ACCEPTED:
		return in(accepted, confirmed, won, lost)
	case ingestv1.SalesStatus_SALES_STATUS_QUALIFIED:
		return in(confirmed, won, lost)
	case ingestv1.SalesStatus_SALES_STATUS_REJECTED, ingestv1.SalesStatus_SALES_STATUS_DELETED:
		return in(recycled, out)
	}
	return false
}
