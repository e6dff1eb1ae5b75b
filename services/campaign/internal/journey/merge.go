package journey

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/ties"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Leads that turn out to be one person: the journeys of the merged lead end where
// they are. When nothing of it is under way any more, the survivor takes over what
// it got: its running journeys go on as the survivor's, and what went out to it is
// not sent again. Until then the sender holds the survivor's mails back.

// Follow takes what ingest says of who is who. Tell it before LeadTold.
func (t *Turn) Follow(s *ingestv1.State, events []*ingestv1.Event, seq uint64) {
	news := ties.Follow(&t.s.Ties, s, events, seq)
	if !news.Any() {
		return
	}
	t.change(Told)
	for _, host := range news.Hosts { // what was sent meanwhile was sent to those
		ties.Took(t.s.Ties, &leadv1.Tie{LeadId: host, Back: true})
	}
	for _, lead := range news.Left {
		t.separate(lead)
	}
}

// separate gives up what was taken over from a lead that is one of its own again.
func (t *Turn) separate(lead string) {
	t.s.Taken = slices.DeleteFunc(t.s.Taken, func(k *campaignv1.Taken) bool { return k.GetLeadId() == lead })
	for _, e := range t.active() {
		if e.GetFromLeadId() == lead {
			t.end(e, campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_EXITED, endSeparated)
		}
	}
}

// Handover is what a lead that was merged into another one hands over; ok is
// false while a mail of it is under way.
func Handover(s *campaignv1.State) (taken *campaignv1.Taken, ok bool) {
	t := &Turn{s: s}
	taken = &campaignv1.Taken{LeadId: s.GetLeadId(), Sends: s.GetSends()}
	for _, touch := range s.GetTouches() {
		switch {
		case touch.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_PLANNED:
			return nil, false
		case counts(touch.GetStatus()):
			taken.Sent = append(taken.Sent, place(touch))
		}
	}
	slices.Sort(taken.Sent)
	taken.Sent = slices.Compact(taken.Sent)
	for _, e := range s.GetEnrollments() {
		if t.lastStay(e.GetProgram()) != e {
			continue
		}
		taken.Stays = append(taken.Stays, e)
		if touch := t.latestTouch(e); e.GetEndedWhy() == endMerged && touch != nil {
			taken.Touches = append(taken.Touches, touch)
		}
	}
	return taken, true
}

// place names the step of a program that a touch is.
func place(touch *campaignv1.Touch) string { return touch.GetProgram() + "/" + touch.GetStep() }

// Take takes over what merged leads hand over, and counts the look. Tell it
// before Due.
func (t *Turn) Take(all []*campaignv1.Taken) {
	if len(t.s.GetTies().GetAwaited()) == 0 {
		return
	}
	for _, taken := range all {
		tie := &leadv1.Tie{LeadId: taken.GetLeadId()}
		if !ties.Awaits(t.s.Ties, tie) {
			continue // separated again meanwhile
		}
		ties.Took(t.s.Ties, tie)
		t.take(cloned(taken))
	}
	t.s.Ties.Looks++
}

func (t *Turn) take(taken *campaignv1.Taken) {
	for _, e := range taken.GetStays() {
		_, ours := t.ours()
		if e.GetEndedWhy() != endMerged || !ours || t.lastStay(e.GetProgram()) != nil {
			continue
		}
		t.goOn(e, whyMerged, taken.GetLeadId(), t.touchOf(e, taken.GetTouches()))
	}
	taken.Touches, taken.At = nil, timestamppb.New(t.now)
	t.s.Taken = append(slices.DeleteFunc(t.s.Taken, func(k *campaignv1.Taken) bool { return k.GetLeadId() == taken.GetLeadId() }), taken)
}

func (t *Turn) touchOf(e *campaignv1.Enrollment, touches []*campaignv1.Touch) *campaignv1.Touch {
	i := slices.IndexFunc(touches, func(touch *campaignv1.Touch) bool { return touch.GetEnrollmentId() == e.GetId() })
	if i < 0 {
		return nil
	}
	return touches[i]
}

// resume goes on with the journeys of a lead that was merged and is one of its
// own again.
func (t *Turn) resume() {
	if t.s.Ties == nil {
		return
	}
	for _, e := range slices.Clone(t.s.Enrollments) {
		if e.GetEndedWhy() == endMerged && t.lastStay(e.GetProgram()) == e {
			t.goOn(e, whyRestored, e.GetFromLeadId(), cloned(t.latestTouch(e)))
		}
	}
}

// goOn begins an enrollment where one that ended with a merge was. Its latest
// touch comes with it: what the reader does with that mail is still awaited. A
// mail that did not go out is planned anew.
func (t *Turn) goOn(was *campaignv1.Enrollment, why, from string, touch *campaignv1.Touch) {
	t.s.Enrolled++
	e := cloned(was)
	e.Id, e.Why, e.FromLeadId = fmt.Sprintf("%s-e%d", t.s.LeadId, t.s.Enrolled), why, from
	e.Status, e.EndedWhy, e.EndedAt = campaignv1.EnrollmentStatus_ENROLLMENT_STATUS_ACTIVE, "", nil
	e.EnrolledAt = timestamppb.New(t.now)
	if touch != nil {
		t.s.Touches = slices.DeleteFunc(t.s.Touches, func(own *campaignv1.Touch) bool { return own.GetId() == touch.GetId() })
		touch.EnrollmentId = e.Id
		t.s.Touches = append(t.s.Touches, touch)
	}
	if touch.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED && !strings.HasPrefix(touch.GetReason(), "max_defer") && e.GetTouchId() == touch.GetId() {
		e.TouchId, e.DueAt = "", nil
	}
	t.entered[e.Program] = true
	t.s.Enrollments = append(t.s.Enrollments, e)
	t.emit(&campaignv1.Event{Fact: &campaignv1.Event_Enrolled{Enrolled: &campaignv1.Enrolled{Enrollment: cloned(e)}}})
}

// takenStay is the latest stay of a merged lead in a program; nil when there was
// none.
func (t *Turn) takenStay(name string) *campaignv1.Enrollment {
	var last *campaignv1.Enrollment
	for _, k := range t.s.GetTaken() {
		for _, e := range k.GetStays() {
			if e.GetProgram() == name && (last == nil || e.GetEndedAt().AsTime().After(last.GetEndedAt().AsTime())) {
				last = e
			}
		}
	}
	return last
}

// SentBefore reports whether the mail of a touch went out to the same person
// under the id of a merged lead, while both journeys were running: it is skipped
// once. A program that sends a step again and again goes on to.
func SentBefore(s *campaignv1.State, touch *campaignv1.Touch) bool {
	t := &Turn{s: s}
	e := t.enrollment(touch.GetEnrollmentId())
	for _, k := range s.GetTaken() {
		at := k.GetAt().AsTime()
		if e.GetEnrolledAt().AsTime().After(at) || !slices.Contains(k.GetSent(), place(touch)) {
			continue
		}
		passed := slices.ContainsFunc(s.GetTouches(), func(own *campaignv1.Touch) bool {
			return own.GetId() != touch.GetId() && place(own) == place(touch) && own.GetSettledAt().AsTime().After(at)
		})
		if !passed {
			return true
		}
	}
	return false
}

// Sends are the times of all that went out to the person, oldest first.
func Sends(s *campaignv1.State) []*timestamppb.Timestamp {
	if len(s.GetTaken()) == 0 {
		return s.GetSends()
	}
	all := slices.Clone(s.GetSends())
	for _, k := range s.GetTaken() {
		all = append(all, k.GetSends()...)
	}
	slices.SortFunc(all, func(a, b *timestamppb.Timestamp) int { return a.AsTime().Compare(b.AsTime()) })
	return all
}

// GoesOn reports whether an enrollment is running, or may be gone on with.
func GoesOn(e *campaignv1.Enrollment) bool { return active(e) || e.GetEndedWhy() == endMerged }
