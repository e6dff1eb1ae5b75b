package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// Two accounts become one by one commit. Their leads follow, one record each:
// whoever meets a lead that was left behind, because a process died or an event
// was under way, brings it along.

// pause is how long it takes until something that was interrupted begins anew.
const pause = time.Second

// Join makes one account of two and brings the leads along; it gives the one that
// stays, and whether they were one before.
func (s *Service) Join(ctx context.Context, into, from, by string) (*ingestv1.Account, bool, error) {
	stays, went, err := s.accounts.Join(ctx, into, from, by)
	if err != nil {
		return nil, false, err
	}
	already := stays == went
	if already && from != stays {
		went = from // of which leads may have been left
	}
	s.members.Reconsider(went)
	for {
		if err := s.members.CatchUp(ctx); err != nil {
			return nil, false, err
		}
		_, left, err := s.members.Of(ctx, went, "", 1)
		if err != nil {
			return nil, false, err
		}
		if left == 0 || stays == went {
			break
		}
		select {
		case <-ctx.Done():
			return nil, false, fmt.Errorf("%w: the accounts are one, and %d leads are still being brought along: %w", ledger.ErrUnavailable, left, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	acc, err := s.Account(ctx, stays, nil)
	return acc, already, err
}

// followJoins hears of accounts that became part of others until ctx ends.
func (s *Service) followJoins(ctx context.Context) error {
	for {
		if err := s.accounts.FollowJoins(ctx, s.members.Reconsider); ctx.Err() == nil {
			s.deps.Log.WarnContext(ctx, "follow the joins of accounts: begin anew", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// bringAlong brings leads to the accounts that theirs became part of.
func (s *Service) bringAlong(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.members.Stray():
		}
		for lead, from := range s.members.Strays() {
			_, err := s.rehouse(ctx, lead, &ingestv1.Rehouse{FromAccountId: from, IntoAccountId: s.accounts.Root(from)})
			if err == nil || errors.Is(err, person.ErrErased) || errors.Is(err, ledger.ErrNotFound) || ctx.Err() != nil {
				continue
			}
			s.deps.Log.WarnContext(ctx, "bring a lead to the account of its account: later", "lead_id", lead, "error", err)
			time.AfterFunc(pause, func() { s.members.Reconsider(from) })
		}
	}
}

// rehouse brings a lead, or the one it is merged into, to another account.
func (s *Service) rehouse(ctx context.Context, lead string, r *ingestv1.Rehouse) (entry, error) {
	data, err := proto.Marshal(&ingestv1.Apply{Rehouse: r, MustExist: true})
	if err != nil {
		return entry{}, fmt.Errorf("encode change of account: %w", err)
	}
	for range maxHops {
		e, err := s.Find(ctx, lead)
		if err != nil {
			return entry{}, err
		}
		res, err := s.ledger.Update(ctx, e.Lead, ledger.Command{Kind: person.KindRehouse, Data: data})
		if !merging(err) {
			return res.Entry, err
		}
	}
	return entry{}, errRestless
}

// Why a lead is not removed from an account.
var (
	errNotThere  = errors.New("the lead does not belong to this account")
	errByAddress = errors.New("nobody stated that the lead is in this account: its address or its company's domain says so, and does as long as it has it")
)

// Remove takes a lead out of an account that a statement put it in; it gives the
// lead, or the one it is merged into, as it is then.
func (s *Service) Remove(ctx context.Context, lead, from string) (*ingestv1.State, error) {
	e, err := s.Find(ctx, lead)
	if err != nil {
		return nil, err
	}
	l := e.State.GetLead()
	switch {
	case l.GetAccountId() == "" || s.accounts.Root(from) != s.accounts.Root(l.GetAccountId()):
		return nil, fmt.Errorf("%w: %w", person.ErrNoStatement, errNotThere)
	case !account.Stated(l.GetAccountBy()):
		return nil, fmt.Errorf("%w: %w", person.ErrNoStatement, errByAddress)
	}
	e, err = s.rehouse(ctx, e.Lead, &ingestv1.Rehouse{FromAccountId: l.GetAccountId()})
	return e.State, err
}
