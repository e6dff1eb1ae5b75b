// Package dossier assembles the evidence pack that sales gets with a lead: who
// it is, why now, what they did and what was sent to them. Assembling is pure;
// a part that could not be had is named as missing instead of being waited for.
package dossier

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

// MaxTimeline is how many activities a dossier shows.
const MaxTimeline = 50

// Names of parts, as `missing` lists them.
const (
	PartLead     = "lead"
	PartScore    = "score"
	PartTimeline = "timeline"
	PartPrograms = "programs"
	PartTouches  = "touches"
	PartAccount  = "account"
	// PartText is what sales wrote, in the handoff.
	PartText = "text"
	// PartReasons is missing when the reasons do not add up to the score: better
	// none than wrong ones.
	PartReasons = "reasons"
	// PartDetails are the longest texts, cut to make the dossier fit.
	PartDetails = "details"
)

// ErrTooLarge: nothing is left that could be cut.
var ErrTooLarge = errors.New("dossier is too large")

// Parts are what the other services answered; nil for what could not be had.
type Parts struct {
	Handoff  *handoffv1.Handoff
	Lead     *leadv1.Lead
	Score    *scoringv1.ExplainScoreResponse
	Timeline []*leadv1.Activity
	Programs []*campaignv1.Enrollment
	Touches  []*campaignv1.Touch
	// Account is the company the lead belongs to; nil when none is known.
	Account *ingestv1.GetAccountResponse
	// Missing names the parts that were asked for in vain.
	Missing []string
}

// Assemble puts the parts together. What campaign or ingest know nothing of is
// empty; what they did not say in time is missing.
func Assemble(p Parts) *handoffv1.Dossier {
	d := &handoffv1.Dossier{
		LeadId:     p.Handoff.GetLeadId(),
		Profile:    p.Lead.GetProfile(),
		FirstTouch: p.Lead.GetFirstTouch(),
		LastTouch:  p.Lead.GetLastTouch(),
		Consents:   p.Lead.GetConsents(),
		Flags:      p.Lead.GetFlags(),
		Score:      p.Score.GetScore(),
		Reasons:    p.Score.GetReasons(),
		Verdict:    p.Score.GetVerdict(),
		Timeline:   newest(p.Timeline),
		Programs:   p.Programs,
		Touches:    p.Touches,
		Handoff:    Bare(p.Handoff),
		Missing:    slices.Clone(p.Missing),
	}
	d.Account, d.Colleagues = company(p.Account)
	if p.Score != nil && !AddUp(d.GetScore(), d.GetReasons()) {
		d.Reasons, d.Missing = nil, append(d.Missing, PartReasons)
	}
	slices.Sort(d.Missing)
	d.Missing = slices.Compact(d.Missing)
	return d
}

// maxKeys is how many of an account's names a dossier shows.
const maxKeys = 10

// company is the account as sales sees it, and how many other leads are of it.
func company(told *ingestv1.GetAccountResponse) (*ingestv1.Account, uint32) {
	if told.GetAccount() == nil {
		return nil, 0
	}
	acc := proto.CloneOf(told.GetAccount())
	acc.Keys = acc.Keys[:min(len(acc.Keys), maxKeys)]
	return acc, max(told.GetLeads(), 1) - 1
}

// newest gives the latest activities, newest last.
func newest(all []*leadv1.Activity) []*leadv1.Activity {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(x, y *leadv1.Activity) int {
		return cmp.Compare(x.GetOccurredAt().AsTime().UnixNano(), y.GetOccurredAt().AsTime().UnixNano())
	})
	return sorted[max(0, len(sorted)-MaxTimeline):]
}

// AddUp reports whether the reasons of each axis sum to its points.
func AddUp(s *scoringv1.Score, reasons []*scoringv1.Reason) bool {
	fit, behaviour := 0.0, 0.0
	for _, r := range reasons {
		switch r.GetAxis() {
		case scoringv1.Reason_AXIS_FIT:
			fit += r.GetPoints()
		case scoringv1.Reason_AXIS_BEHAVIOUR:
			behaviour += r.GetPoints()
		case scoringv1.Reason_AXIS_UNSPECIFIED:
		}
	}
	return near(fit, s.GetFit()) && near(behaviour, s.GetBehaviour())
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(1, math.Abs(a), math.Abs(b)) }

// JSON is the dossier as protojson writes it, without insignificant spaces and
// so the same bytes for the same dossier, of at most limit bytes. What does not
// fit is cut in this order, and named in `missing`: texts of consents, the
// oldest half of the timeline and of the touches (again and again), free attributes.
func JSON(d *handoffv1.Dossier, limit int) ([]byte, error) {
	d = proto.CloneOf(d)
	for {
		raw, err := protojson.Marshal(d)
		if err != nil {
			return nil, fmt.Errorf("encode dossier: %w", err)
		}
		if raw, err = compact(raw); err != nil {
			return nil, err
		}
		if len(raw) <= limit {
			return raw, nil
		}
		if !cut(d) {
			return nil, fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(raw), limit)
		}
	}
}

func compact(raw []byte) ([]byte, error) {
	out, err := json.Marshal(json.RawMessage(raw))
	if err != nil {
		return nil, fmt.Errorf("compact dossier: %w", err)
	}
	return out, nil
}

// cut drops the least telling part that is left and reports whether it found one.
func cut(d *handoffv1.Dossier) bool {
	part := ""
	switch {
	case cutConsents(d):
		part = PartDetails
	case len(d.GetTimeline()) > 1 && len(d.GetTimeline()) >= len(d.GetTouches()):
		part, d.Timeline = PartTimeline, newer(d.GetTimeline())
	case len(d.GetTouches()) > 1:
		part, d.Touches = PartTouches, newer(d.GetTouches())
	case len(d.GetPrograms()) > 1:
		part, d.Programs = PartPrograms, newer(d.GetPrograms())
	case len(d.GetProfile().GetAttributes()) > 0:
		part, d.Profile.Attributes = PartDetails, nil
	case len(d.GetAccount().GetCompany().GetAttributes()) > 0:
		part, d.Account.Company.Attributes = PartAccount, nil
	case len(d.GetTimeline()) > 0:
		part, d.Timeline = PartTimeline, nil
	case d.GetFirstTouch() != nil || d.GetLastTouch() != nil:
		part, d.FirstTouch, d.LastTouch = PartDetails, nil, nil
	default:
		return false
	}
	if !slices.Contains(d.GetMissing(), part) {
		d.Missing = append(d.Missing, part)
		slices.Sort(d.Missing)
	}
	return true
}

func newer[T any](list []T) []T { return list[(len(list)+1)/2:] }

// cutConsents drops what proves a consent; ingest keeps it.
func cutConsents(d *handoffv1.Dossier) bool {
	found := false
	for _, c := range d.GetConsents() {
		found = found || c.GetText() != "" || c.GetUserAgent() != ""
		c.Text, c.UserAgent = "", ""
	}
	return found
}
