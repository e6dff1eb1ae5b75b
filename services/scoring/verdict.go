package scoring

import (
	"hash/fnv"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/services/scoring/internal/score"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Bounds of what is remembered about opens and clicks.
const (
	maxHits        = 64
	maxCorrections = 8
)

// fast marks the fast track in what a hit was worth.
const fast = "fast_track:"

// judged takes in a verdict on an open or a click. Only a verdict counts: the hit
// before it waits. One that came to be judged otherwise loses what it earned, or
// earns it as of when it happened.
func (t *turn) judged(j *ingestv1.Judged, p *profile) error {
	a := j.GetActivity()
	switch {
	case a.GetMachine():
		if j.GetAgain() {
			t.takeBack(a)
		}
		return nil
	case t.knows(a):
		return nil
	}
	if err := t.activity(a, p); err != nil {
		return err
	}
	if j.GetAgain() {
		for _, h := range t.state.GetHits() {
			if h.GetId() == hitID(a) {
				t.correct(h, h.GetPoints(), a)
			}
		}
	}
	return nil
}

// knows reports whether a hit was counted before.
func (t *turn) knows(a *leadv1.Activity) bool {
	id := hitID(a)
	return slices.ContainsFunc(t.state.GetHits(), func(h *scoringv1.CountedHit) bool { return h.GetId() == id })
}

// remember keeps what a judged hit was worth to a rule.
func (t *turn) remember(a *leadv1.Activity, rule string, points float64, at time.Time) {
	if a.GetVerdict() == "" {
		return
	}
	t.state.Hits = append(t.state.GetHits(), &scoringv1.CountedHit{Id: hitID(a), Rule: rule, Points: points, At: timestamppb.New(at)})
	if over := len(t.state.GetHits()) - maxHits; over > 0 {
		t.state.Hits = slices.Delete(t.state.Hits, 0, over)
	}
}

// takeBack takes away what a hit earned, as faded as it is by now.
func (t *turn) takeBack(a *leadv1.Activity) {
	id := hitID(a)
	var left []*scoringv1.CountedHit
	for _, h := range t.state.GetHits() {
		if h.GetId() != id {
			left = append(left, h)
			continue
		}
		t.note(ReasonVerdict)
		t.told = true
		if rule := t.model.Rule(h.GetRule()); rule != nil {
			score.TakeBack(t.counters(), rule, h.GetPoints(), h.GetAt().AsTime(), len(t.state.GetShares()) > 0)
			if t.state.GetOwedPoints() > 0 && h.GetPoints() > 0 {
				t.state.OwedPoints += h.GetPoints()
			}
		}
		t.correct(h, -h.GetPoints(), a)
	}
	t.state.Hits = left
	rule := t.state.GetFastTrackRule()
	still := slices.ContainsFunc(left, func(h *scoringv1.CountedHit) bool { return h.GetRule() == fast+rule })
	for _, c := range t.state.GetCorrections() {
		if rule != "" && !still && c.GetRule() == fast+rule && c.GetAt().AsTime().Equal(t.now) {
			t.settle()
		}
	}
}

// correct writes down that a hit was judged otherwise, for whoever asks why the
// score is what it is.
func (t *turn) correct(h *scoringv1.CountedHit, points float64, a *leadv1.Activity) {
	t.state.Corrections = append(t.state.GetCorrections(), &scoringv1.Correction{
		At: t.stamp, Rule: h.GetRule(), Points: points, Verdict: a.GetVerdict(), HitAt: h.GetAt(),
	})
	if over := len(t.state.GetCorrections()) - maxCorrections; over > 0 {
		t.state.Corrections = slices.Delete(t.state.Corrections, 0, over)
	}
}

func hitID(a *leadv1.Activity) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(a.GetId())) // never fails
	return h.Sum64()
}
