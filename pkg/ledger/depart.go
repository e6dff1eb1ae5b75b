package ledger

import (
	"context"
	"time"
)

// mayDepart reports whether a pass could be sent off now.
func (ln *lane[S]) mayDepart() bool {
	return ln.ready() || ln.companyIn() <= 0
}

const (
	// gatherMax is how long items with escorts wait for company at most, when much is
	// coming.
	gatherMax = 4 * time.Millisecond
	// company is how many more have to be expected meanwhile.
	company = 2
)

// ready reports whether the prompt items may go.
func (ln *lane[S]) ready() bool { return ln.promptIn() <= 0 }

// promptIn is how long the prompt items go on waiting; an hour if there are none,
// or if they have to wait for a pass to land. With escorts they are an atomic batch,
// which costs much however small it is. So they gather while another one is under
// way, until the batch is full; and when none is, for a third of what a pass takes,
// if more of them are coming: else the first one to come back after a large commit
// makes one of its own, which all others wait for.
func (ln *lane[S]) promptIn() time.Duration {
	switch {
	case ln.prompt.n == 0 || ln.aloft[prompt] >= aloftMax:
		return time.Hour
	case ln.prompt.messages == ln.prompt.n || ln.prompt.messages >= passMax:
		return 0
	case ln.escorting > 0:
		return time.Hour
	}
	now, gather := ln.l.d.Now(), min(ln.fare/3, gatherMax)
	if ln.stopping || ln.tide.read(now)*gather.Seconds() < company {
		return 0
	}
	return ln.prompt.since.Add(gather).Sub(now)
}

// companyIn is how long the patient items go on waiting; an hour if there are
// none, or if they have to wait for a pass to land.
func (ln *lane[S]) companyIn() time.Duration {
	switch {
	case ln.aloft[patient] >= aloftMax, ln.patient.n == 0 && len(ln.unarmed) == 0:
		return time.Hour
	case ln.patient.n >= passMax, !ln.busy():
		return 0
	}
	since := ln.patient.since
	if ln.patient.n == 0 || len(ln.unarmed) > 0 && ln.unarmedAt.Before(since) {
		since = ln.unarmedAt
	}
	return max(since.Add(linger).Sub(ln.l.d.Now()), 0)
}

// patience is how long the lane may sleep.
func (ln *lane[S]) patience() time.Duration {
	wait := min(ln.companyIn(), ln.promptIn())
	now := ln.l.d.Now()
	for lead, h := range ln.held {
		if _, busy := ln.flying[lead]; !busy {
			wait = min(wait, max(h.until.Sub(now), 0))
		}
	}
	return wait
}

// depart sends off what may go.
func (ln *lane[S]) depart(ctx context.Context) {
	ln.ripe(ln.l.d.Now())
	if ln.ready() {
		ln.launch(ctx, prompt, ln.prompt.load(passMax))
	}
	if ln.companyIn() <= 0 {
		ln.launch(ctx, patient, ln.patient.load(passMax))
	}
}
