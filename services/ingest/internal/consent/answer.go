// Package consent decides what a person allows: which answer counts when there
// are several, when an answer needs a confirmation from the mailbox itself, and
// whether a purpose may be used now, with a named reason. Pure.
package consent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Methods by which an answer is given.
const (
	MethodForm        = "form"
	MethodDoubleOptIn = "double_opt_in"
	MethodImport      = "import"
	MethodAPI         = "api"
	MethodPage        = "page"
	MethodOneClick    = "one_click"
	MethodProvider    = "provider"
)

// Grounds on which a source says that its people may be written to, though
// nobody asked them. They stand where an answer would, until there is one.
const (
	MethodInterest = "legitimate_interest"
	MethodContract = "contract"
)

// Ground reports whether nobody gave this answer: it is a ground of its source.
func Ground(c *leadv1.Consent) bool {
	return c.GetMethod() == MethodInterest || c.GetMethod() == MethodContract
}

// Latest puts an answer into the list of the latest ones, sorted by purpose, and
// reports whether it counts. The order in which answers arrive does not matter.
func Latest(have []*leadv1.Consent, c *leadv1.Consent) ([]*leadv1.Consent, bool) {
	i, found := find(have, c.GetPurpose())
	if !found {
		return slices.Insert(have, i, c), true
	}
	if !beats(c, have[i]) {
		return have, false
	}
	have[i] = c
	return have, true
}

// Of gives the latest answer to a purpose; nil when there is none.
func Of(have []*leadv1.Consent, purpose string) *leadv1.Consent {
	if i, found := find(have, purpose); found {
		return have[i]
	}
	return nil
}

func find(have []*leadv1.Consent, purpose string) (int, bool) {
	return slices.BinarySearchFunc(have, purpose, func(h *leadv1.Consent, p string) int {
		return strings.Compare(h.GetPurpose(), p)
	})
}

// beats reports whether an answer takes the place of another one: what a person
// said that of a ground, whenever it came, else the later one
// does, and of two at the same time the withdrawal, then the confirmed one. Of
// two that are alike in this the greater text counts, so that it is the same one
// whatever the order they come in.
func beats(c, have *leadv1.Consent) bool {
	if g := Ground(c); g != Ground(have) {
		return !g
	}
	if order := cmp.Or(counts(c).Compare(counts(have)), cmp.Compare(rank(c), rank(have))); order != 0 {
		return order > 0
	}
	return slices.Compare(words(c), words(have)) > 0
}

// words are what tells two answers of one time apart. When we asked is none of
// them: that may change.
func words(c *leadv1.Consent) []string {
	return []string{
		c.GetText(), c.GetTextVersion(), c.GetSource(), c.GetMethod(), c.GetSourceUrl(), c.GetIp(), c.GetUserAgent(), c.GetProof(), c.GetRequestId(),
		c.GetBy(), c.GetChannel(),
	}
}

// counts is the time from which an answer counts. A confirmed one counts from
// when it was asked for: whoever took it back between the form and the mail
// meant it.
func counts(c *leadv1.Consent) time.Time {
	if (c.GetGranted() || c.GetPending()) && c.GetRequestedAt() != nil {
		return c.GetRequestedAt().AsTime()
	}
	return c.GetAt().AsTime()
}

func rank(c *leadv1.Consent) int {
	switch {
	case Withdrawn(c):
		return 3
	case c.GetGranted():
		return 2
	default:
		return 1
	}
}

// Withdrawn reports whether an answer is a no.
func Withdrawn(c *leadv1.Consent) bool { return !c.GetGranted() && !c.GetPending() }

// Weight orders suppressions by how hard they are to lift: a person may come
// back who left, nobody but staff lifts the others.
func Weight(s leadv1.Suppression) int {
	switch s {
	case leadv1.Suppression_SUPPRESSION_COMPLAINT:
		return 4
	case leadv1.Suppression_SUPPRESSION_MANUAL:
		return 3
	case leadv1.Suppression_SUPPRESSION_HARD_BOUNCE:
		return 2
	case leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED:
		return 1
	case leadv1.Suppression_SUPPRESSION_UNSPECIFIED:
	}
	return 0
}

// Lifts reports whether a confirmed request lifts a suppression: only one that
// the person asked for, and only when they asked again since.
func Lifts(s leadv1.Suppression, since, requested time.Time) bool {
	return s == leadv1.Suppression_SUPPRESSION_UNSUBSCRIBED && requested.After(since)
}

// Replaces reports whether an entry of the suppression list takes the place of
// another one: for a stronger reason, for the same one later, or when mails were
// allowed again meanwhile.
func Replaces(e, have *ingestv1.SuppressionEntry) bool {
	return have.GetLifted() || Weight(e.GetReason()) > Weight(have.GetReason()) ||
		e.GetReason() == have.GetReason() && e.GetAt().AsTime().After(have.GetAt().AsTime())
}
