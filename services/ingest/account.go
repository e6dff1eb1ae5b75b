package ingest

import (
	"context"
	"fmt"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
	"github.com/nurturehq/nurture/services/ingest/internal/fact"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/store"
)

// employ finds which account each submission names, and gives what to wait for:
// then they say it. An account nobody named before is claimed and recorded first,
// so that after a crash the same event finds it; meanwhile others work.
func (s *Service) employ(ctx context.Context, subs []person.Submission) (employed func() error) {
	var asks []store.Naming
	var at []int
	var by []string
	rules := s.signals.Current()
	for i := range subs {
		c := subs[i].Apply.GetCapture()
		named := account.Read(c, rules)
		if named == nil {
			continue
		}
		named.Told.At = person.Clamp(c.GetOccurredAt(), s.deps.Now())
		named.Told.Company = impersonal(named.Told.GetCompany(), c.GetProfile())
		asks = append(asks, s.naming(named.Told))
		at, by = append(at, i), append(by, named.By)
	}
	if len(asks) == 0 {
		return func() error { return nil }
	}
	accounts, known := s.accounts.Known(asks)
	done := make(chan error, 1)
	if known {
		done <- nil
	} else {
		go func() {
			var err error
			accounts, err = s.accounts.Resolve(ctx, asks)
			done <- err
		}()
	}
	return func() error {
		if err := <-done; err != nil {
			return err
		}
		for j, i := range at {
			subs[i].Apply.AccountId, subs[i].Apply.AccountBy = accounts[j], by[j]
		}
		return nil
	}
}

// ofCompany reports whether a submission tells about a company and nobody in it.
func ofCompany(sub person.Submission) bool { return sub.Kind == person.KindAccount }

// flowApart is flow for submissions some of which tell about companies alone.
func (s *Service) flowApart(ctx context.Context, subs []person.Submission) []person.Outcome {
	outcomes := make([]person.Outcome, len(subs))
	var people, companies []person.Submission
	var whose []int
	for i := range subs {
		if ofCompany(subs[i]) {
			companies = append(companies, subs[i])
			continue
		}
		people, whose = append(people, subs[i]), append(whose, i)
	}
	for j, out := range s.flow(ctx, people) {
		outcomes[whose[j]] = out
	}
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	told := make([]person.Outcome, len(companies))
	if err := s.employ(ctx, companies)(); err != nil {
		refuseAll(told, classify(err))
	}
	s.count(ctx, companies, told)
	for i := range subs {
		if ofCompany(subs[i]) {
			outcomes[i], told = told[0], told[1:]
		}
	}
	return outcomes
}

// naming makes the keys of what was told, and hides in it what looks like a
// person's.
func (s *Service) naming(told *ingestv1.AccountTold) store.Naming {
	n := store.Naming{Told: told, Keys: make([]identity.Key, len(told.GetKeys()))}
	for i, k := range told.GetKeys() {
		n.Keys[i] = s.accountKey(k)
	}
	account.Hide(told.GetKeys())
	return n
}

func (s *Service) accountKey(k *ingestv1.AccountKey) identity.Key {
	switch k.GetKind() {
	case ingestv1.AccountKey_KIND_GROUP:
		return s.hasher.GroupKey(k.GetSource(), k.GetValue())
	case ingestv1.AccountKey_KIND_EXTERNAL_ID:
		return s.hasher.Key(identity.Company, k.GetValue())
	case ingestv1.AccountKey_KIND_DOMAIN, ingestv1.AccountKey_KIND_UNSPECIFIED:
	}
	return s.hasher.Key(identity.Domain, k.GetValue())
}

// impersonal leaves out of a company's traits what looks like a person's: an
// address, a number to call, a name, free text.
func impersonal(c *ingestv1.Company, p *leadv1.Profile) *ingestv1.Company {
	if c == nil {
		return nil
	}
	who := &leadv1.Profile{FirstName: p.GetFirstName(), LastName: p.GetLastName()}
	c.Name, c.Plan, c.Industry = fact.Impersonal(who, c.GetName()), fact.Impersonal(who, c.GetPlan()), fact.Impersonal(who, c.GetIndustry())
	c.Attributes = fact.Traits(who, c.GetAttributes())
	return c
}

// disputed counts that keys were told of an account that another one has.
func (s *Service) disputed(account string, n int) {
	s.metrics.disputed(n)
	s.deps.Log.Warn("keys of an account belong to another one: perhaps the two are one company", "account_id", account, "keys", n)
}

// Account finds an account by exactly one of its names; ledger.ErrNotFound when
// nobody named it.
func (s *Service) Account(ctx context.Context, id string, key *ingestv1.AccountKey) (*ingestv1.Account, error) {
	if id == "" {
		owner, ok, err := s.accounts.Find(ctx, s.accountKey(key))
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fmt.Errorf("nobody named this account: %w", ledger.ErrNotFound)
		}
		id = owner
	}
	st, err := s.accounts.Whole(ctx, s.accounts.Root(id))
	return st.Account, err
}

// Accounts gives the accounts that leads belong to, in the order of their ids.
func (s *Service) Accounts(ctx context.Context, after string, limit int) (page []*ingestv1.Account, more bool, err error) {
	ids, err := s.members.Accounts(ctx, after, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(ids) > limit; more {
		ids = ids[:limit]
	}
	found, err := s.accounts.Get(ctx, ids)
	if err != nil {
		return nil, false, err
	}
	for _, id := range ids {
		if st, ok := found[id]; ok {
			page = append(page, st.Account)
		}
	}
	return page, more, nil
}

// Members gives leads of an account.
func (s *Service) Members(ctx context.Context, account, after string, limit int) (leads []string, all int, err error) {
	return s.members.Of(ctx, account, after, limit)
}

// Sizes gives how many leads each of these accounts has.
func (s *Service) Sizes(ctx context.Context, accounts []string) (map[string]int, error) {
	return s.members.Counts(ctx, accounts)
}

// companies are accounts with their members, as an erasure sees them.
type companies struct {
	*store.Accounts
	members *store.Members
}

// Members gives leads of an account, and how many it has by all that is recorded.
func (c companies) Members(ctx context.Context, account, after string, limit int) (leads []string, all int, err error) {
	if err := c.members.CatchUp(ctx); err != nil {
		return nil, 0, err
	}
	return c.members.Of(ctx, c.Root(account), after, limit)
}

// VerifyAccounts folds again what was told of every account and compares; it
// gives what the ledger's own check gives.
func (s *Service) VerifyAccounts(ctx context.Context) (checked int, wrong []ledger.Mismatch, err error) {
	err = s.accounts.Verify(ctx, func(id string, seq uint64, why error) {
		checked++
		if why != nil {
			wrong = append(wrong, ledger.Mismatch{Lead: id, Seq: seq, Why: why.Error()})
		}
	})
	if err != nil {
		return checked, wrong, fmt.Errorf("verify accounts: %w", err)
	}
	return checked, wrong, nil
}
