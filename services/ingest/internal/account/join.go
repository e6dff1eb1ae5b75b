package account

import (
	"maps"
	"slices"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// join enters that two accounts are one. The one that stays takes over what was
// known of the other, each trait as of when it was told; the other says where it
// went.
func (f *folding) join(j *ingestv1.AccountJoin) {
	switch {
	case j == nil:
	case j.GetFromAccountId() == f.acc.GetAccountId():
		f.acc.JoinedInto, f.changed = j.GetIntoAccountId(), true
	default:
		f.takeOver(j)
		f.acc.Conflicts = slices.DeleteFunc(f.acc.Conflicts, func(c *ingestv1.AccountConflict) bool { return c.GetAccountId() == j.GetFromAccountId() })
		f.changed = true
	}
}

func (f *folding) takeOver(j *ingestv1.AccountJoin) {
	c, times := j.GetCompany(), j.GetTimes()
	if c == nil || times == nil {
		return
	}
	for _, t := range traits() {
		f.at = *t.at(times)
		if t.name == "domain" && f.at == 0 && f.settled {
			continue
		}
		tell(f, t.value(f.acc.Company), t.at(f.times), *t.value(c))
	}
	f.at = times.GetEmployees()
	tell(f, &f.acc.Company.Employees, &f.times.Employees, c.GetEmployees())
	for _, name := range slices.Sorted(maps.Keys(c.GetAttributes())) {
		f.at = times.GetAttributes()[name]
		f.attribute(name, c.GetAttributes()[name])
	}
}
