package person

import (
	"maps"
	"slices"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// identify takes over what the command knows about the person: of each value the
// one told last, the first touch and the last one, ids add up.
func (f *fold) identify() {
	c := f.cmd.GetCapture()
	var changed []string
	note := func(name string, differs, moved bool) {
		f.moved = f.moved || moved
		if differs {
			changed = append(changed, name)
		}
	}
	f.profile(c.GetProfile(), note)
	f.ids(c, note)
	told := &leadv1.Lead{AccountId: f.cmd.GetAccountId(), AccountBy: f.cmd.GetAccountBy()}
	differs, moved := belong(f.part.Lead, f.part.Times, told, f.at.AsTime().UnixNano())
	note("account_id", differs, moved)
	f.touch(c.GetAttribution(), note)
	f.changed = changed
}

// noted takes what one value told did: whether it differs, whether anything
// about it changed.
type noted func(name string, differs, moved bool)

// profile enters the values of a profile.
func (f *fold) profile(told *leadv1.Profile, note noted) {
	if told == nil {
		return
	}
	have, times, at := f.part.Lead.Profile, f.part.Times, f.at.AsTime().UnixNano()
	for _, v := range fields() {
		differs, moved := tell(v.value(have), v.at(times), *v.value(told), at)
		note(v.name, differs, moved)
	}
	if n := told.GetEmployees(); n > 0 && (at > times.Employees || at == times.Employees && n > have.Employees) {
		note("employees", n != have.Employees, true)
		have.Employees, times.Employees = n, at
	}
	differs, moved := false, false
	for _, name := range slices.Sorted(maps.Keys(told.GetAttributes())) {
		d, m := attribute(f.part, name, told.GetAttributes()[name], at)
		differs, moved = differs || d, moved || m
	}
	note("attributes", differs, moved)
}

// ids enters the ids a command names. Addresses and numbers are remembered
// too: each one is claimed for the lead.
func (f *fold) ids(c *ingestv1.CaptureLeadRequest, note noted) {
	told := map[string][]string{
		"user_ids": {c.GetUserId()}, "anonymous_ids": {c.GetAnonymousId()}, "external_ids": c.GetExternalIds(),
		"emails": {c.GetProfile().GetEmail()}, "phones": {c.GetProfile().GetPhone()},
	}
	for _, set := range idsets() {
		for _, id := range told[set.name] {
			if id == "" {
				continue
			}
			isNew, moved := set.keep(f.part, id, f.at.AsTime().UnixNano())
			note(set.name, isNew && set.shown(), moved)
		}
	}
}

// shown reports whether a new id is a fact of its own. An address or a number
// is told by the profile.
func (s idset) shown() bool { return s.name != "emails" && s.name != "phones" }

// identified tells what is different about the person.
func (f *fold) identified() {
	changed := f.changed
	if f.before != nil {
		changed = differences(f.before, f.st.Lead)
	}
	if len(changed) == 0 {
		return
	}
	slices.Sort(changed)
	f.add(ReasonIdentified, &ingestv1.Event{Fact: &ingestv1.Event_Identified{
		Identified: &ingestv1.Identified{Changed: slices.Compact(changed)},
	}})
	for _, e := range f.joined(f.account, f.st.Lead.GetAccountBy()) {
		f.add(ReasonIdentified, e)
	}
}

// touch keeps the first touch and the last one that names a campaign, by when
// they were, not by when they were told.
func (f *fold) touch(a *leadv1.Attribution, note noted) {
	if a == nil {
		return
	}
	if a.GetAt() == nil {
		a.At = f.at
	}
	l := f.part.Lead
	first, last := firstTouch(l.GetFirstTouch(), a), lastTouch(l.GetLastTouch(), a)
	note("first_touch", !sameTouch(first, l.GetFirstTouch()), first != l.GetFirstTouch())
	note("last_touch", !sameTouch(last, l.GetLastTouch()), last != l.GetLastTouch())
	l.FirstTouch, l.LastTouch = first, last
}

func sameCampaign(a, b *leadv1.Attribution) bool {
	return a.GetUtmSource() == b.GetUtmSource() && a.GetUtmMedium() == b.GetUtmMedium() &&
		a.GetUtmCampaign() == b.GetUtmCampaign() && a.GetUtmTerm() == b.GetUtmTerm() &&
		a.GetUtmContent() == b.GetUtmContent() && maps.Equal(a.GetClickIds(), b.GetClickIds())
}
