package link_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/services/campaign/internal/link"
)

func key(b byte) string { return hex.EncodeToString([]byte(strings.Repeat(string(b), 32))) }

func signer(t *testing.T, keys ...string) *link.Signer {
	t.Helper()
	s, err := link.NewSigner(keys)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func click() link.Token {
	return link.Token{Kind: link.Click, Lead: "lead-1", Touch: "lead-1-t1", Program: "welcome", Step: "hello", Target: "https://acme.example/a?b=c&d=e#f"}
}

func TestASignedTokenComesBackWhole(t *testing.T) {
	t.Parallel()
	s := signer(t, key('a'))
	got, err := s.Verify(link.Click, s.Sign(click()))
	if err != nil || got != click() {
		t.Errorf("token %+v, error %v", got, err)
	}
}

func TestATokenSaysWhenItsMailWasMadeAndOldOnesNeedNot(t *testing.T) {
	t.Parallel()
	s := signer(t, key('a'))
	tok := click()
	tok.Sent = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	got, err := s.Verify(link.Click, s.Sign(tok))
	if err != nil || got != tok {
		t.Errorf("token %+v, error %v", got, err)
	}
	if got, err = s.Verify(link.Click, s.Sign(click())); err != nil || !got.Sent.IsZero() {
		t.Errorf("a token of an earlier version: %+v, %v", got, err)
	}
}

func TestChangingAnySingleCharacterOfATokenBreaksIt(t *testing.T) {
	t.Parallel()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.%/+ "
	s := signer(t, key('a'))
	good := s.Sign(click())
	for i := range good {
		for _, c := range []byte(alphabet) {
			if c == good[i] {
				continue
			}
			bad := good[:i] + string(c) + good[i+1:]
			if tok, err := s.Verify(link.Click, bad); !errors.Is(err, link.ErrInvalid) {
				t.Fatalf("position %d as %q: token %+v, error %v", i, c, tok, err)
			}
		}
	}
	for _, bad := range []string{"", good[1:], good[:len(good)-1], good + "A", good + "=", good + good} {
		if _, err := s.Verify(link.Click, bad); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

func TestNoBytesThatWeDidNotSignAreAToken(t *testing.T) {
	t.Parallel()
	s := signer(t, key('a'))
	rapid.Check(t, func(t *rapid.T) {
		if _, err := s.Verify(link.Click, rapid.String().Draw(t, "token")); !errors.Is(err, link.ErrInvalid) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestATokenOfOneKindIsNoTokenOfAnother(t *testing.T) {
	t.Parallel()
	s := signer(t, key('a'))
	for _, kind := range []link.Kind{link.Open, link.Unsubscribe} {
		if _, err := s.Verify(kind, s.Sign(click())); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("kind %c: error %v", kind, err)
		}
	}
}

func TestOldMailsWorkAfterTheKeyWasReplaced(t *testing.T) {
	t.Parallel()
	old := signer(t, key('a')).Sign(click())
	if _, err := signer(t, key('b'), key('a')).Verify(link.Click, old); err != nil {
		t.Error(err)
	}
	if _, err := signer(t, key('b')).Verify(link.Click, old); !errors.Is(err, link.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

func TestOnlyWebAddressesAreFollowed(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]bool{
		"https://acme.example": true, "http://acme.example:8080/x": true, "HTTPS://acme.example": true,
		"javascript:alert(1)": false, "data:text/html,x": false, "//acme.example": false, "/local": false, "": false,
		"https://": false, "https://user:pass@acme.example": false, "https://acme.example\r\nSet-Cookie: x": false,
		"ftp://acme.example": false, `https:\\acme.example`: false, "https://acme.example/ x": false,
	} {
		if got := link.Followable(target); got != want {
			t.Errorf("Followable(%q) = %v", target, got)
		}
		s := signer(t, key('a'))
		tok := click()
		tok.Target = target
		if _, err := s.Verify(link.Click, s.Sign(tok)); (err == nil) != want {
			t.Errorf("%q signed by us: error %v", target, err)
		}
	}
}

func TestAWeakKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, keys := range [][]string{nil, {""}, {"short"}, {key('a')[:62]}, {key('a'), "zz"}} {
		if _, err := link.NewSigner(keys); err == nil || !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("keys %q: error %v", keys, err)
		}
	}
}
