package fate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/mailgun"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/postmark"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/resend"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/sendgrid"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/ses"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/standard"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

const topic = "arn:aws:sns:eu-central-1:123456789012:mail"

// sender plays one provider: it makes calls as the provider would.
type sender struct {
	name    string
	dialect func() hook.Dialect
	options map[string]string
	// key makes a secret for the source and the key that signs under it.
	key func(n int) (secret string, signing any)
	// call signs a body at a time.
	call func(body string, signing any, at time.Time) hook.Request
	// wrap turns an event of the samples into a body.
	wrap func(event string) string
	// stale is longer ago than any call that is believed; zero: nothing is stale.
	stale time.Duration
	// tamper changes what is told without touching the signature; nil: the
	// sender signs nothing of the body.
	tamper func(body string) string
}

func request(body string, at time.Time) hook.Request {
	return hook.Request{Method: http.MethodPost, URL: "https://in.acme.example/v1/hooks/x", Query: url.Values{}, Header: http.Header{}, Body: []byte(body), Received: at}
}

func same(body string) string { return body }

func replaced(old, changed string) func(string) string {
	return func(body string) string { return strings.Replace(body, old, changed, 1) }
}

func senders(t testing.TB) []sender {
	t.Helper()
	aws := newAmazon(t)
	return []sender{
		{name: "sendgrid", dialect: func() hook.Dialect { return sendgrid.Dialect{} }, key: ecKey(t), call: callSendGrid(t), wrap: func(e string) string { return "[" + e + "]" }, stale: 26 * time.Hour, tamper: replaced("jo@", "jim@")},
		{
			name: "ses", dialect: func() hook.Dialect { return ses.New(aws) }, options: map[string]string{ses.OptionTopic: topic},
			key: func(n int) (string, any) { return "", n }, call: aws.call, wrap: aws.wrap, stale: 3 * time.Hour, tamper: replaced("jo@", "jim@"),
		},
		{name: "postmark", dialect: func() hook.Dialect { return postmark.Dialect{} }, key: password, call: callPostmark, wrap: same},
		{name: "mailgun", dialect: func() hook.Dialect { return mailgun.New() }, key: password, call: callMailgun, wrap: func(e string) string { return e }, stale: 10 * time.Hour, tamper: replaced(`"token":"`, `"token":"x`)},
		{name: "resend", dialect: func() hook.Dialect { return resend.Dialect{} }, key: whsec, call: callResend, wrap: same, stale: time.Hour, tamper: replaced("jo@", "jim@")},
	}
}

// source is a source that believes the secrets.
func (s sender) source(secrets ...string) *source.Source {
	o := map[string]string{}
	for k, v := range s.options {
		o[k] = v
	}
	return &source.Source{Name: s.name, Kind: s.name, Secrets: secrets, Options: o}
}

func ecKey(t testing.TB) func(int) (string, any) {
	t.Helper()
	keys := map[int]*ecdsa.PrivateKey{}
	var mu sync.Mutex
	return func(n int) (string, any) {
		mu.Lock()
		defer mu.Unlock()
		if keys[n] == nil {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			keys[n] = key
		}
		der, err := x509.MarshalPKIXPublicKey(&keys[n].PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(der), keys[n]
	}
}

func callSendGrid(t testing.TB) func(string, any, time.Time) hook.Request {
	t.Helper()
	return func(body string, signing any, at time.Time) hook.Request {
		req := request(body, at)
		ts := strconv.FormatInt(at.Unix(), 10)
		sum := sha256.Sum256([]byte(ts + body))
		sig, err := ecdsa.SignASN1(rand.Reader, signing.(*ecdsa.PrivateKey), sum[:])
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(sendgrid.HeaderTime, ts)
		req.Header.Set(sendgrid.HeaderSignature, base64.StdEncoding.EncodeToString(sig))
		return req
	}
}

func password(n int) (string, any) {
	s := fmt.Sprintf("correct-horse-%d", n)
	return s, s
}

func callPostmark(body string, signing any, at time.Time) hook.Request {
	req := request(body, at)
	req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("nurture:"+signing.(string))))
	return req
}

func callMailgun(event string, signing any, at time.Time) hook.Request {
	ts, token := strconv.FormatInt(at.Unix(), 10), fmt.Sprintf("token-%x", sha256.Sum256([]byte(event)))[:50]
	sig := hook.Hex(hook.HMAC([]byte(signing.(string)), []byte(ts), []byte(token)))
	return request(fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`, ts, token, sig, event), at)
}

func whsec(n int) (string, any) {
	s := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(strconv.Itoa(n), 32)))
	return s, s
}

func callResend(body string, signing any, at time.Time) hook.Request {
	req := request(body, at)
	id, ts := fmt.Sprintf("msg_%x", sha256.Sum256([]byte(body)))[:20], strconv.FormatInt(at.Unix(), 10)
	req.Header.Set("Svix-Id", id)
	req.Header.Set("Svix-Timestamp", ts)
	req.Header.Set("Svix-Signature", "v1,bm90IHRoaXM= "+standard.Sign(signing.(string), id, ts, []byte(body)))
	return req
}

// amazon is SNS with keys and certificates of our own.
type amazon struct {
	t         testing.TB
	mu        sync.Mutex
	keys      map[string]*rsa.PrivateKey
	certs     map[string]*x509.Certificate
	fetched   []string
	confirmed []string
	down      bool
	version   string
}

func newAmazon(t testing.TB) *amazon {
	t.Helper()
	return &amazon{t: t, keys: map[string]*rsa.PrivateKey{}, certs: map[string]*x509.Certificate{}, version: "2"}
}

var errDown = errors.New("connection refused")

func (a *amazon) Certificate(address string) (*x509.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fetched = append(a.fetched, address)
	if a.down {
		return nil, errDown
	}
	if c := a.certs[address]; c != nil {
		return c, nil
	}
	return nil, errors.New("404 Not Found")
}

func (a *amazon) Confirm(address string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down {
		return errDown
	}
	a.confirmed = append(a.confirmed, address)
	return nil
}

// pem makes a key and its certificate at an address.
func (a *amazon) pem(address string) *rsa.PrivateKey {
	a.mu.Lock()
	defer a.mu.Unlock()
	if k := a.keys[address]; k != nil {
		return k
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		a.t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"},
		NotBefore: noon.Add(-24 * time.Hour), NotAfter: noon.Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	a.keys[address], a.certs[address] = key, cert
	return key
}

const pemAddress = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-%d.pem"

func (a *amazon) wrap(event string) string {
	return a.message("Notification", map[string]string{"Message": event, "Subject": "Amazon SES Email Event Notification"})
}

// message is an SNS message without signature.
func (a *amazon) message(kind string, fields map[string]string) string {
	m := map[string]string{
		"Type": kind, "MessageId": "sns-" + fmt.Sprintf("%x", sha256.Sum256([]byte(fields["Message"])))[:12], "TopicArn": topic,
		"Timestamp": noon.Format("2006-01-02T15:04:05.000Z"),
	}
	for k, v := range fields {
		m[k] = v
	}
	return jsonOf(a.t, m)
}

func jsonOf(t testing.TB, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// call signs a message. Key 9 is one that Amazon does not have.
func (a *amazon) call(body string, signing any, at time.Time) hook.Request {
	m := map[string]string{}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		a.t.Fatal(err)
	}
	address := fmt.Sprintf(pemAddress, signing.(int))
	key := a.pem(address)
	if signing.(int) == 9 {
		address = fmt.Sprintf(pemAddress, 1)
		a.pem(address)
	}
	if _, set := m["Timestamp"]; set && !at.Equal(noon) {
		m["Timestamp"] = at.Format("2006-01-02T15:04:05.000Z")
	}
	m["SignatureVersion"], m["SigningCertURL"] = a.version, address
	return request(a.signed(m, key), at)
}

func (a *amazon) signed(m map[string]string, key *rsa.PrivateKey) string {
	tree, err := hook.Parse([]byte(jsonOf(a.t, m)))
	if err != nil {
		a.t.Fatal(err)
	}
	text := []byte(ses.Text(tree))
	hashed, kind := func() ([]byte, crypto.Hash) {
		if m["SignatureVersion"] == "1" {
			s := sha1.Sum(text) //nolint:gosec // as SNS does
			return s[:], crypto.SHA1
		}
		s := sha256.Sum256(text)
		return s[:], crypto.SHA256
	}()
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, kind, hashed)
	if err != nil {
		a.t.Fatal(err)
	}
	m["Signature"] = base64.StdEncoding.EncodeToString(sig)
	return jsonOf(a.t, m)
}
