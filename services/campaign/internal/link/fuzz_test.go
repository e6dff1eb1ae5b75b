package link_test

import (
	"errors"
	"testing"

	"github.com/nurturehq/nurture/services/campaign/internal/link"
)

// FuzzVerify wants that a token is believed only when we signed it, letter by
// letter.
func FuzzVerify(f *testing.F) {
	s, err := link.NewSigner([]string{key('a'), key('b')})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Sign(click()), uint8(link.Click))
	f.Add(s.Sign(link.Token{Kind: link.Click, Target: "javascript:alert(1)"}), uint8(link.Click))
	f.Add("", uint8(0))
	f.Add("AAAA", uint8(255))
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		token, err := s.Verify(link.Kind(kind), text)
		switch {
		case err != nil && !errors.Is(err, link.ErrInvalid):
			t.Errorf("%q: %v", text, err)
		case err == nil && s.Sign(token) != text:
			t.Errorf("%q is believed, and we would have written %q", text, s.Sign(token))
		case err == nil && token.Kind == link.Click && !link.Followable(token.Target):
			t.Errorf("%q leads to %q", text, token.Target)
		}
	})
}
