// Package signaltest makes mails with labelled opens and clicks: a population of
// readers and of machines as they are known to behave. It knows nothing of the
// rules: rates, agents, places and pauses are those of the world, with noise on
// both sides. Same seed, same corpus.
package signaltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Hit is an open or a click and who did it.
type Hit struct {
	Activity *leadv1.Activity
	Machine  bool
	// Who is the kind of reader or machine, for reading what was misjudged.
	Who string
}

// Mail is one mail and all that was done with it, in order of time.
type Mail struct {
	Touch string
	Hits  []Hit
}

// sent is when the first mail was made; they follow each other by minutes.
var sent = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

// Corpus makes so many mails.
func Corpus(seed uint64, mails int) []Mail {
	list := make([]Mail, mails)
	for i := range list {
		d := &draw{
			dice: rand.New(rand.NewPCG(seed, uint64(i))), //nolint:gosec // the same corpus every time
			at:   sent.Add(time.Duration(i) * time.Minute), touch: fmt.Sprintf("L-t%d", i),
		}
		d.links = 1 + d.dice.IntN(5)
		d.home = d.network()
		d.scanned()
		d.read()
		slices.SortStableFunc(d.hits, func(a, b Hit) int {
			return a.Activity.GetOccurredAt().AsTime().Compare(b.Activity.GetOccurredAt().AsTime())
		})
		list[i] = Mail{Touch: d.touch, Hits: d.hits}
	}
	return list
}

// draw is one mail being made.
type draw struct {
	dice  *rand.Rand
	at    time.Time
	touch string
	links int
	home  string // the network the reader is in
	hits  []Hit
}

func (d *draw) chance(p float64) bool { return d.dice.Float64() < p }

// pause draws a pause around a median; the tail is long, as that of people is.
func (d *draw) pause(median time.Duration, spread float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(d.dice.NormFloat64()*spread))
}

func (d *draw) between(least, most time.Duration) time.Duration {
	return least + time.Duration(d.dice.Float64()*float64(most-least))
}

// network is one of a household or an office.
func (d *draw) network() string {
	if d.chance(.15) {
		return fmt.Sprintf("2001:db8:%x::/48", d.dice.IntN(1<<16))
	}
	return fmt.Sprintf("%d.%d.%d.0/24", 81+d.dice.IntN(12), d.dice.IntN(256), d.dice.IntN(256))
}

func pick(d *draw, from ...string) string { return from[d.dice.IntN(len(from))] }

// what is one hit before it is one.
type what struct {
	after             time.Duration // since the mail was made
	agent, network    string
	link              int // 0: an open
	head, trap        bool
	crowd             uint32
	machine           bool
	who               string
	placeless, noTime bool
}

func (d *draw) add(w what) {
	a := &leadv1.Activity{
		Id: fmt.Sprintf("%s-%d", d.touch, len(d.hits)), Type: "email_opened",
		Properties: map[string]string{"touch_id": d.touch},
		OccurredAt: timestamppb.New(d.at.Add(w.after)), ReceivedAt: timestamppb.New(d.at.Add(w.after)),
		Hit: &leadv1.Hit{Agent: w.agent, Network: w.network, Head: w.head, Trap: w.trap, SentAt: timestamppb.New(d.at)},
	}
	if w.link > 0 || w.trap {
		a.Type, a.Hit.Link, a.Hit.Crowd = "email_clicked", fmt.Sprint("link-", w.link), max(1, w.crowd)
	}
	if w.noTime {
		a.Hit.SentAt = nil
	}
	if w.placeless {
		a.Hit.Network, a.Hit.Crowd = "", 0
	}
	d.hits = append(d.hits, Hit{Activity: a, Machine: w.machine, Who: w.who})
}
