package scoring

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// decode reads a record and its events, but not the state in it: most inputs
// are activities, and for those the profile is not needed.
func decode[E proto.Message](in ledger.Input, newEvent func() E) (*ledgerv1.Record, []E, error) {
	record := &ledgerv1.Record{}
	if err := proto.Unmarshal(in.Data, record); err != nil {
		return nil, nil, fmt.Errorf("decode record %s/%d: %w", in.Stream, in.Seq, err)
	}
	events := make([]E, 0, len(record.GetEvents()))
	for _, raw := range record.GetEvents() {
		e := newEvent()
		if err := proto.Unmarshal(raw, e); err != nil {
			return nil, nil, fmt.Errorf("decode event %s/%d: %w", in.Stream, in.Seq, err)
		}
		events = append(events, e)
	}
	return record, events, nil
}

// profile is the lead as ingest knows it, decoded when somebody asks.
type profile struct {
	raw   []byte
	state *ingestv1.State
	lead  *leadv1.Lead
	facts *leadv1.Facts
}

func (p *profile) load() error {
	if p.lead != nil {
		return nil
	}
	state := &ingestv1.State{}
	if err := proto.Unmarshal(p.raw, state); err != nil {
		return fmt.Errorf("decode profile: %w", err)
	}
	p.state, p.lead = state, state.GetLead()
	if p.lead == nil {
		p.lead = &leadv1.Lead{}
	}
	p.facts = p.lead.GetFacts()
	return nil
}
