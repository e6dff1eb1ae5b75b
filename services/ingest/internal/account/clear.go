package account

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// Person is who was erased, as they called themselves.
type Person struct {
	// Names are pairs of first and last name.
	Names [][2]string
	// Words are addresses, numbers and ids.
	Words []string
	// Alone: nobody else belongs to the account.
	Alone bool
}

// minWord is how long an id must be to be looked for within values.
const minWord = 6

// Mentions says what of an account told of a person; nil when nothing did. One
// name alone counts only of a person who was alone: others may be called like
// their company.
func Mentions(acc *ingestv1.Account, p Person) *ingestv1.AccountCleared {
	found := &ingestv1.AccountCleared{}
	c := acc.GetCompany()
	for _, t := range traits() {
		if c != nil && p.in(*t.value(c)) {
			found.Traits = append(found.Traits, t.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.GetAttributes())) {
		if p.in(c.GetAttributes()[name]) {
			found.Traits = append(found.Traits, "attributes."+name)
		}
	}
	for i, k := range acc.GetKeys() {
		if p.in(k.GetValue()) {
			found.Keys = append(found.Keys, uint32(i)) //nolint:gosec // at most 200
		}
	}
	for i, c := range acc.GetConflicts() {
		if p.in(c.GetKey().GetValue()) {
			found.Conflicts = append(found.Conflicts, uint32(i)) //nolint:gosec // at most 20
		}
	}
	if len(found.GetTraits())+len(found.GetKeys())+len(found.GetConflicts()) == 0 {
		return nil
	}
	slices.Sort(found.Traits)
	return found
}

// in reports whether a value tells of the person.
func (p Person) in(value string) bool {
	words := wordsOf(value)
	if len(words) == 0 {
		return false
	}
	has := func(name string) bool {
		all := wordsOf(name)
		return len(all) > 0 && !slices.ContainsFunc(all, func(w string) bool { return !slices.Contains(words, w) })
	}
	for _, n := range p.Names {
		first, last := has(n[0]), has(n[1])
		if first && last || p.Alone && (first || last) {
			return true
		}
		together := strings.Join(append(wordsOf(n[0]), wordsOf(n[1])...), "")
		if n[0] != "" && n[1] != "" && slices.Contains(words, together) {
			return true
		}
	}
	folded := strings.ToLower(value)
	return slices.ContainsFunc(p.Words, func(w string) bool { return len(w) >= minWord && strings.Contains(folded, strings.ToLower(w)) })
}

// wordsOf takes a text apart: "jane-doe.example" is jane, doe, example.
func wordsOf(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// clear removes what told of a person.
func (f *folding) clear(c *ingestv1.AccountCleared) {
	for _, t := range traits() {
		if slices.Contains(c.GetTraits(), t.name) && *t.value(f.acc.Company) != "" {
			*t.value(f.acc.Company), *t.at(f.times), f.changed = "", 0, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.acc.Company.GetAttributes())) {
		if slices.Contains(c.GetTraits(), "attributes."+name) {
			delete(f.acc.Company.Attributes, name)
			delete(f.times.Attributes, name)
			f.changed = true
		}
	}
	for _, i := range c.GetKeys() {
		if int(i) < len(f.acc.Keys) && f.acc.Keys[i].GetValue() != "" {
			f.acc.Keys[i].Value, f.changed = "", true
		}
	}
	for _, i := range slices.Backward(c.GetConflicts()) {
		if int(i) < len(f.acc.Conflicts) {
			f.acc.Conflicts, f.changed = slices.Delete(f.acc.Conflicts, int(i), int(i)+1), true
		}
	}
}
