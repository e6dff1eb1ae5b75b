// Package ses reads the events of Amazon SES as Amazon SNS brings them. Pure,
// but for the certificate that it asks for.
package ses

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // what SignatureVersion 1 is made with
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// OptionTopic is the one topic whose messages are believed. It is required:
// Amazon signs for every topic of every customer.
const OptionTopic = "topic_arn"

// oldest is how long ago a message may have been published: SNS gives up after
// an hour at most.
const oldest = 2 * time.Hour

// Amazon is what the dialect needs of the outside.
type Amazon interface {
	// Certificate gives the certificate at an address that Pinned accepts.
	Certificate(address string) (*x509.Certificate, error)
	// Confirm visits an address that Pinned accepts, so that SNS begins to send.
	Confirm(address string) error
}

// Dialect is kind ses. It has no secrets: Amazon signs with its own key.
type Dialect struct{ amazon Amazon }

// New makes a dialect.
func New(amazon Amazon) Dialect { return Dialect{amazon: amazon} }

// Options lists what the dialect can be told.
func (Dialect) Options() map[string]string {
	o := fate.Options()
	o[OptionTopic] = "the ARN of the SNS topic that SES publishes to; messages of any other are refused"
	return o
}

var host = regexp.MustCompile(`^sns\.[a-z0-9-]{4,32}\.amazonaws\.com(\.cn)?$`)

// Pinned checks that an address is SNS's own: over https, on its hosts, and
// nothing else in it that could lead elsewhere.
func Pinned(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.Fragment != "" || !host.MatchString(u.Host) {
		return errors.New("expected an https address of sns.<region>.amazonaws.com")
	}
	return nil
}

// Verify checks topic, time and signature of the SNS message.
func (d Dialect) Verify(req hook.Request, src *source.Source) error {
	m, err := hook.ParseObject(req.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", hook.ErrUnsigned, err)
	}
	if m.Text("Signature") == "" || m.Text("SigningCertURL") == "" {
		return fmt.Errorf("%w: expected Signature and SigningCertURL of an SNS message; turn raw message delivery off", hook.ErrUnsigned)
	}
	topic := src.Options[OptionTopic]
	if topic == "" || !hook.Same(topic, m.Text("TopicArn")) {
		return fmt.Errorf("%w: the message is of another topic than option %s of source %s", hook.ErrForged, OptionTopic, src.Name)
	}
	if err := d.signed(m, req.Received); err != nil {
		return err
	}
	at := m.Time("Timestamp")
	if req.Received.Sub(at) > oldest || at.Sub(req.Received) > hook.Tolerance {
		return fmt.Errorf("%w: it was published at %s, at most %s are accepted", hook.ErrStale, at.Format(time.RFC3339), oldest)
	}
	return nil
}

func (d Dialect) signed(m hook.Tree, now time.Time) error {
	address := m.Text("SigningCertURL")
	if err := Pinned(address); err != nil || !strings.HasSuffix(address, ".pem") {
		return fmt.Errorf("%w: SigningCertURL is not Amazon's", hook.ErrForged)
	}
	cert, err := d.amazon.Certificate(address)
	if err != nil {
		return fmt.Errorf("%w: read Amazon's certificate: %w", hook.ErrUnavailable, err)
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return fmt.Errorf("%w: the certificate is not valid now", hook.ErrForged)
	}
	sig, err := base64.StdEncoding.DecodeString(m.Text("Signature"))
	if err != nil {
		return fmt.Errorf("%w: Signature is not base64", hook.ErrForged)
	}
	text := []byte(Text(m))
	switch m.Text("SignatureVersion") {
	case "1":
		sum := sha1.Sum(text) //nolint:gosec // as documented for version 1
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], sig)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig)
	default:
		return fmt.Errorf("%w: SignatureVersion is neither 1 nor 2", hook.ErrForged)
	}
	if err != nil {
		return fmt.Errorf("%w: Signature does not fit the message", hook.ErrForged)
	}
	return nil
}

// Text is what SNS signs of a message: names and values of some fields in
// alphabetical order, each on a line of its own.
func Text(m hook.Tree) string {
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if m.Text("Type") != typeNotification {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	var b strings.Builder
	for _, name := range names {
		if name == "Subject" && !m.Known(name) {
			continue
		}
		b.WriteString(name + "\n" + m.Text(name) + "\n")
	}
	return b.String()
}
