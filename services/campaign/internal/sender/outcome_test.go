package sender_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
)

// claimed writes a claim of a process that is gone, and says its sequence.
func (o *office) claimed(lead string) uint64 {
	o.tb.Helper()
	subject := bus.Subject(bus.Campaign, lead, bus.KindClaim, lead+"-t1")
	o.publish(subject, encode(o.tb, &campaignv1.Claim{TouchId: lead + "-t1", Sender: "a process that is gone", At: timestamppb.Now(), Plan: 1}))
	raw, err := o.bus.LastMsg(o.tb.Context(), bus.Campaign, subject)
	if err != nil {
		o.tb.Fatal(err)
	}
	return raw.Sequence
}

func inAMinute(_ *sender.Options, d *sender.Deps) {
	d.Now = func() time.Time { return time.Now().Add(time.Minute) }
}

func TestAClaimThatWasGivenBackIsTakenOver(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	claim := o.claimed("lead1")
	o.states["lead1"] = &campaignv1.State{Touches: []*campaignv1.Touch{{Id: "lead1-t1", Status: deferred, ReturnedClaim: claim}}}
	o.plan("lead1")
	o.sender(nil)
	o.wantSettled("lead1", sent, "accepted")
}

// Whoever took a claim over holds one of its own: that an earlier one was given
// back says nothing about his mail.
func TestAClaimThatWasTakenOverIsNotGivenBackByTheOneBefore(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	first := o.claimed("lead1")
	o.claimed("lead1")
	o.states["lead1"] = &campaignv1.State{Touches: []*campaignv1.Touch{{Id: "lead1-t1", Status: deferred, ReturnedClaim: first}}}
	o.plan("lead1")
	o.sender(inAMinute)
	o.wantSettled("lead1", ambiguous, "sender_vanished")
	if n := len(o.sink.took()); n != 0 {
		t.Errorf("%d mails", n)
	}
}

func TestAnOutcomeThatCannotBeFoldedIsParkedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	for _, lead := range []string{"lead1", "lead2"} {
		o.meet(lead)
		o.plan(lead)
	}
	o.sender(func(_ *sender.Options, d *sender.Deps) {
		settle := d.Settle
		d.Settle = func(ctx context.Context, lead, id string, out *campaignv1.Outcome) (*campaignv1.Touch, error) {
			if lead == "lead1" {
				return nil, fmt.Errorf("%w: the fold panicked", sender.ErrRefused)
			}
			return settle(ctx, lead, id, out)
		}
	})
	o.wantSettled("lead2", sent, "accepted")
	ledgertest.Eventually(t, "the outcome is parked", func() bool {
		parked, err := o.bus.ListParked(t.Context())
		return err == nil && len(parked) == 1 && parked[0].GetReason() == bus.ReasonRefused &&
			parked[0].GetSubject() == bus.Subject(bus.Campaign, "lead1", bus.KindOutcome, "lead1-t1")
	})
}

// The holder of an old claim lived after all, and tells what became of the mail
// while somebody else gives the touch up.
func TestATouchThatIsSettledWhileItIsGivenUpLeavesTheList(t *testing.T) {
	t.Parallel()
	o := newOffice(t, always(fine))
	o.meet("lead1")
	o.claimed("lead1")
	o.plan("lead1")
	o.sender(func(opts *sender.Options, d *sender.Deps) {
		inAMinute(opts, d)
		settle := d.Settle
		d.Settle = func(ctx context.Context, lead, id string, out *campaignv1.Outcome) (*campaignv1.Touch, error) {
			if parked, err := o.bus.ListParked(ctx); err != nil || len(parked) != 1 {
				t.Errorf("parked %v, error %v", parked, err)
			}
			if _, err := settle(ctx, lead, "the holder's", &campaignv1.Outcome{TouchId: out.GetTouchId(), Status: sent, Reason: "accepted"}); err != nil {
				t.Error(err)
			}
			return settle(ctx, lead, id, out)
		}
	})
	o.wantSettled("lead1", sent, "accepted")
	ledgertest.Eventually(t, "the touch is off the list", func() bool {
		parked, err := o.bus.ListParked(t.Context())
		return err == nil && len(parked) == 0 && len(o.outcomes("lead1")) == 2
	})
}
