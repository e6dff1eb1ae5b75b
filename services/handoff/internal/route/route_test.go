package route_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/route"
)

const (
	held     = handoffv1.HandoffStatus_HANDOFF_STATUS_HELD
	assigned = handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED
	accepted = handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED
	recycled = handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED
)

func now() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) }

func anyone(int) bool { return true }

func TestAHeavyEntryIsSpreadInsteadOfInARow(t *testing.T) {
	w := route.NewWheel([]int{5, 1, 1})
	var got strings.Builder
	for range 14 {
		got.WriteByte("abc"[w.Turn(anyone)])
	}
	if got.String() != "aabacaaaabacaa" {
		t.Fatalf("got %s", got.String())
	}
}

func TestTheDistributionFollowsTheWeightsExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 20), 1, 8).Draw(t, "weights")
		sum := 0
		for _, w := range weights {
			sum += w
		}
		wheel, got := route.NewWheel(weights), make([]int, len(weights))
		rounds := rapid.IntRange(1, 5).Draw(t, "rounds")
		for range rounds * sum {
			got[wheel.Turn(anyone)]++
		}
		for i, w := range weights {
			if got[i] != rounds*w {
				t.Fatalf("weights %v: %v after %d rounds", weights, got, rounds)
			}
		}
		if sum == 0 && wheel.Turn(anyone) != -1 {
			t.Fatal("an entry without weight was chosen")
		}
	})
}

func TestOfEqualEntriesTheFirstWins(t *testing.T) {
	w := route.NewWheel([]int{1, 1, 1})
	for i := range 9 {
		if got := w.Turn(anyone); got != i%3 {
			t.Fatalf("turn %d gives %d", i, got)
		}
	}
}

func view(lead string) *leadv1.View {
	return &leadv1.View{LeadId: lead, Lead: &leadv1.Facts{Country: "DE"}}
}

func handoff(lead, rep string, s handoffv1.HandoffStatus) *handoffv1.Handoff {
	return &handoffv1.Handoff{LeadId: lead, Rep: rep, Status: s, QualifiedAt: timestamppb.New(now())}
}

// TestCapacityIsNeverExceeded plays random proposals, records that arrive
// late or never, answers and time against the book, next to a plain count.
func TestCapacityIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reps := []route.Rep{
			{ID: "ada", Weight: 3, Capacity: rapid.IntRange(0, 4).Draw(t, "ada")},
			{ID: "bo", Weight: 1, Capacity: rapid.IntRange(0, 4).Draw(t, "bo")},
		}
		book, at := route.NewBook(reps), now()
		owner := map[string]string{}    // committed: who has the lead
		proposed := map[string]string{} // proposed and not seen yet
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				lead := fmt.Sprintf("l%d", i)
				if p := book.Propose(view(lead), "", at); p.Rep != "" {
					proposed[lead] = p.Rep
					if again := book.Propose(view(lead), "", at); again.Rep != p.Rep {
						t.Fatalf("asked again, %s becomes %s", p.Rep, again.Rep)
					}
				}
			case 1: // a record arrives
				if lead := first(proposed); lead != "" {
					owner[lead] = proposed[lead]
					delete(proposed, lead)
					book.See(handoff(lead, owner[lead], assigned))
				}
			case 2: // sales answers
				if lead := first(owner); lead != "" {
					if !book.See(handoff(lead, owner[lead], recycled)) {
						t.Fatalf("nobody became free when %s was recycled", lead)
					}
					delete(owner, lead)
				}
			}
			load := map[string]int{"ada": 0, "bo": 0}
			for _, rep := range owner {
				load[rep]++
			}
			for _, rep := range proposed {
				load[rep]++
			}
			for _, r := range reps {
				if load[r.ID] > r.Capacity {
					t.Fatalf("%s has %d leads, capacity %d", r.ID, load[r.ID], r.Capacity)
				}
			}
			if diff := cmp.Diff(load, book.Loads()); diff != "" {
				t.Fatalf("the book counts differently:\n%s", diff)
			}
		}
	})
}

func first(m map[string]string) string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return ""
	}
	return slices.Min(keys)
}

func TestAProposalNobodyUsedIsForgottenAfterAWhile(t *testing.T) {
	b := route.NewBook([]route.Rep{{ID: "ada", Weight: 1, Capacity: 1}})
	if p := b.Propose(view("l1"), "", now()); p.Rep != "ada" {
		t.Fatalf("got %+v", p)
	}
	if p := b.Propose(view("l2"), "", now().Add(time.Second)); p.Rep != "" || p.By != desk.NoCapacity {
		t.Fatalf("got %+v", p)
	}
	if p := b.Propose(view("l2"), "", now().Add(time.Minute)); p.Rep != "ada" {
		t.Fatalf("got %+v", p)
	}
}

type country string

func (c country) Bool(vars map[string]any) (bool, error) {
	return vars["lead"].(*leadv1.Facts).GetCountry() == string(c), nil //nolint:forcetypeassert // the test's own
}

type broken struct{}

func (broken) Bool(map[string]any) (bool, error) { return true, fmt.Errorf("no such key") }

func TestARepTakesOnlyWhatTheConditionFits(t *testing.T) {
	b := route.NewBook([]route.Rep{
		{ID: "us", Weight: 9, Capacity: route.Unlimited, When: country("US")},
		{ID: "oops", Weight: 9, Capacity: route.Unlimited, When: broken{}},
		{ID: "off", Weight: 0, Capacity: route.Unlimited},
		{ID: "de", Weight: 1, Capacity: 1, When: country("DE")},
	})
	if p := b.Propose(view("l1"), "", now()); p.Rep != "de" {
		t.Fatalf("got %+v", p)
	}
	if p := b.Propose(view("l2"), "", now()); p.By != desk.NoCapacity {
		t.Fatalf("got %+v", p)
	}
	fr := &leadv1.View{LeadId: "l3", Lead: &leadv1.Facts{Country: "FR"}}
	if p := b.Propose(fr, "", now()); p.By != desk.NoRepMatches {
		t.Fatalf("got %+v", p)
	}
}

func TestAReassignmentGoesToAnotherRep(t *testing.T) {
	b := route.NewBook([]route.Rep{{ID: "ada", Weight: 9, Capacity: route.Unlimited}, {ID: "bo", Weight: 1, Capacity: 1}})
	b.See(handoff("l1", "ada", assigned))
	if p := b.Propose(view("l1"), "ada", now()); p.Rep != "bo" {
		t.Fatalf("got %+v", p)
	}
	if freed := b.See(handoff("l1", "bo", assigned)); !freed {
		t.Fatal("ada is not free")
	}
	if diff := cmp.Diff(map[string]int{"ada": 0, "bo": 1}, b.Loads()); diff != "" {
		t.Fatal(diff)
	}
	if p := b.Propose(view("l2"), "ada", now()); p.By != desk.NoCapacity {
		t.Fatalf("got %+v", p)
	}
}

func TestTheLongestHeldLeadIsOfferedFirst(t *testing.T) {
	b := route.NewBook([]route.Rep{{ID: "ada", Weight: 1, Capacity: 3}})
	b.See(handoff("l0", "ada", accepted))
	for i, lead := range []string{"l3", "l1", "l2"} {
		h := handoff(lead, "", held)
		h.Reason, h.QualifiedAt = string(desk.NoCapacity), timestamppb.New(now().Add(time.Duration(i)*time.Hour))
		b.See(h)
	}
	other := handoff("l4", "", held)
	other.Reason = string(desk.MissingEmail)
	b.See(other)
	if diff := cmp.Diff([]string{"l3", "l1", "l2"}, b.Waiting()); diff != "" {
		t.Fatal(diff)
	}
	if b.Room() != 2 {
		t.Fatalf("room for %d", b.Room())
	}
	if diff := cmp.Diff(map[string]int{string(desk.NoCapacity): 3, string(desk.MissingEmail): 1}, b.Holds()); diff != "" {
		t.Fatal(diff)
	}
}
