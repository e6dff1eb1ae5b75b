package mail_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	"github.com/google/go-cmp/cmp"

	"github.com/nurturehq/nurture/pkg/returnpath"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

func carrying(t *testing.T, c mail.Carry) (mail.Mail, message.Header) {
	t.Helper()
	w := writer(t)
	w.Carry = c
	m, err := w.Compose(touch(t, &leadv1.Profile{Email: "jo@example.com", FirstName: "Jo"}))
	if err != nil {
		t.Fatal(err)
	}
	entity, err := message.Read(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatal(err)
	}
	return m, entity.Header
}

func TestEveryProviderGetsTheTouchWhereItGivesItBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		carry mail.Carry
		want  map[string]string
	}{
		{mail.Carry{}, nil},
		{mail.Carry{Provider: mail.SendGrid}, map[string]string{
			"X-SMTPAPI": `{"unique_args":{"nurture_purpose":"marketing_email","nurture_touch":"lead-1-t1"}}`,
		}},
		{mail.Carry{Provider: mail.Mailgun}, map[string]string{
			"X-Mailgun-Variables": `{"nurture_purpose":"marketing_email","nurture_touch":"lead-1-t1"}`,
		}},
		{mail.Carry{Provider: mail.SES, ConfigurationSet: "events"}, map[string]string{
			"X-SES-MESSAGE-TAGS": "nurture_touch=lead-1-t1, nurture_purpose=marketing_email", "X-SES-CONFIGURATION-SET": "events",
		}},
		{mail.Carry{Provider: mail.Postmark, Stream: "broadcast"}, map[string]string{
			"X-PM-Metadata-nurture_touch": "lead-1-t1", "X-PM-Metadata-nurture_purpose": "marketing_email",
			"X-PM-KeepID": "true", "X-PM-Message-Stream": "broadcast",
		}},
		{mail.Carry{Provider: mail.Resend}, map[string]string{"Resend-Idempotency-Key": "lead-1-t1"}},
	} {
		t.Run("with "+string(tt.carry.Provider), func(t *testing.T) {
			t.Parallel()
			m, header := carrying(t, tt.carry)
			want := map[string]string{"X-Nurture-Touch": "lead-1-t1", "Message-ID": "<lead-1-t1@mail.acme.example>"}
			for k, v := range tt.want {
				want[k] = v
			}
			got := map[string]string{}
			for k := range want {
				got[k] = header.Get(k)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			for name := range tt.want {
				if !strings.Contains(string(m.Raw), "\r\n"+name+": "+tt.want[name]+"\r\n") {
					t.Errorf("%s is not on one line as it was written", name)
				}
				if strings.HasPrefix(tt.want[name], "{") && !json.Valid([]byte(header.Get(name))) {
					t.Errorf("%s is no JSON", name)
				}
				if strings.Contains(header.Get(name), "jo@") || strings.Contains(header.Get(name), "Jo") {
					t.Errorf("%s says who the reader is", name)
				}
			}
			if m.From != "sam@acme.example" || strings.Contains(header.Get("List-Unsubscribe"), "mailto") {
				t.Errorf("without return addresses the envelope is from %q, unsubscribe %q", m.From, header.Get("List-Unsubscribe"))
			}
		})
	}
}

func TestAMailComesBackToAnAddressThatNamesItsTouch(t *testing.T) {
	t.Parallel()
	returns, err := returnpath.NewSigner([]string{strings.Repeat("ab", 32)})
	if err != nil {
		t.Fatal(err)
	}
	m, header := carrying(t, mail.Carry{Returns: returns, Domain: "bounce.acme.example"})
	box, token, domain := returnpath.Split(m.From)
	if got, ok := returns.Verify(token); !ok || got != "lead-1-t1" || box != "bounce" || domain != "bounce.acme.example" {
		t.Errorf("envelope from %q: touch %q, %t", m.From, got, ok)
	}
	if !strings.Contains(header.Get("From"), "sam@acme.example") {
		t.Errorf("the reader sees %q", header.Get("From"))
	}
	ways := header.Get("List-Unsubscribe")
	if got, ok := returns.Find(ways); !ok || got != "lead-1-t1" || !strings.Contains(ways, "<mailto:unsubscribe+lead-1-t1-") || !strings.HasPrefix(ways, "<http://") {
		t.Errorf("List-Unsubscribe: %s", ways)
	}
}
