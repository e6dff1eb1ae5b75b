package store

import (
	"fmt"
	"sync"

	"github.com/nurturehq/nurture/pkg/ledger"
)

// maxPledge bounds the claims of one lead that are stored with its first record.
const maxPledge = 500

// Pledges are what leads that begin have to have on the log, by lead: claims,
// and what Options.Born made. Each is to be stored with the first record of its
// lead or not at all.
type Pledges map[string]*pledge

// Escort gives what the records of a lead must not be without; nil: nothing.
func (p Pledges) Escort(lead string) *ledger.Escort {
	if pledge := p[lead]; pledge != nil {
		return &pledge.escort
	}
	return nil
}

// End gives up what was not stored, or is not known to be: whoever waits for it
// looks at the log. It must be called when the records are written.
func (p Pledges) End() {
	for _, pledge := range p {
		pledge.end(0)
	}
}

// pledge is what one lead has to have.
type pledge struct {
	book   *Book
	claims []write
	escort ledger.Escort
	// ahead is how many messages go before the claims.
	ahead   uint64
	settled func(stored bool)
	once    sync.Once
}

// pledge makes the pledges of the claims that a group leaves.
func (b *Book) pledge(g *group) error {
	for _, w := range g.left {
		p := w.of.pledges[w.to]
		if p == nil {
			var err error
			if p, err = b.begin(w); err != nil {
				return err
			}
		}
		msg, err := w.message()
		if err != nil {
			return err
		}
		p.claims, p.escort.Msgs = append(p.claims, w), append(p.escort.Msgs, msg)
	}
	return nil
}

// begin makes the pledge of a lead whose first claim this is.
func (b *Book) begin(w write) (*pledge, error) {
	p := &pledge{book: b, settled: func(bool) {}}
	p.escort.Stored = p.end
	if b.born != nil {
		msg, settled, err := b.born(w.to)
		if err != nil {
			return nil, fmt.Errorf("begin lead: %w", err)
		}
		p.settled, p.escort.Msgs = settled, append(p.escort.Msgs, msg)
		p.ahead = 1
	}
	if w.of.pledges == nil {
		w.of.pledges = Pledges{}
	}
	w.of.pledges[w.to] = p
	return p, nil
}

// end ends a pledge: its first message has this sequence, 0: it is not known to
// be stored.
func (p *pledge) end(first uint64) {
	p.once.Do(func() {
		for i, w := range p.claims {
			if w.stored = first + p.ahead + uint64(i); first > 0 { //nolint:gosec // a batch
				p.book.remember(w)
			}
		}
		p.settled(first > 0)
		p.book.land(p)
	})
}

// launchLocked lets others wait for a pledge. Lock held.
func (b *Book) launchLocked(p *pledge) {
	for _, w := range p.claims {
		b.flying[w.key] = struct{}{}
	}
}

// land lets those go on who waited for a pledge.
func (b *Book) land(p *pledge) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range p.claims {
		delete(b.flying, w.key)
	}
	b.wakeLocked()
}
