package journey_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

const (
	first     = "lead-1-t1"
	sent      = campaignv1.TouchStatus_TOUCH_STATUS_SENT
	failed    = campaignv1.TouchStatus_TOUCH_STATUS_FAILED
	ambiguous = campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS
)

// planned is a world whose first touch is on its way.
func planned(t testing.TB, yamls ...string) *world {
	t.Helper()
	if len(yamls) == 0 {
		yamls = []string{welcome}
	}
	w := newWorld(t, yamls...)
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	return w
}

func (w *world) ended() (ended []*campaignv1.AmbiguityEnded) {
	for _, e := range w.events {
		if a := e.GetAmbiguityEnded(); a != nil {
			ended = append(ended, a)
		}
	}
	return ended
}

func TestWhatTheProviderTellsSettlesAnAmbiguousTouchWithoutAPerson(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		activity, bounce string
		want             campaignv1.TouchStatus
		sends            int
	}{
		"delivered":           {"email_delivered", "", sent, 1},
		"opened by a person":  {"email_opened", "", sent, 1},
		"clicked by a person": {"email_clicked", "", sent, 1},
		"called spam":         {"email_complained", "", sent, 1},
		"bounced for good":    {"email_bounced", "hard", failed, 0},
		"bounced for now":     {"email_bounced", "soft", failed, 0},
		"deferred says less":  {"email_deferred", "", ambiguous, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := planned(t)
			w.outcome(first, ambiguous, time.Time{})
			w.pass(time.Minute)
			w.does(tt.activity, "touch_id", first, "bounce", tt.bounce)
			touch := w.state.Touches[0]
			if touch.Status != tt.want || len(w.state.Sends) != tt.sends {
				t.Fatalf("touch %v, %d sends", touch, len(w.state.Sends))
			}
			ended := w.ended()
			if tt.want == ambiguous {
				if len(ended) != 0 {
					t.Errorf("ended %v", ended)
				}
				return
			}
			if len(ended) != 1 || ended[0].TouchId != first || ended[0].Status != tt.want || ended[0].Reason != "told:"+tt.activity {
				t.Errorf("ended %v, the touch says %q", ended, touch.Reason)
			}
		})
	}
}

func TestAMachineSettlesNothing(t *testing.T) {
	t.Parallel()
	w := planned(t)
	w.outcome(first, ambiguous, time.Time{})
	w.turn(func(turn *journey.Turn) {
		turn.LeadTold(nil, []*leadv1.Activity{{Type: "email_opened", Machine: true, Properties: map[string]string{"touch_id": first}}})
	})
	if w.state.Touches[0].Status != ambiguous {
		t.Errorf("touch %v", w.state.Touches[0])
	}
}

func TestADeliveryThatOvertakesTheAmbiguityEndsItAtOnce(t *testing.T) {
	t.Parallel()
	w := planned(t)
	w.does("email_delivered", "touch_id", first)
	w.pass(time.Minute)
	w.outcome(first, ambiguous, time.Time{})
	if touch := w.state.Touches[0]; touch.Status != sent || touch.Reason != "told:email_delivered" || len(w.state.Sends) != 1 {
		t.Errorf("touch %v, sends %v", touch, w.state.Sends)
	}
	if len(w.ended()) != 1 {
		t.Errorf("ended %v: the parked entry would stay", w.ended())
	}
	w.wantStep("welcome", "clicked")
}

func TestALateBounceMarksTheTouchAndChangesNoOutcome(t *testing.T) {
	t.Parallel()
	w := planned(t)
	w.sent(first)
	w.does("email_delivered", "touch_id", first)
	delivered := w.now
	w.pass(time.Hour)
	w.does("email_bounced", "touch_id", first, "bounce", "soft")
	w.pass(time.Hour)
	w.does("email_bounced", "touch_id", first, "bounce", "hard")
	w.does("email_bounced", "touch_id", first, "bounce", "soft")
	touch := w.state.Touches[0]
	if touch.Status != sent || touch.Bounce != "hard" || !touch.DeliveredAt.AsTime().Equal(delivered) ||
		!touch.BouncedAt.AsTime().Equal(delivered.Add(time.Hour)) {
		t.Errorf("touch %v", touch)
	}
	if len(w.ended()) != 0 {
		t.Errorf("ended %v", w.ended())
	}
	before := proto.CloneOf(w.state)
	w.does("email_bounced", "touch_id", first, "bounce", "hard")
	if !w.last.Same || !proto.Equal(before, w.state) {
		t.Error("a repeated bounce changed something")
	}
}

func TestProgramsCanAwaitWhatBecameOfAMail(t *testing.T) {
	t.Parallel()
	arrives := `name: arrives
enroll: {when: stage == NURTURING}
steps:
  - id: hello
    email: {template: t, subject: Hello}
  - id: arrived
    await: {event: %s, timeout: 3h, then: yes, else: no}
  - id: yes
    exit: {reason: it_did}
  - id: no
    exit: {reason: it_did_not}
`
	for _, event := range []string{"email_delivered", "email_bounced", "email_complained"} {
		yaml := fmt.Sprintf(arrives, event)
		after := planned(t, yaml)
		after.sent(first)
		after.does(event, "touch_id", first, "bounce", "soft")
		after.wantEnded("arrives", "it_did")

		overtaken := planned(t, yaml)
		overtaken.does(event, "touch_id", first, "bounce", "soft")
		overtaken.sent(first)
		overtaken.wantEnded("arrives", "it_did")

		never := planned(t, yaml)
		never.sent(first)
		never.does(event, "touch_id", "somebody-elses-t1", "bounce", "soft")
		never.due()
		never.wantEnded("arrives", "it_did_not")
	}
}

func TestWhateverOrderTheNewsOfAMailComeInTheTouchEndsTheSame(t *testing.T) {
	t.Parallel()
	book := bookOf(t, welcome)
	rapid.Check(t, func(rt *rapid.T) {
		news := rapid.SliceOfN(rapid.SampledFrom([]string{"delivered", "hard", "soft", "complained", "opened", "ambiguous"}), 1, 6).Draw(rt, "news")
		news = append(news, "ambiguous")
		shuffled := rapid.Permutation(news).Draw(rt, "order")
		a, b := ending(t, book, news), ending(t, book, shuffled)
		if a.Status != b.Status || a.Bounce != b.Bounce {
			rt.Fatalf("%v: %v %q\n%v: %v %q", news, a.Status, a.Bounce, shuffled, b.Status, b.Bounce)
		}
	})
}

func ending(t *testing.T, book *program.Book, news []string) *campaignv1.Touch {
	t.Helper()
	w := &world{t: t, book: book, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	w.captured()
	w.stage(leadv1.Stage_STAGE_NURTURING)
	for _, n := range news {
		w.pass(time.Second)
		switch n {
		case "ambiguous":
			w.outcome(first, ambiguous, time.Time{})
		case "hard", "soft":
			w.does("email_bounced", "touch_id", first, "bounce", n)
		default:
			w.does("email_"+n, "touch_id", first)
		}
	}
	sends := 0
	if w.state.Touches[0].Status == sent || w.state.Touches[0].Status == ambiguous {
		sends = 1
	}
	if len(w.state.Sends) != sends {
		t.Fatalf("%v: %v counts %d sends", news, w.state.Touches[0], len(w.state.Sends))
	}
	return w.state.Touches[0]
}
