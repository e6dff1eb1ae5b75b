package store

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/account"
)

// Faults of a record of an account.
var (
	errUnreadable = errors.New("the record of the account cannot be read")
	errDiffers    = errors.New("what was told of the account gives another one")
)

// Verify folds what was told of every account again, in the order of the log,
// and tells of each record what is wrong with it, nil when nothing is.
func (a *Accounts) Verify(ctx context.Context, each func(id string, seq uint64, wrong error)) error {
	states := map[string]account.State{}
	for msg, err := range a.bus.Read(ctx, bus.Leads, bus.AccountSubject("*"), 1) {
		if err != nil {
			return err
		}
		id := strings.TrimPrefix(msg.Subject, bus.AccountSubject(""))
		rec := &ingestv1.AccountRecord{}
		if proto.Unmarshal(msg.Data, rec) != nil {
			each(id, msg.Sequence, errUnreadable)
			continue
		}
		before, known := states[id]
		if !known {
			before = account.State{Account: &ingestv1.Account{AccountId: id}}
		}
		after := account.State{Account: rec.GetAccount(), Times: rec.GetTimes()}
		states[id] = after
		each(id, msg.Sequence, check(rec, before, after))
	}
	return nil
}

// check folds what one record was told. One that nothing comes before is taken as
// it is: it is what was left of an account when a person was erased.
func check(rec *ingestv1.AccountRecord, st, want account.State) error {
	if rec.GetBegins() {
		return nil
	}
	for _, told := range rec.GetTold() {
		st, _ = account.Fold(st, told, rec.GetAt().AsTime())
	}
	if !proto.Equal(st.Account, want.Account) || !proto.Equal(st.Times, want.Times) {
		return errDiffers
	}
	return nil
}
