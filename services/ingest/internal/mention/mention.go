// Package mention finds out whether a message mentions a person: by an e-mail
// address, a phone number or an id, as it is, or encoded for an address on the
// web or in base64. Pure.
package mention

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strings"
)

// shortest is the length below which an identity is too common to tell whose
// message it is in: it counts only where it stands alone.
const shortest = 6

// lastDigits is how many digits at the end of two phone numbers are the same
// when the numbers are: what comes before depends on where one dials.
const lastDigits = 8

// Person is who is looked for.
type Person struct {
	// words stand alone, in lower case; parts may stand in the middle of anything.
	words, parts [][]byte
	// encoded are case-sensitive.
	encoded [][]byte
	phones  []string
}

// New looks for ids: e-mail addresses, ids of users, browsers, submissions and
// leads. Phones are in E.164 form.
func New(ids, phones []string) Person {
	p := Person{}
	for _, id := range ids {
		p.add(id)
	}
	for _, phone := range phones {
		p.add(phone)
		if d := digitsOf(phone); len(d) >= lastDigits {
			p.phones = append(p.phones, d[len(d)-lastDigits:])
		}
	}
	return p
}

func (p *Person) add(id string) {
	if id == "" {
		return
	}
	p.words = append(p.words, []byte(strings.ToLower(id)))
	for _, form := range []string{url.QueryEscape(id), url.PathEscape(id)} {
		if form != id {
			p.parts = append(p.parts, []byte(strings.ToLower(form)))
		}
	}
	if len(id) < shortest {
		return
	}
	for _, form := range Base64(id) {
		p.encoded = append(p.encoded, []byte(form))
	}
}

// Base64 gives what every base64 text contains that has a value in it: one form
// for each place the value can begin at within three bytes, for both alphabets.
func Base64(value string) []string {
	var forms []string
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for pad := range 3 {
			text := enc.EncodeToString(append(make([]byte, pad), value...))
			from := (pad*8 + 5) / 6 // characters that depend on what is before
			to := len(text)
			if (pad+len(value))%3 != 0 {
				to-- // and on what comes after
			}
			if from < to {
				forms = append(forms, text[from:to])
			}
		}
	}
	return forms
}

// In reports whether a message mentions the person.
func (p Person) In(message []byte) bool {
	lower := bytes.ToLower(message)
	for _, w := range p.words {
		if alone(lower, w) {
			return true
		}
	}
	for _, w := range p.parts {
		if bytes.Contains(lower, w) {
			return true
		}
	}
	for _, w := range p.encoded {
		if bytes.Contains(message, w) {
			return true
		}
	}
	return p.dialled(message)
}

// alone reports whether a word is in a text and is no part of a longer one.
func alone(text, word []byte) bool {
	for from := 0; ; {
		i := bytes.Index(text[from:], word)
		if i < 0 {
			return false
		}
		begin, end := from+i, from+i+len(word)
		if begins(text[:begin]) && (end == len(text) || !inWord(text[end])) {
			return true
		}
		from = begin + 1
	}
}

// begins reports whether a word may begin after a text: not in the middle of
// another one, but after an escape of a web address or of JSON.
func begins(before []byte) bool {
	n := len(before)
	return n == 0 || !inWord(before[n-1]) ||
		n >= 3 && before[n-3] == '%' || n >= 2 && before[n-2] == '\\' || n >= 6 && bytes.HasPrefix(before[n-6:], []byte(`\u`))
}

func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// dialled reports whether a number in the message ends like one of the person's,
// however it is written.
func (p Person) dialled(message []byte) bool {
	if len(p.phones) == 0 {
		return false
	}
	var number []byte
	check := func() bool {
		defer func() { number = number[:0] }()
		for _, phone := range p.phones {
			if bytes.HasSuffix(number, []byte(phone)) {
				return true
			}
		}
		return false
	}
	for _, c := range message {
		switch {
		case c >= '0' && c <= '9':
			number = append(number, c)
		case strings.IndexByte(" -()/.", c) >= 0:
		default:
			if check() {
				return true
			}
		}
	}
	return check()
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
