package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func key(kind Kind, name string) Key {
	if name == "" {
		return Key{}
	}
	k := Key{Kind: kind}
	copy(k.Hash[:], name)
	return k
}

func ask(email, user, anonymous, external string) Ask {
	return Ask{Email: key(Email, email), User: key(User, user), Anonymous: key(Anonymous, anonymous), External: key(External, external)}
}

// former is who says that a previous id was theirs.
func former(user, previous string) Ask {
	a := ask("", user, previous, "")
	a.Previous = key(User, previous)
	return a
}

func view(held map[string]Held, claims ...any) *View {
	v := &View{Claims: map[Key]Entry{}, Held: held}
	if _, ok := held["L"]; len(held) > 0 && !ok {
		held["L"] = Held{Exists: true, Email: true}
	}
	for i := 0; i+1 < len(claims); i += 2 {
		v.Claims[claims[i].(Key)] = Entry{Lead: claims[i+1].(string), Seq: uint64(i + 1)}
	}
	return v
}

func TestWhoseAnEventIs(t *testing.T) {
	e, u, a, x := key(Email, "e"), key(User, "u"), key(Anonymous, "a"), key(External, "x")
	browser, mailed := Held{Exists: true}, Held{Exists: true, Email: true}
	for _, tc := range []struct {
		name string
		ask  Ask
		view *View
		want Answer
	}{
		{"nobody knows anything", ask("e", "u", "a", "x"), view(nil), Answer{Lead: "new", New: true, Claim: []Key{e, u, a, x}}},
		{"nothing to go by", ask("", "", "", ""), view(nil), Answer{Lead: "new", New: true}},
		{"the address decides", ask("e", "", "a", ""), view(nil, e, "L"), Answer{Lead: "L", Claim: []Key{a}}},
		{"a visitor says who they are", ask("e", "", "a", ""), view(map[string]Held{"A": browser}, a, "A"), Answer{Lead: "A", Claim: []Key{e}}},
		{
			"a visitor turns out to be known", ask("e", "", "a", ""), view(map[string]Held{"A": browser}, e, "L", a, "A"),
			Answer{Lead: "L", Merged: []Merge{{From: "A", By: Anonymous}}, Repoint: []Repoint{{a, 3, "L", "A"}}},
		},
		{
			"another person at the browser", ask("e", "", "a", ""), view(map[string]Held{"A": mailed}, a, "A"),
			Answer{Lead: "new", New: true, Claim: []Key{e}, Repoint: []Repoint{{Key: a, Seq: 1, To: "new"}}},
		},
		{
			"another known person at the browser", ask("e", "", "a", ""), view(map[string]Held{"A": mailed}, e, "L", a, "A"),
			Answer{Lead: "L", Repoint: []Repoint{{Key: a, Seq: 3, To: "L"}}},
		},
		{"a user changes the address", ask("e", "u", "", ""), view(nil, u, "L"), Answer{Lead: "L", Claim: []Key{e}}},
		{
			"a user without address turns out to be known", ask("e", "u", "", ""), view(map[string]Held{"U": {Exists: true, User: true}}, e, "L", u, "U"),
			Answer{Lead: "L", Merged: []Merge{{From: "U", By: User}}, Repoint: []Repoint{{u, 3, "L", "U"}}},
		},
		{
			"a user writes from a colleague's address", ask("e", "u", "", ""), view(map[string]Held{"U": mailed}, e, "L", u, "U"),
			Answer{Lead: "L", UserForeign: true},
		},
		{"a submission again", ask("e", "", "", "x"), view(nil, e, "L", x, "L"), Answer{Lead: "L", Replayed: true}},
		{
			"a submission again, its address given away", ask("e", "", "", "x"), view(map[string]Held{"X": mailed}, e, "L", x, "X"),
			Answer{Lead: "X", Replayed: true},
		},
		{
			"a submission whose lead never came to be", ask("e", "", "", "x"), view(map[string]Held{"X": {}}, e, "L", x, "X"),
			Answer{Lead: "L", Repoint: []Repoint{{Key: x, Seq: 3, To: "L"}}},
		},
		{"a former user id that is a browser's", former("u", "p"), view(nil, u, "L"), Answer{Lead: "L", Claim: []Key{key(Anonymous, "p")}}},
		{
			"a former user id, both known", former("u", "p"), view(map[string]Held{"P": mailed}, u, "L", key(User, "p"), "P"),
			Answer{
				Lead: "L", PreviousUser: true, Merged: []Merge{{From: "P", By: User, Stated: true}},
				Repoint: []Repoint{{key(User, "p"), 3, "L", "P"}},
			},
		},
		{
			"a former user id, separated by hand", former("u", "p"), view(map[string]Held{"P": {Exists: true, Apart: []string{"L"}}}, u, "L", key(User, "p"), "P"),
			Answer{Lead: "L", PreviousUser: true},
		},
		{"a user gets a new id", former("u", "p"), view(nil, key(User, "p"), "P"), Answer{Lead: "P", PreviousUser: true, Claim: []Key{u}}},
		{"a former id that is the present one", former("u", "u"), view(nil, u, "L"), Answer{Lead: "L", Claim: []Key{key(Anonymous, "u")}}},
	} {
		got := Decide(tc.ask, tc.view, func() string { return "new" })
		if diff := cmp.Diff(tc.want, got); diff != "" || len(tc.view.Missing) > 0 {
			t.Errorf("%s (-want +got), missing %v: %s", tc.name, tc.view.Missing, diff)
		}
	}
}

func TestWhoMustBeWeighedIsSaid(t *testing.T) {
	v := view(map[string]Held{}, key(Anonymous, "a"), "A")
	Decide(ask("e", "", "a", ""), v, func() string { return "new" })
	if diff := cmp.Diff([]string{"A"}, v.Missing); diff != "" {
		t.Errorf("missing (-want +got): %s", diff)
	}
	v = view(map[string]Held{}, key(Anonymous, "a"), "A")
	if Decide(ask("", "", "a", ""), v, nil); len(v.Missing) > 0 {
		t.Errorf("a page view weighs %v", v.Missing)
	}
}

// world plays asks one after the other and keeps what a log would keep.
type world struct {
	claims map[Key]Entry
	held   map[string]Held
	merged map[string]string
	leads  int
}

func (w *world) play(a Ask) Answer {
	v := &View{Claims: w.claims, Held: w.held}
	ans := Decide(a, v, func() string { w.leads++; return fmt.Sprint("lead", w.leads) })
	v.Assume(ans)
	h := w.held[ans.Lead]
	h.Exists = true
	w.held[ans.Lead] = h
	for _, m := range ans.Merged {
		w.merged[m.From] = ans.Lead
	}
	for _, m := range ans.Repoint {
		w.claims[m.Key] = Entry{Lead: m.To, Seq: m.Seq + 1}
	}
	return ans
}

func TestNoOrderOfEventsSplitsAnAddressOrLosesAVisitor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{claims: map[Key]Entry{}, held: map[string]Held{}, merged: map[string]string{}}
		pick := func(prefix string) string {
			n := rapid.IntRange(0, 3).Draw(t, prefix)
			if n == 0 {
				return ""
			}
			return fmt.Sprint(prefix, n)
		}
		owner := map[Key]string{}
		for range rapid.IntRange(1, 30).Draw(t, "events") {
			a := ask(pick("e"), pick("u"), pick("a"), "")
			before := w.claims[a.Anonymous].Lead
			ans := w.play(a)
			if a.Email.Kind != None {
				if first, ok := owner[a.Email]; ok && first != ans.Lead {
					t.Fatalf("the address of %s decided for %s", first, ans.Lead)
				}
				owner[a.Email] = ans.Lead
			}
			moved := before != "" && w.claims[a.Anonymous].Lead != before
			if moved && !w.held[before].Strong() && w.merged[before] == "" {
				t.Fatalf("visitor %s left without a link", before)
			}
			for _, k := range []Key{a.Email, a.Anonymous} {
				if k.Kind != None && w.claims[k].Lead != ans.Lead {
					t.Fatalf("%s is not of the lead that got the event", k.Kind)
				}
			}
		}
	})
}

func TestKeysTellNothingAndNeverMix(t *testing.T) {
	h, other := NewHasher([]byte(strings.Repeat("a", 32))), NewHasher([]byte(strings.Repeat("b", 32)))
	seen := map[Key]string{}
	for _, v := range []string{"jo@acme.example", "kim@acme.example", strings.Repeat("x", 1000)} {
		for _, kind := range []Kind{Email, User, Anonymous} {
			k := h.Key(kind, v)
			if was, dup := seen[k]; dup {
				t.Errorf("%s %s has the key of %s", kind, v, was)
			}
			seen[k] = v
			if k != h.Key(kind, v) || k == other.Key(kind, v) {
				t.Errorf("the key of %s %s depends on something else than kind, value and secret", kind, v)
			}
			if strings.Contains(k.Text(), "acme") || len(k.Text()) != 32 {
				t.Errorf("hash %s", k.Text())
			}
		}
	}
	if h.ExternalKey("a", "bc") == h.ExternalKey("ab", "c") {
		t.Error("two sources' ids mix")
	}
	if h.Key(Email, "").Kind != None || h.Fingerprint() == other.Fingerprint() {
		t.Error("nothing has no key, and secrets differ")
	}
}

func TestLeadIDsSortByTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a, b := NewLead(now, [10]byte{0xff, 0xff}), NewLead(now.Add(time.Millisecond), [10]byte{})
	if a >= b || len(a) != 32 || a[12] != '7' || !ValidLead(a) {
		t.Errorf("ids %s, %s", a, b)
	}
	for _, bad := range []string{"", "a.b", "*", ">", "a b", strings.Repeat("a", 65)} {
		if ValidLead(bad) {
			t.Errorf("%q is taken for a lead", bad)
		}
	}
}
