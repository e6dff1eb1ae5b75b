package population

import "time"

// Reaction is what one mail makes a person do. The zero Reaction is to ignore it.
type Reaction struct {
	// After is the time from the arrival of the mail to the first act.
	After time.Duration
	// Proxy: the mailbox provider loads the pictures, nobody looked.
	Proxy bool
	// Scan: a link scanner follows every link with GET.
	Scan bool
	// Open and Click are human. A click opens the first link.
	Open, Click bool
	// Unsubscribe: they press one-click unsubscribe.
	Unsubscribe bool
	// Then are the steps on the web that follow a click; At counts from the click.
	Then []Step
}

// Rates per delivered mail by readiness (domain: simulator population). The
// story is short, so clicks and what follows are as likely as they would be
// over the weeks it stands for: eager times the daily rates.
var (
	openRate        = [...]float64{.15, .25, .32, .40}
	clickRate       = [...]float64{.005, .025, .05, .10}
	unsubscribeRate = [...]float64{.003, .0015, .001, .001}
	pricingRate     = [...]float64{.0005, .005, .05, .30}
	demoRate        = [...]float64{.0002, .002, .01, .10}
)

const (
	proxyRate = .5
	scanRate  = .08
	// eager stands for the days between two mails of a program.
	eager = 7
	// warmRate is how likely a read mail moves a person one step; it halves with
	// every eight mails: diminishing returns.
	warmRate = .35
)

// React plans what the next mail makes the person do. Call it once per mail, in
// the order of arrival.
func (p *Person) React() Reaction {
	p.mails++
	d := p.dice
	r := Reaction{
		After: p.delay(), Proxy: d.Float64() < proxyRate, Scan: d.Float64() < scanRate,
	}
	if p.done || p.Gone {
		return r
	}
	r.Click = d.Float64() < min(.9, clickRate[p.Readiness]*eager)
	r.Open = r.Click || d.Float64() < openRate[p.Readiness]
	fatigue := 1 + float64(p.mails)/8
	if d.Float64() < unsubscribeRate[p.Readiness]*eager*fatigue {
		r.Unsubscribe, r.Open, p.done = true, true, true
		return r
	}
	if r.Open {
		p.warm(fatigue)
	}
	if r.Click {
		r.Then = p.browse()
	}
	return r
}

// warm moves readiness one step, less likely the more mails there were.
func (p *Person) warm(fatigue float64) {
	if p.Readiness < ReadyNow && p.dice.Float64() < warmRate/fatigue {
		p.Readiness++
	}
}

// browse plans the visit after a click: some pages, and by chance the demo form.
func (p *Person) browse() []Step {
	d := p.dice
	at := p.delay()
	steps := []Step{{At: at, Kind: ViewPage, Path: "/product"}}
	if d.Float64() < min(.9, pricingRate[p.Readiness]*eager) {
		at += p.delay()
		steps = append(steps, Step{At: at, Kind: ViewPage, Path: "/pricing"})
	}
	if d.Float64() < min(.9, demoRate[p.Readiness]*eager) {
		at += p.delay()
		steps = append(steps, Step{At: at, Kind: AskDemo, Path: "/demo"})
		p.done = true
	}
	return steps
}

func (p *Person) delay() time.Duration {
	return p.react/4 + time.Duration(p.dice.Float64()*float64(p.react)*3/4)
}
