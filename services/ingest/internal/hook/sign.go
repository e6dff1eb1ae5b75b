package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// Encoding writes a signature as text.
type Encoding func(sum []byte) string

// Hex is lower-case hexadecimal.
func Hex(sum []byte) string { return hex.EncodeToString(sum) }

// Base64 is standard base64 with padding.
func Base64(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// HMAC is HMAC-SHA-256 over the parts, one after the other.
func HMAC(secret []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, secret)
	for _, p := range parts {
		_, _ = mac.Write(p) // never fails
	}
	return mac.Sum(nil)
}

// CheckHMAC verifies a signature over parts: got is what the sender wrote, after
// its prefix. where names the header, for the error.
func CheckHMAC(src *source.Source, where, got string, encode Encoding, parts ...[]byte) error {
	if got == "" {
		return fmt.Errorf("%w: expected %s", ErrUnsigned, where)
	}
	return Try(src, where, func(secret string) bool {
		return Same(encode(HMAC([]byte(secret), parts...)), got)
	})
}

// Try gives nil when one of the live secrets fits. All are tried, whichever fits.
func Try(src *source.Source, where string, fits func(secret string) bool) error {
	found := false
	for _, s := range src.Secrets {
		if s != "" && fits(s) {
			found = true
		}
	}
	switch {
	case found:
		return nil
	case len(src.Secrets) == 0:
		return fmt.Errorf("%w: source %s has no secrets to compare %s with; add secrets: to it in sources.yaml", ErrForged, src.Name, where)
	}
	return fmt.Errorf("%w: %s was not made with a secret of source %s, or the body was changed on its way", ErrForged, where, src.Name)
}

// Same compares in constant time.
func Same(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// Fresh gives ErrStale unless a signature's time is now, more or less.
func Fresh(signed, received time.Time) error {
	switch age := received.Sub(signed); {
	case age > Tolerance:
		return fmt.Errorf("%w: it was signed %s ago, at most %s are accepted", ErrStale, age.Round(time.Second), Tolerance)
	case age < -Tolerance:
		return fmt.Errorf("%w: it was signed %s in the future; compare the clocks", ErrStale, -age.Round(time.Second))
	}
	return nil
}

// Bearer gives the token of an Authorization header; empty when there is none.
func Bearer(req Request) string {
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
