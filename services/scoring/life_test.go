package scoring

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/services/scoring/internal/model"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

var update = flag.Bool("update", false, "write the transcripts anew")

const day = 24 * time.Hour

var birth = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func testModel(t testing.TB) *model.Model {
	t.Helper()
	raw, err := os.ReadFile("testdata/model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.Parse("model.yaml", raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// life is one lead in virtual time: what happens to it is folded, its wake-ups
// fire while it waits, and all that comes of it is written down.
type life struct {
	t      testing.TB
	folder folder
	person *leadv1.Lead
	state  *scoringv1.State
	now    time.Time
	wake   time.Time
	seq    uint64
	script strings.Builder
	// told are the events of the latest input.
	told []*scoringv1.Event
}

func newLife(t testing.TB) *life {
	return &life{
		t: t, folder: folder{testModel(t)}, now: birth, state: &scoringv1.State{},
		person: &leadv1.Lead{LeadId: "lead-1", Profile: &leadv1.Profile{Email: "ada@example.com", Employees: 300}},
	}
}

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// recordOf is what another service writes.
func recordOf[E proto.Message](t testing.TB, state proto.Message, events ...E) []byte {
	rec := &ledgerv1.Record{State: mustMarshal(t, state)}
	for _, e := range events {
		rec.Events = append(rec.Events, mustMarshal(t, e))
	}
	return mustMarshal(t, rec)
}

func (l *life) fold(what string, in ledger.Input) {
	l.t.Helper()
	l.seq++
	in.Lead, in.Seq, in.Time = "lead-1", l.seq, l.now
	before := mustMarshal(l.t, l.state)
	ch, err := l.folder.fold(l.state, in, l.now)
	if err != nil {
		l.t.Fatalf("%s: %v", what, err)
	}
	if ch.Same {
		if diff := cmp.Diff(before, mustMarshal(l.t, l.state)); diff != "" {
			l.t.Fatalf("%s changes nothing, but changed the state", what)
		}
		l.told = nil
		l.printf("%s: %s\n", what, ch.Reason)
		return
	}
	l.state, l.wake, l.told = ch.State, ch.WakeAt, nil
	for _, e := range ch.Events {
		l.told = append(l.told, e.(*scoringv1.Event))
	}
	l.write(what, ch.Reason)
}

func (l *life) printf(format string, args ...any) {
	fmt.Fprintf(&l.script, "%-10s ", l.now.Sub(birth).Round(time.Second))
	fmt.Fprintf(&l.script, format, args...)
}

func (l *life) write(what, reason string) {
	sc := l.state.GetScore()
	l.printf("%s: %s -> %s fit %.3g behaviour %.4f %s", what, reason, stage.Name(sc.GetStage()), sc.GetFit(), sc.GetBehaviour(), sc.GetGrade())
	if sc.GetQualified() {
		l.script.WriteString(" qualified")
	}
	if !l.wake.IsZero() {
		fmt.Fprintf(&l.script, ", wake %s", l.wake.Sub(birth).Round(time.Second))
	}
	l.script.WriteString("\n")
	for _, e := range l.told {
		fmt.Fprintf(&l.script, "%-10s   %s\n", "", eventLine(e))
	}
}

func eventLine(e *scoringv1.Event) string {
	switch f := e.GetFact().(type) {
	case *scoringv1.Event_Scored:
		return "scored " + f.Scored.GetScore().GetGrade()
	case *scoringv1.Event_StageChanged:
		c := f.StageChanged
		return fmt.Sprintf("%s -> %s because %s", stage.Name(c.GetFrom()), stage.Name(c.GetTo()), c.GetReason())
	case *scoringv1.Event_Qualified:
		var parts []string
		for _, r := range f.Qualified.GetReasons() {
			parts = append(parts, fmt.Sprintf("%s %.1f", r.GetText(), r.GetPoints()))
		}
		return fmt.Sprintf("QUALIFIED by %s: %s", f.Qualified.GetWhy(), strings.Join(parts, ", "))
	case *scoringv1.Event_Answered:
		return fmt.Sprintf("sales answered %s %s", stage.Name(f.Answered.GetStage()), f.Answered.GetReason())
	default:
		return fmt.Sprintf("%T", f)
	}
}

// ingest folds a record of ingest.
func (l *life) ingest(what string, events ...*ingestv1.Event) {
	l.t.Helper()
	l.fold(what, ledger.Input{Stream: bus.Leads, Kind: bus.KindState, Data: recordOf(l.t, &ingestv1.State{Lead: leadtest.WithFacts(l.person)}, events...)})
}

func captured() *ingestv1.Event {
	return &ingestv1.Event{Fact: &ingestv1.Event_Captured{Captured: &ingestv1.Captured{}}}
}

func identified() *ingestv1.Event {
	return &ingestv1.Event{Fact: &ingestv1.Event_Identified{Identified: &ingestv1.Identified{}}}
}

func did(kind string, at time.Time, properties ...string) *ingestv1.Event {
	a := &leadv1.Activity{Type: kind, OccurredAt: timestamppb.New(at), Properties: map[string]string{}}
	for i := 0; i+1 < len(properties); i += 2 {
		a.Properties[properties[i]] = properties[i+1]
	}
	return &ingestv1.Event{Fact: &ingestv1.Event_Activity{Activity: a}}
}

func (l *life) does(kind string, properties ...string) {
	l.t.Helper()
	l.ingest(strings.Join(append([]string{kind}, properties...), " "), did(kind, l.now, properties...))
}

// sales folds a record of handoff.
func (l *life) sales(what string, events ...*handoffv1.Event) {
	l.t.Helper()
	l.fold(what, ledger.Input{Stream: bus.Handoff, Kind: bus.KindState, Data: recordOf(l.t, &handoffv1.State{}, events...)})
}

func assigned() *handoffv1.Event {
	return &handoffv1.Event{Fact: &handoffv1.Event_Assigned{Assigned: &handoffv1.Assigned{Rep: "kim"}}}
}

func accepted() *handoffv1.Event {
	return &handoffv1.Event{Fact: &handoffv1.Event_Accepted{Accepted: &handoffv1.Accepted{Rep: "kim"}}}
}

func rejected() []*handoffv1.Event {
	why := leadv1.RejectReason_REJECT_REASON_NOT_READY
	return []*handoffv1.Event{
		{Fact: &handoffv1.Event_Rejected{Rejected: &handoffv1.Rejected{Reason: why}}},
		{Fact: &handoffv1.Event_Recycled{Recycled: &handoffv1.Recycled{Reason: why, Round: 1}}},
	}
}

func outcome(o handoffv1.Outcome) *handoffv1.Event {
	return &handoffv1.Event{Fact: &handoffv1.Event_OutcomeRecorded{OutcomeRecorded: &handoffv1.OutcomeRecorded{Outcome: o, AmountMinor: 120_000, Currency: "EUR"}}}
}

// waits lets time pass; wake-ups fire a little late, as they do.
func (l *life) waits(d time.Duration) {
	l.t.Helper()
	until := l.now.Add(d)
	for fired := 0; !l.wake.IsZero() && !l.wake.After(until); fired++ {
		if fired > 50 {
			l.t.Fatalf("wakes up without end, last at %v", l.wake)
		}
		l.now = l.wake.Add(100 * time.Millisecond)
		l.wake = time.Time{}
		l.fold("wakes", ledger.Input{Stream: bus.Scores, Kind: bus.KindDue})
	}
	if l.now.Before(until) {
		l.now = until
	}
}

// golden compares the transcript with the one that was read and agreed to.
func (l *life) golden(name string) {
	l.t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(l.script.String()), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), l.script.String()); diff != "" {
		l.t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func recordWith(event []byte) *ledgerv1.Record {
	return &ledgerv1.Record{Events: [][]byte{event}}
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
