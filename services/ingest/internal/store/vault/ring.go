package vault

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/tink"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// KeySize is the length of all keys in bytes: AES-256.
const KeySize = 32

// Errors of keys.
var (
	// ErrNoKey: a data key is wrapped in a key that this service was not given.
	ErrNoKey = errors.New("the data key is wrapped in a key that is not configured: add the former key to data_key")
	// ErrBadKey: a data key cannot be unwrapped: it was tampered with, or is
	// another lead's.
	ErrBadKey = errors.New("the data key cannot be unwrapped")
)

// Ring are the keys of the service that wrap data keys: the first one wraps,
// all unwrap.
type Ring struct {
	first string
	keys  map[string]tink.AEAD
}

// NewRing takes the newest key first; each has KeySize bytes.
func NewRing(keys ...[]byte) (*Ring, error) {
	if len(keys) == 0 {
		return nil, errors.New("make key ring: there is no key")
	}
	r := &Ring{first: Fingerprint(keys[0]), keys: make(map[string]tink.AEAD, len(keys))}
	for _, key := range keys {
		aead, err := subtle.NewAESGCM(key)
		if err != nil {
			return nil, fmt.Errorf("make key ring: %w", err)
		}
		r.keys[Fingerprint(key)] = aead
	}
	return r, nil
}

// Fingerprint tells keys apart without telling them.
func Fingerprint(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("nurture data key"))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// First is the fingerprint of the key that wraps.
func (r *Ring) First() string { return r.first }

// Has reports whether the ring can unwrap what a key wrapped.
func (r *Ring) Has(fingerprint string) bool { _, ok := r.keys[fingerprint]; return ok }

// NewKey makes a data key.
func NewKey() (key [KeySize]byte) {
	_, _ = rand.Read(key[:]) // never fails: crypto/rand ends the process instead
	return key
}

// Wrap gives a data key as it is kept.
func (r *Ring) Wrap(lead string, key [KeySize]byte) (*ingestv1.DataKey, error) {
	wrapped, err := r.keys[r.first].Encrypt(key[:], []byte(lead))
	if err != nil {
		return nil, fmt.Errorf("wrap data key of lead %s: %w", lead, err)
	}
	return &ingestv1.DataKey{WrappedBy: r.first, Wrapped: wrapped}, nil
}

// Unwrap gives the data key; ErrNoKey or ErrBadKey.
func (r *Ring) Unwrap(lead string, k *ingestv1.DataKey) (key [KeySize]byte, err error) {
	aead, ok := r.keys[k.GetWrappedBy()]
	if !ok {
		return key, fmt.Errorf("data key of lead %s: %w", lead, ErrNoKey)
	}
	raw, err := aead.Decrypt(k.GetWrapped(), []byte(lead))
	if err != nil || len(raw) != KeySize {
		return key, fmt.Errorf("data key of lead %s: %w", lead, ErrBadKey)
	}
	return [KeySize]byte(raw), nil
}
