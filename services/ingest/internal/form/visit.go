package form

import (
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// longestVisit is how long ago a first visit may be to be believed.
const longestVisit = 365 * 24 * time.Hour

// FirstVisit makes of the field that the snippet adds, "milliseconds referrer
// page", what was known of the person then: the touch that brought them first.
// nil when there is none, or when it is the page of the form itself.
func (r Reading) FirstVisit(now time.Time) *ingestv1.CaptureLeadRequest {
	ms, rest, _ := strings.Cut(r.First, " ")
	referrer, page, ok := strings.Cut(rest, " ")
	stamp, err := strconv.ParseInt(ms, 10, 64)
	if !ok || err != nil {
		return nil
	}
	touch := normal.Campaign(page, referrer)
	if touch == nil || touch.GetLandingPage() == r.Capture.GetAttribution().GetLandingPage() {
		return nil
	}
	at := time.UnixMilli(stamp)
	if at.After(now) || at.Before(now.Add(-longestVisit)) {
		at = now
	}
	touch.At = timestamppb.New(at)
	return &ingestv1.CaptureLeadRequest{
		Source: r.Capture.GetSource(), UserId: r.Capture.GetUserId(), AnonymousId: r.Capture.GetAnonymousId(),
		Profile: who(r.Capture.GetProfile()), Attribution: touch,
	}
}

// who keeps of a profile what says whose it is.
func who(p *leadv1.Profile) *leadv1.Profile {
	return &leadv1.Profile{Email: p.GetEmail(), Phone: p.GetPhone()}
}

// attribute adds what the page's own address says to what the fields said.
func (f *reader) attribute() {
	told := f.req.GetAttribution()
	page := normal.Campaign(f.page, f.referrer)
	switch {
	case page == nil && !normal.Told(told):
		f.req.Attribution = nil
		return
	case page == nil:
		page = told
	case normal.Told(told):
		proto.Merge(page, told) // a field is stronger than the address
	}
	f.req.Attribution = page
	if page.GetLandingPage() != "" {
		f.req.Activity.Properties["url"] = page.GetLandingPage()
	}
}
