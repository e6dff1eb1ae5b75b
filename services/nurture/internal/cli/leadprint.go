package cli

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// printBiography tells a lead's story in paragraphs.
func printBiography(out io.Writer, s *biography) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	p := &printer{w: w}
	s.printWho(p)
	s.printScore(p)
	s.printPrograms(p)
	s.printSales(p)
	s.printTimeline(p)
	return errors.Join(p.err, w.Flush())
}

func (s *biography) printWho(p *printer) {
	l, who := s.lead, s.lead.GetProfile()
	p.f("LEAD\t%s\n", l.GetLeadId())
	for _, f := range [][2]string{
		{"name", strings.TrimSpace(who.GetFirstName() + " " + who.GetLastName())},
		{"e-mail", who.GetEmail()},
		{"phone", who.GetPhone()},
		{"company", who.GetCompany()},
		{"job title", who.GetJobTitle()},
		{"country", who.GetCountry()},
		{"time zone", who.GetTimeZone()},
		{"source", strings.TrimSpace(l.GetSource() + " " + l.GetFirstTouch().GetUtmCampaign())},
		{"captured", clock(l.GetCreatedAt())},
	} {
		if f[1] != "" {
			p.f("  %s\t%s\n", f[0], f[1])
		}
	}
	if flags := flagsOf(l.GetFlags()); flags != "" {
		p.f("  flags\t%s\n", flags)
	}
	s.printCompany(p)
	s.printMerges(p)
	for _, c := range l.GetConsents() {
		p.f("  consent\t%s %s %s\n", c.GetPurpose(), yes(c.GetPending(), "waits for confirmation", yes(c.GetGranted(), "granted", "refused")), clock(c.GetAt()))
	}
	if l.GetSuppression() != 0 {
		p.f("  suppressed\t%s\n", plain(l.GetSuppression().String(), "SUPPRESSION_"))
	}
}

// flagsOf names what is known of a lead by its address and its source.
func flagsOf(f *leadv1.Flags) string {
	var names []string
	for _, one := range []struct {
		set  bool
		name string
	}{
		{f.GetTest(), "test lead, counted nowhere"},
		{f.GetOwnStaff(), "own staff, counted nowhere"},
		{f.GetCompetitor(), "competitor"},
		{f.GetDisposable(), "disposable address"},
		{f.GetRoleAddress(), "role address"},
		{f.GetFreeMail(), "free mail"},
	} {
		if one.set {
			names = append(names, one.name)
		}
	}
	return strings.Join(names, "; ")
}

func (s *biography) printScore(p *printer) {
	defer s.printCorrections(p)
	sc := s.score.GetScore()
	if sc == nil {
		p.f("SCORE\tnot scored yet\n")
		return
	}
	p.f("SCORE\t%s, stage %s since %s (%s)\n", sc.GetGrade(), plain(sc.GetStage().String(), "STAGE_"), clock(sc.GetStageSince()), sc.GetStageReason())
	p.f("  verdict\t%s\n", s.score.GetVerdict())
	for _, axis := range []struct {
		name   string
		axis   scoringv1.Reason_Axis
		points float64
	}{
		{"fit", scoringv1.Reason_AXIS_FIT, sc.GetFit()},
		{"behaviour", scoringv1.Reason_AXIS_BEHAVIOUR, sc.GetBehaviour()},
	} {
		p.f("  %s\t%.1f\n", axis.name, axis.points)
		for _, r := range s.score.GetReasons() {
			if r.GetAxis() == axis.axis {
				p.f("    %+.1f\t%s\n", r.GetPoints(), cmp.Or(r.GetText(), r.GetRule(), r.GetGroup()))
			}
		}
	}
}

// printCorrections says which points were taken back or given late, and why.
func (s *biography) printCorrections(p *printer) {
	for _, c := range s.score.GetCorrections() {
		p.f("  corrected\t%s: %+.1f %s for the hit of %s, judged %s\n",
			clock(c.GetAt()), c.GetPoints(), c.GetRule(), clock(c.GetHitAt()), c.GetVerdict())
	}
}

func (s *biography) printPrograms(p *printer) {
	p.f("PROGRAMS\t%s\n", yes(len(s.enrollments) == 0, "none", ""))
	for _, e := range s.enrollments {
		p.f("  %s\t%s%s, enrolled %s (%s)%s\n", e.GetProgram(), plain(e.GetStatus().String(), "ENROLLMENT_STATUS_"),
			prefixed(" at ", e.GetStep()), clock(e.GetEnrolledAt()), e.GetWhy(), prefixed(", ended: ", e.GetEndedWhy()))
	}
	p.f("TOUCHES\t%s\n", yes(len(s.touches) == 0, "none", ""))
	for _, t := range s.touches {
		p.f("  %s\t%s/%s %s%s%s\n", clock(t.GetPlannedAt()), t.GetProgram(), t.GetStep(), plain(t.GetStatus().String(), "TOUCH_STATUS_"),
			prefixed(": ", t.GetReason()), yes(t.GetClickedAt() != nil, ", clicked", yes(t.GetOpenedAt() != nil, ", opened", "")))
	}
}

func (s *biography) printSales(p *printer) {
	h := s.handoff
	if h == nil {
		p.f("SALES\tnever handed over\n")
		return
	}
	p.f("SALES\t%s (%s), stay %d, rep %s by %s\n", plain(h.GetStatus().String(), "HANDOFF_STATUS_"), h.GetReason(), h.GetRound(), h.GetRep(), h.GetRoutedBy())
	p.f("  why\t%s\n", h.GetWhy())
	for _, d := range h.GetDeliveries() {
		p.f("  delivery\t%s %s, attempt %d%s\n", d.GetType(), plain(d.GetStatus().String(), "DELIVERY_STATUS_"), d.GetAttempts(), prefixed(": ", d.GetLastError()))
	}
	if r := h.GetRejectReason(); r != 0 {
		p.f("  given back\t%s%s\n", plain(r.String(), "REJECT_REASON_"), prefixed(": ", h.GetText()))
	}
}

// printTimeline lists what the person did and what was done, in order of time.
func (s *biography) printTimeline(p *printer) {
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	add := func(at *timestamppb.Timestamp, text string) {
		if at != nil {
			lines = append(lines, line{at.AsTime(), text})
		}
	}
	for _, a := range s.activities {
		props := a.GetProperties()
		add(a.GetOccurredAt(), a.GetType()+prefixed(" ", cmp.Or(props["path"], props["form"], props["program"]))+judgement(a))
	}
	for _, e := range s.enrollments {
		add(e.GetEnrolledAt(), "enrolled in "+e.GetProgram())
		add(e.GetEndedAt(), "left "+e.GetProgram()+prefixed(": ", e.GetEndedWhy()))
	}
	h := s.handoff
	add(h.GetQualifiedAt(), "qualified: "+h.GetWhy())
	add(h.GetAssignedAt(), "assigned to "+h.GetRep())
	add(h.GetAcceptedAt(), "accepted by sales")
	add(h.GetClosedAt(), "closed: "+h.GetReason())
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	p.f("TIMELINE\t%s\n", yes(len(lines) == 0, "nothing yet", ""))
	for _, l := range lines {
		p.f("  %s\t%s\n", l.at.Local().Format("2006-01-02 15:04:05.000"), l.text)
	}
}

// judgement says what an open or a click was judged to be.
func judgement(a *leadv1.Activity) string {
	switch {
	case a.GetPending():
		return " (not judged yet)"
	case a.GetMachine():
		return " (machine" + prefixed(": ", a.GetVerdict()) + ")"
	}
	return ""
}

func clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Local().Format("2006-01-02 15:04:05")
}

// plain turns an enum's name into words: "STAGE_SALES_QUALIFIED" is "sales qualified".
func plain(name, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", " "))
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

func yes(b bool, then, otherwise string) string {
	if b {
		return then
	}
	return otherwise
}
