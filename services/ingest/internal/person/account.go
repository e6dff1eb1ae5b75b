package person

import (
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
)

// What moved a lead to another account, besides what names accounts.
const (
	byMerge   = "merge"
	byUnmerge = "unmerge"
	byJoin    = "accounts_joined"
	byRemoval = "removed"
)

// belong enters which account a lead belongs to; it reports whether that differs
// and whether anything changed. A statement beats what is concluded from a
// domain, whenever it was made; among equals the one told later counts. What was
// stated before somebody was removed does not count.
func belong(l *leadv1.Lead, times *ingestv1.Times, told *leadv1.Lead, at int64) (differs, moved bool) {
	stated := account.Stated(told.GetAccountBy())
	if told.GetAccountId() == "" || stated && at <= times.GetRemoved() {
		return false, false
	}
	if account.Stated(l.GetAccountBy()) && !stated {
		return false, conclude(times, told, at)
	}
	have := &ingestv1.Belonging{AccountId: l.GetAccountId(), By: l.GetAccountBy(), At: times.GetAccountId()}
	if stated && !account.Stated(have.GetBy()) {
		if have.GetAccountId() != "" {
			times.Concluded = have
		}
	} else if !beats(told, at, have) {
		return false, false
	}
	differs = told.GetAccountId() != l.GetAccountId()
	l.AccountId, l.AccountBy, times.AccountId = told.GetAccountId(), told.GetAccountBy(), at
	return differs, true
}

// conclude keeps what would count without the statement that counts.
func conclude(times *ingestv1.Times, told *leadv1.Lead, at int64) (moved bool) {
	if !beats(told, at, times.GetConcluded()) {
		return false
	}
	times.Concluded = &ingestv1.Belonging{AccountId: told.GetAccountId(), By: told.GetAccountBy(), At: at}
	return true
}

// beats reports whether what is told counts instead of its like.
func beats(told *leadv1.Lead, at int64, have *ingestv1.Belonging) bool {
	if have.GetAccountId() == "" {
		return true
	}
	if told.GetAccountId() == have.GetAccountId() && at == have.GetAt() {
		return told.GetAccountBy() > have.GetBy()
	}
	return later(told.GetAccountId(), at, have.GetAccountId(), have.GetAt())
}

// rehouse brings the lead to another account, in all that was told of it: the one
// that its own was made one with, or, when it is removed, the one it would be
// with had nobody stated anything.
func (f *fold) rehouse(r *ingestv1.Rehouse) (Change, error) {
	was, by := f.st.GetLead().GetAccountId(), byJoin
	parts, moved := Parts(f.st), false
	for _, p := range parts {
		if p.Times == nil {
			p.Times = &ingestv1.Times{}
		}
		if r.GetIntoAccountId() == "" {
			moved, by = f.remove(p, r.GetFromAccountId()) || moved, byRemoval
			continue
		}
		for _, id := range [...]*string{&p.Lead.AccountId, concluded(p)} {
			if id != nil && *id == r.GetFromAccountId() {
				*id, moved = r.GetIntoAccountId(), true
			}
		}
	}
	if !moved {
		return done()
	}
	combine(f.st, parts)
	return f.took(ReasonRehoused, f.joined(was, by)...)
}

func concluded(p *ingestv1.Part) *string {
	if p.GetTimes().GetConcluded() == nil {
		return nil
	}
	return &p.Times.Concluded.AccountId
}

// remove takes a part out of an account that a statement put it in.
func (f *fold) remove(p *ingestv1.Part, from string) bool {
	l := p.GetLead()
	if l.GetAccountId() != from || !account.Stated(l.GetAccountBy()) {
		return false
	}
	c := p.Times.GetConcluded()
	l.AccountId, l.AccountBy, p.Times.AccountId = c.GetAccountId(), c.GetBy(), c.GetAt()
	p.Times.Concluded, p.Times.Removed = nil, f.now.UnixNano()
	return true
}

// joined is the fact that the lead belongs to another account than before; none
// when it does not.
func (f *fold) joined(was, by string) []*ingestv1.Event {
	now := f.st.GetLead().GetAccountId()
	if now == was {
		return nil
	}
	return []*ingestv1.Event{{Fact: &ingestv1.Event_Joined{Joined: &ingestv1.Joined{AccountId: now, WasAccountId: was, By: by}}}}
}
