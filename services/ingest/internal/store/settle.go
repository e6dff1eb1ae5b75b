package store

import (
	"context"
	"fmt"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// settle decides, claims what nobody has, and decides again what was lost to
// somebody faster.
func (b *Book) settle(ctx context.Context, g *group) error {
	for round := range maxRounds {
		unknown := b.cache.get(g.keys, g.view.Claims)
		batches := b.log.pace.Batches(b.messages(g, unknown))
		// A visitor nobody remembers is most likely new: claiming tells as much as
		// reading, and a claim that is refused costs no fsync. It pays only while
		// claims go one by one, for one refused claim refuses a whole batch.
		if round > 0 || !g.lone || batches {
			if err := b.look(ctx, g, unknown); err != nil {
				return err
			}
		}
		writes, err := b.decide(ctx, g)
		if err == nil && batches && round == 0 {
			writes, err = b.leave(ctx, g, writes)
		}
		if err != nil {
			return err
		}
		if won, err := b.claim(ctx, g, writes, round); err != nil {
			return err
		} else if won {
			return b.pledge(g)
		}
	}
	return ErrContended
}

// messages is about how many are written at once: the claims of this group, what
// its leads need besides, their records, and what is on its way already.
func (b *Book) messages(g *group, unknown []identity.Key) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(unknown) + b.each*(min(g.n, len(unknown))+len(b.flying))
}

// leave sets aside the claims that can be left to be stored with first records;
// it gives the others. Questions about a key that is left to another one are put
// off.
func (b *Book) leave(ctx context.Context, g *group, writes []write) (rest []write, err error) {
	for g.putOff(writes) {
		if writes, err = b.decide(ctx, g); err != nil {
			return nil, err
		}
	}
	for _, w := range writes {
		if w.of.leaves {
			g.left = append(g.left, w)
		} else {
			rest = append(rest, w)
		}
	}
	return rest, nil
}

// claim writes claims; it reports whether all were won.
func (b *Book) claim(ctx context.Context, g *group, writes []write, round int) (bool, error) {
	if len(writes) == 0 {
		return true, nil
	}
	beside, settled, err := b.welcome(g)
	if err == nil {
		err = b.log.write(ctx, writes, beside, round >= patient)
	}
	settled()
	if err != nil {
		return false, err
	}
	return b.keep(g, writes), nil
}

// welcome makes what the leads that the answers begin need beside their claims;
// settled is to be called when it was written.
func (b *Book) welcome(g *group) (beside []post, settled func(), err error) {
	var end []func()
	settled = func() {
		for _, f := range end {
			f()
		}
	}
	if b.born == nil {
		return nil, settled, nil
	}
	for _, lead := range g.begun() {
		msg, tell, err := b.born(lead)
		if err != nil {
			return nil, settled, fmt.Errorf("begin lead: %w", err)
		}
		stored := false
		beside = append(beside, post{msg, func(uint64) { stored = true }})
		end = append(end, func() { tell(stored) })
	}
	return beside, settled, nil
}

// look reads claims that nobody remembers into the group's view.
func (b *Book) look(ctx context.Context, g *group, unknown []identity.Key) error {
	if err := b.log.read(ctx, unknown, g.view.Claims); err != nil {
		return err
	}
	for _, k := range unknown {
		if e, ok := g.view.Claims[k]; ok {
			b.cache.put(k, e)
		}
	}
	return nil
}

// decide decides; leads that must be weighed are read first.
func (b *Book) decide(ctx context.Context, g *group) ([]write, error) {
	for {
		writes, missing := g.decide(b.newLead)
		if len(missing) == 0 {
			return writes, nil
		}
		held, err := b.held(ctx, missing)
		if err != nil {
			return nil, fmt.Errorf("weigh leads: %w", err)
		}
		for _, l := range missing {
			g.held[l] = b.intro.complete(l, held[l])
		}
	}
}

// keep remembers what was won and forgets what was lost; it reports whether all
// was won.
func (b *Book) keep(g *group, writes []write) (all bool) {
	all = true
	for _, w := range writes {
		if w.stored == 0 {
			all = false
			continue
		}
		b.remember(w)
	}
	if all {
		g.number(writes)
		return true
	}
	g.forget(append(g.left, writes...))
	g.left = nil
	clear(g.held)
	return false
}

// remember notes a claim that is stored.
func (b *Book) remember(w write) {
	b.cache.put(w.key, w.entry())
	b.intro.note(w.to, w.key.Kind)
}
