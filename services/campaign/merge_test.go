package campaign_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// merge lets ingest make one lead of two.
func (r *room) merge(from, into string) {
	r.t.Helper()
	m := &ingestv1.Merge{Id: "m-" + from, FromLeadId: from, IntoLeadId: into}
	r.mu.Lock()
	was := r.people[from]
	r.people[into].MergedFrom = []string{from}
	r.people[from] = r.people[into]
	whole := proto.CloneOf(r.people[into])
	r.mu.Unlock()
	r.record(bus.Leads, from, &ingestv1.State{Lead: was, MergedInto: m},
		&ingestv1.Event{Fact: &ingestv1.Event_MergedInto{MergedInto: &ingestv1.MergedInto{IntoLeadId: into}}})
	r.record(bus.Leads, into, &ingestv1.State{
		Lead: whole, MergedFrom: []string{from}, Parts: []*ingestv1.Part{{Lead: &leadv1.Lead{LeadId: from}, Merge: m}},
	}, &ingestv1.Event{Fact: &ingestv1.Event_Merged{Merged: &ingestv1.Merged{FromLeadId: from}}})
}

// separate lets ingest make two of them again.
func (r *room) separate(from, into string, was *leadv1.Lead) {
	r.t.Helper()
	r.mu.Lock()
	r.people[from] = was
	r.people[into] = proto.CloneOf(r.people[into])
	r.people[into].MergedFrom = nil
	whole := proto.CloneOf(r.people[into])
	r.mu.Unlock()
	r.record(bus.Leads, into, &ingestv1.State{Lead: whole}, &ingestv1.Event{Fact: &ingestv1.Event_Unmerged{
		Unmerged: &ingestv1.Unmerged{LeadId: from, MergeId: "m-" + from},
	}})
	r.record(bus.Leads, from, &ingestv1.State{Lead: was}, &ingestv1.Event{Fact: &ingestv1.Event_Restored{
		Restored: &ingestv1.Restored{FromLeadId: into, Hosts: []*ingestv1.Host{{LeadId: into, MergeId: "m-" + from}}},
	}})
}

func (r *room) person(lead string) *leadv1.Lead {
	r.mu.Lock()
	defer r.mu.Unlock()
	return proto.CloneOf(r.people[lead])
}

const firstSubject = "Subject: Ann, the guide you asked about"

func TestAMergedLeadsJourneyGoesOnAsTheSurvivorsAndNoMailGoesOutTwice(t *testing.T) {
	t.Parallel()
	r := newRoom(t).start()
	r.capture("lead1")
	r.capture("lead2")
	r.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the first mail arrives", func() bool { return len(r.mailsTo("lead1")) == 1 })
	was := r.person("lead1")
	r.merge("lead1", "lead2")
	r.eventually("the journey has ended", func() bool { return r.stay("lead1", "welcome").GetEndedWhy() == "merged" })
	r.eventually("the survivor goes on with it", func() bool {
		e := r.stay("lead2", "welcome")
		return e.GetWhy() == "merged" && e.GetFromLeadId() == "lead1"
	})
	r.stage("lead1", leadv1.Stage_STAGE_MERGED)
	r.stage("lead2", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the survivor gets the next mail", func() bool { return len(r.mailsTo("lead2")) >= 1 })
	if all := strings.Join(r.mailsTo("lead2"), ""); strings.Contains(all, firstSubject) {
		t.Errorf("the first mail went out twice:\n%s", all)
	}
	r.separate("lead1", "lead2", was)
	r.eventually("the other one lets it be", func() bool { return r.stay("lead2", "welcome").GetEndedWhy() != "" })
	r.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the lead goes on where it was", func() bool { return r.stay("lead1", "welcome").GetWhy() == "restored" })
	if n := len(r.mailsTo("lead1")); strings.Count(strings.Join(r.mailsTo("lead1"), ""), firstSubject) != 1 {
		t.Errorf("%d mails, the first one again", n)
	}
	r.verify()
}

func TestAMailThatTheSamePersonGotAsAnotherLeadIsNotSentToTheSurvivor(t *testing.T) {
	t.Parallel()
	r := newRoom(t).start()
	r.capture("lead1")
	r.capture("lead2")
	r.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the first mail arrives", func() bool { return len(r.mailsTo("lead1")) == 1 })
	r.mu.Lock() // ingest knows, campaign has not read of it: the survivor is enrolled like anybody
	r.people["lead2"].MergedFrom = []string{"lead1"}
	r.mu.Unlock()
	r.stage("lead2", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the survivor's first mail is planned", func() bool { return len(r.touches("lead2")) == 1 })
	r.merge("lead1", "lead2")
	r.eventually("it is skipped", func() bool {
		touch := r.touches("lead2")[0]
		return touch.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED && touch.GetReason() == "sent_before_merge"
	})
	for _, m := range r.mailsTo("lead2") {
		if strings.Contains(m, firstSubject) {
			t.Errorf("the first mail went out twice:\n%s", m)
		}
	}
	r.verify()
}
