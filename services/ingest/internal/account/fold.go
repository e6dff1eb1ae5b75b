package account

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// Bounds of what is kept about an account.
const (
	maxKeys       = 200
	maxConflicts  = 20
	maxAttributes = 64
)

// again is how much later the same value must be told to be noted once more:
// libraries repeat a company's traits on every page.
const again = time.Hour

// State is an account as it is recorded.
type State struct {
	Account *ingestv1.Account
	Times   *ingestv1.CompanyTimes
}

// Fold gives the account after what was told, and whether that changed
// anything. What comes in another order gives the same traits, except that a
// value told again within the hour counts as of when it was told first.
func Fold(st State, told *ingestv1.AccountTold, now time.Time) (State, bool) {
	f := folding{acc: proto.CloneOf(st.Account), times: proto.CloneOf(st.Times), at: told.GetAt().AsTime().UnixNano()}
	if f.acc.GetCompany() == nil {
		f.acc.Company = &ingestv1.Company{}
	}
	if f.times == nil {
		f.times = &ingestv1.CompanyTimes{}
	}
	f.settled = told.GetJoin() != nil && f.acc.Company.GetDomain() != ""
	f.company(told.GetCompany())
	for _, k := range told.GetKeys() {
		f.key(k, now)
	}
	for _, c := range told.GetConflicts() {
		f.conflict(c)
	}
	f.clear(told.GetCleared())
	f.join(told.GetJoin())
	if !f.changed {
		return st, false
	}
	f.acc.UpdatedAt = timestamppb.New(now)
	if f.acc.GetCreatedAt() == nil {
		f.acc.CreatedAt = f.acc.UpdatedAt
	}
	return State{Account: f.acc, Times: f.times}, true
}

// folding is one thing told being applied.
type folding struct {
	acc     *ingestv1.Account
	times   *ingestv1.CompanyTimes
	at      int64
	changed bool
	// settled: a key says nothing of the company's domain, for it has one and
	// another company becomes part of it.
	settled bool
}

// trait is one text about a company and where it is noted when it was told.
type trait struct {
	name  string
	value func(*ingestv1.Company) *string
	at    func(*ingestv1.CompanyTimes) *int64
}

func traits() []trait {
	return []trait{
		{"name", func(c *ingestv1.Company) *string { return &c.Name }, func(t *ingestv1.CompanyTimes) *int64 { return &t.Name }},
		{"domain", func(c *ingestv1.Company) *string { return &c.Domain }, func(t *ingestv1.CompanyTimes) *int64 { return &t.Domain }},
		{"website", func(c *ingestv1.Company) *string { return &c.Website }, func(t *ingestv1.CompanyTimes) *int64 { return &t.Website }},
		{"industry", func(c *ingestv1.Company) *string { return &c.Industry }, func(t *ingestv1.CompanyTimes) *int64 { return &t.Industry }},
		{"country", func(c *ingestv1.Company) *string { return &c.Country }, func(t *ingestv1.CompanyTimes) *int64 { return &t.Country }},
		{"plan", func(c *ingestv1.Company) *string { return &c.Plan }, func(t *ingestv1.CompanyTimes) *int64 { return &t.Plan }},
	}
}

// company enters what was told of the company.
func (f *folding) company(told *ingestv1.Company) {
	if told == nil {
		return
	}
	for _, t := range traits() {
		tell(f, t.value(f.acc.Company), t.at(f.times), *t.value(told))
	}
	tell(f, &f.acc.Company.Employees, &f.times.Employees, told.GetEmployees())
	for _, name := range slices.Sorted(maps.Keys(told.GetAttributes())) {
		f.attribute(name, told.GetAttributes()[name])
	}
}

// tell enters a value: the one told later counts, of two at one time the greater.
func tell[T cmp.Ordered](f *folding, have *T, haveAt *int64, value T) {
	var none T
	if value == none || f.at < *haveAt || f.at == *haveAt && value <= *have {
		return
	}
	if value == *have && time.Duration(f.at-*haveAt) < again {
		return
	}
	*have, *haveAt, f.changed = value, f.at, true
}

// attribute enters one of the other traits; of more than 64 those told last stay.
func (f *folding) attribute(name, value string) {
	have, at := f.acc.Company.Attributes[name], f.times.Attributes[name]
	before := f.changed
	f.changed = false
	tell(f, &have, &at, value)
	told := f.changed
	f.changed = before
	if !told {
		return
	}
	_, known := f.acc.Company.Attributes[name]
	if !known && len(f.acc.Company.Attributes) >= maxAttributes {
		oldest := f.oldest()
		if f.times.Attributes[oldest] > at || f.times.Attributes[oldest] == at && oldest > name {
			return
		}
		delete(f.acc.Company.Attributes, oldest)
		delete(f.times.Attributes, oldest)
	}
	if f.acc.Company.Attributes == nil {
		f.acc.Company.Attributes = map[string]string{}
	}
	if f.times.Attributes == nil {
		f.times.Attributes = map[string]int64{}
	}
	f.acc.Company.Attributes[name], f.times.Attributes[name], f.changed = have, at, true
}

func (f *folding) oldest() string {
	names := slices.Collect(maps.Keys(f.acc.Company.Attributes))
	return slices.MinFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(f.times.Attributes[a], f.times.Attributes[b]), cmp.Compare(a, b))
	})
}

// key attaches a key. A domain is the company's, until one is told outright.
func (f *folding) key(k *ingestv1.AccountKey, now time.Time) {
	if slices.ContainsFunc(f.acc.Keys, func(have *ingestv1.AccountKey) bool { return same(have, k) }) || len(f.acc.Keys) >= maxKeys {
		return
	}
	k = proto.CloneOf(k)
	k.Since = timestamppb.New(now)
	f.acc.Keys, f.changed = append(f.acc.Keys, k), true
	if k.GetKind() == ingestv1.AccountKey_KIND_DOMAIN && f.times.GetDomain() == 0 && !f.settled && k.GetValue() > f.acc.Company.GetDomain() {
		f.acc.Company.Domain = k.GetValue()
	}
}

// same reports whether two are one key.
func same(a, b *ingestv1.AccountKey) bool {
	return a.GetKind() == b.GetKind() && a.GetSource() == b.GetSource() && a.GetValue() == b.GetValue()
}

// conflict notes that a key belongs to another account. Once is enough.
func (f *folding) conflict(c *ingestv1.AccountConflict) {
	if slices.ContainsFunc(f.acc.Conflicts, func(have *ingestv1.AccountConflict) bool {
		return have.GetAccountId() == c.GetAccountId() && same(have.GetKey(), c.GetKey())
	}) {
		return
	}
	f.acc.Conflicts, f.changed = append(f.acc.Conflicts, proto.CloneOf(c)), true
	if over := len(f.acc.Conflicts) - maxConflicts; over > 0 {
		f.acc.Conflicts = slices.Delete(f.acc.Conflicts, 0, over)
	}
}
