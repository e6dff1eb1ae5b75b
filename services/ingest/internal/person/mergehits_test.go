package person

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

func TestWhatBecameOfMailsIsTheirsWhoWereMailedWhateverIsMergedMeanwhile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSociety(t)
		s.clock = noon.Add(24 * time.Hour)
		leads := []string{"A", "B", "C"}
		lead := rapid.SampledFrom(leads)
		want := map[string][]*ingestv1.MailResult{}
		for _, l := range leads {
			s.tell(l, told(&leadv1.Profile{Company: l}))
		}
		for range rapid.IntRange(1, 25).Draw(rt, "things") {
			who := lead.Draw(rt, "lead")
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				if err := s.merge(who, lead.Draw(rt, "into")); err != nil {
					rt.Fatal(err)
				}
			case 1:
				s.unmerge(who)
			default:
				touch := fmt.Sprint(who, rapid.IntRange(1, 9).Draw(rt, "touch"))
				cmd := news(touch, rapid.SampledFrom([]string{"soft", "delivered"}).Draw(rt, "how"), rapid.IntRange(0, 60).Draw(rt, "minute"), MaxSoftBounces)
				a := cmd.GetCapture().GetActivity()
				want[who] = withResult(slices.Clone(want[who]), &ingestv1.MailResult{
					Touch: touchHash(touch), At: a.GetOccurredAt().GetSeconds(), Bounced: a.GetType() == emailBounced,
				})
				s.tell(who, cmd)
			}
		}
		for _, l := range leads {
			if s.root(l) != l {
				continue
			}
			var all []*ingestv1.MailResult
			for _, one := range append([]string{l}, s.states[l].GetMergedFrom()...) {
				for _, r := range want[one] {
					all = withResult(all, r)
				}
			}
			if diff := gocmp.Diff(all, s.states[l].GetMails(), protocmp.Transform()); diff != "" {
				rt.Fatalf("lead %s (-each by itself +merged): %s", l, diff)
			}
		}
	})
}

// judged is a society whose opens and clicks are judged after ten seconds.
func judged(t *testing.T) *society {
	t.Helper()
	s := newSociety(t)
	all := newJudges(t, "")
	s.signals = func(hash string) (*signal.Rules, error) { return all[hash], nil }
	for _, l := range []string{"A", "B"} {
		cmd := told(&leadv1.Profile{Email: l + "@acme.example"})
		cmd.Signals = "a"
		s.tell(l, cmd)
	}
	return s
}

// click tells of a click of a lead on a link of a mail.
func (s *society) click(lead, id string, change func(*leadv1.Hit)) {
	s.t.Helper()
	h := &leadv1.Hit{Agent: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Link: "1", Network: "198.51.100.0/24"}
	if change != nil {
		change(h)
	}
	s.tell(lead, &ingestv1.Apply{Signals: "a", MustExist: true, Capture: &ingestv1.CaptureLeadRequest{Source: "campaign", Activity: &leadv1.Activity{
		Id: id, Type: "email_clicked", OccurredAt: timestamppb.New(s.clock), Properties: map[string]string{"touch_id": lead + "-t1"}, Hit: h,
	}}})
}

// wait lets time go by and wakes a lead.
func (s *society) wait(lead string, d time.Duration) {
	s.t.Helper()
	s.clock = s.clock.Add(d)
	in := ledger.Input{Lead: lead, Kind: "due", Time: s.clock}
	if err := s.input(lead, proto.CloneOf(s.states[lead]), in); err != nil {
		s.t.Fatal(err)
	}
}

func TestAVerdictBelongsToTheLeadWhoseClickItIs(t *testing.T) {
	s := judged(t)
	if err := s.merge("A", "B"); err != nil {
		t.Fatal(err)
	}
	s.click("A", "a1", nil)
	s.click("B", "b1", nil)
	s.wait("B", time.Minute)
	if got := strings.Join(s.verdicts, ", "); got != "B a1 human of A, B b1 human" {
		t.Errorf("verdicts %q", got)
	}
	s.verdicts = nil
	s.click("A", "a2", nil)
	s.click("B", "b2", nil)
	s.unmerge("A")
	if got := strings.Join(s.verdicts, ", "); got != "B a2 human of A" {
		t.Errorf("at the unmerge: verdicts %q", got)
	}
	s.verdicts = nil
	s.wait("A", time.Minute)
	s.wait("B", time.Minute)
	if got := strings.Join(s.verdicts, ", "); got != "B b2 human" {
		t.Errorf("after the unmerge: verdicts %q", got)
	}
	a, b := s.states["A"].GetLead(), s.states["B"].GetLead()
	if a.GetActivities() != 2 || b.GetActivities() != 2 || !a.GetLastSeenAt().AsTime().Before(b.GetLastSeenAt().AsTime()) {
		t.Errorf("after the unmerge: %v and %v", a, b)
	}
}

func TestAClickThatAMergeFoundWaitingIsStillOverruled(t *testing.T) {
	s := judged(t)
	s.click("A", "a1", nil)
	if err := s.merge("A", "B"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(s.verdicts, ", "); got != "A a1 human" {
		t.Fatalf("at the merge: verdicts %q", got)
	}
	s.verdicts = nil
	s.click("A", "a2", func(h *leadv1.Hit) { h.Trap = true })
	s.wait("B", time.Minute)
	if got := strings.Join(s.verdicts, ", "); got != "B a1 with_trap_link of A, B a2 trap_link of A" {
		t.Errorf("after the merge: verdicts %q", got)
	}
}

func TestALeadIsTheSameInMemoryAsReadFromTheLogWhateverIsMergedMeanwhile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := judged(t)
		lead := rapid.SampledFrom([]string{"A", "B"})
		for n := range rapid.IntRange(1, 20).Draw(rt, "things") {
			switch who := lead.Draw(rt, "lead"); rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				if err := s.merge(who, lead.Draw(rt, "into")); err != nil {
					rt.Fatal(err)
				}
			case 1:
				s.unmerge(who)
			case 2:
				s.click(who, fmt.Sprint("c", n), nil)
			case 3: // society.alive compares
				s.wait(who, time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds"))*time.Second)
			default:
				s.tell(who, event(rt))
			}
		}
	})
}

func TestAClickIsStillOverruledAfterAnUnmerge(t *testing.T) {
	s := judged(t)
	if err := s.merge("A", "B"); err != nil {
		t.Fatal(err)
	}
	s.click("A", "a1", nil)
	s.unmerge("A")
	if got := strings.Join(s.verdicts, ", "); got != "B a1 human of A" {
		t.Fatalf("at the unmerge: verdicts %q", got)
	}
	s.verdicts = nil
	s.click("A", "a2", func(h *leadv1.Hit) { h.Trap = true })
	s.wait("A", time.Minute)
	if got := strings.Join(s.verdicts, ", "); got != "A a1 with_trap_link, A a2 trap_link" {
		t.Errorf("after the unmerge: verdicts %q", got)
	}
}
