package person

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

func TestWhichOfTwoAccountsCounts(t *testing.T) {
	for _, tc := range []struct {
		name          string
		account, by   string
		at            int
		other, otherB string
		otherAt       int
		want          string
	}{
		{"who changes company moves", "old", "email", 1, "new", "email", 2, "new"},
		{"told late, it was before", "new", "email", 2, "old", "email", 1, "new"},
		{"a group beats an address", "group", "group", 1, "domain", "email", 2, "group"},
		{"also when it comes later", "domain", "email", 2, "group", "group", 1, "group"},
		{"an id elsewhere is a statement too", "domain", "website", 2, "crm", "external_id", 1, "crm"},
		{"of two groups the later one", "one", "group", 1, "two", "group", 2, "two"},
		{"of two at one time the greater", "b", "email", 1, "a", "email", 1, "b"},
	} {
		l, times := &leadv1.Lead{}, &ingestv1.Times{}
		belong(l, times, &leadv1.Lead{AccountId: tc.account, AccountBy: tc.by}, int64(tc.at))
		belong(l, times, &leadv1.Lead{AccountId: tc.other, AccountBy: tc.otherB}, int64(tc.otherAt))
		if l.GetAccountId() != tc.want {
			t.Errorf("%s: %s by %s", tc.name, l.GetAccountId(), l.GetAccountBy())
		}
	}
}

func TestTheHistorySaysWhichAccountALeadBelongedToWhenAndWhy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st, account, by := New(), "", ""
		for i := range rapid.IntRange(1, 15).Draw(t, "events") {
			cmd := &ingestv1.Apply{
				Capture:   &ingestv1.CaptureLeadRequest{Source: "web", OccurredAt: timestamppb.New(noon.Add(time.Duration(rapid.IntRange(-9, 0).Draw(t, "at")) * time.Hour))},
				AccountId: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "account"), AccountBy: rapid.SampledFrom([]string{"group", "email"}).Draw(t, "by"),
			}
			data, err := proto.Marshal(cmd)
			if err != nil {
				t.Fatal(err)
			}
			ch, err := Fold(proto.CloneOf(st), ledger.Input{Lead: "L", Data: data}, noon.Add(time.Duration(i)*time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range ch.Events {
				if j := e.(*ingestv1.Event).GetJoined(); j != nil {
					if j.GetWasAccountId() != account || j.GetAccountId() == account {
						t.Fatalf("from %q: %v", account, j)
					}
					account, by = j.GetAccountId(), j.GetBy()
				}
			}
			if !ch.Same {
				st = ch.State
			}
			if st.GetLead().GetAccountId() != account || account != "" && by == "" {
				t.Fatalf("the lead belongs to %q, the history says %q by %q", st.GetLead().GetAccountId(), account, by)
			}
		}
	})
}

// folded applies one command to a state, as of a moment.
func folded(t *rapid.T, st *ingestv1.State, cmd *ingestv1.Apply, now time.Time) (*ingestv1.State, Change) {
	data, err := proto.Marshal(cmd)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := Fold(proto.CloneOf(st), ledger.Input{Lead: "L", Data: data}, now)
	if err != nil {
		t.Fatal(err)
	}
	if ch.Same {
		return st, ch
	}
	return ch.State, ch
}

func TestWhoIsRemovedFromAnAccountIsWhereNothingSaidUntilThenPutsThem(t *testing.T) {
	type word struct {
		account, by string
		at          time.Time
	}
	better := func(a, b word) bool { return a.at.After(b.at) || a.at.Equal(b.at) && a.account > b.account }
	rapid.Check(t, func(t *rapid.T) {
		st, removed := New(), time.Time{}
		var told []word
		for i := range rapid.IntRange(1, 15).Draw(t, "things") {
			now := noon.Add(time.Duration(i) * time.Hour)
			was := st.GetLead()
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 && i > 0 {
				from := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "from")
				var ch Change
				st, ch = folded(t, st, &ingestv1.Apply{Rehouse: &ingestv1.Rehouse{FromAccountId: from}}, now)
				if was.GetAccountId() == from && was.GetAccountBy() == "group" {
					if removed = now; ch.Same || ch.Reason != ReasonRehoused {
						t.Fatalf("not removed from %s: %v", from, ch)
					}
				} else if !ch.Same {
					t.Fatalf("removed from %s, where nobody put it: %v", from, was)
				}
			} else {
				w := word{
					rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "account"), rapid.SampledFrom([]string{"group", "email"}).Draw(t, "by"),
					now.Add(-time.Duration(rapid.IntRange(0, 9).Draw(t, "ago")) * time.Hour),
				}
				told = append(told, w)
				st, _ = folded(t, st, &ingestv1.Apply{
					Capture: &ingestv1.CaptureLeadRequest{Source: "web", OccurredAt: timestamppb.New(w.at)}, AccountId: w.account, AccountBy: w.by,
				}, now)
			}
			best := map[string]word{}
			for _, w := range told {
				if (w.by == "email" || w.at.After(removed)) && (best[w.by] == word{} || better(w, best[w.by])) {
					best[w.by] = w
				}
			}
			want := best["group"]
			if want == (word{}) {
				want = best["email"]
			}
			if got := st.GetLead(); got.GetAccountId() != want.account || got.GetAccountBy() != want.by {
				t.Fatalf("the lead is with %q by %q, want %v", got.GetAccountId(), got.GetAccountBy(), want)
			}
		}
	})
}

func TestALeadGoesAlongWhenItsAccountIsMadeOneWithAnother(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		st := New()
		for i, by := range []string{"email", "group"} {
			st, _ = folded(t, st, &ingestv1.Apply{Capture: &ingestv1.CaptureLeadRequest{Source: "web"}, AccountId: "b", AccountBy: by}, noon.Add(time.Duration(i)*time.Minute))
		}
		join := &ingestv1.Apply{Rehouse: &ingestv1.Rehouse{FromAccountId: "b", IntoAccountId: "a"}}
		st, ch := folded(t, st, join, noon.Add(time.Hour))
		if j := ch.Events[0].(*ingestv1.Event).GetJoined(); st.GetLead().GetAccountId() != "a" || j.GetWasAccountId() != "b" || j.GetBy() != "accounts_joined" {
			t.Fatalf("with %v, told %v", st.GetLead(), ch.Events)
		}
		if _, again := folded(t, st, join, noon.Add(2*time.Hour)); !again.Same {
			t.Fatal("moved twice")
		}
		st, _ = folded(t, st, &ingestv1.Apply{Rehouse: &ingestv1.Rehouse{FromAccountId: "a"}}, noon.Add(3*time.Hour))
		if l := st.GetLead(); l.GetAccountId() != "a" || l.GetAccountBy() != "email" {
			t.Fatalf("what the address says did not go along: %v", l)
		}
	})
}
