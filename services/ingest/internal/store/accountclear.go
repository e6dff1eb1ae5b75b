package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
)

// Clear removes from an account what told of a person who is erased, and
// overwrites the records before on disk; also from the one that it became part of.
// It reports whether there was any such thing. Doing it again changes nothing.
func (a *Accounts) Clear(ctx context.Context, id string, p account.Person) (bool, error) {
	seen, told := map[string]bool{}, false
	for id != "" && !seen[id] {
		seen[id] = true
		into, cleared, err := a.clear(ctx, id, p)
		if err != nil {
			return told, err
		}
		id, told = into, told || cleared
	}
	return told, nil
}

// clear is Clear of one account; it gives the one that it became part of.
func (a *Accounts) clear(ctx context.Context, id string, p account.Person) (into string, cleared bool, err error) {
	for range maxRounds {
		found, err := a.readStates(ctx, []string{id})
		if err != nil {
			return "", false, err
		}
		d := found[id]
		if d == nil {
			return "", false, nil
		}
		into = d.state.Account.GetJoinedInto()
		mentions := account.Mentions(d.state.Account, p)
		if mentions == nil {
			cleared, err = a.wipe(ctx, id)
			return into, cleared, err
		}
		now := a.now()
		told := &ingestv1.AccountTold{Source: "erasure", At: timestamppb.New(now), Cleared: mentions}
		d.state, _ = account.Fold(d.state, told, now)
		d.told, d.begins = []*ingestv1.AccountTold{told}, true
		data, err := d.record()
		if err != nil {
			return "", false, err
		}
		_, err = a.bus.Publish(ctx, bus.ExpectLast(&nats.Msg{Subject: bus.AccountSubject(id), Data: data}, d.seq))
		if errors.Is(err, bus.ErrConflict) {
			continue
		}
		if err != nil {
			return "", false, fmt.Errorf("clear account: %w", err)
		}
		cleared, err = a.wipe(ctx, id)
		return into, cleared, err
	}
	return "", false, ErrContended
}

// wipe overwrites what lies before the latest record that begins an account
// anew; it reports whether there is one.
func (a *Accounts) wipe(ctx context.Context, id string) (bool, error) {
	begins := uint64(0)
	subject := bus.AccountSubject(id)
	for msg, err := range a.bus.Read(ctx, bus.Leads, subject, 1) {
		if err != nil {
			return false, err
		}
		rec := &ingestv1.AccountRecord{}
		if proto.Unmarshal(msg.Data, rec) == nil && rec.GetBegins() {
			begins = msg.Sequence
		}
	}
	if begins == 0 {
		return false, nil
	}
	if _, err := a.bus.Wipe(ctx, bus.Leads, subject, begins); err != nil {
		return false, fmt.Errorf("overwrite what was told of an account: %w", err)
	}
	return true, nil
}

// Rewipe overwrites once more what a crash may have brought back.
func (a *Accounts) Rewipe(ctx context.Context) error {
	begun := map[string]bool{}
	for msg, err := range a.bus.Read(ctx, bus.Leads, bus.AccountSubject("*"), 1) {
		if err != nil {
			return err
		}
		rec := &ingestv1.AccountRecord{}
		if proto.Unmarshal(msg.Data, rec) == nil && rec.GetBegins() {
			begun[strings.TrimPrefix(msg.Subject, bus.AccountSubject(""))] = true
		}
	}
	for id := range begun {
		if _, err := a.wipe(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
