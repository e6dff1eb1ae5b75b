// Package identity decides whose an event is. It is pure: what is claimed goes
// in, whose the event is and what must be claimed comes out.
package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Kind is the sort of an identity.
type Kind uint8

// The identities, strongest first. None is the absence of one.
const (
	None Kind = iota
	Email
	User
	Anonymous
	// External is a submission, not a person: (source, external id).
	External
	// Suppressed is an entry of the suppression list, whoever has the address.
	Suppressed
	// System is the person's id in another system: (system, id).
	System
	// Phone is a number; several people may answer it.
	Phone
	// Domain, Group and Company name accounts, not leads: a registrable domain,
	// (source, group id), the company's id in another system.
	Domain
	Group
	Company
)

// String gives the token of the kind in subjects.
func (k Kind) String() string {
	switch k {
	case Email:
		return "email"
	case User:
		return "user"
	case Anonymous:
		return "anonymous"
	case External:
		return "external"
	case Suppressed:
		return "suppressed"
	case System:
		return "system"
	case Phone:
		return "phone"
	case Domain:
		return "domain"
	case Group:
		return "group"
	case Company:
		return "company"
	case None:
	}
	return "none"
}

// hashSize is 128 bits: two of 10^12 values collide once in 10^14 systems.
const hashSize = 16

// Key is one identity without the personal data: its kind and keyed hash.
type Key struct {
	Kind Kind
	Hash [hashSize]byte
}

// Text gives the hash as it appears in subjects.
func (k Key) Text() string { return hex.EncodeToString(k.Hash[:]) }

// MinSecret is the least length of a secret, in bytes.
const MinSecret = 32

// Hasher makes keys: HMAC-SHA256 under a secret, so that nobody who sees the
// log can test whether an address is in it.
type Hasher struct {
	secret []byte
}

// NewHasher makes keys under a secret of at least MinSecret bytes. The same
// secret must be used for ever: under another one nobody is recognised.
func NewHasher(secret []byte) *Hasher {
	return &Hasher{secret: secret}
}

// Key gives the key of a value; of an empty one the absent key.
func (h *Hasher) Key(kind Kind, value string) Key {
	if value == "" {
		return Key{}
	}
	return Key{Kind: kind, Hash: h.sum(kind.String(), value)}
}

// ExternalKey gives the key of a source's submission; absent without an id.
func (h *Hasher) ExternalKey(source, id string) Key {
	if id == "" {
		return Key{}
	}
	return Key{Kind: External, Hash: h.sum(External.String(), source, id)}
}

// GroupKey gives the key of a group of a source; absent without an id.
func (h *Hasher) GroupKey(source, id string) Key {
	if id == "" {
		return Key{}
	}
	return Key{Kind: Group, Hash: h.sum(Group.String(), source, id)}
}

// Fingerprint tells secrets apart without telling them.
func (h *Hasher) Fingerprint() string {
	sum := h.sum("fingerprint")
	return hex.EncodeToString(sum[:])
}

// Derive gives a secret for another purpose, which tells nothing about this one.
func (h *Hasher) Derive(purpose string) []byte {
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte("derive\x00" + purpose))
	return mac.Sum(nil)
}

func (h *Hasher) sum(parts ...string) (out [hashSize]byte) {
	mac := hmac.New(sha256.New, h.secret)
	var buf [256]byte
	for _, p := range parts {
		mac.Write(append(append(buf[:0], p...), 0))
	}
	copy(out[:], mac.Sum(buf[:0]))
	return out
}

// NewLead makes an id of a lead or an account: a UUIDv7 without dashes, sortable by time and
// otherwise random.
func NewLead(now time.Time, random [10]byte) string {
	var id [16]byte
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	copy(id[6:], random[:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id[:])
}

// ValidLead reports whether a text can be a lead id: one token of a subject.
func ValidLead(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
