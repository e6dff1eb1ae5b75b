package torture_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
)

func TestTheSameSeedDrawsTheSamePlan(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(torture.NewPlan(7, torture.Short()), torture.NewPlan(7, torture.Short())); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	if cmp.Equal(torture.NewPlan(7, torture.Short()), torture.NewPlan(8, torture.Short())) {
		t.Error("another seed draws the same plan")
	}
}

func TestAPlanHasEnoughOfEverything(t *testing.T) {
	t.Parallel()
	for _, profile := range []torture.Profile{torture.Short(), torture.Long()} {
		plan := torture.NewPlan(1, profile)
		kills, targets := 0, map[string]int{}
		for _, b := range plan.Blows {
			if b.At <= 0 || b.At > profile.Load {
				t.Errorf("%s: a blow at %v of %v", profile.Name, b.At, profile.Load)
			}
			switch b.Way {
			case torture.Kill, torture.Mid:
				kills++
			case torture.Dark:
				kills += 2
			}
			targets[torture.ServiceOf(b.Target)]++
		}
		if kills < 20 || targets["nats"] < 2 || targets["redis"] < 3 {
			t.Errorf("%s: %d kills, targets %v", profile.Name, kills, targets)
		}
		roles, kinds := map[torture.Role]int{}, map[torture.Kind]int{}
		for _, p := range plan.People {
			roles[p.Role]++
			for _, s := range p.Steps {
				kinds[s.Kind]++
			}
		}
		if len(roles) != 5 || len(kinds) != 5 {
			t.Errorf("%s: roles %v, kinds %v", profile.Name, roles, kinds)
		}
		elsewhere, unmerges := 0, 0
		for _, p := range plan.People {
			if p.Steps[len(p.Steps)-1].Elsewhere {
				elsewhere++
			}
		}
		for _, p := range plan.Pairs {
			if p.Unmerge {
				unmerges++
			}
		}
		if elsewhere < 50 || unmerges < 10 || len(plan.Pairs)-unmerges < 10 {
			t.Errorf("%s: %d second browsers, %d pairs, %d of them separated again", profile.Name, elsewhere, len(plan.Pairs), unmerges)
		}
	}
}

func TestIdsAreUniqueAndStepsInOrder(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	plan := torture.NewPlan(3, torture.Short())
	for _, p := range plan.Pairs {
		for _, s := range append(append([]torture.PairStep{}, p.Merged...), p.Parted...) {
			if seen[s.ID] {
				t.Fatalf("step %+v", s)
			}
			seen[s.ID] = true
		}
	}
	for _, p := range plan.People {
		for i, s := range p.Steps {
			if seen[s.ID] || s.Seq != i+1 {
				t.Fatalf("step %+v", s)
			}
			seen[s.ID] = true
		}
		if p.Steps[0].With {
			t.Errorf("%s begins with the second half of a batch", p.Key)
		}
	}
}

func TestNobodyIsInTwoPairsAndBothMayBeMailed(t *testing.T) {
	t.Parallel()
	paired := map[string]bool{}
	for _, p := range torture.NewPlan(5, torture.Short()).Pairs {
		others := 0
		for _, who := range []*torture.Person{p.Into, p.From} {
			if paired[who.Key] {
				t.Errorf("%s is in two pairs", who.Key)
			}
			paired[who.Key] = true
			switch who.Role {
			case torture.Nurtured:
			case torture.Ready, torture.Leaver:
				others++
			default:
				t.Errorf("%s is %s", who.Key, who.Role)
			}
		}
		if others > 1 || p.Unmerge != (len(p.Parted) > 0) {
			t.Errorf("pair %+v", p)
		}
	}
}
