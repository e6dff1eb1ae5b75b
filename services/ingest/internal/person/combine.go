package person

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/consent"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
)

// Parts gives who told what about a lead: one part for each lead that is this
// person, the lead's own first. They share memory with the state.
func Parts(st *ingestv1.State) []*ingestv1.Part {
	if len(st.GetParts()) > 0 {
		return st.GetParts()
	}
	if st.GetLead() == nil {
		return nil
	}
	if st.Times == nil {
		st.Times = &ingestv1.Times{}
	}
	return []*ingestv1.Part{{Lead: st.Lead, Times: st.Times, Emails: st.Emails, Mails: st.Mails}}
}

// share makes the only part of a lead that is nobody else any more one with the
// lead, as combine does. A state that was read from the log has them as copies,
// and the same input would make another state of it than of one in memory.
func share(st *ingestv1.State) {
	if len(st.GetParts()) == 1 {
		p := st.Parts[0]
		p.Lead, p.Times, p.Emails, p.Mails = st.Lead, st.Times, st.Emails, st.Mails
	}
}

// combine makes the state's picture of the lead from its parts. It is the same
// whatever the order in which the parts came and were told.
func combine(st *ingestv1.State, parts []*ingestv1.Part) {
	slices.SortFunc(parts[1:], func(a, b *ingestv1.Part) int { return cmp.Compare(a.GetLead().GetLeadId(), b.GetLead().GetLeadId()) })
	st.MergedFrom = nil
	if len(parts) == 1 {
		st.Lead, st.Times, st.Emails, st.Mails, st.Parts = parts[0].Lead, parts[0].Times, parts[0].Emails, parts[0].Mails, nil
		st.Lead.MergedFrom = nil
		if len(parts[0].GetRecentIds()) > 0 { // it was merged once: repeats of that time are known
			st.Parts = parts
		}
		return
	}
	whole := &ingestv1.Part{Lead: &leadv1.Lead{LeadId: parts[0].Lead.LeadId, Profile: &leadv1.Profile{}}, Times: &ingestv1.Times{}}
	for i, p := range parts {
		add(whole, p)
		if i > 0 {
			st.MergedFrom = append(st.MergedFrom, p.Lead.LeadId)
		}
	}
	whole.Lead.MergedFrom, whole.Lead.Permissions, whole.Lead.Flags = st.MergedFrom, st.GetLead().GetPermissions(), st.GetLead().GetFlags()
	st.Parts, st.Lead, st.Emails, st.Mails, st.Times = parts, whole.Lead, whole.Emails, whole.Mails, nil
}

// add takes over what a part tells.
func add(whole, p *ingestv1.Part) {
	addProfile(whole, p)
	for _, set := range idsets() {
		for i, id := range *set.ids(p) {
			set.keep(whole, id, timeAt(*set.at(p.Times), i, len(*set.ids(p))))
		}
	}
	for _, r := range p.GetMails() {
		whole.Mails = withResult(whole.Mails, r)
	}
	l, from := whole.Lead, p.Lead
	belong(l, whole.Times, from, p.Times.GetAccountId())
	l.FirstTouch = firstTouch(l.GetFirstTouch(), from.GetFirstTouch())
	l.LastTouch = lastTouch(l.GetLastTouch(), from.GetLastTouch())
	for _, c := range from.GetConsents() {
		l.Consents, _ = consent.Latest(l.GetConsents(), c)
	}
	if forbidsMore(from, l) {
		l.Suppression, l.SuppressedAt = from.GetSuppression(), from.GetSuppressedAt()
	}
	if from.GetCreatedAt() != nil && (l.GetCreatedAt() == nil || earlier(from, l)) {
		l.CreatedAt, l.Source = from.GetCreatedAt(), from.GetSource()
	}
	l.UpdatedAt, l.LastSeenAt = latestOf(l.GetUpdatedAt(), from.GetUpdatedAt()), latestOf(l.GetLastSeenAt(), from.GetLastSeenAt())
	l.Activities += from.GetActivities()
}

// forbidsMore reports whether one suppression is stronger than another one, or as
// strong and later.
func forbidsMore(a, b *leadv1.Lead) bool {
	if w, v := consent.Weight(a.GetSuppression()), consent.Weight(b.GetSuppression()); w != v {
		return w > v
	}
	return a.GetSuppressedAt().AsTime().After(b.GetSuppressedAt().AsTime())
}

func earlier(a, b *leadv1.Lead) bool {
	if c := a.GetCreatedAt().AsTime().Compare(b.GetCreatedAt().AsTime()); c != 0 {
		return c < 0
	}
	return a.GetSource() < b.GetSource()
}

func latestOf(a, b *timestamppb.Timestamp) *timestamppb.Timestamp {
	if a == nil || b != nil && b.AsTime().After(a.AsTime()) {
		return b
	}
	return a
}

// timeAt is when the i-th of n ids was told; records of earlier versions do not
// say it of the first ones.
func timeAt(times []int64, i, n int) int64 {
	if i -= n - len(times); i < 0 {
		return 0
	}
	return times[i]
}

func addProfile(whole, p *ingestv1.Part) {
	to, from := whole.Lead.Profile, p.Lead.GetProfile()
	if from == nil {
		return
	}
	for _, f := range fields() {
		tell(f.value(to), f.at(whole.Times), *f.value(from), *f.at(p.Times))
	}
	if n := from.GetEmployees(); n > 0 && (p.Times.GetEmployees() > whole.Times.GetEmployees() ||
		p.Times.GetEmployees() == whole.Times.GetEmployees() && n > to.GetEmployees()) {
		to.Employees, whole.Times.Employees = n, p.Times.GetEmployees()
	}
	for _, name := range slices.Sorted(maps.Keys(from.GetAttributes())) {
		attribute(whole, name, from.GetAttributes()[name], p.Times.GetAttributes()[name])
	}
}

// firstTouch is the earlier one of two touches.
func firstTouch(a, b *leadv1.Attribution) *leadv1.Attribution {
	if a == nil || b != nil && compareTouches(b, a) < 0 {
		return b
	}
	return a
}

// lastTouch is the later one of two touches; one that names a campaign counts
// before one that does not.
func lastTouch(a, b *leadv1.Attribution) *leadv1.Attribution {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case normal.Told(a) != normal.Told(b):
		if normal.Told(b) {
			return b
		}
		return a
	case compareTouches(b, a) > 0:
		return b
	}
	return a
}

func compareTouches(a, b *leadv1.Attribution) int {
	if c := a.GetAt().AsTime().Compare(b.GetAt().AsTime()); c != 0 {
		return c
	}
	return bytes.Compare(encoded(a), encoded(b))
}

func encoded(m proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil // texts are valid UTF-8 here: nothing else can fail
	}
	return data
}

// differences names what differs between two pictures of a lead, sorted.
func differences(a, b *leadv1.Lead) []string {
	var names []string
	note := func(name string, differs bool) {
		if differs {
			names = append(names, name)
		}
	}
	for _, f := range fields() {
		note(f.name, *f.value(orEmpty(a)) != *f.value(orEmpty(b)))
	}
	note("employees", a.GetProfile().GetEmployees() != b.GetProfile().GetEmployees())
	note("attributes", !maps.Equal(a.GetProfile().GetAttributes(), b.GetProfile().GetAttributes()))
	note("user_ids", !sameSet(a.GetUserIds(), b.GetUserIds()))
	note("anonymous_ids", !sameSet(a.GetAnonymousIds(), b.GetAnonymousIds()))
	note("external_ids", !sameSet(a.GetExternalIds(), b.GetExternalIds()))
	note("account_id", a.GetAccountId() != b.GetAccountId())
	note("first_touch", !sameTouch(a.GetFirstTouch(), b.GetFirstTouch()))
	note("last_touch", !sameTouch(a.GetLastTouch(), b.GetLastTouch()))
	slices.Sort(names)
	return names
}

func orEmpty(l *leadv1.Lead) *leadv1.Profile {
	if l.GetProfile() == nil {
		return &leadv1.Profile{}
	}
	return l.GetProfile()
}

func sameTouch(a, b *leadv1.Attribution) bool {
	return (a == nil) == (b == nil) && sameCampaign(a, b)
}

func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(id string) bool { return !slices.Contains(b, id) })
}
