package scoring

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ties"
	"github.com/nurturehq/nurture/services/scoring/internal/score"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// people are some leads of which some turn out to be others, and are separated
// again; scoring reads what ingest tells of each in order, and of several in any
// order.
type people struct {
	t      *rapid.T
	folder folder
	now    time.Time
	seq    uint64
	parent map[string]string // merged lead: the one it went into
	merges map[string]string // and the merge's id
	acts   []act
	unread map[string][]ledger.Input
	states map[string]*scoringv1.State
	wakes  map[string]time.Time
	// ready counts how often sales was told of each lead.
	ready map[string]int
}

type act struct {
	lead string
	at   time.Time
}

func leadNames() []string { return []string{"a", "b", "c", "d"} }

func newPeople(t *rapid.T, f folder) *people {
	p := &people{
		t: t, folder: f, now: birth, parent: map[string]string{}, merges: map[string]string{}, unread: map[string][]ledger.Input{},
		states: map[string]*scoringv1.State{}, wakes: map[string]time.Time{}, ready: map[string]int{},
	}
	for _, lead := range leadNames() {
		p.tell(lead, captured())
	}
	return p
}

func (p *people) root(lead string) string {
	for p.parent[lead] != "" {
		lead = p.parent[lead]
	}
	return lead
}

// group are a lead and those that went into it.
func (p *people) group(lead string) []string {
	var all []string
	for _, other := range leadNames() {
		for at := other; at != ""; at = p.parent[at] {
			if at == lead {
				all = append(all, other)
			}
		}
	}
	return all
}

// tell writes a record of ingest about a lead.
func (p *people) tell(lead string, events ...*ingestv1.Event) {
	p.seq++
	p.now = p.now.Add(time.Minute)
	from := slices.DeleteFunc(p.group(lead), func(l string) bool { return l == lead })
	s := &ingestv1.State{Lead: leadtest.WithFacts(&leadv1.Lead{LeadId: lead, Profile: &leadv1.Profile{Email: lead + "@a.example"}}), MergedFrom: from}
	if into := p.parent[lead]; into != "" {
		s.MergedInto = &ingestv1.Merge{Id: p.merges[lead], IntoLeadId: into}
	}
	for _, l := range from {
		s.Parts = append(s.Parts, &ingestv1.Part{Lead: &leadv1.Lead{LeadId: l}, Merge: &ingestv1.Merge{Id: p.merges[l]}})
	}
	rec := &ledgerv1.Record{State: p.encode(s)}
	for _, e := range events {
		rec.Events = append(rec.Events, p.encode(e))
	}
	p.unread[lead] = append(p.unread[lead], ledger.Input{
		Lead: lead, Stream: bus.Leads, Seq: p.seq, Kind: bus.KindState, Data: p.encode(rec), Time: p.now,
	})
}

func (p *people) encode(m proto.Message) []byte {
	raw, err := proto.Marshal(m)
	if err != nil {
		p.t.Fatal(err)
	}
	return raw
}

func (p *people) does(lead string) {
	e := did("email_clicked", p.now)
	root := p.root(lead)
	if root != lead {
		e.OriginLeadId = lead
	}
	p.acts = append(p.acts, act{lead, p.now})
	p.tell(root, e)
}

func (p *people) merge(a, b string) {
	into, from := p.root(a), p.root(b)
	if into == from {
		return
	}
	p.parent[from], p.merges[from] = into, fmt.Sprint(p.seq)
	p.tell(from, &ingestv1.Event{Fact: &ingestv1.Event_MergedInto{MergedInto: &ingestv1.MergedInto{IntoLeadId: into}}})
	p.tell(into, &ingestv1.Event{Fact: &ingestv1.Event_Merged{Merged: &ingestv1.Merged{FromLeadId: from}}})
}

func (p *people) separate(lead string) {
	root := p.root(lead)
	if root == lead {
		return
	}
	var hosts []*ingestv1.Host
	for at := p.parent[lead]; at != ""; at = p.parent[at] {
		hosts = append(hosts, &ingestv1.Host{LeadId: at, MergeId: p.merges[at]})
	}
	hosts[len(hosts)-1].MergeId = p.merges[lead]
	delete(p.parent, lead)
	p.tell(root, &ingestv1.Event{Fact: &ingestv1.Event_Unmerged{Unmerged: &ingestv1.Unmerged{LeadId: lead, MergeId: p.merges[lead]}}})
	p.tell(lead, &ingestv1.Event{Fact: &ingestv1.Event_Restored{Restored: &ingestv1.Restored{FromLeadId: root, Hosts: hosts}}})
}

// read lets scoring take the next record of a lead, or a wake-up whose time came.
func (p *people) read(lead string) {
	switch in := p.unread[lead]; {
	case len(in) > 0:
		p.unread[lead] = in[1:]
		p.fold(in[0])
	case !p.wakes[lead].IsZero():
		p.wake(lead)
	}
}

func (p *people) wake(lead string) {
	p.now = later(p.now, p.wakes[lead])
	st, all := p.states[lead], &scoringv1.Handovers{}
	for _, a := range st.GetTies().GetAwaited() {
		if other := p.states[a.GetLeadId()]; ties.Ready(other.GetTies(), a) {
			all.Of = append(all.Of, handover(other, a, p.group(lead)))
		}
	}
	p.fold(ledger.Input{Lead: lead, Kind: "due", View: p.encode(all), Time: p.now})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func (p *people) fold(in ledger.Input) {
	st := &scoringv1.State{}
	if have := p.states[in.Lead]; have != nil {
		st = proto.CloneOf(have)
	}
	ch, err := p.folder.fold(st, in, in.Time)
	if err != nil {
		p.t.Fatal(err)
	}
	if !ch.Same {
		p.states[in.Lead], p.wakes[in.Lead] = ch.State, ch.WakeAt
	}
	for _, e := range ch.Events {
		if e, ok := e.(*scoringv1.Event); ok && e.GetQualified() != nil {
			p.ready[in.Lead]++
		}
	}
}

// settle lets everything be read.
func (p *people) settle() {
	for range 1000 {
		busy := false
		for _, lead := range leadNames() {
			if len(p.unread[lead]) > 0 || !ties.Next(p.states[lead].GetTies(), p.now).IsZero() {
				p.read(lead)
				busy = true
			}
		}
		if !busy {
			return
		}
	}
	p.t.Fatalf("somebody waits for ever: %v", p.states)
}

func TestWhateverIsMergedAndSeparatedEverybodyHasThePointsOfThoseWhoAreThem(t *testing.T) {
	f := newLife(t).folder
	rule := f.model.On("email_clicked")[0]
	rapid.Check(t, func(rt *rapid.T) {
		p := newPeople(rt, f)
		one := func(of string) string { return rapid.SampledFrom(leadNames()).Draw(rt, of) }
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"act", "act", "merge", "separate", "read", "read", "read", "read"}).Draw(rt, "step") {
			case "act":
				p.does(one("lead"))
			case "merge":
				p.merge(one("into"), one("from"))
			case "separate":
				p.separate(one("lead"))
			case "read":
				p.read(one("reader"))
			}
		}
		p.settle()
		for _, lead := range leadNames() {
			if broken := p.broken(lead, rule.HalfLife, rule.Points); broken != "" {
				rt.Fatal(broken)
			}
		}
	})
}

// broken compares a lead with the computation from all acts at once.
func (p *people) broken(lead string, halfLife time.Duration, points float64) string {
	st := p.states[lead]
	if into := p.parent[lead]; into != "" {
		if st.GetScore().GetStage() != leadv1.Stage_STAGE_MERGED || st.GetScore().GetQualified() || !ties.Next(st.GetTies(), p.now).IsZero() {
			return fmt.Sprintf("%s is merged into %s, and yet %v", lead, into, st.GetScore())
		}
		return ""
	}
	want, got := 0.0, 0.0
	for _, a := range p.acts {
		if slices.Contains(p.group(lead), a.lead) {
			want += score.Faded(points, p.now.Sub(a.at), halfLife)
		}
	}
	for _, c := range st.GetCounters() {
		got += score.Value(c, p.now, halfLife)
	}
	if math.Abs(got-want) > 1e-6 || st.GetScore().GetStage() == leadv1.Stage_STAGE_MERGED {
		return fmt.Sprintf("%s, who is %v, has %v points and should have %v: %v", lead, p.group(lead), got, want, st)
	}
	return ""
}
