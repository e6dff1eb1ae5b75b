package journey_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

const lead = "lead-1"

const welcome = `name: welcome
priority: 50
enroll: {who: lead.has_email, when: stage == NURTURING}
goal: {when: stage == QUALIFIED}
steps:
  - id: hello
    email: {template: t, subject: Hello}
  - id: clicked
    await: {event: email_clicked, timeout: 3h, then: guide, else: nudge}
  - id: guide
    email: {template: t, subject: Guide}
    next: end
  - id: nudge
    email: {template: t, subject: Still there}
`

const recycle = `name: recycle
priority: 80
enroll: {on: recycled, re_entry: always}
steps:
  - id: pause
    wait: {for: 1h}
  - id: again
    email: {template: t, subject: Again}
`

const keepWarm = `name: keep-warm
priority: 1
evergreen: true
enroll:
  when: size(programs) == 0 && stage in [NURTURING, RECYCLED]
  re_entry: always
exit: {when: size(programs) > 1}
steps:
  - id: month
    wait: {for: 10h}
  - id: note
    email: {template: t, subject: Note}
    next: month
`

// world drives one lead through turns, keeping what each decided.
type world struct {
	t     testing.TB
	book  *program.Book
	state *campaignv1.State
	now   time.Time
	wake  time.Time
	// events are all events so far.
	events []*campaignv1.Event
	last   journey.Change
}

func newWorld(t testing.TB, yamls ...string) *world {
	t.Helper()
	return &world{t: t, book: bookOf(t, yamls...), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

func bookOf(t testing.TB, yamls ...string) *program.Book {
	t.Helper()
	c, err := program.NewCompiler()
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]*program.Program{}
	book := &program.Book{Review: 720 * time.Hour, Version: func(hash string) *program.Program { return versions[hash] }}
	for _, y := range yamls {
		p, err := c.Compile(program.Bundle{
			File: "program.yaml", YAML: y, TimeScale: 1,
			Templates: map[string]letter.Source{"t": {Name: "t", HTML: "x", Text: "x"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		versions[p.Version] = p
		book.Current = append(book.Current, p)
	}
	program.Sort(book.Current)
	return book
}

// turn lets one input happen. The state is encoded and decoded in between, as
// the ledger does, so that no turn can lean on shared memory.
func (w *world) turn(tell func(*journey.Turn)) journey.Change {
	w.t.Helper()
	turn := journey.Begin(w.book, proto.CloneOf(w.state), lead, w.now)
	tell(turn)
	w.last = turn.End()
	if !w.last.Same {
		w.state, w.wake = w.last.State, w.last.WakeAt
		w.events = append(w.events, w.last.Events...)
	}
	return w.last
}

func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

func (w *world) captured() {
	w.t.Helper()
	w.turn(func(t *journey.Turn) { t.LeadTold(&leadv1.Facts{HasEmail: true}, nil) })
}

func (w *world) stage(s leadv1.Stage) {
	w.t.Helper()
	w.turn(func(t *journey.Turn) { t.ScoreTold(&leadv1.ScoreFacts{}, s, w.now) })
}

func (w *world) does(activity string, properties ...string) {
	w.t.Helper()
	a := &leadv1.Activity{Type: activity, Properties: map[string]string{}}
	for i := 0; i+1 < len(properties); i += 2 {
		a.Properties[properties[i]] = properties[i+1]
	}
	w.turn(func(t *journey.Turn) { t.LeadTold(nil, []*leadv1.Activity{a}) })
}

func (w *world) outcome(touch string, status campaignv1.TouchStatus, retry time.Time) {
	w.t.Helper()
	o := &campaignv1.Outcome{TouchId: touch, Status: status, Reason: "test", RetryAt: timestamppb.New(retry)}
	w.turn(func(t *journey.Turn) { t.Settled(o) })
}

func (w *world) sent(touch string) {
	w.t.Helper()
	w.outcome(touch, campaignv1.TouchStatus_TOUCH_STATUS_SENT, time.Time{})
}

// due moves the clock to the wake-up and lets it happen.
func (w *world) due() {
	w.t.Helper()
	if w.wake.IsZero() {
		w.t.Fatal("nothing wakes this lead")
	}
	w.now = w.wake
	w.turn(func(t *journey.Turn) { t.Due() })
}

func (w *world) planned() []string {
	var ids []string
	for _, e := range w.events {
		if p := e.GetTouchPlanned(); p != nil {
			ids = append(ids, p.Touch.Id)
		}
	}
	return ids
}

func (w *world) in(name string) *campaignv1.Enrollment {
	w.t.Helper()
	e := journey.Stay(w.state, name)
	if e == nil {
		w.t.Fatalf("never was in %s", name)
	}
	return e
}

func (w *world) wantStep(name, step string) {
	w.t.Helper()
	if e := w.in(name); e.Step != step || e.Status != campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE {
		w.t.Errorf("%s stands at %q (%v %s), want %q", name, e.Step, e.Status, e.EndedWhy, step)
	}
}

func (w *world) wantEnded(name, why string) {
	w.t.Helper()
	if e := w.in(name); e.EndedWhy != why {
		w.t.Errorf("%s ended %q at step %q, want %q", name, e.EndedWhy, e.Step, why)
	}
}
