package ledger

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

func moment(seconds int) time.Time { return time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC) }

func TestAScheduleIsPublishedUnlessOneIsPendingInTime(t *testing.T) {
	t.Parallel()
	clock := moment(100)
	for name, tt := range map[string]struct {
		armed *timestamppb.Timestamp
		wake  time.Time
		want  bool
	}{
		"none":                             {nil, moment(200), true},
		"pending in time":                  {timestamppb.New(moment(150)), moment(200), false},
		"pending too late":                 {timestamppb.New(moment(250)), moment(200), true},
		"pending, late by its jitter":      {timestamppb.New(moment(201)), moment(200), false},
		"fired before a late input folded": {timestamppb.New(moment(90)), moment(91), true},
		"perhaps fired just now":           {timestamppb.New(moment(100).Add(clockSkew / 2)), moment(102), true},
	} {
		if got := needsArming(tt.armed, tt.wake, clock, clock); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestASchedulePublishedAgainIsNotLaterThanTheOneThatIsPending(t *testing.T) {
	t.Parallel()
	l := &Ledger[*leadv1.Lead]{o: Options[*leadv1.Lead]{Stream: "SCORES"}, d: Deps{Now: func() time.Time { return moment(100) }}}
	for name, tt := range map[string]struct{ armed, wake, want time.Time }{
		"a pending one, earlier than the wish": {moment(150), moment(200), moment(150)},
		"a pending one with its jitter":        {moment(205), moment(200), moment(205)},
		"one that fired":                       {moment(90), moment(200), moment(200)},
		"a wish of the past":                   {moment(90), moment(80), moment(90)},
	} {
		rec := &ledgerv1.Record{WakeAt: timestamppb.New(tt.wake), ArmedAt: timestamppb.New(tt.armed)}
		msg := l.schedule("lead1", rec)
		if got, want := msg.Header.Get(scheduleHeader), "@at "+tt.want.Format(time.RFC3339Nano); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
