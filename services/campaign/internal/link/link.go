// Package link signs what a mail carries back to us: which lead, which touch,
// and for a click where to. A link that we did not sign leads nowhere, so there
// is no open redirect, and nobody can unsubscribe somebody else by guessing.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind says what a token may be used for; a token of one kind is no token of another.
type Kind byte

// The kinds.
const (
	Click       Kind = 'c'
	Open        Kind = 'o'
	Unsubscribe Kind = 'u'
	// Confirm is the link of a confirmation mail, Preferences that to the page on
	// which a lead answers every purpose.
	Confirm     Kind = 'k'
	Preferences Kind = 'p'
	// Trap is a link that no reader sees: only machines follow it.
	Trap Kind = 'x'
)

// ErrInvalid: the token was not made by us for this purpose.
var ErrInvalid = errors.New("invalid link")

// MinKey is the shortest key that is accepted, in bytes.
const MinKey = 32

// Token is what a link carries.
type Token struct {
	Kind Kind
	Lead string
	// Touch, Program and Step say which mail it stood in.
	Touch, Program, Step string
	// Target is where a click goes (http or https), or the purpose that an
	// unsubscription takes back; empty for an open. Of a confirmation it is what
	// Ask.Target gives.
	Target string
	// Sent is when the mail was made, to the second; zero when the link does not
	// say. Links of readers say it.
	Sent time.Time
}

// Signer makes and checks tokens. It is safe for concurrent use.
type Signer struct {
	// macs are begun with one key each, ready to be used again. The first one signs.
	macs []*sync.Pool
}

// NewSigner takes keys written in hexadecimal or base64. The first signs, all of
// them verify, so that a key can be replaced while old mails are still around.
func NewSigner(keys []string) (*Signer, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key to sign links with: set link_keys to the output of `openssl rand -hex 32`")
	}
	s := &Signer{}
	for i, k := range keys {
		raw, err := decodeKey(strings.TrimSpace(k))
		if err != nil || len(raw) < MinKey {
			return nil, fmt.Errorf("link key %d is not %d or more bytes in hex or base64: make one with `openssl rand -hex 32`", i+1, MinKey)
		}
		s.macs = append(s.macs, &sync.Pool{New: func() any { return hmac.New(sha256.New, raw) }})
	}
	return s, nil
}

func decodeKey(k string) ([]byte, error) {
	if raw, err := hex.DecodeString(k); err == nil {
		return raw, nil
	}
	return base64.StdEncoding.DecodeString(k)
}

// macSize is 128 bits: enough that nobody guesses, short enough for a text mail.
const macSize = 16

// encoding is strict, so that every token has exactly one spelling; but it passes
// over line breaks.
func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

// Sign gives the token as it stands in a link.
func (s *Signer) Sign(t Token) string {
	payload := t.payload()
	return encoding().EncodeToString(append(payload, s.mac(0, payload)...))
}

// Verify reads a token of one kind. The error is ErrInvalid, whatever is wrong.
func (s *Signer) Verify(kind Kind, text string) (Token, error) {
	raw, err := encoding().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(raw) <= macSize {
		return Token{}, ErrInvalid
	}
	payload, mac := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	if !s.signed(payload, mac) || Kind(payload[0]) != kind {
		return Token{}, ErrInvalid
	}
	parts := strings.Split(string(payload[1:]), "\x00")
	if len(parts) != 5 && len(parts) != 6 { // links of earlier versions do not say when
		return Token{}, ErrInvalid
	}
	t := Token{Kind: kind, Lead: parts[0], Touch: parts[1], Program: parts[2], Step: parts[3], Target: parts[4]}
	if len(parts) == 6 {
		at, err := strconv.ParseInt(parts[5], 36, 64)
		if err != nil {
			return Token{}, ErrInvalid
		}
		t.Sent = time.Unix(at, 0).UTC()
	}
	if kind == Click && !Followable(t.Target) {
		return Token{}, ErrInvalid
	}
	return t, nil
}

func (s *Signer) signed(payload, mac []byte) bool {
	ok := false
	for i := range s.macs {
		ok = hmac.Equal(mac, s.mac(i, payload)) || ok
	}
	return ok
}

func (s *Signer) mac(key int, payload []byte) []byte {
	h := s.macs[key].Get().(hash.Hash) //nolint:forcetypeassert,errcheck // nothing else is put there
	defer s.macs[key].Put(h)
	h.Reset()
	h.Write(payload)
	return h.Sum(nil)[:macSize]
}

// payload is the kind and the fields, separated by a byte none of them has.
func (t Token) payload() []byte {
	fields := []string{t.Lead, t.Touch, t.Program, t.Step, t.Target}
	if !t.Sent.IsZero() {
		fields = append(fields, strconv.FormatInt(t.Sent.Unix(), 36))
	}
	for i := range fields {
		fields[i] = strings.ReplaceAll(fields[i], "\x00", "")
	}
	return append([]byte{byte(t.Kind)}, strings.Join(fields, "\x00")...)
}

// Followable reports whether a browser may be sent to a URL: an absolute one,
// http or https, with a host and without credentials or control characters.
func Followable(target string) bool {
	if strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	u, err := url.Parse(target)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil
}
