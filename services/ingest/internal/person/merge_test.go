package person

import (
	"cmp"
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
)

// society is a few leads whose commands are folded as the ledger does it.
type society struct {
	t      testing.TB
	states map[string]*ingestv1.State
	// live are the same as a process has them that folds one input after the other
	// and reads nothing from the log in between.
	live   map[string]*ingestv1.State
	clock  time.Time
	merges int
	// told is every event by the lead that told it.
	told []happening
	// signals judge, if there are any; verdicts are theirs: "A c1 human of B" for
	// one in A's records about a click of B.
	signals  Signals
	verdicts []string
}

type happening struct {
	lead string
	cmd  *ingestv1.Apply
	at   time.Time
}

func newSociety(t testing.TB) *society {
	return &society{t: t, states: map[string]*ingestv1.State{}, live: map[string]*ingestv1.State{}, clock: noon}
}

func (s *society) fold(lead string, cmd *ingestv1.Apply) error {
	data, err := proto.Marshal(cmd)
	if err != nil {
		s.t.Fatal(err)
	}
	st := New()
	if have := s.states[lead]; have != nil {
		st = proto.CloneOf(have)
	}
	s.clock = s.clock.Add(time.Second)
	return s.input(lead, st, ledger.Input{Lead: lead, ID: fmt.Sprint(s.clock.UnixNano()), Data: data})
}

// input folds one input and keeps what comes out as it is stored.
func (s *society) input(lead string, st *ingestv1.State, in ledger.Input) error {
	ch, err := Folding(nil, s.signals)(st, in, s.clock)
	s.alive(lead, in, ch, err)
	if err == nil && !ch.Same {
		for _, e := range ch.Events {
			if e, ok := e.(*ingestv1.Event); ok && e.GetJudged() != nil {
				a := e.GetJudged().GetActivity()
				s.verdicts = append(s.verdicts, strings.TrimSuffix(fmt.Sprintf("%s %s %s of %s", lead, a.GetId(), a.GetVerdict(), e.GetOriginLeadId()), " of "))
			}
		}
		// What is stored is what is encoded: nothing is shared between parts.
		stored, err := proto.Marshal(ch.State)
		if err != nil {
			s.t.Fatal(err)
		}
		s.states[lead] = New()
		if err := proto.Unmarshal(stored, s.states[lead]); err != nil {
			s.t.Fatal(err)
		}
	}
	return err
}

// alive folds the input into the state that was never read from the log: what
// comes out must be the same bytes.
func (s *society) alive(lead string, in ledger.Input, want Change, failed error) {
	s.t.Helper()
	if failed != nil || want.Same { // the ledger reads the state anew then
		delete(s.live, lead)
		return
	}
	st := s.live[lead]
	if st == nil {
		st = New()
		if have := s.states[lead]; have != nil {
			st = proto.CloneOf(have)
		}
	}
	got, err := Folding(nil, s.signals)(st, in, s.clock)
	if err != nil {
		s.t.Fatal(err)
	}
	s.live[lead] = got.State
	if diff := gocmp.Diff(want.State, got.State, protocmp.Transform()); diff != "" {
		s.t.Fatalf("lead %s is another one in memory (-read from the log +kept): %s", lead, diff)
	}
}

func (s *society) step(lead string, step *ingestv1.Step) error {
	return s.fold(lead, &ingestv1.Apply{Step: step})
}

func (s *society) root(lead string) string {
	for s.states[lead].GetMergedInto() != nil {
		lead = s.states[lead].GetMergedInto().GetIntoLeadId()
	}
	return lead
}

// tell carries an event of a lead to where that lead is now.
func (s *society) tell(lead string, cmd *ingestv1.Apply) {
	at := s.clock.Add(time.Second)
	s.told = append(s.told, happening{lead, proto.CloneOf(cmd), at})
	to := s.root(lead)
	if to != lead {
		cmd.Origin = lead
	}
	if err := s.fold(to, cmd); err != nil {
		s.t.Fatal(err)
	}
}

func (s *society) merge(from, into string) error {
	from, into = s.root(from), s.root(into)
	s.merges++
	m := &ingestv1.Merge{Id: fmt.Sprint("m", s.merges), FromLeadId: from, IntoLeadId: into, By: "test", Confidence: 1}
	if err := s.step(into, &ingestv1.Step{Step: &ingestv1.Step_Join{Join: m}}); err != nil || from == into {
		return err
	}
	if err := s.step(from, &ingestv1.Step{Step: &ingestv1.Step_Freeze{Freeze: m}}); err != nil {
		return err
	}
	parts := Parts(proto.CloneOf(s.states[from]))
	parts[0].Merge, parts[0].RecentIds = m, []uint64{1} // of some event before
	return s.step(into, &ingestv1.Step{Step: &ingestv1.Step_Adopt{Adopt: &ingestv1.Adopt{Merge: m, Parts: parts, Hits: Hits(s.states[from], from)}}})
}

func (s *society) unmerge(lead string) {
	whole := s.root(lead)
	if whole == lead {
		return
	}
	if err := s.step(whole, &ingestv1.Step{Step: &ingestv1.Step_Release{Release: &ingestv1.Release{LeadId: lead}}}); err != nil {
		s.t.Fatal(err)
	}
	l := s.states[whole].GetLeaving()[0]
	r := &ingestv1.Restore{Id: l.GetId(), FromLeadId: whole, Parts: l.GetParts(), Hits: l.GetHits()}
	r.Parts[0].RecentIds = []uint64{2} // of some event meanwhile
	if err := s.step(lead, &ingestv1.Step{Step: &ingestv1.Step_Restore{Restore: r}}); err != nil {
		s.t.Fatal(err)
	}
	if err := s.step(whole, &ingestv1.Step{Step: &ingestv1.Step_Forget{Forget: l.GetId()}}); err != nil {
		s.t.Fatal(err)
	}
}

// batch computes a lead anew: all its events, and those of the leads that are
// one with it, folded in the order they happened, merged at the end.
func (s *society) batch(root string) *leadv1.Lead {
	other := newSociety(s.t)
	events := slices.Clone(s.told)
	slices.SortStableFunc(events, func(a, b happening) int {
		return cmp.Compare(a.cmd.GetCapture().GetOccurredAt().AsTime().UnixNano(), b.cmd.GetCapture().GetOccurredAt().AsTime().UnixNano())
	})
	for _, e := range events {
		if s.root(e.lead) == root {
			other.clock = e.at.Add(-time.Second)
			other.tell(e.lead, proto.CloneOf(e.cmd))
		}
	}
	for _, from := range s.states[root].GetMergedFrom() {
		if err := other.merge(from, root); err != nil {
			s.t.Fatal(err)
		}
	}
	return other.states[root].GetLead()
}

// settled leaves out what is about when something arrived.
func settled(l *leadv1.Lead) *leadv1.Lead {
	l = proto.CloneOf(l)
	l.CreatedAt, l.UpdatedAt, l.Source, l.SuppressedAt = nil, nil, "", nil
	return l
}

// event draws an event that says when it happened.
func event(t *rapid.T) *ingestv1.Apply {
	word := rapid.SampledFrom([]string{"", "a", "b", "c"})
	at := noon.Add(-time.Duration(rapid.IntRange(1, 40).Draw(t, "minutes ago")) * time.Minute)
	c := &ingestv1.CaptureLeadRequest{
		Source: "web", OccurredAt: timestamppb.New(at), UserId: word.Draw(t, "user"), AnonymousId: word.Draw(t, "anonymous"),
		Profile: &leadv1.Profile{
			Email: word.Draw(t, "email"), Phone: word.Draw(t, "phone"), Company: word.Draw(t, "company"),
			Employees: rapid.Int64Range(0, 3).Draw(t, "employees"), Attributes: map[string]string{"plan": word.Draw(t, "plan")},
		},
	}
	if rapid.Bool().Draw(t, "touched") {
		c.Attribution = &leadv1.Attribution{UtmSource: word.Draw(t, "utm"), LandingPage: word.Draw(t, "page")}
	}
	if rapid.Bool().Draw(t, "acted") {
		c.Activity = &leadv1.Activity{Type: "x", OccurredAt: timestamppb.New(at)}
	}
	if p := word.Draw(t, "purpose"); p != "" {
		c.Consents = []*leadv1.Consent{{Purpose: p, Granted: rapid.Bool().Draw(t, "granted"), At: timestamppb.New(at)}}
	}
	cmd := &ingestv1.Apply{Capture: c, Suppression: leadv1.Suppression(rapid.Int32Range(0, 2).Draw(t, "suppression"))}
	if cmd.AccountId = word.Draw(t, "account"); cmd.GetAccountId() != "" {
		cmd.AccountBy = rapid.SampledFrom([]string{"group", "external_id", "email", "website"}).Draw(t, "by")
	}
	return cmd
}

func TestAnyOrderOfEventsMergesAndUnmergesGivesWhatTheBatchComputes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSociety(t)
		leads := []string{"A", "B", "C", "D"}
		lead := rapid.SampledFrom(leads)
		for _, l := range leads {
			s.tell(l, event(rt))
		}
		for range rapid.IntRange(1, 20).Draw(rt, "things") {
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				if err := s.merge(lead.Draw(rt, "from"), lead.Draw(rt, "into")); err != nil {
					rt.Fatal(err)
				}
			case 1:
				s.unmerge(lead.Draw(rt, "lead"))
			default:
				s.tell(lead.Draw(rt, "lead"), event(rt))
			}
		}
		for _, l := range leads {
			if s.root(l) != l {
				continue
			}
			if diff := gocmp.Diff(settled(s.batch(l)), settled(s.states[l].GetLead()), protocmp.Transform()); diff != "" {
				rt.Fatalf("lead %s (-batch +folded): %s", l, diff)
			}
		}
	})
}

func TestAnUnmergeRestoresBothHistoriesAlsoOfTheTimeInBetween(t *testing.T) {
	s := newSociety(t)
	s.tell("A", told(&leadv1.Profile{Company: "Acme"}))
	s.tell("B", told(&leadv1.Profile{Email: "jo@b.example"}))
	if err := s.merge("A", "B"); err != nil {
		t.Fatal(err)
	}
	s.tell("A", told(&leadv1.Profile{JobTitle: "Head of Sales"}))
	whole := s.states["B"].GetLead()
	if p := whole.GetProfile(); p.GetCompany() != "Acme" || p.GetJobTitle() == "" || p.GetEmail() == "" || !slices.Equal(whole.GetMergedFrom(), []string{"A"}) {
		t.Fatalf("merged: %v", whole)
	}
	s.unmerge("A")
	if p := s.states["A"].GetLead().GetProfile(); p.GetCompany() != "Acme" || p.GetJobTitle() == "" || p.GetEmail() != "" {
		t.Errorf("A has %v", p)
	}
	if p := s.states["B"].GetLead().GetProfile(); p.GetCompany() != "" || p.GetJobTitle() != "" || p.GetEmail() == "" {
		t.Errorf("B has %v", p)
	}
	soft := &ingestv1.Merge{Id: "again", FromLeadId: "A", IntoLeadId: "B", Confidence: 0.9}
	if err := s.step("B", &ingestv1.Step{Step: &ingestv1.Step_Join{Join: soft}}); err != ErrApart { //nolint:errorlint // the fold's own
		t.Errorf("what a hand separated merges by itself: %v", err)
	}
}

// stands reports whether the survivor of a merge knows of it, or will. A lead
// whose merge does not stand goes on by itself as soon as somebody meets it.
func (s *society) stands(m *ingestv1.Merge) bool {
	into := s.states[m.GetIntoLeadId()]
	return Has(into, m.GetFromLeadId()) || promised(into, m.GetFromLeadId()) != nil
}

func TestMergesCannotGoRoundInACircle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSociety(t)
		leads := []string{"A", "B", "C"}
		for _, l := range leads {
			s.tell(l, told(&leadv1.Profile{Company: l}))
		}
		// Steps of merges in any order, as of coordinators that stall and die.
		var open []*ingestv1.Merge
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			if len(open) == 0 || rapid.Bool().Draw(rt, "begin") {
				from, into := rapid.SampledFrom(leads).Draw(rt, "from"), rapid.SampledFrom(leads).Draw(rt, "into")
				m := &ingestv1.Merge{Id: fmt.Sprint(len(open)), FromLeadId: from, IntoLeadId: into, Confidence: 1}
				if s.step(into, &ingestv1.Step{Step: &ingestv1.Step_Join{Join: m}}) == nil && from != into {
					open = append(open, m)
				}
				continue
			}
			m := rapid.SampledFrom(open).Draw(rt, "merge")
			switch rapid.IntRange(0, 2).Draw(rt, "step") {
			case 0:
				_ = s.step(m.FromLeadId, &ingestv1.Step{Step: &ingestv1.Step_Freeze{Freeze: m}})
			case 1:
				if at := s.states[m.FromLeadId].GetMergedInto(); at.GetId() == m.GetId() {
					parts := Parts(proto.CloneOf(s.states[m.FromLeadId]))
					parts[0].Merge, parts[0].RecentIds = m, []uint64{1} // of some event before
					_ = s.step(m.IntoLeadId, &ingestv1.Step{Step: &ingestv1.Step_Adopt{Adopt: &ingestv1.Adopt{Merge: m, Parts: parts}}})
				}
			case 2:
				_ = s.step(m.IntoLeadId, &ingestv1.Step{Step: &ingestv1.Step_Abort{Abort: m.GetId()}})
			}
			for _, l := range leads {
				at := l
				for range leads {
					if next := s.states[at].GetMergedInto(); next != nil && s.stands(next) {
						at = next.GetIntoLeadId()
					}
				}
				if next := s.states[at].GetMergedInto(); next != nil && s.stands(next) {
					rt.Fatalf("lead %s goes round in a circle", l)
				}
			}
		}
	})
}
