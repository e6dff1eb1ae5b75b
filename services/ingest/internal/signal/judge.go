package signal

import (
	"net/netip"
	"strings"
	"time"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
)

// Types of activities that are judged.
const (
	Opened  = "email_opened"
	Clicked = "email_clicked"
)

// Reason names a verdict; people read it.
type Reason string

// Reasons of verdicts.
const (
	// Human: nothing speaks for a machine.
	Human Reason = "human"
	// Told: the mail provider says that it was a machine.
	Told Reason = "told_by_provider"
	// TrapLink: the link that no person sees was followed.
	TrapLink Reason = "trap_link"
	// WithTrap: it came together with a hit on the trap link of the same mail.
	WithTrap Reason = "with_trap_link"
	// Head: the method was HEAD, with which nobody reads.
	Head Reason = "head_request"
	// NoAgent: whoever came did not say what it is; every browser does.
	NoAgent Reason = "no_agent"
	// Program: a scanner, a crawler, a library.
	Program Reason = "program"
	// Scanner: the network is that of a mail gateway.
	Scanner Reason = "scanner_network"
	// PrivacyProxy: Apple Mail loads all pictures of all mails.
	PrivacyProxy Reason = "privacy_proxy"
	// ProxyAtOnce: a picture proxy fetched ahead of the reader.
	ProxyAtOnce Reason = "proxy_at_once"
	// AtOnce: sooner after sending than anybody reads.
	AtOnce Reason = "at_once"
	// DataCentre: from a data centre, soon after sending.
	DataCentre Reason = "data_centre_at_once"
	// Burst: more links at once than anybody reads.
	Burst Reason = "link_burst"
	// Crowd: one address followed the links of many leads at once.
	Crowd Reason = "crowd"
	// Kin: the same agent in the same network as a machine just before or after.
	Kin Reason = "same_as_machine"
)

// bare is exactly what Apple's privacy proxy sends, and no browser does.
const bare = "mozilla/5.0"

// Verdict is what a hit is.
type Verdict struct {
	Machine bool
	Reason  Reason
}

// IsHit reports whether an activity is an open or a click, which are judged.
func IsHit(a *leadv1.Activity) bool { return a.GetType() == Opened || a.GetType() == Clicked }

// Touch is the mail that a hit belongs to: hits are judged together with the
// others of their mail.
func Touch(a *leadv1.Activity) string { return a.GetProperties()["touch_id"] }

// Judge gives the verdicts on hits of one mail, in their order, each in the light
// of the others. More hits never make a machine a person.
func (r *Rules) Judge(hits []*leadv1.Activity) []Verdict {
	verdicts := make([]Verdict, len(hits))
	for i, h := range hits {
		verdicts[i] = verdict(r.alone(h))
	}
	r.bursts(hits, verdicts)
	r.nearTraps(hits, verdicts)
	r.kin(hits, verdicts)
	return verdicts
}

func verdict(why Reason) Verdict { return Verdict{Machine: why != Human, Reason: why} }

// alone judges a hit by itself.
func (r *Rules) alone(a *leadv1.Activity) Reason {
	h := a.GetHit()
	agent := strings.ToLower(strings.TrimSpace(h.GetAgent()))
	switch {
	case a.GetMachine() && (a.GetVerdict() == "" || a.GetVerdict() == string(Told)):
		return Told
	case h == nil:
		return Human // told by somebody who saw no more than that
	case h.GetTrap():
		return TrapLink
	case h.GetHead():
		return Head
	case agent == "":
		return NoAgent
	case agent == bare:
		return PrivacyProxy
	case contains(agent, r.Programs):
		return Program
	}
	return r.placed(a, contains(agent, r.Proxies))
}

// placed judges by where a hit came from and how soon. Addresses that are not of
// the internet say nothing: they are our own.
func (r *Rules) placed(a *leadv1.Activity, proxy bool) Reason {
	h := a.GetHit()
	net, err := netip.ParsePrefix(h.GetNetwork())
	if err != nil {
		return Human
	}
	age, known := age(a)
	within := func(d time.Duration) bool { return known && age < d }
	switch {
	case proxy && a.GetType() == Opened:
		if within(r.ProxySoon) {
			return ProxyAtOnce
		}
		return Human
	case among(net, r.scanners):
		return Scanner
	case within(r.Instant):
		return AtOnce
	case within(r.Soon) && among(net, r.dataCentres):
		return DataCentre
	case a.GetType() == Clicked && int(h.GetCrowd()) >= r.Crowd:
		return Crowd
	}
	return Human
}

// age is how long after its mail was made a hit came.
func age(a *leadv1.Activity) (d time.Duration, known bool) {
	sent := a.GetHit().GetSentAt()
	if sent == nil || a.GetOccurredAt() == nil {
		return 0, false
	}
	return a.GetOccurredAt().AsTime().Sub(sent.AsTime()), true
}

// bursts finds clicks on many links at once.
func (r *Rules) bursts(hits []*leadv1.Activity, verdicts []Verdict) {
	for i, h := range hits {
		links := map[string]bool{}
		for _, other := range hits {
			if other.GetType() == Clicked && sameTime(h, other, 0, r.BurstWithin) {
				links[linkOf(other)] = true
			}
		}
		if h.GetType() != Clicked || len(links) < r.BurstLinks {
			continue
		}
		for j, other := range hits {
			if other.GetType() == Clicked && sameTime(h, other, 0, r.BurstWithin) {
				condemn(&verdicts[j], Burst)
			}
		}
		condemn(&verdicts[i], Burst)
	}
}

// nearTraps: whoever came together with a hit on the trap is the same machine.
func (r *Rules) nearTraps(hits []*leadv1.Activity, verdicts []Verdict) {
	for _, trap := range hits {
		if !trap.GetHit().GetTrap() {
			continue
		}
		for j, other := range hits {
			if sameTime(trap, other, r.TrapWithin, r.TrapWithin) {
				condemn(&verdicts[j], WithTrap)
			}
		}
	}
}

// kin: what looks like a machine that was caught by what it did, and came close
// to it, is that machine.
func (r *Rules) kin(hits []*leadv1.Activity, verdicts []Verdict) {
	var caught []*leadv1.Activity
	for i, h := range hits {
		if caughtBy(verdicts[i].Reason) && h.GetHit().GetNetwork() != "" {
			caught = append(caught, h)
		}
	}
	for i, h := range hits {
		for _, m := range caught {
			if h.GetHit().GetNetwork() == m.GetHit().GetNetwork() && h.GetHit().GetAgent() == m.GetHit().GetAgent() &&
				sameTime(m, h, r.KinWithin, r.KinWithin) {
				condemn(&verdicts[i], Kin)
			}
		}
	}
}

// caughtBy reports whether a machine was caught by what it did, and not by what it
// said it was.
func caughtBy(why Reason) bool {
	return why == TrapLink || why == WithTrap || why == Burst || why == Crowd || why == AtOnce
}

// condemn keeps the first reason.
func condemn(v *Verdict, why Reason) {
	if !v.Machine {
		*v = verdict(why)
	}
}

// sameTime reports whether b came at most so long before or after a.
func sameTime(a, b *leadv1.Activity, before, after time.Duration) bool {
	gap := b.GetOccurredAt().AsTime().Sub(a.GetOccurredAt().AsTime())
	return gap >= -before && gap <= after
}

func linkOf(a *leadv1.Activity) string {
	if l := a.GetHit().GetLink(); l != "" {
		return l
	}
	return a.GetProperties()["url"]
}

func contains(agent string, parts []string) bool {
	agent = strings.ReplaceAll(agent, " ", "-")
	for _, p := range parts {
		if strings.Contains(agent, strings.ReplaceAll(p, " ", "-")) {
			return true
		}
	}
	return false
}

// among reports whether a network overlaps one of a list.
func among(net netip.Prefix, list []netip.Prefix) bool {
	for _, n := range list {
		if n.Overlaps(net) {
			return true
		}
	}
	return false
}
