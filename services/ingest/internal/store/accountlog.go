package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// maxCommit is how many messages one commit has. The server takes 1000.
const maxCommit = 900

// write stores what a plan has: the claims of an account's keys and its record
// in one commit. False: somebody else was faster, and this must be planned again.
func (a *Accounts) write(ctx context.Context, p *plan) (bool, error) {
	var msgs []*nats.Msg
	for i, id := range p.order {
		own, err := p.drafts[id].messages(id)
		if err != nil {
			return false, err
		}
		if len(msgs) > 0 && len(msgs)+len(own) > maxCommit {
			if won, err := a.commit(ctx, msgs); !won || err != nil {
				return won, err
			}
			msgs = nil
		}
		if msgs = append(msgs, own...); i == len(p.order)-1 {
			return a.commit(ctx, msgs)
		}
	}
	return true, nil
}

func (a *Accounts) commit(ctx context.Context, msgs []*nats.Msg) (bool, error) {
	_, err := jetstreamext.PublishMsgBatch(ctx, a.bus.JS, msgs, jetstreamext.BatchFlowControl{AckFirst: false})
	if err = bus.Classify(err); errors.Is(err, bus.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("record accounts: %w", err)
	}
	return true, nil
}

// deterministic gives the same bytes for the same record.
var deterministic = proto.MarshalOptions{Deterministic: true} //nolint:gochecknoglobals // a constant

// messages are the claims of a draft and its record.
func (d *draft) messages(id string) ([]*nats.Msg, error) {
	claim, err := proto.Marshal(&ingestv1.Claim{AccountId: id})
	if err != nil {
		return nil, fmt.Errorf("encode claim: %w", err)
	}
	msgs := make([]*nats.Msg, 0, len(d.claims)+1)
	for _, k := range d.claims {
		msgs = append(msgs, bus.ExpectLast(&nats.Msg{Subject: Subject(k), Data: claim}, 0))
	}
	record, err := d.record()
	if err != nil {
		return nil, err
	}
	return append(msgs, bus.ExpectLast(&nats.Msg{Subject: bus.AccountSubject(id), Data: record}, d.seq)), nil
}

func (d *draft) record() ([]byte, error) {
	data, err := deterministic.Marshal(&ingestv1.AccountRecord{
		Account: d.state.Account, Times: d.state.Times, Told: d.told, At: d.state.Account.GetUpdatedAt(), Begins: d.begins,
	})
	if err != nil {
		return nil, fmt.Errorf("encode account: %w", err)
	}
	return data, nil
}

// readOwners reads claims from the log; keys that nobody has are left out.
func (a *Accounts) readOwners(ctx context.Context, keys []identity.Key) (map[identity.Key]string, error) {
	found := make(map[identity.Key]string, len(keys))
	for part := range slices.Chunk(keys, maxRead) {
		subjects := make([]string, len(part))
		bySubject := make(map[string]identity.Key, len(part))
		for i, k := range part {
			subjects[i] = Subject(k)
			bySubject[subjects[i]] = k
		}
		msgs, err := a.bus.LastMsgs(ctx, bus.Leads, subjects)
		if err != nil {
			return nil, fmt.Errorf("read keys of accounts: %w", err)
		}
		for subject, msg := range msgs {
			claim := &ingestv1.Claim{}
			if err := proto.Unmarshal(msg.Data, claim); err != nil {
				return nil, fmt.Errorf("decode key of an account %d: %w", msg.Sequence, err)
			}
			found[bySubject[subject]] = strings.Clone(claim.GetAccountId())
		}
	}
	for k, owner := range found {
		a.owners.put(k, owner)
		found[k] = a.owners.root(owner)
	}
	return found, nil
}

// readStates reads accounts from the log; those without a record are left out.
func (a *Accounts) readStates(ctx context.Context, ids []string) (map[string]*draft, error) {
	found := make(map[string]*draft, len(ids))
	for part := range slices.Chunk(ids, maxRead) {
		subjects := make([]string, len(part))
		for i, id := range part {
			subjects[i] = bus.AccountSubject(id)
		}
		msgs, err := a.bus.LastMsgs(ctx, bus.Leads, subjects)
		if err != nil {
			return nil, fmt.Errorf("read accounts: %w", err)
		}
		for _, id := range part {
			msg := msgs[bus.AccountSubject(id)]
			if msg == nil {
				continue
			}
			rec := &ingestv1.AccountRecord{}
			if err := proto.Unmarshal(msg.Data, rec); err != nil {
				return nil, fmt.Errorf("decode account %s: %w", id, err)
			}
			found[id] = &draft{state: account.State{Account: rec.GetAccount(), Times: rec.GetTimes()}, seq: msg.Sequence}
		}
	}
	return found, nil
}
