package store

import (
	"context"
	"slices"
	"time"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// plan is what is to be written so that several namings are answered.
type plan struct {
	now      time.Time
	accounts []string
	owners   map[identity.Key]string
	drafts   map[string]*draft
	// order is the drafts that have something to write, as they came up.
	order []string
	// moved: an account is part of another one, which was not known.
	moved bool
}

// draft is an account as it is after what was told.
type draft struct {
	state    account.State
	seq      uint64
	claims   []identity.Key
	told     []*ingestv1.AccountTold
	disputes int
	// begins: nothing of the records before is needed.
	begins bool
}

// plan decides all namings, one after the other: later ones see what earlier
// ones claim.
func (a *Accounts) plan(ctx context.Context, asks []Naming) (*plan, error) {
	p := &plan{now: a.now(), accounts: make([]string, len(asks)), owners: map[identity.Key]string{}}
	if err := a.lookUp(ctx, p, asks); err != nil {
		return nil, err
	}
	answers := make([]account.Answer, len(asks))
	var touched []string
	p.drafts = map[string]*draft{}
	for i, ask := range asks {
		owners := make([]string, len(ask.Keys))
		for j, k := range ask.Keys {
			owners[j] = p.owners[k]
		}
		ans := account.Decide(owners, a.newID)
		for _, j := range ans.Claim {
			p.owners[ask.Keys[j]] = ans.Account
		}
		answers[i], p.accounts[i] = ans, ans.Account
		if ans.New {
			p.drafts[ans.Account] = &draft{state: account.State{Account: &ingestv1.Account{AccountId: ans.Account}}}
		} else if p.drafts[ans.Account] == nil && news(ask, ans) && !slices.Contains(touched, ans.Account) {
			touched = append(touched, ans.Account)
		}
	}
	read, err := a.readStates(ctx, touched)
	if err != nil {
		return nil, err
	}
	for _, id := range touched {
		if p.drafts[id] = read[id]; p.drafts[id] == nil {
			p.drafts[id] = &draft{state: account.State{Account: &ingestv1.Account{AccountId: id}}}
		}
		if into := p.drafts[id].state.Account.GetJoinedInto(); into != "" {
			a.owners.join(id, into)
			p.moved = true
		}
	}
	for i, ask := range asks {
		if news(ask, answers[i]) || answers[i].New {
			p.tell(ask, answers[i])
		}
	}
	return p, nil
}

// news reports whether a naming may tell something new about its account.
func news(ask Naming, ans account.Answer) bool {
	return ask.Told.GetCompany() != nil || len(ans.Claim)+len(ans.Elsewhere) > 0
}

// lookUp finds whose the keys are.
func (a *Accounts) lookUp(ctx context.Context, p *plan, asks []Naming) error {
	var unknown []identity.Key
	seen := map[identity.Key]bool{}
	for _, ask := range asks {
		for _, k := range ask.Keys {
			if seen[k] {
				continue
			}
			seen[k] = true
			if owner, ok := a.owners.get(k); ok {
				p.owners[k] = owner
				continue
			}
			unknown = append(unknown, k)
		}
	}
	found, err := a.readOwners(ctx, unknown)
	if err != nil {
		return err
	}
	for k, owner := range found {
		p.owners[k] = owner
	}
	return nil
}

// tell folds what one naming tells into the draft of its account.
func (p *plan) tell(ask Naming, ans account.Answer) {
	d := p.drafts[ans.Account]
	told := &ingestv1.AccountTold{Source: ask.Told.GetSource(), At: ask.Told.GetAt(), Company: ask.Told.GetCompany()}
	for _, i := range ans.Claim {
		told.Keys = append(told.Keys, ask.Told.GetKeys()[i])
		d.claims = append(d.claims, ask.Keys[i])
	}
	for _, i := range ans.Elsewhere {
		told.Conflicts = append(told.Conflicts, &ingestv1.AccountConflict{
			Key: ask.Told.GetKeys()[i], AccountId: p.owners[ask.Keys[i]], At: ask.Told.GetAt(),
		})
	}
	before := len(d.state.Account.GetConflicts())
	state, changed := account.Fold(d.state, told, p.now)
	if !changed {
		return
	}
	if len(d.told) == 0 {
		p.order = append(p.order, ans.Account)
	}
	d.disputes += max(0, len(state.Account.GetConflicts())-before)
	d.state, d.told = state, append(d.told, told)
}
