package campaign_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign"
)

func TestALeadIsNurturedClicksQualifiesAndComesBackFromSales(t *testing.T) {
	t.Parallel()
	r := newRoom(t).start()
	r.capture("lead1")
	r.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the first mail arrives", func() bool { return len(r.mailsTo("lead1")) == 1 })
	first := r.mailsTo("lead1")[0]
	if !strings.Contains(first, "Subject: Ann, the guide you asked about") {
		t.Errorf("mail:\n%s", first)
	}
	click := regexp.MustCompile(regexp.QuoteMeta(r.base) + `/t/c/[A-Za-z0-9_-]+`).FindString(first)
	if resp := r.get(click); resp.StatusCode != http.StatusFound || resp.Header.Get("Location") != "https://www.acme.example/guide" {
		t.Errorf("click %q: %s %q", click, resp.Status, resp.Header.Get("Location"))
	}
	r.record(bus.Leads, "lead1", &ingestv1.State{Lead: r.people["lead1"]}, &ingestv1.Event{Fact: &ingestv1.Event_Activity{Activity: r.inbound()}})
	r.eventually("the second mail is the story", func() bool {
		return len(r.mailsTo("lead1")) == 2 && strings.Contains(r.mailsTo("lead1")[1], "Subject: How a team of four")
	})
	r.stage("lead1", leadv1.Stage_STAGE_QUALIFIED)
	r.eventually("the goal is met", func() bool { return r.stay("lead1", "welcome").GetEndedWhy() == "goal" })
	assigned := &handoffv1.Handoff{LeadId: "lead1", Status: handoffv1.HandoffStatus_HANDOFF_STATUS_ASSIGNED}
	r.record(bus.Handoff, "lead1", &handoffv1.State{Handoff: assigned}, &handoffv1.Event{Fact: &handoffv1.Event_Assigned{Assigned: &handoffv1.Assigned{}}})
	recycled := &handoffv1.Handoff{LeadId: "lead1", Status: handoffv1.HandoffStatus_HANDOFF_STATUS_RECYCLED}
	r.record(bus.Handoff, "lead1", &handoffv1.State{Handoff: recycled}, &handoffv1.Event{Fact: &handoffv1.Event_Recycled{Recycled: &handoffv1.Recycled{}}})
	r.eventually("it is recycled", func() bool { return r.stay("lead1", "recycle").GetWhy() == "recycled" })
	r.eventually("nobody is in a hurry", func() bool { return strings.Contains(strings.Join(r.mailsTo("lead1"), ""), "Subject: No hurry") })
	r.verify()
}

// inbound is the activity that the service told ingest of.
func (r *room) inbound() *leadv1.Activity {
	r.t.Helper()
	var raw *jetstream.RawStreamMsg
	r.eventually("the click is on inbound.campaign", func() (ok bool) {
		var err error
		raw, err = r.bus.LastMsg(r.t.Context(), bus.Inbound, "inbound.campaign")
		return err == nil
	})
	in := &ingestv1.Inbound{}
	if err := proto.Unmarshal(raw.Data, in); err != nil {
		r.t.Fatal(err)
	}
	a := in.GetTrack().GetActivity()
	if in.GetTrack().GetWho().GetLeadId() != "lead1" || a.GetType() != "email_clicked" || a.GetProperties()["program"] != "welcome" {
		r.t.Errorf("inbound %v", in)
	}
	return a
}

// verify rebuilds every state from the log.
func (r *room) verify() {
	r.t.Helper()
	report, err := r.svc.Ledger().Verify(r.t.Context())
	if err != nil || len(report.Mismatches) > 0 || report.Leads == 0 {
		r.t.Errorf("verify: %+v, error %v", report, err)
	}
}

func TestUnsubscribingStopsTheNextMail(t *testing.T) {
	t.Parallel()
	r := newRoom(t).start()
	r.capture("lead1")
	r.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the first mail arrives", func() bool { return len(r.mailsTo("lead1")) == 1 })
	link := regexp.MustCompile(`List-Unsubscribe: <([^>]+)>`).FindStringSubmatch(r.mailsTo("lead1")[0])
	if resp := r.do(http.MethodPost, link[1], "List-Unsubscribe=One-Click"); resp.StatusCode != http.StatusOK {
		t.Fatalf("status %s", resp.Status)
	}
	r.eventually("the next touch is skipped", func() bool {
		resp, err := r.client.ListTouches(t.Context(), &campaignv1.ListTouchesRequest{LeadId: "lead1"})
		if err != nil || len(resp.GetTouches()) < 2 {
			return false
		}
		second := resp.GetTouches()[1]
		return second.GetStatus() == campaignv1.TouchStatus_TOUCH_STATUS_SKIPPED && second.GetReason() == "no_consent"
	})
	for with, want := range map[bool]int{true: 2, false: 0} {
		resp, err := r.client.ListEnrollments(t.Context(), &campaignv1.ListEnrollmentsRequest{LeadId: "lead1", WithTouches: with})
		if err != nil || len(resp.GetEnrollments()) == 0 || len(resp.GetTouches()) < want || !with && len(resp.GetTouches()) > 0 {
			t.Errorf("with touches %t: %v, error %v", with, resp, err)
		}
	}
	if n := len(r.mailsTo("lead1")); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestThePlannedMailOfALeadThatWasMergedDoesNotGoOut(t *testing.T) {
	t.Parallel()
	r := newRoom(t).start()
	r.capture("lead1")
	r.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	r.eventually("the first mail arrives", func() bool { return len(r.mailsTo("lead1")) == 1 })
	r.mu.Lock() // ingest answers the survivor when it is asked for the lead
	r.people["lead1"].LeadId, r.people["lead1"].MergedFrom = "lead2", []string{"lead1"}
	r.mu.Unlock()
	r.eventually("the next touch is skipped", func() bool {
		resp, err := r.client.ListTouches(t.Context(), &campaignv1.ListTouchesRequest{LeadId: "lead1"})
		return err == nil && len(resp.GetTouches()) > 1 && resp.GetTouches()[1].GetReason() == "merged"
	})
	if n := len(r.mailsTo("lead1")); n != 1 {
		t.Errorf("%d mails", n)
	}
}

func TestPeopleCanEnrollAndExitByHand(t *testing.T) {
	t.Parallel()
	r := newRoom(t).start()
	ctx := t.Context()
	_, err := r.client.Enroll(ctx, &campaignv1.EnrollRequest{LeadId: "nobody", Program: "welcome"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("an unknown lead: %v", err)
	}
	r.people["lead1"] = leadtest.WithFacts(&leadv1.Lead{LeadId: "lead1", Profile: &leadv1.Profile{Email: "lead1@example.com"}})
	if _, err = r.client.Enroll(ctx, &campaignv1.EnrollRequest{LeadId: "lead1", Program: "nope"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown program: %v", err)
	}
	in, err := r.client.Enroll(ctx, &campaignv1.EnrollRequest{LeadId: "lead1", Program: "welcome"})
	if err != nil || in.GetEnrollment().GetWhy() != "by_hand" {
		t.Fatalf("enrollment %v, error %v", in, err)
	}
	if _, err = r.client.Enroll(ctx, &campaignv1.EnrollRequest{LeadId: "lead1", Program: "welcome"}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "already_enrolled") {
		t.Errorf("a second time: %v", err)
	}
	out, err := r.client.Exit(ctx, &campaignv1.ExitRequest{LeadId: "lead1", Program: "welcome", Reason: "asked_us_to"})
	if err != nil || out.GetEnrollment().GetEndedWhy() != "asked_us_to" {
		t.Errorf("enrollment %v, error %v", out, err)
	}
	if _, err = r.client.ResolveTouch(ctx, &campaignv1.ResolveTouchRequest{LeadId: "lead1", TouchId: "x", Status: campaignv1.TouchStatus_TOUCH_STATUS_SENT}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown touch: %v", err)
	}
	batch, err := r.client.BatchGetEnrollments(ctx, &campaignv1.BatchGetEnrollmentsRequest{LeadIds: []string{"nobody", "lead1"}})
	if err != nil || len(batch.GetLeads()) != 1 || batch.GetLeads()[0].GetLeadId() != "lead1" {
		t.Errorf("batch %v, error %v", batch, err)
	}
	resp := r.get(r.base + "/v1/programs")
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), `"keep-warm"`) {
		t.Errorf("programs over REST: %s %s %v", resp.Status, body, err)
	}
	r.verify()
}

func TestDecisionsCanBeVerifiedAfterTheProgramsChanged(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	dir := t.TempDir()
	write := func(after string) {
		yaml := fmt.Sprintf("name: slow\nenroll: {when: stage == NURTURING}\nsteps:\n  - id: pause\n    wait: {for: %s}\n  - id: out\n    exit: {}\n", after)
		if err := os.WriteFile(filepath.Join(dir, "slow.yaml"), []byte(yaml), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("1h")
	r.cfg.Programs = dir
	first := r.start()
	first.capture("lead1")
	first.stage("lead1", leadv1.Stage_STAGE_NURTURING)
	first.eventually("it is enrolled", func() bool { return first.stay("lead1", "slow") != nil })
	old := first.stay("lead1", "slow").GetVersion()

	write("2h")
	svc, err := campaign.New(r.cfg, campaign.Deps{Bus: r.bus, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	report, err := svc.Ledger().Verify(t.Context())
	if err != nil || len(report.Mismatches) > 0 || report.Leads != 1 {
		t.Errorf("verify: %+v, error %v", report, err)
	}
	if old == "" {
		t.Error("the enrollment names no version")
	}
}

func TestAWrongConfigurationIsOneClearLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*campaign.Config)
		want   string
	}{
		"no key":         {func(c *campaign.Config) { c.LinkKeys = nil }, "set link_keys to the output of `openssl rand -hex 32`"},
		"no programs":    {func(c *campaign.Config) { c.Programs = t.TempDir() }, "there are no programs in"},
		"no templates":   {func(c *campaign.Config) { c.Templates = "nowhere" }, "set templates to a directory"},
		"time scale":     {func(c *campaign.Config) { c.TimeScale = 0 }, "time_scale: 0 is not above 0"},
		"public url":     {func(c *campaign.Config) { c.PublicURL = "localhost:8082" }, `public_url: "localhost:8082" is no web address`},
		"from":           {func(c *campaign.Config) { c.Mail.From = "sam" }, `mail.from: "sam" is no e-mail address`},
		"smtp address":   {func(c *campaign.Config) { c.SMTP.Addr = "mail" }, "write host:port"},
		"provider":       {func(c *campaign.Config) { c.SMTP.Provider = "sendgird" }, `smtp.provider: "sendgird": write sendgrid, ses`},
		"bounce domain":  {func(c *campaign.Config) { c.Mail.BounceDomain = "not a domain" }, "mail.bounce_domain: \"not a domain\" is no domain"},
		"bounce keys":    {func(c *campaign.Config) { c.Mail.BounceDomain = "bounce.example.com" }, "mail.bounce_keys: no key to sign return paths with"},
		"password clear": {func(c *campaign.Config) { c.SMTP.Addr, c.SMTP.Password = "mail.example.com:25", "x" }, "in the clear"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			tt.change(&r.cfg)
			_, err := campaign.New(r.cfg, campaign.Deps{Bus: r.bus, Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %v\nwant it to contain %s", err, tt.want)
			}
		})
	}
}
