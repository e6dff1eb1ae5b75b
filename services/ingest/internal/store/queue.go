package store

import (
	"context"
	"slices"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// question is one call of Resolve or Begin that waits for its group.
type question struct {
	asks []identity.Ask
	// keys of all asks, each once.
	keys []identity.Key
	// records: the caller records the events at once, and takes pledges.
	records bool
	// leaves: the claims of its leads are left to be stored with their first records.
	leaves bool

	answers []identity.Answer
	pledges Pledges
	err     error
	done    chan struct{}
	// ours are asks whose submission was claimed for this question: no replays.
	ours map[int]bool
}

// join adds a question to the waiting group; the first one starts the work.
func (b *Book) join(q *question) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = append(b.queue, q)
	b.wakeLocked()
}

// wakeLocked begins to work if somebody waits. Lock held.
func (b *Book) wakeLocked() {
	if !b.busy && len(b.queue) > 0 {
		b.busy = true
		go b.work()
	}
}

// work answers groups until nobody waits, or all who do wait for pledges. While
// one group is being worked on the next one gathers, so groups grow with the load
// and an idle book answers at once.
func (b *Book) work() {
	for group := b.next(); len(group) > 0; group = b.next() {
		b.answer(group)
	}
}

// next takes the questions that can be answered now. One about a key whose claim
// is on its way stays.
func (b *Book) next() (group []*question) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var wait []*question
	asks := 0
	for i, q := range b.queue {
		if len(group) > 0 && asks+len(q.asks) > maxGroup {
			wait = append(wait, b.queue[i:]...)
			break
		}
		if b.fliesLocked(q.keys) {
			wait = append(wait, q)
			continue
		}
		group = append(group, q)
		asks += len(q.asks)
	}
	b.queue = wait
	b.busy = len(group) > 0
	return group
}

func (b *Book) fliesLocked(keys []identity.Key) bool {
	return len(b.flying) > 0 && slices.ContainsFunc(keys, func(k identity.Key) bool {
		_, flies := b.flying[k]
		return flies
	})
}

// answer answers a group. Questions that were put off go back to the queue, in
// front.
func (b *Book) answer(questions []*question) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	g := newGroup(questions)
	err := b.settle(ctx, g)
	b.mu.Lock()
	for _, q := range g.questions {
		for _, p := range q.pledges {
			b.launchLocked(p)
		}
	}
	b.queue = append(g.off, b.queue...)
	b.mu.Unlock()
	for _, q := range g.questions {
		if q.err = err; err != nil {
			q.pledges.End()
		}
		close(q.done)
	}
}
