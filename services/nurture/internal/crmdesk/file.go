package crmdesk

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// row is one lead in the list.
type row struct {
	Lead, Name, Company, Status, Tone, Rep, Grade, Why string
	At                                                 time.Time
}

func newRow(c Case) row {
	p, h := c.Dossier.GetProfile(), c.Handoff
	return row{
		Lead: c.Lead, Name: name(p, c.Lead), Company: cmp.Or(p.GetCompany(), p.GetCompanyDomain()),
		Status: status(h), Tone: tone(h), Rep: h.GetRep(), Grade: c.Dossier.GetScore().GetGrade(),
		Why: why(h.GetWhy()), At: c.At,
	}
}

// file is one lead's dossier, laid out.
type file struct {
	row
	Profile    []fact
	Source     []fact
	Consents   []*leadv1.Consent
	Fit        axis
	Behaviour  axis
	Verdict    string
	Timeline   []moment
	Programs   []*campaignv1.Enrollment
	Touches    []touch
	Deliveries []moment
	Missing    []string
	Handoff    *handoffv1.Handoff
	// What the rep may say now.
	MayAccept, MayReject, MayClose bool
}

type fact struct{ Name, Value string }

// axis is one side of the score: its reasons, and whether they add up to it.
type axis struct {
	Name    string
	Reasons []*scoringv1.Reason
	Points  float64
	Exact   bool
}

type moment struct {
	At         time.Time
	What, More string
	Machine    bool
}

type touch struct {
	*campaignv1.Touch
	Status, Tone string
	At           time.Time
}

func newFile(c Case) *file {
	d := c.Dossier
	f := &file{
		row: newRow(c), Profile: append(profile(d.GetProfile()), address(d.GetFlags())...), Source: source(d), Consents: d.GetConsents(),
		Fit:       newAxis("Fit", scoringv1.Reason_AXIS_FIT, d, d.GetScore().GetFit()),
		Behaviour: newAxis("Behaviour", scoringv1.Reason_AXIS_BEHAVIOUR, d, d.GetScore().GetBehaviour()),
		Verdict:   d.GetVerdict(), Timeline: timeline(d.GetTimeline()), Programs: d.GetPrograms(),
		Touches: touches(d.GetTouches()), Missing: d.GetMissing(), Handoff: c.Handoff,
	}
	for _, e := range slices.Backward(c.Events) {
		f.Deliveries = append(f.Deliveries, moment{At: e.At, What: e.Type, More: e.ID})
	}
	switch c.Handoff.GetStatus() {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED:
		f.MayAccept, f.MayReject = true, true
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED, handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED:
		f.MayClose = true
	default:
	}
	return f
}

func newAxis(name string, which scoringv1.Reason_Axis, d *handoffv1.Dossier, points float64) axis {
	a := axis{Name: name, Points: points}
	var sum float64
	for _, r := range d.GetReasons() {
		if r.GetAxis() == which {
			a.Reasons = append(a.Reasons, r)
			sum += r.GetPoints()
		}
	}
	a.Exact = math.Abs(sum-points) < 1e-6
	return a
}

func profile(p *leadv1.Profile) []fact {
	facts := []fact{
		{"E-mail", p.GetEmail()},
		{"Phone", p.GetPhone()},
		{"Job title", p.GetJobTitle()},
		{"Company", p.GetCompany()},
		{"Website", cmp.Or(p.GetWebsite(), p.GetCompanyDomain())},
		{"Industry", p.GetIndustry()},
		{"Country", p.GetCountry()},
		{"Time zone", p.GetTimeZone()},
	}
	if n := p.GetEmployees(); n > 0 {
		facts = append(facts, fact{"Employees", fmt.Sprint(n)})
	}
	for _, k := range slices.Sorted(maps.Keys(p.GetAttributes())) {
		facts = append(facts, fact{sentence(k), p.GetAttributes()[k]})
	}
	return told(facts)
}

// address says what kind of address it is.
func address(f *leadv1.Flags) []fact {
	kinds := []fact{{"Address", ""}}
	for _, k := range []struct {
		is   bool
		name string
	}{{f.GetFreeMail(), "free mail"}, {f.GetRoleAddress(), "read by several people"}, {f.GetDisposable(), "thrown away after use"}} {
		if k.is {
			kinds = append(kinds, fact{"Address", k.name})
		}
	}
	return told(kinds)
}

func source(d *handoffv1.Dossier) []fact {
	first, last := d.GetFirstTouch(), d.GetLastTouch()
	return told([]fact{
		{"First touch", campaignOf(first)},
		{"Landing page", first.GetLandingPage()},
		{"Referrer", first.GetReferrer()},
		{"Last touch", campaignOf(last)},
	})
}

func campaignOf(a *leadv1.Attribution) string {
	return strings.Join(slices.DeleteFunc(
		[]string{a.GetUtmSource(), a.GetUtmMedium(), a.GetUtmCampaign()},
		func(s string) bool { return s == "" }), " / ")
}

func told(facts []fact) []fact {
	return slices.DeleteFunc(facts, func(f fact) bool { return f.Value == "" })
}

func timeline(list []*leadv1.Activity) []moment {
	out := make([]moment, 0, len(list))
	for _, a := range slices.Backward(list) {
		props := a.GetProperties()
		more := cmp.Or(props["path"], props["form"], props["url"], strings.TrimSpace(props["program"]+" "+props["step"]))
		out = append(out, moment{At: a.GetOccurredAt().AsTime().Local(), What: sentence(a.GetType()), More: more, Machine: a.GetMachine()})
	}
	return out
}

func touches(list []*campaignv1.Touch) []touch {
	out := make([]touch, 0, len(list))
	for _, t := range slices.Backward(list) {
		s := strings.TrimPrefix(t.GetStatus().String(), "TOUCH_STATUS_")
		kind := map[campaignv1.TouchStatus]string{
			campaignv1.TouchStatus_TOUCH_STATUS_SENT: "good", campaignv1.TouchStatus_TOUCH_STATUS_FAILED: "bad",
			campaignv1.TouchStatus_TOUCH_STATUS_AMBIGUOUS: "bad", campaignv1.TouchStatus_TOUCH_STATUS_DEFERRED: "wait",
		}[t.GetStatus()]
		out = append(out, touch{Touch: t, Status: sentence(s), Tone: kind, At: t.GetPlannedAt().AsTime().Local()})
	}
	return out
}

func name(p *leadv1.Profile, fallback string) string {
	return cmp.Or(strings.TrimSpace(p.GetFirstName()+" "+p.GetLastName()), p.GetEmail(), fallback)
}

func status(h *handoffv1.Handoff) string {
	return sentence(strings.TrimPrefix(h.GetStatus().String(), "HANDOFF_STATUS_"))
}

// tone is the colour of a status: what waits for the rep stands out.
func tone(h *handoffv1.Handoff) string {
	switch h.GetStatus() {
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED, handoffv1.HandoffStatus_HANDOFF_STATUS_HELD:
		return "wait"
	case handoffv1.HandoffStatus_HANDOFF_STATUS_ACCEPTED, handoffv1.HandoffStatus_HANDOFF_STATUS_SALES_QUALIFIED,
		handoffv1.HandoffStatus_HANDOFF_STATUS_WON:
		return "good"
	case handoffv1.HandoffStatus_HANDOFF_STATUS_REJECTED, handoffv1.HandoffStatus_HANDOFF_STATUS_DISQUALIFIED,
		handoffv1.HandoffStatus_HANDOFF_STATUS_LOST:
		return "bad"
	default:
		return "info"
	}
}

// why says a qualification's reason in words: "fast_track:demo" is "fast track: demo".
func why(reason string) string {
	if reason == "threshold" {
		return "score reached the line"
	}
	return strings.ReplaceAll(strings.ReplaceAll(reason, ":", ": "), "_", " ")
}

// sentence turns SNAKE_CASE into "Snake case".
func sentence(s string) string {
	s = strings.ToLower(strings.ReplaceAll(s, "_", " "))
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
