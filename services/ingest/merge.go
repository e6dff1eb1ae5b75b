package ingest

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nuid"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// A merge is three records: the survivor promises to take the other lead in
// (join), the other lead stops (freeze), the survivor takes in what it has
// (adopt). An unmerge is three too: release, restore, forget. Whoever meets one
// that was cut short, by an event or a read, takes the steps that are missing.

// maxHops bounds how often a lead is followed, and a merge begun anew.
const maxHops = 12

// errRestless: the leads kept being merged and separated. Trying again helps.
var errRestless = errors.New("the leads keep being merged and separated")

type entry = ledger.Entry[*ingestv1.State]

// stated is how much it proves that a sender says so. Less than who separated the
// two knows.
const stated = 0.99

// sure says how much each kind of identity proves.
func sure(by identity.Kind) float64 {
	switch by {
	case identity.User, identity.System:
		return 0.95
	case identity.Anonymous:
		return 0.9
	case identity.Phone:
		return 0.6
	case identity.Email, identity.External, identity.Suppressed, identity.Domain, identity.Group, identity.Company, identity.None:
	}
	return 0.99
}

// mergeAll merges leads that turned out to be one. A merge that may not be is
// left out: the event is recorded all the same. It tells which answers are about
// a survivor that has no record yet: those merges wait for its first one.
func (s *Service) mergeAll(ctx context.Context, answers []identity.Answer) (early []int, err error) {
	for i, ans := range answers {
		err := s.mergeInto(ctx, ans)
		if errors.Is(err, person.ErrUnknownLead) {
			early = append(early, i)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return early, nil
}

// mergeInto merges into the lead of an answer those that turned out to be it.
func (s *Service) mergeInto(ctx context.Context, ans identity.Answer) error {
	for _, m := range ans.Merged {
		merge := &ingestv1.Merge{FromLeadId: m.From, IntoLeadId: ans.Lead, By: m.By.String() + "_id", Confidence: sure(m.By)}
		if m.Stated {
			merge.By, merge.Confidence = "alias", stated
		}
		_, _, err := s.Merge(ctx, merge)
		if errors.Is(err, person.ErrUnknownLead) || err != nil && !refused(err) {
			return err
		}
	}
	return nil
}

// refused reports whether two leads may not be merged, whoever asks again.
func refused(err error) bool {
	return errors.Is(err, person.ErrApart) || errors.Is(err, person.ErrFull) || errors.Is(err, person.ErrItself) || errors.Is(err, person.ErrUnknownLead) ||
		errors.Is(err, person.ErrErased)
}

// Merge makes one lead of two; it gives the survivor, and whether they were one
// before.
func (s *Service) Merge(ctx context.Context, want *ingestv1.Merge) (ledger.Entry[*ingestv1.State], bool, error) {
	for range maxHops {
		into, from, err := s.both(ctx, want)
		if err != nil {
			return entry{}, false, err
		}
		if into.Lead == from.Lead {
			return into, true, nil
		}
		m := &ingestv1.Merge{Id: nuid.Next(), FromLeadId: from.Lead, IntoLeadId: into.Lead, By: want.GetBy(), Confidence: want.GetConfidence()}
		joined, err := s.step(ctx, into.Lead, &ingestv1.Step{Step: &ingestv1.Step_Join{Join: m}})
		if err == nil {
			var survivor entry
			if survivor, err = s.finish(ctx, joined.State, m); err == nil {
				return survivor, false, nil
			}
		}
		if !merging(err) && !errors.Is(err, person.ErrUnderWay) && !errors.Is(err, person.ErrNoMerge) {
			return entry{}, false, fmt.Errorf("merge lead %s into %s: %w", m.GetFromLeadId(), m.GetIntoLeadId(), err)
		}
	}
	return entry{}, false, fmt.Errorf("merge lead %s into %s: %w", want.GetFromLeadId(), want.GetIntoLeadId(), errRestless)
}

// both finds the two leads of a merge. One whose identity is claimed and whose
// first record is on its way counts as it is.
func (s *Service) both(ctx context.Context, want *ingestv1.Merge) (into, from entry, err error) {
	if into, err = s.Find(ctx, want.GetIntoLeadId()); errors.Is(err, ledger.ErrNotFound) {
		into, err = entry{Lead: want.GetIntoLeadId()}, nil
	}
	if err != nil {
		return entry{}, entry{}, err
	}
	if from, err = s.Find(ctx, want.GetFromLeadId()); errors.Is(err, ledger.ErrNotFound) {
		from, err = entry{Lead: want.GetFromLeadId()}, nil
	}
	return into, from, err
}

// finish takes the steps of a promised merge that are missing. When the other
// lead cannot be had the promise is taken back.
func (s *Service) finish(ctx context.Context, st *ingestv1.State, m *ingestv1.Merge) (entry, error) {
	for _, p := range st.GetJoining() { // somebody else's promise of the same
		if p.GetFromLeadId() == m.GetFromLeadId() {
			m = p
		}
	}
	frozen, err := s.step(ctx, m.GetFromLeadId(), &ingestv1.Step{Step: &ingestv1.Step_Freeze{Freeze: m}})
	if err != nil {
		if refused(err) || merging(err) || errors.Is(err, person.ErrUnderWay) {
			if _, undo := s.step(ctx, m.GetIntoLeadId(), &ingestv1.Step{Step: &ingestv1.Step_Abort{Abort: m.GetId()}}); undo != nil {
				return entry{}, undo
			}
		}
		return entry{}, err
	}
	return s.step(ctx, m.GetIntoLeadId(), &ingestv1.Step{Step: &ingestv1.Step_Adopt{Adopt: adoption(frozen, m)}})
}

// adoption is what a frozen lead has, as the survivor takes it in.
func adoption(frozen entry, m *ingestv1.Merge) *ingestv1.Adopt {
	parts := person.Parts(frozen.State)
	for i, p := range parts {
		parts[i] = proto.CloneOf(p)
	}
	parts[0].Merge, parts[0].RecentIds = m, frozen.Record.GetRecentIds()
	return &ingestv1.Adopt{Merge: m, Parts: parts, Apart: frozen.State.GetApart(), Hits: person.Hits(frozen.State, frozen.Lead)}
}

// step takes one step on one lead.
func (s *Service) step(ctx context.Context, lead string, step *ingestv1.Step) (entry, error) {
	data, err := proto.Marshal(&ingestv1.Apply{Step: step})
	if err != nil {
		return entry{}, fmt.Errorf("encode step: %w", err)
	}
	res, err := s.ledger.Update(ctx, lead, ledger.Command{Kind: person.KindStep, Data: data})
	return res.Entry, err
}

// Unmerge gives a merged lead its own again; it gives that lead and the one it
// had been merged into, which is empty when it was not merged.
func (s *Service) Unmerge(ctx context.Context, lead, by string) (ledger.Entry[*ingestv1.State], string, error) {
	whole, err := s.Find(ctx, lead)
	if err != nil {
		return entry{}, "", err
	}
	if whole.Lead == lead {
		return whole, "", nil
	}
	e, err := s.step(ctx, whole.Lead, &ingestv1.Step{Step: &ingestv1.Step_Release{Release: &ingestv1.Release{LeadId: lead, By: by}}})
	if err != nil {
		return entry{}, "", fmt.Errorf("unmerge lead %s: %w", lead, err)
	}
	if err := s.complete(ctx, e); err != nil {
		return entry{}, "", err
	}
	own, err := s.ledger.Get(ctx, lead)
	return own, whole.Lead, err
}

// giveBack restores a lead that was released.
func (s *Service) giveBack(ctx context.Context, from entry, l *ingestv1.Leaving) error {
	r := &ingestv1.Restore{Id: l.GetId(), FromLeadId: from.Lead, Parts: l.GetParts(), Hosts: l.GetHosts(), Hits: l.GetHits()}
	if len(r.GetParts()) > 0 {
		r.Parts[0] = proto.CloneOf(r.Parts[0])
		r.Parts[0].RecentIds = from.Record.GetRecentIds()
	}
	if _, err := s.step(ctx, l.GetLeadId(), &ingestv1.Step{Step: &ingestv1.Step_Restore{Restore: r}}); err != nil {
		return err
	}
	_, err := s.step(ctx, from.Lead, &ingestv1.Step{Step: &ingestv1.Step_Forget{Forget: l.GetId()}})
	return err
}
