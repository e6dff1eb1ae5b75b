package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
)

// Root gives the account that an account is part of, itself when of none.
func (a *Accounts) Root(id string) string { return a.owners.root(id) }

// Join makes one account of two, in one commit: the one that stays, the one that
// becomes part of it, and the word that it did. It gives the one that stays and
// the one that went; the two are the same when they were one before.
// ledger.ErrNotFound: there is no such account.
func (a *Accounts) Join(ctx context.Context, into, from, by string) (stays, went string, err error) {
	for range maxRounds {
		one, err := a.whole(ctx, into)
		if err != nil {
			return "", "", err
		}
		other, err := a.whole(ctx, from)
		if err != nil {
			return "", "", err
		}
		stays, went := one.state.Account.GetAccountId(), other.state.Account.GetAccountId()
		if stays == went {
			return stays, went, nil
		}
		if won, err := a.joinThem(ctx, one, other, by); won || err != nil {
			return stays, went, err
		}
	}
	return "", "", ErrContended
}

// Whole reads an account, or the one that it is part of; ledger.ErrNotFound when
// there is none.
func (a *Accounts) Whole(ctx context.Context, id string) (account.State, error) {
	d, err := a.whole(ctx, id)
	if err != nil {
		return account.State{}, err
	}
	return d.state, nil
}

// whole reads an account, or the one that it is part of.
func (a *Accounts) whole(ctx context.Context, id string) (*draft, error) {
	for range maxRounds {
		found, err := a.readStates(ctx, []string{id})
		if err != nil {
			return nil, err
		}
		d := found[id]
		if d == nil {
			return nil, fmt.Errorf("account %.64q: %w", id, ledger.ErrNotFound)
		}
		into := d.state.Account.GetJoinedInto()
		if into == "" {
			return d, nil
		}
		a.owners.join(id, into)
		id = into
	}
	return nil, ErrContended
}

// joinThem writes that two accounts are one; false when one of them has changed.
func (a *Accounts) joinThem(ctx context.Context, into, from *draft, by string) (bool, error) {
	now := a.now()
	stays, goes := into.state.Account.GetAccountId(), from.state.Account.GetAccountId()
	word := &ingestv1.AccountJoin{IntoAccountId: stays, FromAccountId: goes, By: by, At: timestamppb.New(now)}
	full := proto.CloneOf(word)
	full.Company, full.Times = from.state.Account.GetCompany(), from.state.Times
	into.told = []*ingestv1.AccountTold{{Source: "api", At: word.GetAt(), Keys: from.state.Account.GetKeys(), Join: full}}
	from.told = []*ingestv1.AccountTold{{Source: "api", At: word.GetAt(), Join: word}}
	said, err := proto.Marshal(word)
	if err != nil {
		return false, fmt.Errorf("encode join of accounts: %w", err)
	}
	msgs := []*nats.Msg{bus.ExpectLast(&nats.Msg{Subject: bus.AccountJoinSubject(goes), Data: said}, 0)}
	for _, d := range []*draft{into, from} {
		d.state, _ = account.Fold(d.state, d.told[0], now)
		own, err := d.messages(d.state.Account.GetAccountId())
		if err != nil {
			return false, err
		}
		msgs = append(msgs, own...)
	}
	won, err := a.commit(ctx, msgs)
	if won {
		a.owners.join(goes, stays)
	}
	return won, err
}

// FollowJoins hears until ctx ends, or it is interrupted, of all accounts that
// became part of others: those of before, then new ones.
func (a *Accounts) FollowJoins(ctx context.Context, heard func(from string)) error {
	cons, err := a.bus.JS.OrderedConsumer(ctx, bus.Leads, jetstream.OrderedConsumerConfig{FilterSubjects: []string{bus.AccountJoinSubject("*")}})
	if err != nil {
		return fmt.Errorf("open reader of joins: %w", bus.Classify(err))
	}
	it, err := cons.Messages(jetstream.WithMessagesErrOnMissingHeartbeat(false))
	if err != nil {
		return fmt.Errorf("read joins of accounts: %w", err)
	}
	defer context.AfterFunc(ctx, it.Stop)()
	defer it.Stop()
	for {
		msg, err := it.Next()
		if err != nil {
			return fmt.Errorf("read joins of accounts: %w", err)
		}
		j := &ingestv1.AccountJoin{}
		if err := proto.Unmarshal(msg.Data(), j); err != nil {
			return fmt.Errorf("decode join of accounts %s: %w", msg.Subject(), err)
		}
		from := strings.TrimPrefix(msg.Subject(), bus.AccountJoinSubject(""))
		a.owners.join(from, j.GetIntoAccountId())
		heard(from)
	}
}
