package journey_test

import (
	"testing"
	"time"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
)

func TestAStageThatIsKnownIsNoNews(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_ASSIGNED, false) })
	since := w.now
	w.pass(time.Second)
	if c := w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_ASSIGNED, false) }); !c.Same {
		t.Errorf("sales tells again what it told: a record, %s", c.Reason)
	}
	if c := w.turn(func(t *journey.Turn) { t.ScoreTold(nil, leadv1.Stage_STAGE_ASSIGNED, since) }); !c.Same {
		t.Errorf("scoring tells what sales told: a record, %s", c.Reason)
	}
	if c := w.turn(func(t *journey.Turn) { t.SalesTold(leadv1.Stage_STAGE_ACCEPTED, false) }); c.Same {
		t.Error("an answer of sales is no record")
	}
}

func TestAScoreThatFadesALittleIsNoNewsUntilItAddsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, welcome)
	w.captured()
	score := func(behaviour float64, grade string) journey.Change {
		return w.turn(func(t *journey.Turn) {
			t.ScoreTold(&leadv1.ScoreFacts{Behaviour: behaviour, Grade: grade}, leadv1.Stage_STAGE_ASSIGNED, w.now)
		})
	}
	score(100, "A1")
	for _, tt := range []struct {
		behaviour float64
		grade     string
		same      bool
	}{
		{99.9, "A1", true},
		{99.4, "A1", true},
		{98.9, "A1", false},
		{98.9, "A1", true},
		{98.8, "A2", false},
		{98.9, "A2", false},
		{0, "A2", false},
		{0, "A2", true},
	} {
		if c := score(tt.behaviour, tt.grade); c.Same != tt.same {
			t.Errorf("%v %s: same is %v, want %v", tt.behaviour, tt.grade, c.Same, tt.same)
		}
	}
}
