package sender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/gate"
	"github.com/nurturehq/nurture/services/campaign/internal/journey"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

// The flow, read top to bottom: records that plan touches of the queue's class
// become jobs; fresh facts pass the gates; what may be sent is claimed, looked at once more,
// composed, handed over; every job ends with an outcome that is durable before
// its record is acknowledged.

// job is one planned touch on its way.
type job struct {
	msg     bus.Msg
	touch   *campaignv1.Touch
	class   Class
	lead    *leadv1.Lead
	state   *campaignv1.State
	program *program.Program
	step    program.Step
	// claim is the sequence of the claim that this job holds; 0 while it has none.
	claim uint64
	// done says that nothing more is to be done about it.
	done bool
	// later gives its record back: it is delivered again after a while.
	later time.Duration
}

// putOff is how long a record waits when something that sending needs is away.
const putOff = 2 * time.Second

func (s *Sender) handle(ctx context.Context, class Class, msgs []bus.Msg) {
	jobs := s.jobs(ctx, class, msgs)
	if len(jobs) == 0 {
		return
	}
	work := context.WithoutCancel(ctx)
	if err := s.look(work, jobs); err != nil {
		s.Log.WarnContext(ctx, "planned touches wait: facts cannot be read", "touches", len(jobs), "error", err)
		giveBack(jobs, putOff)
		s.finish(ctx, jobs)
		return
	}
	s.decide(work, jobs)
	sending := open(jobs)
	if err := s.ready(ctx, class, sending); err != nil {
		s.Log.WarnContext(ctx, "planned touches wait: the SMTP server cannot be reached", "touches", len(sending), "error", err)
		giveBack(sending, putOff)
	} else {
		s.attemptAll(work, sending)
	}
	s.finish(ctx, jobs)
}

// jobs takes the planned touches of a class out of the records. Records without
// one are done, and what else is in records is the bulk queue's.
func (s *Sender) jobs(ctx context.Context, class Class, msgs []bus.Msg) []*job {
	jobs := make([]*job, 0, len(msgs))
	for _, m := range msgs {
		plan, ended, err := read(m.Data)
		touch := plan.GetTouch()
		switch {
		case err != nil && class == Bulk:
			if s.park(ctx, m, bus.ReasonUndecodable, err.Error()) {
				s.acknowledge(ctx, m)
			}
		case class == Bulk && !s.unpark(ctx, m.Lead, ended):
			s.retry(ctx, m, putOff)
		case touch == nil, classOf(plan.GetUrgent()) != class:
			s.acknowledge(ctx, m)
		case !s.fly(touch.Id):
			s.retry(ctx, m, s.o.AttemptTimeout)
		default:
			jobs = append(jobs, &job{msg: m, touch: touch, class: class})
		}
	}
	return jobs
}

// read finds what a record asks of the sender: the plan of a touch, and touches
// that are ambiguous no more. A lead has at most one touch on its way; when a
// record folds several inputs, the last plan is the one that stands.
func read(data []byte) (plan *campaignv1.TouchPlanned, ended []string, err error) {
	rec := &ledgerv1.Record{}
	if err := proto.Unmarshal(data, rec); err != nil {
		return nil, nil, fmt.Errorf("decode record: %w", err)
	}
	for _, raw := range rec.GetEvents() {
		e := &campaignv1.Event{}
		if err := proto.Unmarshal(raw, e); err != nil {
			return nil, nil, fmt.Errorf("decode event: %w", err)
		}
		if p := e.GetTouchPlanned(); p != nil {
			plan = p
		}
		if a := e.GetAmbiguityEnded(); a != nil {
			ended = append(ended, a.GetTouchId())
		}
	}
	return plan, ended, nil
}

// look fills the jobs with facts as fresh as there are.
func (s *Sender) look(ctx context.Context, jobs []*job) error {
	ids := leadsOf(jobs)
	states, err := s.States(ctx, ids)
	if err != nil {
		return fmt.Errorf("read own states: %w", err)
	}
	leads, err := s.Leads(ctx, ids)
	if err != nil {
		return fmt.Errorf("ask ingest for leads: %w", err)
	}
	for _, j := range jobs {
		j.state, j.lead = states[j.msg.Lead], leads[j.msg.Lead]
		if j.program, err = s.Program(ctx, j.touch.GetVersion()); err != nil {
			return fmt.Errorf("read program %s: %w", j.touch.GetVersion(), err)
		}
	}
	return nil
}

func leadsOf(jobs []*job) []string {
	seen, ids := make(map[string]bool, len(jobs)), make([]string, 0, len(jobs))
	for _, j := range jobs {
		if !seen[j.msg.Lead] {
			seen[j.msg.Lead] = true
			ids = append(ids, j.msg.Lead)
		}
	}
	return ids
}

// decide lets the gates speak, all jobs at once: what they hold back gets its
// outcome here.
func (s *Sender) decide(ctx context.Context, jobs []*job) {
	together(jobs, func(j *job) {
		now := j.current()
		if now == nil {
			j.done = true // settled meanwhile, or planned again: that plan has its own record
			s.metrics.touch(ctx, "superseded", reasonSuperseded)
			return
		}
		if j.program == nil {
			s.withhold(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_FAILED, reason: reasonNoProgram})
			return
		}
		j.step, _ = j.program.Step(j.touch.GetStep())
		if s.isOne(ctx, j) {
			return
		}
		switch d := gate.Decide(j.program.Rules, s.facts(j, now)); d.Verdict {
		case gate.Defer:
			s.withhold(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED, reason: string(d.Reason), retryAt: d.Until})
		case gate.Skip:
			s.withhold(ctx, j, outcome{status: campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED, reason: string(d.Reason)})
		case gate.Send:
		}
	})
}

// current is the touch as the state has it, if it still waits to be sent.
func (j *job) current() *campaignv1.Touch {
	if t := TouchOf(j.state, j.touch.GetId()); t.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_PLANNED {
		return t
	}
	return nil
}

// TouchOf finds a touch in a state; nil when it is not there.
func TouchOf(state *campaignv1.State, id string) *campaignv1.Touch {
	for _, t := range state.GetTouches() {
		if t.GetId() == id {
			return t
		}
	}
	return nil
}

func (s *Sender) facts(j *job, touch *campaignv1.Touch) gate.Facts {
	f := gate.Facts{
		Now: s.Now(), Lead: j.lead, Stage: j.state.GetStage(), PlannedAt: touch.GetPlannedAt().AsTime(),
		Zone: s.zoneOf(j.lead.GetProfile().GetTimeZone()),
	}
	for _, e := range j.state.GetEnrollments() {
		if e.GetId() == touch.GetEnrollmentId() {
			f.Enrolled = e.GetStatus() == campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE
		}
	}
	for _, at := range journey.Sends(j.state) {
		f.Sends = append(f.Sends, at.AsTime())
	}
	return f
}

// zoneOf is the lead's own zone; nil when it told none, or one nobody knows.
func (s *Sender) zoneOf(name string) *time.Location {
	if name == "" || name == "Local" {
		return nil
	}
	if zone, ok := s.zones.Load(name); ok {
		return zone.(*time.Location) //nolint:forcetypeassert,errcheck // nothing else is stored
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	s.zones.Store(name, zone)
	return zone
}

// ready makes sure that there is a server to send to, before anything is
// claimed: a claim is for ever.
func (s *Sender) ready(ctx context.Context, class Class, jobs []*job) error {
	if len(jobs) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	return s.Pool.Check(ctx, class)
}

// finish ends the records of all jobs.
func (s *Sender) finish(ctx context.Context, jobs []*job) {
	for _, j := range jobs {
		if j.later == 0 && !j.done {
			j.later = putOff
		}
		s.land(j.touch.GetId())
		if j.later > 0 {
			s.retry(ctx, j.msg, j.later)
			continue
		}
		s.acknowledge(ctx, j.msg)
	}
}

// giveBack puts jobs off without an outcome.
func giveBack(jobs []*job, after time.Duration) {
	for _, j := range jobs {
		j.later = after
	}
}

// open are the jobs that still have to be attempted.
func open(jobs []*job) []*job {
	var rest []*job
	for _, j := range jobs {
		if !j.done && j.later == 0 {
			rest = append(rest, j)
		}
	}
	return rest
}

// together works on all jobs at once: their waits overlap.
func together(jobs []*job, do func(*job)) {
	var all sync.WaitGroup
	for _, j := range jobs {
		all.Go(func() { do(j) })
	}
	all.Wait()
}

func (s *Sender) acknowledge(ctx context.Context, m bus.Msg) {
	if err := m.Ack(); err != nil {
		s.Log.WarnContext(ctx, "acknowledge a planned touch", "lead_id", m.Lead, "error", err)
	}
}

func (s *Sender) retry(ctx context.Context, m bus.Msg, after time.Duration) {
	if err := m.Retry(after); err != nil {
		s.Log.WarnContext(ctx, "give back a planned touch", "lead_id", m.Lead, "error", err)
	}
}
