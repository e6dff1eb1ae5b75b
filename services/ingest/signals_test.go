package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

// signalsFile is a signals.yaml that a test changes.
func signalsFile(t *testing.T) (path string, write func(yaml string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "signals.yaml")
	write = func(yaml string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path, write
}

func (r *room) capture(email string, attributes map[string]string) *leadv1.Lead {
	r.t.Helper()
	req := &ingestv1.CaptureLeadRequest{Source: "website", Profile: &leadv1.Profile{Email: email, Attributes: attributes}}
	resp, err := r.api.CaptureLead(r.t.Context(), req)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.known(resp.GetLeadId())
}

func (r *room) known(id string) *leadv1.Lead {
	r.t.Helper()
	got, err := r.api.GetLead(r.t.Context(), &ingestv1.GetLeadRequest{LeadId: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return got.GetLead()
}

func TestLeadsAreFlaggedByAddressBySourceAndByConfiguration(t *testing.T) {
	path, write := signalsFile(t)
	write("addresses: {own_staff: [acme.example]}\n")
	r := newRoomWith(t, func(c *ingest.Config) { c.Signals = path })
	if f := r.capture("ann@gmail.com", nil).GetFlags(); !f.GetFreeMail() || f.GetTest() {
		t.Errorf("free mail: %v", f)
	}
	if f := r.capture("bob@corp.example", map[string]string{"is_test": "true"}).GetFlags(); !f.GetTest() {
		t.Errorf("a test: %v", f)
	}
	if f := r.capture("sam@acme.example", nil).GetFlags(); !f.GetOwnStaff() {
		t.Errorf("own staff: %v", f)
	}
	tracked, err := r.api.TrackActivity(t.Context(), &ingestv1.TrackActivityRequest{
		Who:      &ingestv1.Who{Email: "eve@corp.example"},
		Activity: &leadv1.Activity{Type: "form_submitted", Properties: map[string]string{"is_test": "true"}},
	})
	if err != nil || !r.known(tracked.GetLeadId()).GetFlags().GetTest() {
		t.Errorf("an event that says it is a test: %v", err)
	}
}

func TestSignalsAreReadAgainAndABadFileChangesNothing(t *testing.T) {
	path, write := signalsFile(t)
	write("")
	r := newRoomWith(t, func(c *ingest.Config) { c.Signals = path })
	write("addresses: {competitors: [rival.example]}\n")
	n := 0
	competitor := func() bool {
		n++
		return r.capture(fmt.Sprintf("x%d@rival.example", n), nil).GetFlags().GetCompetitor()
	}
	r.eventually("the new list holds", competitor)
	write("addresses: {competitors: [rival]}\n")
	if !competitor() {
		t.Error("a file that cannot be read took the list away")
	}
	if err := ingest.LintSignals(path); err == nil {
		t.Error("lint finds nothing wrong with it")
	}
}

func (r *room) clicked(lead, id string, hit *leadv1.Hit) {
	r.t.Helper()
	_, err := r.api.TrackActivity(r.t.Context(), &ingestv1.TrackActivityRequest{
		Who: &ingestv1.Who{LeadId: lead},
		Activity: &leadv1.Activity{
			Id: id, Type: "email_clicked", Source: "campaign", Properties: map[string]string{"touch_id": lead + "-t1"}, Hit: hit,
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) activity(lead, id string) *leadv1.Activity {
	r.t.Helper()
	got, err := r.api.ListActivities(r.t.Context(), &ingestv1.ListActivitiesRequest{LeadId: lead})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range got.GetActivities() {
		if a.GetId() == id {
			return a
		}
	}
	return nil
}

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

func TestAHitAndItsVerdictAreTwoFactsAndOthersReadTheVerdict(t *testing.T) {
	r := newRoomWith(t, func(c *ingest.Config) { c.Quarantine = 50 * time.Millisecond })
	person, machine := r.capture("ann@corp.example", nil).GetLeadId(), r.capture("bob@corp.example", nil).GetLeadId()
	r.clicked(person, "c1", &leadv1.Hit{Agent: firefox, Link: "1"})
	r.clicked(machine, "c2", &leadv1.Hit{Agent: firefox, Link: "1"})
	r.clicked(machine, "trap", &leadv1.Hit{Agent: firefox, Link: "trap", Trap: true})
	verdict := func(lead, id, want string) {
		r.eventually(id+" is judged", func() bool { return r.activity(lead, id).GetVerdict() != "" })
		if a := r.activity(lead, id); a.GetVerdict() != want || a.GetPending() || a.GetMachine() != (want != "human") {
			t.Errorf("%s: %v, want %s", id, a, want)
		}
	}
	verdict(person, "c1", "human")
	verdict(machine, "c2", "with_trap_link")
	verdict(machine, "trap", "trap_link")
	// What others read has the verdict, and not what was seen.
	var pending, judged int
	for _, rec := range records(t, r.bus, machine) {
		for _, raw := range rec.GetEvents() {
			e := &ingestv1.Event{}
			if err := proto.Unmarshal(raw, e); err != nil {
				t.Fatal(err)
			}
			if e.GetActivity().GetPending() {
				pending++
			}
			if e.GetJudged() != nil {
				judged++
			}
			if e.GetActivity().GetHit() != nil || e.GetJudged().GetActivity().GetHit() != nil {
				t.Errorf("others read what was seen: %v", e)
			}
		}
	}
	if pending != 2 || judged != 2 {
		t.Errorf("%d hits and %d verdicts in the log, want 2 and 2", pending, judged)
	}
}

// records reads the records of a lead as other services do.
func records(t *testing.T, b *bus.Bus, lead string) []*ledgerv1.Record {
	t.Helper()
	var list []*ledgerv1.Record
	for raw, err := range b.Read(t.Context(), bus.Leads, bus.Subject(bus.Leads, lead, bus.KindState), 1) {
		if err != nil {
			t.Fatal(err)
		}
		rec := &ledgerv1.Record{}
		if err := proto.Unmarshal(raw.Data, rec); err != nil {
			t.Fatal(err)
		}
		list = append(list, rec)
	}
	return list
}

// rejudge judges what is in the log again and gives the last answer and all that
// said what changed.
func (r *room) rejudge(dry bool) (last *ingestv1.RejudgeHitsResponse, changed []*ingestv1.RejudgeHitsResponse) {
	r.t.Helper()
	stream, err := r.api.RejudgeHits(r.t.Context(), &ingestv1.RejudgeHitsRequest{DryRun: dry})
	if err != nil {
		r.t.Fatal(err)
	}
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last, changed
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if last = msg; msg.GetNow() != nil {
			changed = append(changed, msg)
		}
	}
}

func TestHistoryIsJudgedAgainWhenTheRulesChange(t *testing.T) {
	path, write := signalsFile(t)
	write("quarantine: 50ms\n")
	r := newRoomWith(t, func(c *ingest.Config) { c.Signals = path })
	ann := r.capture("ann@rival.example", nil).GetLeadId()
	r.clicked(ann, "c1", &leadv1.Hit{Agent: firefox, Link: "1", Network: "198.51.100.0/24"})
	r.clicked(ann, "c2", &leadv1.Hit{Agent: firefox, Link: "1", Network: "203.0.113.0/24"})
	for _, id := range []string{"c1", "c2"} {
		r.eventually(id+" is judged", func() bool { return r.activity(ann, id).GetVerdict() == "human" })
	}
	if last, changed := r.rejudge(false); last.GetLeads() != 1 || last.GetHits() != 2 || len(changed) != 0 || last.GetFlagsChanged() != 0 {
		t.Fatalf("the same rules: %v, %v", last, changed)
	}
	before := r.rules()
	write("quarantine: 50ms\nnetworks: {scanners: [198.51.100.0/24]}\naddresses: {competitors: [rival.example]}\n")
	r.eventually("the new rules hold", func() bool { return r.rules() != before })

	last, changed := r.rejudge(true)
	if len(changed) != 1 || changed[0].GetNow().GetId() != "c1" || changed[0].GetNow().GetVerdict() != "scanner_network" || changed[0].GetWas().GetVerdict() != "human" ||
		last.GetChanged() != 1 || last.GetFlagsChanged() != 1 {
		t.Fatalf("a dry run: %v, %v", last, changed)
	}
	if r.activity(ann, "c1").GetMachine() || r.known(ann).GetFlags() != nil {
		t.Fatal("a dry run changed something")
	}
	r.rejudge(false)
	if a := r.activity(ann, "c1"); !a.GetMachine() || a.GetVerdict() != "scanner_network" || r.activity(ann, "c2").GetMachine() {
		t.Errorf("judged again: %v", a)
	}
	if !r.known(ann).GetFlags().GetCompetitor() {
		t.Error("the flags are those of the former rules")
	}
	if last, changed := r.rejudge(false); len(changed) != 0 || last.GetFlagsChanged() != 0 {
		t.Errorf("a second time: %v, %v", last, changed)
	}
	again := 0
	for _, rec := range records(t, r.bus, ann) {
		for _, raw := range rec.GetEvents() {
			e := &ingestv1.Event{}
			if err := proto.Unmarshal(raw, e); err != nil {
				t.Fatal(err)
			}
			if e.GetJudged().GetAgain() {
				again++
			}
		}
	}
	if again != 1 {
		t.Errorf("others are told of %d verdicts that changed, want 1", again)
	}
}

// rules is the version of the rules that hold now.
func (r *room) rules() string {
	last, _ := r.rejudge(true)
	return last.GetRules()
}
