package form

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Bounds of how long somebody may need for a form.
const (
	// TooFast is what nobody can do who reads and types.
	TooFast = 2 * time.Second
	// tokenLife is how old a token may be: a page left open over a weekend.
	tokenLife = 4 * 24 * time.Hour
	// tokenBytes of the signature are kept: 128 bits.
	tokenBytes = 16
)

// Mint makes and reads tokens that say when a form was shown. They prove that
// the page was ours, or asked us, and when; they prove nothing about who sent it.
type Mint struct{ secret []byte }

// NewMint makes tokens under a secret.
func NewMint(secret []byte) Mint { return Mint{secret} }

// Token says that a form of this source is shown now.
func (m Mint) Token(source string, now time.Time) string {
	at := strconv.FormatInt(now.UnixMilli(), 36)
	return at + "." + m.sign(source, at)
}

// Age gives how long ago a token was made. It is not ok when the token is not
// ours, another source's, from the future, or too old to say anything.
func (m Mint) Age(source, token string, now time.Time) (age time.Duration, ok bool) {
	at, sum, found := strings.Cut(token, ".")
	if !found || !hmac.Equal([]byte(sum), []byte(m.sign(source, at))) {
		return 0, false
	}
	ms, err := strconv.ParseInt(at, 36, 64)
	if err != nil {
		return 0, false
	}
	age = now.Sub(time.UnixMilli(ms))
	return age, age >= 0 && age <= tokenLife
}

func (m Mint) sign(source, at string) string {
	mac := hmac.New(sha256.New, m.secret)
	mac.Write([]byte(source + "\x00" + at))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:tokenBytes])
}
