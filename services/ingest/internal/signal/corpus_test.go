package signal_test

import (
	"fmt"
	"testing"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/signal"
	"github.com/nurturehq/nurture/services/ingest/internal/signal/signaltest"
)

// score counts how a corpus is judged. The trap's own hits are no clicks: they
// are left out, or they would flatter.
type score struct {
	machines, caught, people, dropped int
	clicks, clicksCaught              int // of machines
	wrong                             map[string]int
}

func (s *score) add(mail signaltest.Mail, verdicts []signal.Verdict) {
	for i, h := range mail.Hits {
		if h.Activity.GetHit().GetTrap() {
			continue
		}
		machine := verdicts[i].Machine
		if h.Machine && h.Activity.GetType() == signal.Clicked {
			s.clicks++
			if machine {
				s.clicksCaught++
			}
		}
		switch {
		case h.Machine && machine:
			s.machines, s.caught = s.machines+1, s.caught+1
		case h.Machine:
			s.machines++
			s.wrong["missed: "+h.Who]++
		case machine:
			s.people, s.dropped = s.people+1, s.dropped+1
			s.wrong[fmt.Sprintf("dropped: %s (%s)", h.Who, verdicts[i].Reason)]++
		default:
			s.people++
		}
	}
}

func (s *score) recall() float64 { return float64(s.caught) / float64(s.machines) }
func (s *score) drops() float64  { return float64(s.dropped) / float64(s.people) }

// asItCame judges each hit when its quarantine is over, with what is known then,
// and again whenever something more is known while it is remembered.
func asItCame(r *signal.Rules, mail signaltest.Mail) []signal.Verdict {
	verdicts := make([]signal.Verdict, len(mail.Hits))
	for i, h := range mail.Hits {
		due := h.Activity.GetReceivedAt().AsTime().Add(r.Quarantine)
		var known []*leadv1.Activity
		var at []int
		for j, other := range mail.Hits {
			t := other.Activity.GetReceivedAt().AsTime()
			if !t.After(due) && due.Sub(t) <= r.Quarantine+r.Remember {
				known, at = append(known, other.Activity), append(at, j)
			}
		}
		for k, v := range r.Judge(known) {
			if j := at[k]; j == i || verdicts[j].Reason != "" && !verdicts[j].Machine {
				verdicts[j] = v
			}
		}
	}
	return verdicts
}

func (s *score) clickRecall() float64 { return float64(s.clicksCaught) / float64(s.clicks) }

const (
	leastRecall = .95
	mostDropped = .01
)

func TestMachinesAreToldFromPeople(t *testing.T) {
	r, err := signal.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for seed := uint64(1); seed <= 8; seed++ {
		s := score{wrong: map[string]int{}}
		for _, mail := range signaltest.Corpus(seed, 10_000) {
			s.add(mail, asItCame(r, mail))
		}
		t.Logf("seed %d: %d of %d machine hits caught (%.4f; of clicks %.4f), %d of %d human hits dropped (%.4f)",
			seed, s.caught, s.machines, s.recall(), s.clickRecall(), s.dropped, s.people, s.drops())
		if s.recall() < leastRecall || s.clickRecall() < leastRecall || s.drops() > mostDropped {
			t.Errorf("seed %d: recall %.4f, human false drop %.4f: %v", seed, s.recall(), s.drops(), s.wrong)
		}
		if testing.Verbose() && seed == 1 {
			t.Log(s.wrong)
		}
	}
}

func TestNoKindOfReaderIsDroppedForWhatTheyAre(t *testing.T) {
	r, err := signal.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	people, dropped := map[string]int{}, map[string]int{}
	for _, mail := range signaltest.Corpus(99, 20_000) {
		for i, v := range asItCame(r, mail) {
			if h := mail.Hits[i]; !h.Machine {
				people[h.Who]++
				if v.Machine {
					dropped[h.Who]++
				}
			}
		}
	}
	for who, n := range people {
		if share := float64(dropped[who]) / float64(n); share > .05 {
			t.Errorf("%s: %d of %d dropped (%.3f)", who, dropped[who], n, share)
		}
	}
}
