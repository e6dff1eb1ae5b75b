// Package ready decides whether a lead is ready to buy right now, and says why
// in a named reason.
package ready

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/stage"
	"github.com/nurturehq/nurture/services/scoring/internal/model"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// Reason is why a lead is, or is not, ready.
type Reason string

// Reasons for which a lead is ready.
const (
	// FastTrack: it asked for sales; no points are needed.
	FastTrack Reason = "fast_track"
	// Threshold: behaviour reached theta_hi for its fit.
	Threshold Reason = "threshold"
	// Lingers: behaviour is below theta_hi, but not yet below theta_lo.
	Lingers Reason = "above_theta_lo"
	// WithSales: sales has it; points neither give nor take it.
	WithSales Reason = "with_sales"
)

// Reasons for which a lead is not ready.
const (
	// BelowLine: behaviour has not reached theta_hi for its fit.
	BelowLine Reason = "below_theta_hi"
	// Faded: behaviour fell below theta_lo.
	Faded Reason = "below_theta_lo"
	// WrongFit: leads of its fit never qualify by points.
	WrongFit Reason = "fit_never_qualifies"
	// OwesEvidence: sales gave it back, and little is new since.
	OwesEvidence Reason = "needs_new_behaviour"
	// CoolingDown: it crossed a line, but too soon after the last time.
	CoolingDown Reason = "cool_down"
	// Suppressed: it must not be contacted.
	Suppressed Reason = "suppressed"
	// Closed: it is a customer, or will never be one.
	Closed Reason = "closed"
)

// Verdict is whether the lead is ready as of a moment.
type Verdict struct {
	Ready  bool
	Reason Reason
	// Until is when a cool-down ends that holds the verdict back; zero otherwise.
	Until time.Time
}

// Decide judges a lead whose Score holds the points as of now.
func Decide(m *model.Model, s *scoringv1.State, now time.Time) Verdict {
	score := s.GetScore()
	switch at := score.GetStage(); {
	case s.GetSuppressed() && !stage.IsWithSales(at):
		return Verdict{Reason: Suppressed}
	case stage.IsWithSales(at):
		return Verdict{Ready: true, Reason: WithSales}
	case s.GetFastTrackRule() != "":
		return Verdict{Ready: true, Reason: FastTrack}
	case stage.IsClosed(at) && at != leadv1.Stage_STAGE_INACTIVE:
		return Verdict{Reason: Closed}
	}
	v := byPoints(m.Line(score.GetFit()), s)
	return coolDown(m, s, v, now)
}

// byPoints is the hysteresis: in at theta_hi, out below theta_lo.
func byPoints(line model.Threshold, s *scoringv1.State) Verdict {
	points := s.GetScore().GetBehaviour()
	if s.GetScore().GetQualified() {
		switch {
		case line.Never():
			return Verdict{Reason: WrongFit}
		case points < line.Lo:
			return Verdict{Reason: Faded}
		case points < line.Hi:
			return Verdict{Ready: true, Reason: Lingers}
		default:
			return Verdict{Ready: true, Reason: Threshold}
		}
	}
	switch {
	case line.Never():
		return Verdict{Reason: WrongFit}
	case points < line.Hi:
		return Verdict{Reason: BelowLine}
	case s.GetOwedPoints() > 0:
		return Verdict{Reason: OwesEvidence}
	default:
		return Verdict{Ready: true, Reason: Threshold}
	}
}

// coolDown holds a change of mind back until the last one is old enough.
func coolDown(m *model.Model, s *scoringv1.State, v Verdict, now time.Time) Verdict {
	was := s.GetScore().GetQualified()
	if v.Ready == was || s.GetFlippedAt() == nil {
		return v
	}
	if until := s.GetFlippedAt().AsTime().Add(m.CoolDown); now.Before(until) {
		return Verdict{Ready: was, Reason: CoolingDown, Until: until}
	}
	return v
}

// Sentence tells a person why a lead is or is not ready. s.Score holds the
// points as of the moment the verdict is about.
func Sentence(m *model.Model, s *scoringv1.State, v Verdict) string {
	score := s.GetScore()
	band := "ABC"[m.FitBand(score.GetFit()):][:1]
	line := m.Line(score.GetFit())
	points := score.GetBehaviour()
	switch v.Reason {
	case FastTrack:
		return fmt.Sprintf("Ready: fast track %q, whatever the points.", s.GetFastTrackRule())
	case WithSales:
		return fmt.Sprintf("Found ready: %s. With sales (%s): points neither give nor take it.", because(m, s.GetQualifiedWhy()), stage.Name(score.GetStage()))
	case Threshold:
		return fmt.Sprintf("Ready: behaviour %.1f reached the line of %g for fit %s.", points, line.Hi, band)
	case Lingers:
		return fmt.Sprintf("Ready: behaviour %.1f is still above %g, where a lead of fit %s stops being ready.", points, line.Lo, band)
	case BelowLine:
		return fmt.Sprintf("Not ready: behaviour %.1f is %.1f below the line of %g for fit %s.", points, line.Hi-points, line.Hi, band)
	case Faded:
		return fmt.Sprintf("Not ready: behaviour faded to %.1f, below %g for fit %s.", points, line.Lo, band)
	case WrongFit:
		return fmt.Sprintf("Not ready: leads of fit %s never qualify by points; a fast track can still do it.", band)
	case OwesEvidence:
		return fmt.Sprintf("Not ready: sales gave it back; %.1f more points of new behaviour are needed.", s.GetOwedPoints())
	case CoolingDown:
		return fmt.Sprintf("%s: a line was crossed, but the last change was too short ago; decided again at %s.", word(v.Ready), v.Until.UTC().Format(time.RFC3339))
	case Suppressed:
		return "Not ready: the lead must not be contacted."
	case Closed:
		return fmt.Sprintf("Not ready: closed as %s.", stage.Name(score.GetStage()))
	default:
		return word(v.Ready) + "."
	}
}

// because tells why a lead was found ready, in the words of the model.
func because(m *model.Model, why string) string {
	rule, fast := strings.CutPrefix(why, "fast_track:")
	if !fast {
		return "its behaviour reached the line"
	}
	for _, f := range m.FastTrack {
		if f.ID == rule {
			return cmp.Or(f.Text, rule)
		}
	}
	return rule
}

func word(ready bool) string {
	if ready {
		return "Ready"
	}
	return "Not ready"
}
