package gate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/gate"
)

const purpose = "marketing_email"

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t
}

func willing() *leadv1.Lead {
	return &leadv1.Lead{
		Profile:  &leadv1.Profile{Email: "ann@example.com"},
		Consents: []*leadv1.Consent{{Purpose: purpose, Granted: true}},
	}
}

func facts(change func(*gate.Facts)) gate.Facts {
	f := gate.Facts{
		Now: at("2026-03-10T12:00:00Z"), Lead: willing(), Enrolled: true,
		Stage: leadv1.Stage_STAGE_NURTURING, Zone: time.UTC, PlannedAt: at("2026-03-10T11:59:00Z"),
	}
	change(&f)
	return f
}

func TestTheFirstGateThatSpeaksDecides(t *testing.T) {
	t.Parallel()
	noon := &gate.Quiet{From: 11 * 60, To: 13 * 60}
	rules := gate.Rules{Purpose: purpose, MaxDefer: 24 * time.Hour}
	quiet, capped := rules, rules
	quiet.Quiet = noon
	capped.Cap = gate.Cap{Max: 1, Per: time.Hour}
	both := quiet
	both.Cap = capped.Cap
	impatient := quiet
	impatient.MaxDefer = time.Minute
	sent := []time.Time{at("2026-03-10T11:30:00Z")}

	for name, tt := range map[string]struct {
		rules gate.Rules
		facts gate.Facts
		want  gate.Decision
	}{
		"nothing in the way": {rules, facts(func(*gate.Facts) {}), gate.Decision{Verdict: gate.Send, Reason: gate.Clear}},
		"suppression beats everything": {
			both, facts(func(f *gate.Facts) {
				f.Lead.Suppression = leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED
				f.Lead.Consents, f.Lead.Profile = nil, nil
				f.Stage = leadv1.Stage_STAGE_ASSIGNED
			}),
			gate.Decision{Verdict: gate.Skip, Reason: gate.Suppressed},
		},
		"no address":        {rules, facts(func(f *gate.Facts) { f.Lead.Profile = nil }), gate.Decision{Verdict: gate.Skip, Reason: gate.NoEmail}},
		"an unknown lead":   {rules, facts(func(f *gate.Facts) { f.Lead = nil }), gate.Decision{Verdict: gate.Skip, Reason: gate.NoEmail}},
		"never agreed":      {rules, facts(func(f *gate.Facts) { f.Lead.Consents = nil }), gate.Decision{Verdict: gate.Skip, Reason: gate.NoConsent}},
		"took consent back": {rules, facts(func(f *gate.Facts) { f.Lead.Consents[0].Granted = false }), gate.Decision{Verdict: gate.Skip, Reason: gate.NoConsent}},
		"agreed to something else": {
			rules, facts(func(f *gate.Facts) { f.Lead.Consents[0].Purpose = "events" }),
			gate.Decision{Verdict: gate.Skip, Reason: gate.NoConsent},
		},
		"with sales beats quiet hours": {both, facts(func(f *gate.Facts) { f.Stage = leadv1.Stage_STAGE_ACCEPTED }), gate.Decision{Verdict: gate.Skip, Reason: gate.WithSales}},
		"a closed stage":               {rules, facts(func(f *gate.Facts) { f.Stage = leadv1.Stage_STAGE_WON }), gate.Decision{Verdict: gate.Skip, Reason: gate.StageClosed}},
		"left the program":             {rules, facts(func(f *gate.Facts) { f.Enrolled = false }), gate.Decision{Verdict: gate.Skip, Reason: gate.EnrollmentEnded}},
		"quiet hours beat the cap": {
			both, facts(func(f *gate.Facts) { f.Sends = sent }),
			gate.Decision{Verdict: gate.Defer, Reason: gate.QuietHours, Until: at("2026-03-10T13:00:00Z")},
		},
		"the cap": {
			capped, facts(func(f *gate.Facts) { f.Sends = sent }),
			gate.Decision{Verdict: gate.Defer, Reason: gate.FrequencyCap, Until: at("2026-03-10T12:30:00Z")},
		},
		"held back too long": {impatient, facts(func(*gate.Facts) {}), gate.Decision{Verdict: gate.Skip, Reason: gate.MaxDefer(gate.QuietHours)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, gate.Decide(tt.rules, tt.facts)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQuietHoursFollowTheWallClock(t *testing.T) {
	t.Parallel()
	night := gate.Quiet{From: 21 * 60, To: 8 * 60}
	for name, tt := range map[string]struct {
		quiet gate.Quiet
		zone  string
		now   string
		until string // empty: not quiet
	}{
		"afternoon":                              {night, "Europe/Berlin", "2026-06-10T13:00:00Z", ""},
		"the first quiet minute":                 {night, "Europe/Berlin", "2026-06-10T19:00:00Z", "2026-06-11T06:00:00Z"},
		"the minute before":                      {night, "Europe/Berlin", "2026-06-10T18:59:59Z", ""},
		"after midnight":                         {night, "Europe/Berlin", "2026-06-10T23:30:00Z", "2026-06-11T06:00:00Z"},
		"eight sharp is day":                     {night, "Europe/Berlin", "2026-06-11T06:00:00Z", ""},
		"the night summer time begins":           {night, "Europe/Berlin", "2026-03-28T20:30:00Z", "2026-03-29T06:00:00Z"},
		"the night summer time ends":             {night, "Europe/Berlin", "2026-10-24T20:30:00Z", "2026-10-25T07:00:00Z"},
		"an end that the clock skips":            {gate.Quiet{From: 22 * 60, To: 2*60 + 30}, "Europe/Berlin", "2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z"},
		"the first of two ends":                  {gate.Quiet{From: 22 * 60, To: 2*60 + 30}, "Europe/Berlin", "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"},
		"the hour that comes twice, again":       {gate.Quiet{From: 22 * 60, To: 2*60 + 30}, "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
		"half an hour of offset":                 {night, "Asia/Kolkata", "2026-06-10T15:30:00Z", "2026-06-11T02:30:00Z"},
		"a zone that changes by half an hour":    {night, "Australia/Lord_Howe", "2026-10-03T12:00:00Z", "2026-10-03T21:00:00Z"},
		"a siesta within the day":                {gate.Quiet{From: 13 * 60, To: 15 * 60}, "Europe/Madrid", "2026-06-10T12:10:00Z", "2026-06-10T13:00:00Z"},
		"midnight skipped by the clock (Havana)": {gate.Quiet{From: 20 * 60, To: 0}, "America/Havana", "2026-03-08T02:00:00Z", "2026-03-08T05:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			until, quiet := tt.quiet.Until(at(tt.now), zone)
			if quiet != (tt.until != "") {
				t.Fatalf("quiet = %v, until %v", quiet, until)
			}
			if quiet && !until.Equal(at(tt.until)) {
				t.Errorf("until %s, want %s", until.UTC().Format(time.RFC3339), tt.until)
			}
		})
	}
}

func TestALeadWithoutAZoneGetsTheFallback(t *testing.T) {
	t.Parallel()
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	q := &gate.Quiet{From: 21 * 60, To: 8 * 60, Fallback: tokyo}
	if until, quiet := q.Until(at("2026-06-10T12:30:00Z"), nil); !quiet || !until.Equal(at("2026-06-10T23:00:00Z")) {
		t.Errorf("until %v, quiet %v", until, quiet)
	}
}

func TestAfterQuietHoursItIsNeverQuiet(t *testing.T) {
	t.Parallel()
	zones := []string{"Europe/Berlin", "America/New_York", "America/Havana", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "UTC"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		from := rapid.IntRange(0, 1439).Draw(t, "from")
		to := (from + rapid.IntRange(1, 1439).Draw(t, "length")) % 1440
		q := &gate.Quiet{From: gate.Clock(from), To: gate.Clock(to)}
		now := time.Unix(rapid.Int64Range(1_760_000_000, 1_800_000_000).Draw(t, "now"), 0)
		until, quiet := q.Until(now, zone)
		if !quiet {
			return
		}
		if !until.After(now) || until.Sub(now) > 26*time.Hour {
			t.Fatalf("now %v, until %v", now.In(zone), until.In(zone))
		}
		if _, still := q.Until(until, zone); still {
			t.Fatalf("still quiet at %v", until.In(zone))
		}
	})
}

func TestTheCapAllowsNoMoreThanItsMaximumInAnyWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := gate.Cap{Max: rapid.IntRange(1, 5).Draw(t, "max"), Per: time.Duration(rapid.IntRange(1, 100).Draw(t, "per")) * time.Second}
		now, sends := at("2026-01-01T00:00:00Z"), []time.Time{}
		for range rapid.IntRange(1, 40).Draw(t, "attempts") {
			now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "pause")) * time.Second)
			if until, capped := c.Until(now, sends); capped {
				if !until.After(now) {
					t.Fatalf("held back until %v at %v", until, now)
				}
				now = until
			}
			sends = append(sends, now)
			if n := len(sends); n > c.Max && sends[n-1].Sub(sends[n-1-c.Max]) < c.Per {
				t.Fatalf("%d touches within %v", c.Max+1, sends[n-1].Sub(sends[n-1-c.Max]))
			}
		}
	})
}
