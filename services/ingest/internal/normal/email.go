package normal

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Limits of RFC 5321, in bytes.
const (
	maxEmail = 254
	maxLocal = 64
)

// Errors of values that cannot be given one spelling. Their texts are shown to
// the sender.
var (
	// ErrEmail: not an address mail could be sent to.
	ErrEmail = errors.New("is not an e-mail address; expected something like jo@example.com")
	// ErrPhone: not a number that exists in its country.
	ErrPhone = errors.New("is not a phone number; give it with its country code, like +49 30 901820")
	// ErrExternalID: does not say of which system it is.
	ErrExternalID = errors.New("is not an id of another system; expected system:id, like hubspot:123")
	// ErrCountry: not a country.
	ErrCountry = errors.New("is not a country; expected an ISO 3166 code like DE, or its English name")
)

// Email gives an address in lower case with an ASCII domain, without the
// characters of no width that come along when one is copied from a page. The
// local part keeps its dots and tags: they may matter to whoever receives the
// mail.
func Email(raw string) (string, error) {
	s := strings.ToLower(strings.TrimSpace(visible(raw)))
	s = strings.TrimPrefix(s, "mailto:")
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return "", ErrEmail
	}
	local, domain := s[:at], s[at+1:]
	if !validLocal(local) {
		return "", ErrEmail
	}
	domain, err := host(domain)
	if err != nil || len(local)+1+len(domain) > maxEmail {
		return "", ErrEmail
	}
	return local + "@" + domain, nil
}

// visible leaves out what nobody sees and composes the rest (NFC): two addresses
// that look the same are the same.
func visible(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }) {
		return s
	}
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, s))
}

func validLocal(local string) bool {
	if len(local) > maxLocal || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return false
	}
	return !strings.ContainsFunc(local, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar || strings.ContainsRune(`"(),:;<>@[\]`, r)
	})
}

// host gives a domain name with at least two labels in ASCII.
func host(domain string) (string, error) {
	domain = strings.TrimSuffix(domain, ".")
	if !simpleHost(domain) {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", fmt.Errorf("read domain name: %w", err)
		}
		if domain = ascii; badLabel(domain) {
			return "", errors.New("read domain name: a part of it is empty or longer than 63 bytes")
		}
	}
	dot := strings.LastIndexByte(domain, '.')
	if dot < 1 || len(domain) > 253 || len(domain)-dot < 3 || isDigits(domain[dot+1:]) {
		return "", errors.New("read domain name: incomplete")
	}
	return domain, nil
}

// badLabel reports whether a part of a domain name is empty or longer than DNS
// takes, which idna does not look at.
func badLabel(domain string) bool {
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 {
			return true
		}
	}
	return false
}

// simpleHost reports whether a domain is already what idna would make of it:
// nearly all are, and the question is a hundred times cheaper than the answer.
func simpleHost(domain string) bool {
	label := 0
	for i := range len(domain) {
		c := domain[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			label++
		case c == '-' && label > 0 && i+1 < len(domain) && domain[i+1] != '.':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false
		}
		if label > 63 || label == 4 && strings.HasSuffix(domain[:i+1], "xn--") {
			return false
		}
	}
	return label > 0
}

func isDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
