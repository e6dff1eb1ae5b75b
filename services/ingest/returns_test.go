package ingest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/returnpath"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

const bounceDomain = "bounce.acme.example"

var bounceKey = strings.Repeat("ab", 32)

func bouncing(c *ingest.Config) {
	c.Bounces.Domain, c.Bounces.Keys = bounceDomain, []string{bounceKey}
	c.Bounces.SoftLimit = 3
}

func returnsOf(t *testing.T) *returnpath.Signer {
	t.Helper()
	s, err := returnpath.NewSigner([]string{bounceKey})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sample is a mail of the corpus as it would come back for a touch.
func sample(t *testing.T, name, touch string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("internal", "bounce", "testdata", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(raw), "0197a1b2c3d47e5f8091a2b3c4d5e6f7-t3-aaaaaaaaaaaaaaaa", returnsOf(t).Token(touch))
	return []byte(strings.ReplaceAll(text, "0197a1b2c3d47e5f8091a2b3c4d5e6f7-t3", touch))
}

// lead captures somebody who agreed to mails.
func (r *room) consenting(email string) string {
	r.t.Helper()
	resp, err := r.api.CaptureLead(r.t.Context(), &ingestv1.CaptureLeadRequest{
		Source: "website", Profile: &leadv1.Profile{Email: email}, Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: true}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.GetLeadId()
}

func TestAMailThatComesBackTellsOfItsLead(t *testing.T) {
	t.Parallel()
	r := newRoomWith(t, bouncing)
	for i, tt := range []struct {
		mail, box, verdict string
		want               leadv1.Suppression
	}{
		{"postfix_user_unknown", "bounce", "bounced_hard", leadv1.Suppression_SUPPRESSION_HARD_BOUNCE},
		{"mailbox_full", "bounce", "bounced_soft", leadv1.Suppression_SUPPRESSION_UNSPECIFIED},
		{"delayed", "bounce", "deferred", leadv1.Suppression_SUPPRESSION_UNSPECIFIED},
		{"arf_abuse", "complaints", "complained", leadv1.Suppression_SUPPRESSION_COMPLAINT},
		{"mailto_unsubscribe", "unsubscribe", "unsubscribed", leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED},
	} {
		t.Run(tt.mail, func(t *testing.T) {
			lead := r.consenting(fmt.Sprintf("jo%d@example.com", i))
			touch := lead + "-t1"
			to := tt.box + "+" + returnsOf(t).Token(touch) + "@" + bounceDomain
			if tt.box == "complaints" {
				to = "complaints@" + bounceDomain
			}
			req := &ingestv1.TakeReturnRequest{Mail: sample(t, tt.mail, touch), Recipient: to}
			resp, err := r.api.TakeReturn(t.Context(), req)
			if err != nil || resp.GetVerdict() != tt.verdict || resp.GetLeadId() != lead || resp.GetTouchId() != touch || resp.GetParked() != "" {
				t.Fatalf("response %v, error %v", resp, err)
			}
			l := r.lead(lead)
			if l.GetSuppression() != tt.want || l.GetActivities() != 1 {
				t.Errorf("lead %v", l)
			}
			if tt.verdict == "unsubscribed" && l.GetConsents()[0].GetGranted() {
				t.Error("the consent stands")
			}
			again, err := r.api.TakeReturn(t.Context(), req)
			if err != nil || !again.GetDuplicate() || r.lead(lead).GetActivities() != 1 {
				t.Errorf("again: %v, %v", again, err)
			}
		})
	}
}

func TestNobodyCanForgeAReturnForAnother(t *testing.T) {
	t.Parallel()
	r := newRoomWith(t, bouncing)
	lead := r.consenting("jo@example.com")
	touch := lead + "-t1"
	forged := []byte(strings.ReplaceAll(string(sample(t, "postfix_user_unknown", touch)), returnsOf(t).Token(touch), touch+"-aaaaaaaaaaaaaaaa"))
	resp, err := r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{Mail: forged, Recipient: "bounce+" + touch + "-aaaaaaaaaaaaaaaa@" + bounceDomain})
	if err != nil || resp.GetParked() == "" || len(r.parked()) != 1 {
		t.Fatalf("response %v, error %v, %d parked", resp, err, len(r.parked()))
	}
	if l := r.lead(lead); l.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED || l.GetActivities() != 0 {
		t.Errorf("lead %v", l)
	}
	// A mailbox that only our own servers write to is believed.
	resp, err = r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{Mail: forged, Trusted: true})
	if err != nil || resp.GetLeadId() != lead || r.lead(lead).GetSuppression() != leadv1.Suppression_SUPPRESSION_HARD_BOUNCE {
		t.Errorf("response %v, error %v", resp, err)
	}
}

func TestABounceWithoutOurIDsIsFoundByItsAddressAndMakesNoLead(t *testing.T) {
	t.Parallel()
	r := newRoomWith(t, bouncing)
	lead := r.consenting("jo@example.com")
	mail := []byte(strings.NewReplacer("0197a1b2c3d47e5f8091a2b3c4d5e6f7-t3-aaaaaaaaaaaaaaaa", "x", "bounce+", "sam").Replace(string(sample(t, "exim_unrouteable", lead+"-t1"))))
	resp, err := r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{Mail: mail, Trusted: true})
	if err != nil || resp.GetLeadId() != lead || resp.GetTouchId() != "" {
		t.Fatalf("response %v, error %v", resp, err)
	}
	if l := r.lead(lead); l.GetSuppression() != leadv1.Suppression_SUPPRESSION_HARD_BOUNCE || l.GetProfile().GetEmail() != "jo@example.com" {
		t.Errorf("lead %v", l)
	}
	stranger := []byte(strings.ReplaceAll(string(mail), "jo@example.com", "nobody@example.com"))
	resp, err = r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{Mail: stranger, Trusted: true})
	if err != nil || resp.GetLeadId() != "" || !strings.Contains(resp.GetParked(), "not known here") {
		t.Errorf("response %v, error %v", resp, err)
	}
	made, err := r.api.CaptureLead(t.Context(), &ingestv1.CaptureLeadRequest{Source: "website", Profile: &leadv1.Profile{Email: "nobody@example.com"}})
	if err != nil || !made.GetCreated() {
		t.Errorf("capture %v, error %v", made, err)
	}
}

func TestSoftBouncesInARowEndInSuppression(t *testing.T) {
	t.Parallel()
	r := newRoomWith(t, bouncing)
	lead := r.consenting("jo@example.com")
	for n := 1; n <= 3; n++ {
		if l := r.lead(lead); l.GetSuppression() != leadv1.Suppression_SUPPRESSION_UNSPECIFIED {
			t.Fatalf("suppressed after %d", n-1)
		}
		touch := fmt.Sprintf("%s-t%d", lead, n)
		mail := strings.ReplaceAll(string(sample(t, "mailbox_full", touch)), "20260302091500", fmt.Sprint(n))
		mail = strings.ReplaceAll(mail, "10:15:00", fmt.Sprintf("10:15:%02d", n))
		if _, err := r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{Mail: []byte(mail), Recipient: "bounce+" + returnsOf(t).Token(touch) + "@" + bounceDomain}); err != nil {
			t.Fatal(err)
		}
	}
	if l := r.lead(lead); l.GetSuppression() != leadv1.Suppression_SUPPRESSION_HARD_BOUNCE {
		t.Errorf("lead %v", l)
	}
}

func TestAnswersOfMachinesAreNotNews(t *testing.T) {
	t.Parallel()
	r := newRoomWith(t, bouncing)
	lead := r.consenting("jo@example.com")
	to := "bounce+" + returnsOf(t).Token(lead+"-t1") + "@" + bounceDomain
	for _, mail := range []string{"out_of_office", "challenge", "vacation_without_headers"} {
		resp, err := r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{Mail: sample(t, mail, lead+"-t1"), Recipient: to})
		if err != nil || resp.GetVerdict() != "auto_reply" || resp.GetParked() != "" {
			t.Errorf("%s: %v, %v", mail, resp, err)
		}
	}
	resp, err := r.api.TakeReturn(t.Context(), &ingestv1.TakeReturnRequest{Mail: sample(t, "human_reply", lead+"-t1"), Recipient: to})
	if err != nil || resp.GetParked() == "" || len(r.parked()) != 1 {
		t.Errorf("what a person wrote is lost: %v, %v", resp, err)
	}
	if l := r.lead(lead); l.GetActivities() != 0 {
		t.Errorf("lead %v", l)
	}
}

// post is a room with an SMTP listener.
func post(t *testing.T, changes ...func(*ingest.Config)) (*room, string) {
	t.Helper()
	mails := listen(t)
	return joinRoomWith(t, bustest.New(t), func(d *ingest.Deps) { d.SMTP = mails }, append([]func(*ingest.Config){bouncing}, changes...)...), mails.Addr().String()
}

func send(t *testing.T, addr, to string, mail []byte) error {
	t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.SendMail("", []string{to}, strings.NewReader(strings.ReplaceAll(string(mail), "\n", "\r\n")))
}

func TestMailsComeBackOverSMTPAndAreDurableWhenTheyAreTaken(t *testing.T) {
	t.Parallel()
	r, addr := post(t)
	lead := r.consenting("jo@example.com")
	touch := lead + "-t1"
	to, _ := returnsOf(t).Address(returnpath.Bounce, touch, bounceDomain)
	if err := send(t, addr, to, sample(t, "qmail", touch)); err != nil {
		t.Fatal(err)
	}
	if l := r.lead(lead); l.GetSuppression() != leadv1.Suppression_SUPPRESSION_HARD_BOUNCE {
		t.Errorf("taken, but the lead is %v", l)
	}
	for _, wrong := range []string{
		"bounce+" + touch + "-aaaaaaaaaaaaaaaa@" + bounceDomain, "bounce@" + bounceDomain, "sam@" + bounceDomain,
		strings.Replace(to, bounceDomain, "elsewhere.example", 1), "complaints+x@" + bounceDomain,
	} {
		if err := send(t, addr, wrong, sample(t, "qmail", touch)); err == nil || !strings.Contains(err.Error(), "no such return address") {
			t.Errorf("mail for %s: %v", wrong, err)
		}
	}
	if err := send(t, addr, "Complaints@"+strings.ToUpper(bounceDomain), sample(t, "arf_abuse", touch)); err != nil {
		t.Error(err)
	}
	if l := r.lead(lead); l.GetSuppression() != leadv1.Suppression_SUPPRESSION_COMPLAINT {
		t.Errorf("lead %v", l)
	}
	huge := append(sample(t, "qmail", touch), []byte(strings.Repeat("x\n", 2<<20))...)
	if err := send(t, addr, to, huge); err == nil {
		t.Error("a mail beyond the limit was taken")
	}
}

func TestTooManyMailsAreToldToComeLater(t *testing.T) {
	t.Parallel()
	_, addr := post(t, func(c *ingest.Config) { c.Bounces.PerMinute = 2 })
	var last error
	for range 4 {
		last = send(t, addr, "complaints@"+bounceDomain, sample(t, "out_of_office", "x-t1"))
	}
	if last == nil || !strings.Contains(last.Error(), "try again later") {
		t.Errorf("error %v", last)
	}
}
