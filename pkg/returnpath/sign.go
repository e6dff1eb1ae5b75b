package returnpath

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Boxes are the beginnings of signed addresses: what a mail to them means.
const (
	// Bounce is the envelope's sender: reports about the mail go there.
	Bounce = "bounce"
	// Unsubscribe is where a mail program writes to for a reader who wants no more.
	Unsubscribe = "unsubscribe"
)

const (
	// minKey is the shortest key that is accepted, in bytes.
	minKey = 32
	// macSize is 80 bits: nobody guesses them over SMTP, and the address stays
	// below the 64 bytes that a local part may have.
	macSize  = 10
	macText  = 16
	maxLocal = 64
)

// Signer makes and checks return addresses. It is safe for concurrent use.
type Signer struct{ keys [][]byte }

// NewSigner takes keys of 32 bytes or more in hex or base64. The first signs,
// all of them verify, so that a key can be replaced while old mails come back.
func NewSigner(keys []string) (*Signer, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key to sign return paths with: make one with `openssl rand -hex 32`")
	}
	s := &Signer{}
	for i, k := range keys {
		raw, err := decodeKey(strings.TrimSpace(k))
		if err != nil || len(raw) < minKey {
			return nil, fmt.Errorf("return path key %d is not %d or more bytes in hex or base64: make one with `openssl rand -hex 32`", i+1, minKey)
		}
		s.keys = append(s.keys, raw)
	}
	return s, nil
}

func decodeKey(k string) ([]byte, error) {
	if raw, err := hex.DecodeString(k); err == nil {
		return raw, nil
	}
	return base64.StdEncoding.DecodeString(k)
}

// Token gives the touch with its signature, as it stands in an address.
func (s *Signer) Token(touch string) string {
	return touch + "-" + mac(s.keys[0], touch)
}

// Verify reads a token. Mail servers may have changed its case.
func (s *Signer) Verify(token string) (touch string, ok bool) {
	if touch, ok = s.verify(token); ok {
		return touch, true
	}
	return s.verify(strings.ToLower(token))
}

func (s *Signer) verify(token string) (touch string, ok bool) {
	at := len(token) - macText
	if at < 1 || token[at-1] != '-' {
		return "", false
	}
	touch, told := token[:at-1], strings.ToLower(token[at:])
	if _, known := Lead(touch); !known {
		return "", false
	}
	for _, key := range s.keys {
		ok = hmac.Equal([]byte(told), []byte(mac(key, touch))) || ok
	}
	if !ok {
		return "", false
	}
	return touch, true
}

func mac(key []byte, touch string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("nurture return path\x00"))
	h.Write([]byte(touch))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:macSize]))
}

// Address gives the signed address of a box for a touch; false when the touch
// id is too long for one.
func (s *Signer) Address(box, touch, domain string) (string, bool) {
	local := box + "+" + s.Token(touch)
	if len(local) > maxLocal {
		return "", false
	}
	return local + "@" + domain, true
}

// Split takes an address of ours apart. The token is empty when there is none.
func Split(address string) (box, token, domain string) {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return "", "", ""
	}
	box, token, _ = strings.Cut(address[:at], "+")
	return strings.ToLower(box), token, strings.ToLower(strings.TrimSuffix(address[at+1:], "."))
}

// Find looks for a token of ours anywhere in a text, as in the headers of a mail
// that is quoted in a report. Only a signature that fits counts.
func (s *Signer) Find(text string) (touch string, ok bool) {
	for rest := text; ; {
		at := strings.Index(rest, "+")
		if at < 0 {
			return "", false
		}
		rest = rest[at+1:]
		if touch, ok = s.Verify(rest[:tokenEnd(rest)]); ok {
			return touch, true
		}
	}
}

func tokenEnd(text string) int {
	end := 0
	for end < len(text) && end <= maxTouch+macText && isID(rune(text[end])) {
		end++
	}
	return end
}
