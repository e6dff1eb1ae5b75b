package fate_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/ses"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// delivered is an event of each provider that can be signed and changed.
func delivered() map[string]string {
	return map[string]string{
		"sendgrid": `{"sg_event_id":"sg1","event":"delivered","email":"jo@example.com","timestamp":1772452800}`,
		"ses":      `{"eventType":"Delivery","mail":{"destination":["jo@example.com"]},"delivery":{"timestamp":"2026-03-02T12:00:00Z","recipients":["jo@example.com"]}}`,
		"postmark": `{"RecordType":"Delivery","MessageID":"m1","Recipient":"jo@example.com","DeliveredAt":"2026-03-02T12:00:00Z"}`,
		"mailgun":  `{"id":"mg1","event":"delivered","recipient":"jo@example.com","timestamp":1772452800.5}`,
		"resend":   `{"type":"email.delivered","created_at":"2026-03-02T12:00:00Z","data":{"to":["jo@example.com"]}}`,
	}
}

// TestOnlyTheProvidersOwnCallsAreBelieved runs every dialect through the same
// table of calls.
func TestOnlyTheProvidersOwnCallsAreBelieved(t *testing.T) {
	t.Parallel()
	for _, s := range senders(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			body := s.wrap(delivered()[s.name])
			secret, key := s.key(1)
			next, nextKey := s.key(2)
			_, strange := s.key(9)
			src, both := s.source(secret), s.source(next, secret)
			check := func(what string, req hook.Request, src *source.Source, want error) {
				t.Helper()
				if err := s.dialect().Verify(req, src); !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("%s: %v, want %v", what, err, want)
				}
			}
			check("signed", s.call(body, key, noon), src, nil)
			check("signed, while the secret is rotated", s.call(body, key, noon), both, nil)
			check("signed with the new secret", s.call(body, nextKey, noon), both, nil)
			if secret != "" {
				check("signed with a secret that is no more", s.call(body, key, noon), s.source(next), hook.ErrForged)
				check("a source without secrets", s.call(body, key, noon), s.source(), hook.ErrForged)
			}
			check("signed by a stranger", s.call(body, strange, noon), both, hook.ErrForged)
			check("unsigned", request(body, noon), src, hook.ErrUnsigned)
			check("empty", request("", noon), src, hook.ErrUnsigned)
			if s.tamper != nil {
				req := s.call(body, key, noon)
				changed := s.tamper(string(req.Body))
				if changed == string(req.Body) {
					t.Fatal("the test changed nothing")
				}
				req.Body = []byte(changed)
				check("changed on its way", req, src, hook.ErrForged)
			}
			if s.stale > 0 {
				req := s.call(body, key, noon)
				req.Received = noon.Add(s.stale)
				check("kept for too long", req, src, hook.ErrStale)
				req = s.call(body, key, noon)
				req.Received = noon.Add(-time.Hour)
				check("from the future", req, src, hook.ErrStale)
			}
			once := s.dialect()
			for range 3 {
				if err := once.Verify(s.call(body, key, noon), src); err != nil {
					t.Errorf("the same call again: %v", err)
				}
			}
		})
	}
}

func TestAMailgunTokenIsGoodForOneBody(t *testing.T) {
	t.Parallel()
	s := senders(t)[3]
	secret, key := s.key(1)
	src, dialect := s.source(secret), s.dialect()
	req := s.call(delivered()["mailgun"], key, noon)
	if err := dialect.Verify(req, src); err != nil {
		t.Fatal(err)
	}
	req.Body = []byte(strings.Replace(string(req.Body), "jo@", "jim@", 1))
	if err := dialect.Verify(req, src); !errors.Is(err, hook.ErrForged) {
		t.Errorf("another body under the same token: %v", err)
	}
}

func TestASubaccountsParentMaySign(t *testing.T) {
	t.Parallel()
	s := senders(t)[3]
	secret, key := s.key(1)
	_, other := s.key(2)
	req, parent := s.call(delivered()["mailgun"], other, noon), s.call(delivered()["mailgun"], key, noon)
	sig, _, _ := strings.Cut(strings.TrimPrefix(string(parent.Body), `{"signature":`), "},")
	req.Body = []byte(strings.Replace(string(req.Body), `{"signature":`, `{"parent-signature":`+sig+`},"signature":`, 1))
	if err := s.dialect().Verify(req, s.source(secret)); err != nil {
		t.Error(err)
	}
}

func TestPostmarkMayProveItselfInThreeWays(t *testing.T) {
	t.Parallel()
	s := senders(t)[2]
	body := delivered()["postmark"]
	bearer := request(body, noon)
	bearer.Header.Set("Authorization", "Bearer correct-horse-1")
	query := request(body, noon)
	query.Query.Set("token", "correct-horse-1")
	for name, tt := range map[string]struct {
		req    hook.Request
		secret string
	}{
		"the password":           {callPostmark(body, "correct-horse-1", noon), "correct-horse-1"},
		"user and password":      {callPostmark(body, "correct-horse-1", noon), "nurture:correct-horse-1"},
		"a bearer token":         {bearer, "correct-horse-1"},
		"a token in the address": {query, "correct-horse-1"},
	} {
		if err := s.dialect().Verify(tt.req, s.source(tt.secret)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.dialect().Verify(callPostmark(body, "", noon), s.source("")); err == nil {
		t.Error("an empty password was believed")
	}
}

func TestOnlyAmazonsOwnHostsArePinned(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://sns.eu-central-1.amazonaws.com/x.pem":                    true,
		"https://sns.cn-north-1.amazonaws.com.cn/x.pem":                   true,
		"https://sns.us-gov-west-1.amazonaws.com/?Action=Confirm&Token=1": true,
		"http://sns.eu-central-1.amazonaws.com/x.pem":                     false,
		"https://sns.eu-central-1.amazonaws.com.evil.example/x.pem":       false,
		"https://sns.eu-central-1.amazonaws.com@evil.example/x.pem":       false,
		"https://evil.example/sns.eu-central-1.amazonaws.com/x.pem":       false,
		"https://sns.eu-central-1.amazonaws.com:8443/x.pem":               false,
		"https://s3.eu-central-1.amazonaws.com/bucket/x.pem":              false,
		"https://bucket.sns.eu-central-1.amazonaws.com/x.pem":             false,
		"https://sns.amazonaws.com/x.pem":                                 false,
		"https://sns.a.b.amazonaws.com/x.pem":                             false,
		"https://SNS.eu-central-1.amazonaws.com/x.pem":                    false,
		"//sns.eu-central-1.amazonaws.com/x.pem":                          false,
		"https:sns.eu-central-1.amazonaws.com/x.pem":                      false,
		"": false,
	} {
		if err := ses.Pinned(address); (err == nil) != want {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestSNSIsBelievedOnlyForItsTopicAndOnlyUnderAmazonsKeys(t *testing.T) {
	t.Parallel()
	aws := newAmazon(t)
	d := ses.New(aws)
	src := &source.Source{Name: "ses", Options: map[string]string{ses.OptionTopic: topic}}
	body := aws.wrap(delivered()["ses"])
	if err := d.Verify(aws.call(body, 1, noon), src); err != nil {
		t.Fatal(err)
	}
	aws.version = "1"
	if err := d.Verify(aws.call(body, 1, noon), src); err != nil {
		t.Errorf("version 1: %v", err)
	}
	aws.version = "3"
	if err := d.Verify(aws.call(body, 1, noon), src); !errors.Is(err, hook.ErrForged) {
		t.Errorf("version 3: %v", err)
	}
	aws.version = "2"
	for _, o := range []map[string]string{nil, {ses.OptionTopic: topic + "x"}} {
		if err := d.Verify(aws.call(body, 1, noon), &source.Source{Name: "ses", Options: o}); !errors.Is(err, hook.ErrForged) {
			t.Errorf("with options %v: %v", o, err)
		}
	}
	before := len(aws.fetched)
	elsewhere := aws.call(body, 1, noon)
	elsewhere.Body = []byte(strings.Replace(string(elsewhere.Body), "https://sns.eu-central-1.amazonaws.com", "https://evil.example", 1))
	if err := d.Verify(elsewhere, src); !errors.Is(err, hook.ErrForged) || len(aws.fetched) != before {
		t.Errorf("a certificate from elsewhere: %v, fetched %v", err, aws.fetched[before:])
	}
	expired := aws.call(body, 1, noon.Add(48*time.Hour))
	if err := d.Verify(expired, src); !errors.Is(err, hook.ErrForged) {
		t.Errorf("under an expired certificate: %v", err)
	}
	aws.down = true
	if err := d.Verify(aws.call(body, 1, noon), src); !errors.Is(err, hook.ErrUnavailable) || errors.Is(err, hook.ErrForged) {
		t.Errorf("without a certificate: %v, want that it may be sent again", err)
	}
}

func TestASubscriptionIsConfirmedAtAmazonAndNowhereElse(t *testing.T) {
	t.Parallel()
	aws := newAmazon(t)
	d := ses.New(aws)
	src := &source.Source{Name: "ses", Options: map[string]string{ses.OptionTopic: topic}}
	ask := func(address string) (hook.Reading, error) {
		t.Helper()
		body := aws.message("SubscriptionConfirmation", map[string]string{"Message": "You have chosen ...", "Token": "tok", "SubscribeURL": address})
		req := aws.call(body, 1, noon)
		if err := d.Verify(req, src); err != nil {
			t.Fatal(err)
		}
		return d.Read(req, src)
	}
	const good = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=tok"
	aws.down = false
	if r, err := ask(good); err != nil || len(r.Items) != 1 || r.Items[0].Ignored == "" || len(aws.confirmed) != 1 || aws.confirmed[0] != good {
		t.Errorf("reading %+v, error %v, confirmed %v", r, err, aws.confirmed)
	}
	if _, err := ask("https://evil.example/?Action=ConfirmSubscription"); err == nil || len(aws.confirmed) != 1 {
		t.Errorf("error %v, confirmed %v", err, aws.confirmed)
	}
	body := aws.message("UnsubscribeConfirmation", map[string]string{"Message": "gone", "Token": "tok", "SubscribeURL": good})
	req := aws.call(body, 1, noon)
	if err := d.Verify(req, src); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Read(req, src); err != nil || len(r.Items) != 1 || len(r.Items[0].Faults) != 1 || len(aws.confirmed) != 1 {
		t.Errorf("an unsubscription: %+v, %v", r, err)
	}
}
