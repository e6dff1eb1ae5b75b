// Package population makes up the people of the demo and of the story: who they
// are, how ready they are without telling, what they do on the web and what a
// mail does to them. It is pure: the same seed gives the same people, and the
// same mails give the same reactions.
package population

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Readiness is what a person never tells: how close they are to buying.
type Readiness int

// The ways to be ready, coldest first.
const (
	Unaware Readiness = iota
	Learning
	Evaluating
	ReadyNow
)

// String names a readiness.
func (r Readiness) String() string {
	return [...]string{"unaware", "learning", "evaluating", "ready_now"}[r]
}

// Options say which population.
type Options struct {
	// Leads is how many people there are.
	Leads int
	// Seed makes the population; the same seed makes the same one.
	Seed uint64
	// Over is the time in which they arrive.
	Over time.Duration
	// React is the longest a person takes to read a mail or to go one step
	// further on the web.
	React time.Duration
}

// Person is one lead to be.
type Person struct {
	// N counts from 0.
	N         int
	Readiness Readiness
	Profile   Profile
	// Anonymous is the id their browser has before they tell who they are.
	Anonymous string
	// Gone says that the mailbox does not exist: every mail bounces.
	Gone bool
	// Visit is what they do until they are known, in order of time. The last
	// step raises the hand.
	Visit []Step

	react time.Duration
	dice  *rand.Rand
	mails int
	done  bool
}

// Profile is what a person tells about themselves.
type Profile struct {
	Email, FirstName, LastName, Phone          string
	Company, JobTitle, Industry, Country, Zone string
	Employees                                  int
}

// Kind of a step.
type Kind string

// The steps a person can take.
const (
	// ViewPage: the browser loads a page.
	ViewPage Kind = "view_page"
	// AskDemo: they fill in the demo form: ready now.
	AskDemo Kind = "ask_demo"
	// Download: they give their address for a paper, and consent.
	Download Kind = "download"
	// Subscribe: they subscribe to the newsletter, and consent.
	Subscribe Kind = "subscribe"
	// SignUp: the product's own tracking identifies them, with consent.
	SignUp Kind = "sign_up"
)

// Step is one thing a person does.
type Step struct {
	// At is the time since the start.
	At   time.Duration
	Kind Kind
	// Path is the page it happens on.
	Path string
}

// Shares of the readiness at the start (domain: the essay's 20 ready of 100).
var mix = [...]float64{Unaware: .30, Learning: .35, Evaluating: .15, ReadyNow: .20}

// goneShare is the share of mailboxes that do not exist.
const goneShare = .02

// New makes the people. Readiness and lost mailboxes are dealt by quota, so that
// the mix is the stated one in every population and not only on average.
func New(o Options) []*Person {
	dice := rand.New(rand.NewPCG(o.Seed, 0))
	deal := dealReadiness(dice, o.Leads)
	people := make([]*Person, o.Leads)
	for n := range people {
		people[n] = newPerson(o, n, deal[n])
	}
	loseMailboxes(dice, people)
	return people
}

// loseMailboxes picks the people whose address does not exist, none of them
// ready now.
func loseMailboxes(dice *rand.Rand, people []*Person) {
	gone := int(goneShare*float64(len(people)) + .5)
	for _, n := range dice.Perm(len(people)) {
		if gone > 0 && people[n].Readiness != ReadyNow {
			people[n].Gone = true
			gone--
		}
	}
}

func dealReadiness(dice *rand.Rand, n int) []Readiness {
	deal := make([]Readiness, 0, n)
	var sum float64
	for r, share := range mix {
		sum += share
		for len(deal) < int(sum*float64(n)+.5) {
			deal = append(deal, Readiness(r))
		}
	}
	dice.Shuffle(n, func(i, j int) { deal[i], deal[j] = deal[j], deal[i] })
	return deal
}

func newPerson(o Options, n int, r Readiness) *Person {
	// Every person has dice of their own: what one does changes nothing for another.
	dice := rand.New(rand.NewPCG(o.Seed, uint64(n)+1))
	p := &Person{
		N: n, Readiness: r, Profile: newProfile(dice, o.Seed, n, r),
		Anonymous: fmt.Sprintf("anon-%d-%d", o.Seed, n),
		react:     o.React, dice: dice,
	}
	p.Visit = p.visit(time.Duration(dice.Float64() * float64(o.Over)))
	return p
}

// visit plans the way from the first page to the raised hand, which happens at t.
func (p *Person) visit(t time.Duration) []Step {
	pages := []string{"/", "/product", "/customers", "/blog/nurture-the-eighty", "/blog/lead-scoring"}
	last := Step{At: t, Kind: Download, Path: "/papers/the-eighty-leads"}
	looks := 1 + p.dice.IntN(2)
	switch p.Readiness {
	case ReadyNow:
		pages = []string{"/product", "/pricing", "/customers"}
		last = Step{At: t, Kind: AskDemo, Path: "/demo"}
	case Evaluating:
		looks += 2
	case Learning, Unaware:
	}
	if p.Readiness != ReadyNow {
		switch roll := p.dice.Float64(); {
		case roll < .35:
			last.Kind, last.Path = Subscribe, "/newsletter"
		case roll < .50:
			last.Kind, last.Path = SignUp, "/signup"
		}
	}
	steps := make([]Step, 0, looks+1)
	for i := range looks {
		before := time.Duration(looks-i) * p.react / time.Duration(2*looks)
		steps = append(steps, Step{At: max(0, t-before), Kind: ViewPage, Path: pages[p.dice.IntN(len(pages))]})
	}
	return append(steps, last)
}

// Refuse names the mailboxes that do not exist among some people's.
func Refuse(people []*Person) func(address string) bool {
	gone := map[string]bool{}
	for _, p := range people {
		if p.Gone {
			gone[p.Profile.Email] = true
		}
	}
	return func(address string) bool { return gone[address] }
}
