package access

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nurturehq/nurture/pkg/config"
)

// maxTokens lets a new token in before the old one goes.
const maxTokens = 2

// File is the access file.
type File struct {
	Access map[string]Spec `yaml:"access" help:"by name: who may use the API"`
}

// Spec is one name as it is written.
type Spec struct {
	Roles  []config.Text `yaml:"roles" help:"what its tokens allow: read, personal, send, sales, operate, admin"`
	Tokens []TokenSpec   `yaml:"tokens" help:"at most two, so that a new one can come before the old one goes"`
}

// TokenSpec is one token as it is written.
type TokenSpec struct {
	Sum     config.Text `yaml:"sha256" help:"64 hex digits, the output of: printf %s \"$TOKEN\" | sha256sum"`
	Prefix  string      `yaml:"prefix" help:"its beginning, to tell tokens apart"`
	Created config.Text `yaml:"created" help:"day it was made"`
	Expires config.Text `yaml:"expires" help:"last day on which it is good (UTC); absent: it does not expire"`
}

// Book is an access file that was read.
type Book struct{ holders []*Holder }

// Holder is one name with what it may do.
type Holder struct {
	Name   string
	Roles  []Role
	Tokens []Token
}

// Token is what is known of a token.
type Token struct {
	Prefix, Created string
	// Expires is when it is no longer good; zero: never.
	Expires time.Time
	sum     [sha256.Size]byte
}

// Expired reports whether the token was good once and is no longer.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// Why a token opens nothing.
var (
	// ErrUnknown: no name has this token.
	ErrUnknown = errors.New("the token is not known here: it was revoked, or never made for this installation")
	// ErrExpired: its last day is over.
	ErrExpired = errors.New("the token has expired")
)

// Parse reads an access file. Its errors name line, column and what was expected.
func Parse(file string, raw []byte) (*Book, error) {
	var f File
	if err := config.DecodeYAML(file, raw, &f); err != nil {
		return nil, err
	}
	r, book := &reader{file: file}, &Book{}
	for _, name := range slices.Sorted(maps.Keys(f.Access)) {
		book.holders = append(book.holders, r.holder(name, f.Access[name]))
	}
	slices.SortFunc(r.errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	if err := errors.Join(r.errs...); err != nil {
		return nil, err
	}
	return book, nil
}

// Holders lists the names in order.
func (b *Book) Holders() []*Holder { return slices.Clone(b.holders) }

// Find says whose a token is. Every hash is compared, each in constant time.
func (b *Book) Find(token string, now time.Time) (*Holder, error) {
	sum := sha256.Sum256([]byte(token))
	var holder *Holder
	var expired bool
	for _, h := range b.holders {
		for _, t := range h.Tokens {
			if subtle.ConstantTimeCompare(t.sum[:], sum[:]) == 1 {
				holder, expired = h, t.Expired(now)
			}
		}
	}
	switch {
	case holder == nil:
		return nil, ErrUnknown
	case expired:
		return nil, ErrExpired
	}
	return holder, nil
}

// reader turns what is written into what is used, collecting errors.
type reader struct {
	file string
	errs []error
	// owner says whose a hash is.
	owner map[[sha256.Size]byte]string
}

func (r *reader) fail(at config.Text, format string, args ...any) {
	r.errs = append(r.errs, config.Errorf(r.file, at.Line, at.Column, format, args...))
}

// named is what a name may look like: it is shown in logs and begins tokens.
func named(name string) bool { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`).MatchString(name) }

func (r *reader) holder(name string, s Spec) *Holder {
	h := &Holder{Name: name}
	if !named(name) {
		r.fail(config.Text{}, "expected a name of lower case letters, digits and dashes, at most 40, found %q", name)
	}
	for _, text := range s.Roles {
		role, ok := RoleNamed(text.Value)
		if !ok {
			r.fail(text, "unknown role %q of %s: expected one of %s", text.Value, name, strings.Join(Names(Roles()), ", "))
			continue
		}
		h.Roles = append(h.Roles, role)
	}
	if len(s.Roles) == 0 {
		r.fail(config.Text{}, "%s has no roles: expected some of %s", name, strings.Join(Names(Roles()), ", "))
	}
	if len(s.Tokens) > maxTokens {
		r.fail(s.Tokens[maxTokens].Sum, "%s has %d tokens: expected at most %d, the one in use and the one to come", name, len(s.Tokens), maxTokens)
	}
	for _, t := range s.Tokens {
		h.Tokens = append(h.Tokens, r.token(name, t))
	}
	return h
}

func (r *reader) token(name string, s TokenSpec) Token {
	t := Token{Prefix: s.Prefix, Created: s.Created.Value}
	sum, err := hex.DecodeString(s.Sum.Value)
	if err != nil || len(sum) != sha256.Size {
		r.fail(s.Sum, "a token of %s: expected sha256 with 64 hex digits, the output of: printf %%s \"$TOKEN\" | sha256sum", name)
		return t
	}
	t.sum = [sha256.Size]byte(sum)
	if r.owner == nil {
		r.owner = map[[sha256.Size]byte]string{}
	}
	if other, taken := r.owner[t.sum]; taken {
		r.fail(s.Sum, "%s and %s have the same token: expected one of its own for each", other, name)
	}
	r.owner[t.sum] = name
	if s.Created.Value != "" {
		r.day(s.Created)
	}
	if s.Expires.Value != "" {
		t.Expires = r.day(s.Expires).AddDate(0, 0, 1)
	}
	return t
}

func (r *reader) day(text config.Text) time.Time {
	day, err := time.Parse(time.DateOnly, text.Value)
	if err != nil {
		r.fail(text, "expected a day like 2026-11-25, found %q", text.Value)
	}
	return day
}
