package bounce_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/services/ingest/internal/bounce"
)

// ours is the touch of the returned mails in testdata.
const ours = "0197a1b2c3d47e5f8091a2b3c4d5e6f7-t3"

// corpus says what each mail in testdata means: verdict, reason, recipient.
// Where the recipient ends with a star the report names the touch as well.
func corpus() map[string]string {
	return map[string]string{
		// Delivery reports.
		"postfix_user_unknown":           "bounced_hard 5.1.1 jo@example.com*",
		"postfix_full_original":          "bounced_hard 5.1.1 jo@example.com*",
		"no_original_headers":            "bounced_hard 5.1.1 jo@example.com",
		"mailbox_full":                   "bounced_soft 5.2.2 jo@example.com*",
		"disabled":                       "bounced_hard 5.2.1 jo@example.com*",
		"blocked_as_spam":                "bounced_soft 5.7.1 jo@example.com*",
		"vague_status_clear_text":        "bounced_hard user_unknown jo@example.com*",
		"vague_status_blocked_text":      "bounced_soft blocked jo@example.com*",
		"vague_status_code_in_diagnosis": "bounced_hard 5.1.1 jo@example.com*",
		"delayed":                        "deferred 4.4.1 jo@example.com*",
		"expired":                        "bounced_soft 4.4.7 jo@example.com*",
		"delivered":                      "delivered 2.0.0 jo@example.com*",
		"relayed":                        "not_a_report relayed jo@example.com*",
		"no_action":                      "bounced_hard 5.1.1 jo@example.com*",
		"two_recipients":                 "bounced_soft 5.2.2 jo@example.com*",
		"cut_off":                        "bounced_hard 5.1.1 jo@example.com",
		"bad_content_type":               "bounced_hard 5.1.1 jo@example.com*",
		"mbox_line_and_crlf":             "bounced_hard 5.1.1 jo@example.com*",
		"exchange_gmail_style":           "bounced_hard 5.4.1 jo@example.com*",
		"no_such_host":                   "bounced_hard 5.4.4 jo@example.com*",
		"original_in_base64":             "bounced_hard 5.1.1 jo@example.com*",
		"provider_replaced_message_id":   "bounced_hard 5.1.1 jo@example.com*",
		// Bounces that are only text.
		"qmail":               "bounced_hard 5.1.1 jo@example.com*",
		"qmail_without_code":  "bounced_hard user_unknown jo@example.com*",
		"qmail_full":          "bounced_soft mailbox_full jo@example.com*",
		"exim":                "bounced_hard user_unknown jo@example.com*",
		"exim_unrouteable":    "bounced_hard user_unknown jo@example.com",
		"exim_warning":        "deferred delayed jo@example.com",
		"only_text_no_code":   "bounced_soft unknown jo@example.com",
		"text_with_bare_code": "bounced_soft smtp_571 jo@example.com",
		"german_html":         "bounced_hard 5.1.10 jo@example.com",
		// Answers that are no bounces.
		"out_of_office":                       "auto_reply auto_submitted",
		"vacation_without_headers":            "auto_reply subject",
		"vacation_from_null_sender":           "auto_reply subject",
		"ticket_received":                     "auto_reply auto_submitted",
		"challenge":                           "auto_reply challenge",
		"challenge_that_sounds_like_a_bounce": "auto_reply challenge",
		"human_reply":                         "not_a_report",
		"spam_to_the_box":                     "not_a_report",
		// Complaints, and readers who want no more.
		"arf_abuse":                 "complained abuse jo@example.com*",
		"arf_redacted":              "complained abuse *",
		"arf_not_spam":              "not_a_report not_spam jo@example.com*",
		"arf_opt_out":               "unsubscribed opt_out jo@example.com*",
		"arf_auth_failure":          "not_a_report auth_failure jo@example.com*",
		"arf_without_our_ids":       "complained abuse jo@example.com",
		"mailto_unsubscribe":        "unsubscribed mail_to_unsubscribe jo@example.com",
		"mailto_unsubscribe_empty":  "unsubscribed mail_to_unsubscribe jo@example.com",
		"auto_reply_to_unsubscribe": "auto_reply auto_submitted",
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// boxOf is the box the mails in testdata are addressed to.
func boxOf(raw []byte) string {
	if strings.Contains(string(raw), "To: unsubscribe+") {
		return "unsubscribe"
	}
	return "bounce"
}

func TestEveryReturnedMailIsReadForWhatItIs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) != len(corpus()) {
		t.Errorf("%d mails in testdata, %d in the table, error %v", len(files), len(corpus()), err)
	}
	for name, want := range corpus() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := read(t, name)
			r := bounce.Read(raw, boxOf(raw))
			got := strings.TrimSpace(string(r.Verdict) + " " + r.Reason + " " + r.Recipient)
			if strings.HasSuffix(want, "*") {
				if want = strings.TrimSpace(strings.TrimSuffix(want, "*")); r.Touch != ours {
					t.Errorf("touch %q, want %q", r.Touch, ours)
				}
			} else if r.Touch != "" {
				t.Errorf("touch %q from a mail that names none", r.Touch)
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestAReportSaysWhenAndWhichItIs(t *testing.T) {
	t.Parallel()
	r := bounce.Read(read(t, "postfix_user_unknown"), "bounce")
	if r.ID != "20260302091500.A1@mx.example.com" || !r.At.Equal(time.Date(2026, 3, 2, 9, 15, 0, 0, time.UTC)) {
		t.Errorf("id %q at %v", r.ID, r.At)
	}
	if !strings.Contains(r.Text, "bounce+"+ours) {
		t.Error("the return address cannot be found in the text")
	}
}

func TestReasonsNameNobody(t *testing.T) {
	t.Parallel()
	for name := range corpus() {
		raw := read(t, name)
		if r := bounce.Read(raw, boxOf(raw)); strings.ContainsAny(r.Reason, "@<> ") {
			t.Errorf("%s: reason %q", name, r.Reason)
		}
	}
}

// A mail may be cut anywhere, lose lines, or be folded into another: whatever
// comes out is a verdict, and a bounce is never invented from a person's answer.
func TestDamagedMailsAreReadWithoutInventingBounces(t *testing.T) {
	t.Parallel()
	people := []string{"human_reply", "out_of_office", "vacation_without_headers", "spam_to_the_box"}
	rapid.Check(t, func(rt *rapid.T) {
		raw := string(read(t, rapid.SampledFrom(people).Draw(rt, "mail")))
		_, body, _ := strings.Cut(raw, "\n\n")
		cut := rapid.IntRange(0, len(body)).Draw(rt, "cut")
		r := bounce.Read([]byte(raw[:len(raw)-cut]), "bounce")
		if r.Verdict != bounce.AutoReply && r.Verdict != bounce.NotAReport {
			rt.Fatalf("%s from %q", r.Verdict, raw[:len(raw)-cut])
		}
	})
}

func FuzzRead(f *testing.F) {
	for name := range corpus() {
		f.Add(read(f, name), "bounce")
	}
	f.Add([]byte("Content-Type: multipart/report; boundary=x\n\n--x\n--x\n--x--"), "unsubscribe")
	f.Fuzz(func(t *testing.T, raw []byte, box string) {
		r := bounce.Read(raw, box)
		switch r.Verdict {
		case bounce.Hard, bounce.Soft, bounce.Deferred, bounce.Delivered, bounce.Complained, bounce.Unsubscribed, bounce.AutoReply, bounce.NotAReport:
		default:
			t.Errorf("verdict %q", r.Verdict)
		}
		if len(r.Reason) > 64 || len(r.Text) > 256<<10 {
			t.Errorf("reason of %d bytes, text of %d", len(r.Reason), len(r.Text))
		}
	})
}
