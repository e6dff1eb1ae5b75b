package scoring

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/services/scoring/internal/score"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// hit is an open or a click as ingest tells it first, and its verdict.
func hit(kind, id string, at time.Time) *ingestv1.Event {
	e := did(kind, at)
	e.GetActivity().Id, e.GetActivity().Pending = id, true
	return e
}

func verdictOn(h *ingestv1.Event, machine, again bool) *ingestv1.Event {
	a := proto.CloneOf(h.GetActivity())
	a.Pending, a.Machine, a.Verdict = false, machine, "human"
	if machine {
		a.Verdict = "trap_link"
	}
	return &ingestv1.Event{OccurredAt: h.GetOccurredAt(), Fact: &ingestv1.Event_Judged{Judged: &ingestv1.Judged{Activity: a, Again: again}}}
}

func (l *life) behaviour() float64 {
	return score.Behaviour(l.folder.model, l.state.GetCounters(), l.now)
}

func TestAClickCountsWhenItIsJudgedAndAsOfWhenItHappened(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	click := hit("email_clicked", "c1", l.now)
	l.ingest("click", click)
	if l.behaviour() != 0 {
		t.Fatalf("a click that waits for its verdict counts %v", l.behaviour())
	}
	l.waits(7 * day)
	l.ingest("verdict", verdictOn(click, false, false))
	plain := newLife(t)
	plain.ingest("import", captured())
	plain.does("email_clicked")
	plain.waits(7 * day)
	if got, want := l.behaviour(), plain.behaviour(); math.Abs(got-want) > 1e-9 || got == 0 {
		t.Errorf("counts %v, want %v", got, want)
	}
	before := l.behaviour()
	l.ingest("told twice", verdictOn(click, false, false))
	if l.behaviour() != before {
		t.Error("one click counts twice")
	}
}

func TestAClickThatTurnsOutToBeAMachinesLosesWhatItEarned(t *testing.T) {
	l := newLife(t)
	l.ingest("import", captured())
	l.does("page_viewed", "path", "/pricing")
	plain := newLife(t)
	plain.ingest("import", captured())
	plain.does("page_viewed", "path", "/pricing")
	plain.waits(3 * day)
	before := l.behaviour()
	click := hit("email_clicked", "c1", l.now)
	l.ingest("human", verdictOn(click, false, false))
	if l.behaviour() <= before {
		t.Fatal("the click earned nothing")
	}
	l.waits(3 * day)
	l.ingest("machine after all", verdictOn(click, true, true))
	want := plain.behaviour()
	if math.Abs(l.behaviour()-want) > 1e-6 {
		t.Errorf("left are %v, want %v", l.behaviour(), want)
	}
	got := l.state.GetCorrections()
	if len(got) != 1 || got[0].GetPoints() >= 0 || got[0].GetVerdict() != "trap_link" || l.told[len(l.told)-1].GetScored() == nil {
		t.Errorf("nobody is told why: %v, %v", got, l.told)
	}
	l.ingest("told twice", verdictOn(click, true, true))
	if math.Abs(l.behaviour()-want) > 1e-6 || len(l.state.GetCorrections()) != 1 {
		t.Error("it was taken back twice")
	}
	l.ingest("human in the end", verdictOn(click, false, true))
	if l.behaviour() <= want || len(l.state.GetCorrections()) != 2 || l.state.GetCorrections()[1].GetPoints() <= 0 {
		t.Errorf("%v points, corrections %v", l.behaviour(), l.state.GetCorrections())
	}
}

func TestPointsAreAsIfMachinesHadNeverCome(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		with, without := newLife(t), newLife(t)
		all := []*life{with, without}
		for _, l := range all {
			l.ingest("import", captured())
		}
		var late []*ingestv1.Event
		for i := range rapid.IntRange(1, 12).Draw(rt, "clicks") {
			pause := time.Duration(rapid.IntRange(0, 72).Draw(rt, "hours")) * time.Hour
			kind := rapid.SampledFrom([]string{"email_clicked", "email_opened"}).Draw(rt, "kind")
			for _, l := range all {
				l.waits(pause)
			}
			h := hit(kind, string(rune('a'+i)), with.now)
			with.ingest("judged human", verdictOn(h, false, false))
			if rapid.Bool().Draw(rt, "machine") {
				late = append(late, h)
			} else {
				without.ingest("judged human", verdictOn(h, false, false))
			}
		}
		for _, h := range late {
			with.ingest("machine after all", verdictOn(h, true, true))
		}
		if a, b := with.behaviour(), without.behaviour(); math.Abs(a-b) > 1e-6 {
			rt.Fatalf("%v with machines taken back, %v without them", a, b)
		}
	})
}
