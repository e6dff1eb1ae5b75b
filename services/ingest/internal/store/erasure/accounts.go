package erasure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
)

// stepAccounts removes from accounts what told of the person.
const stepAccounts = "accounts"

// Accounts are the companies that leads belong to.
type Accounts interface {
	// Clear removes what told of a person; it reports whether anything did.
	Clear(ctx context.Context, account string, p account.Person) (bool, error)
	// Rewipe overwrites once more what Clear did.
	Rewipe(ctx context.Context) error
	// Members gives leads of an account, and how many it has.
	Members(ctx context.Context, account, after string, limit int) (leads []string, all int, err error)
}

// leave takes the person out of the accounts they ever belonged to. The company
// stays; words of it that told of the person do not.
func (e *Eraser) leave(ctx context.Context, c *ingestv1.Erasure) (result, error) {
	accounts, who, err := e.belonged(ctx, c)
	if err != nil {
		return result{}, err
	}
	r := result{status: nothing}
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		r.status, r.note = done, "what is known of companies stays"
		leads, all, err := e.Accounts.Members(ctx, id, "", len(c.GetLeadIds())+1)
		if err != nil {
			return result{}, err
		}
		who.Alone = all <= len(leads) && !slices.ContainsFunc(leads, func(l string) bool { return !slices.Contains(c.GetLeadIds(), l) })
		cleared, err := e.Accounts.Clear(ctx, id, who)
		if err != nil {
			return result{}, err
		}
		if cleared {
			r.removed++
		}
	}
	return r, nil
}

// left reports whether something was removed from an account.
func left(c *ingestv1.Erasure) bool {
	return slices.ContainsFunc(c.GetSteps(), func(s *ingestv1.ErasureStep) bool { return s.GetName() == stepAccounts && s.GetRemoved() > 0 })
}

// belonged reads from all that was recorded of a person which accounts they
// belonged to, and what they were called.
func (e *Eraser) belonged(ctx context.Context, c *ingestv1.Erasure) (map[string]bool, account.Person, error) {
	accounts, names, words := map[string]bool{}, map[[2]string]bool{}, map[string]bool{}
	note := func(p *leadv1.Profile, ids ...string) {
		names[[2]string{p.GetFirstName(), p.GetLastName()}] = true
		local, _, _ := strings.Cut(p.GetEmail(), "@")
		if one, two, ok := strings.Cut(local, "."); ok {
			names[[2]string{one, two}] = true
		}
		for _, w := range append(ids, p.GetEmail(), p.GetPhone()) {
			words[w] = true
		}
	}
	for _, lead := range c.GetLeadIds() {
		history, err := e.Ledger.History(ctx, lead)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, account.Person{}, err
		}
		for _, entry := range history {
			l := entry.State.GetLead()
			accounts[l.GetAccountId()] = true
			note(l.GetProfile(), slices.Concat(l.GetUserIds(), l.GetAnonymousIds(), l.GetExternalIds(), entry.State.GetEmails())...)
			told, err := commands(entry)
			if err != nil {
				return nil, account.Person{}, err
			}
			for _, cmd := range told {
				accounts[cmd.GetAccountId()] = true
				note(cmd.GetCapture().GetProfile(), cmd.GetCapture().GetUserId(), cmd.GetCapture().GetPreviousId())
			}
		}
	}
	delete(accounts, "")
	return accounts, account.Person{Names: slices.Collect(maps.Keys(names)), Words: slices.Collect(maps.Keys(words))}, nil
}

// commands reads what one record was told.
func commands(entry ledger.Entry[*ingestv1.State]) ([]*ingestv1.Apply, error) {
	var told []*ingestv1.Apply
	for _, cause := range entry.Record.GetCauses() {
		if cause.GetStream() != "" || len(cause.GetCommand()) == 0 || entry.Record.GetTombstone() {
			continue
		}
		cmd := &ingestv1.Apply{}
		if err := proto.Unmarshal(cause.GetCommand(), cmd); err != nil {
			return nil, fmt.Errorf("decode command of record %d: %w", entry.Seq, err)
		}
		told = append(told, cmd)
	}
	return told, nil
}
