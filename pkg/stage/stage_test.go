package stage_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/stage"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

const (
	nurturing  = leadv1.Stage_STAGE_NURTURING
	qualified  = leadv1.Stage_STAGE_QUALIFIED
	assigned   = leadv1.Stage_STAGE_ASSIGNED
	accepted   = leadv1.Stage_STAGE_ACCEPTED
	recycled   = leadv1.Stage_STAGE_RECYCLED
	suppressed = leadv1.Stage_STAGE_SUPPRESSED
	erased     = leadv1.Stage_STAGE_ERASED
	won        = leadv1.Stage_STAGE_WON
)

func TestALeadWalksTheSuccessPath(t *testing.T) {
	s := leadv1.Stage_STAGE_UNSPECIFIED
	for _, on := range []stage.Trigger{
		stage.Captured, stage.Scored, stage.CrossedThreshold, stage.Assigned,
		stage.Accepted, stage.Confirmed, stage.Won,
	} {
		d := stage.Next(s, on)
		if !d.Changed || d.Reason != stage.Reason(on) {
			t.Fatalf("%s in %s: %+v", on, stage.Name(s), d)
		}
		s = d.To
	}
	if s != won {
		t.Fatalf("ends in %s", stage.Name(s))
	}
}

func TestARejectedLeadComesBackToNurture(t *testing.T) {
	s := accepted
	for _, on := range []stage.Trigger{stage.Rejected, stage.Recycled, stage.Resumed, stage.CrossedThreshold} {
		s = stage.Next(s, on).To
	}
	if s != qualified {
		t.Fatalf("ends in %s", stage.Name(s))
	}
}

func TestTheGuardNamesWhyAStageStays(t *testing.T) {
	tests := []struct {
		name string
		from leadv1.Stage
		on   stage.Trigger
		want stage.Reason
	}{
		{"a repeat changes nothing", qualified, stage.CrossedThreshold, stage.Already},
		{"a score does not take a lead from sales", assigned, stage.CrossedThreshold, stage.WithSales},
		{"fading interest does not take a lead from sales", accepted, stage.Cooled, stage.WithSales},
		{"an unsubscribe does not take a lead from sales", accepted, stage.Suppressed, stage.WithSales},
		{"a customer is not nurtured", won, stage.CrossedThreshold, stage.Closed},
		{"a suppressed lead is not handed over", suppressed, stage.FastTrack, stage.Closed},
		{"nothing brings an erased lead back", erased, stage.Captured, stage.Closed},
		{"a lead that nobody gave back does not resume", qualified, stage.Resumed, stage.NotNow},
		{"an unknown trigger means nothing", nurturing, "paused", stage.NotNow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := stage.Next(tt.from, tt.on)
			if d.Changed || d.To != tt.from || d.Reason != tt.want {
				t.Fatalf("got %+v, want %s", d, tt.want)
			}
		})
	}
}

func TestEveryStageCanBeErasedAndStaysErased(t *testing.T) {
	for _, s := range stage.All() {
		if got := stage.Next(s, stage.Erased).To; got != erased {
			t.Errorf("%s: %s", stage.Name(s), stage.Name(got))
		}
	}
	for _, row := range stage.Table() {
		if d := stage.Next(erased, row.On); d.Changed {
			t.Errorf("%s leaves ERASED", row.On)
		}
	}
}

func TestEveryStageIsReachedAndAllButErasedAreLeft(t *testing.T) {
	reached := map[leadv1.Stage]bool{}
	left := map[leadv1.Stage]bool{}
	for _, row := range stage.Table() {
		reached[row.To] = true
		for _, from := range row.From {
			left[from] = true
		}
	}
	for _, s := range stage.All() {
		if !reached[s] {
			t.Errorf("%s is never reached", stage.Name(s))
		}
		if !left[s] && s != erased {
			t.Errorf("%s is never left", stage.Name(s))
		}
	}
}

func TestEveryStageHasExactlyOneKindOfOwner(t *testing.T) {
	for _, s := range stage.All() {
		n := 0
		for _, is := range []bool{stage.IsNurturable(s), stage.IsWithSales(s), stage.IsClosed(s), s == qualified} {
			if is {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is owned %d times", stage.Name(s), n)
		}
	}
}

func TestAnyWalkStaysInsideTheTable(t *testing.T) {
	rows := stage.Table()
	rapid.Check(t, func(t *rapid.T) {
		s := leadv1.Stage_STAGE_UNSPECIFIED
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			row := rows[rapid.IntRange(0, len(rows)-1).Draw(t, "row")]
			d := stage.Next(s, row.On)
			if d.Changed != (slices.Contains(row.From, s) && s != row.To) {
				t.Fatalf("%s in %s: %+v", row.On, stage.Name(s), d)
			}
			if d.Reason == "" {
				t.Fatalf("%s in %s has no reason", row.On, stage.Name(s))
			}
			s = d.To
		}
	})
}

func TestNamesAreReadBack(t *testing.T) {
	for _, s := range stage.All() {
		got, err := stage.Parse(stage.Name(s))
		if err != nil || got != s {
			t.Errorf("%s: %v, %v", stage.Name(s), got, err)
		}
	}
	if _, err := stage.Parse("nurtured"); err == nil {
		t.Error("an unknown name is accepted")
	}
	if recycled.String() != "STAGE_RECYCLED" {
		t.Error("the prefix of generated names changed")
	}
}
