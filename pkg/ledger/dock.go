package ledger

import (
	"math"
	"time"
)

const (
	// linger is how long a patient item waits for company at most, while its lane is busy.
	linger = 200 * time.Millisecond
	// busyAbove is how many items within a second make a lane busy: below it every
	// item is served at once.
	busyAbove = 50
)

// dock holds items that wait to be sent off, those of one lead together and in
// order.
type dock struct {
	leads []string
	items map[string][]*item
	n     int
	// messages is about how many they make; more than n: some have an escort.
	messages int
	// since is when the first of them came.
	since time.Time
}

func newDock() *dock { return &dock{items: map[string][]*item{}} }

func (d *dock) has(lead string) bool { return len(d.items[lead]) > 0 }

// add appends items of one lead.
func (d *dock) add(now time.Time, its ...*item) {
	if d.n == 0 {
		d.since = now
	}
	lead := its[0].in.Lead
	if !d.has(lead) {
		d.leads = append(d.leads, lead)
	}
	d.items[lead] = append(d.items[lead], its...)
	d.n += len(its)
	d.messages += messages(its)
}

// take removes the items of a lead.
func (d *dock) take(lead string) []*item {
	its := d.items[lead]
	if len(its) > 0 {
		delete(d.items, lead)
		d.n -= len(its)
		d.messages -= messages(its)
	}
	return its
}

// load removes the items of whole leads, in the order the leads came, as long as
// they make no more messages than are wanted: they are to fit into one batch.
func (d *dock) load(want int) (its []*item) {
	n := 0
	for ; len(d.leads) > 0; d.leads = d.leads[1:] {
		if n += messages(d.items[d.leads[0]]); n > want && len(its) > 0 {
			break
		}
		its = append(its, d.take(d.leads[0])...)
	}
	return its
}

// tide knows how much passes a lane: about the items of the last second.
type tide struct {
	level float64
	at    time.Time
}

func (t *tide) rise(now time.Time) {
	t.level, t.at = t.read(now)+1, now
}

func (t *tide) read(now time.Time) float64 {
	return t.level * math.Exp(-max(now.Sub(t.at), 0).Seconds())
}
