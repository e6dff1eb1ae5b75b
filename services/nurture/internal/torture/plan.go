package torture

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Role is what a person of the plan is there for.
type Role string

// The roles.
const (
	// Nurtured raises a hand and gets the whole program.
	Nurtured Role = "nurtured"
	// Ready asks for a demo and goes to sales.
	Ready Role = "ready"
	// Leaver unsubscribes at the first mail.
	Leaver Role = "leaver"
	// Silent never agrees to be written to.
	Silent Role = "silent"
	// Vandal also sends what nobody can read.
	Vandal Role = "vandal"
)

// Step is one event of a person.
type Step struct {
	ID   string
	Seq  int
	Kind Kind
	Type string
	// Message is what the event says; its hash is looked for in the log.
	Message string
	// Pause is the time since the event before.
	Pause time.Duration
	// With joins the step to the one before it in one batch.
	With bool
	// Consent is ticked in the form.
	Consent bool
	// GiveUp: when no answer comes to the first try, there is no second one.
	GiveUp bool
	// Again: the sender sends it once more although it was acknowledged.
	Again bool
	// Elsewhere: it is done in the person's second browser.
	Elsewhere bool
}

// Person is one lead to be.
type Person struct {
	// Key names the person in the journal, and is the name of the mailbox.
	Key  string
	Role Role
	// At is when the first step is due, from the start.
	At    time.Duration
	Steps []Step
}

// Domain is where the people's mailboxes are.
const Domain = "torture.example"

// Email is the person's address.
func (p *Person) Email() string { return p.Key + "@" + Domain }

// Browser is the anonymous id of the browser in which a step is done.
func (p *Person) Browser(s Step) string {
	if s.Elsewhere {
		return "anon-" + p.Key + "-b"
	}
	return "anon-" + p.Key
}

// Pair is two persons of the plan who are one: somebody finds out by hand, and
// says so when both are known.
type Pair struct {
	Into, From *Person
	// After is how long after both are known they are merged.
	After time.Duration
	// GiveUp: when no answer comes, nobody asks again, and whatever comes next of
	// the two has to complete what was begun.
	GiveUp bool
	// Unmerge: it was a mistake, that is found out after Stay.
	Unmerge bool
	Stay    time.Duration
	// Merged and Parted are what they do once more after the merge, and after the
	// end of it.
	Merged, Parted []PairStep
}

// PairStep is a step of one of a pair.
type PairStep struct {
	Step
	By *Person
}

// Blow is one fault of the plan.
type Blow struct {
	At     time.Duration
	Target string
	Way    string
	// Down is how long it lasts.
	Down time.Duration
}

// Ways of a blow.
const (
	// Kill is SIGKILL; Mid is the same between the arrival of a mail or a webhook
	// and its answer, or in the middle of a merge; Dark is the same while Redis is down.
	Kill = "kill"
	Mid  = "mid"
	Dark = "dark"
	// Restart asks a process to end and starts it again: nothing it had in its
	// hands may be in doubt then.
	Restart = "restart"
	// Flush empties Redis; Freeze stops a process and lets it go on.
	Flush  = "flush"
	Freeze = "freeze"
)

// Instances are the processes of a run. Where there are two, either may be the
// one that works, and the other takes over.
func Instances() []string {
	return []string{"ingest-1", "scoring-1", "scoring-2", "campaign-1", "campaign-2", "handoff-1"}
}

// ServiceOf is the service of an instance; of an engine its own name.
func ServiceOf(instance string) string {
	service, _, _ := strings.Cut(instance, "-")
	return service
}

// Profile is how long and how hard a run is.
type Profile struct {
	Name   string
	People int
	// Load is the time in which all people arrive; blows fall all along.
	Load time.Duration
	// Rounds is how often the whole deck of blows is dealt.
	Rounds int
	// Calm is how long the work that is left may take.
	Calm time.Duration
}

// Short is what CI runs; Long is for a machine of one's own.
func Short() Profile {
	return Profile{Name: "short", People: 500, Load: 55 * time.Second, Rounds: 1, Calm: 100 * time.Second}
}

// Long runs about ten times as long.
func Long() Profile {
	return Profile{Name: "long", People: 5000, Load: 10 * time.Minute, Rounds: 8, Calm: 3 * time.Minute}
}

// Plan is what a seed does.
type Plan struct {
	Seed   uint64
	People []*Person
	Pairs  []Pair
	Blows  []Blow
}

// NewPlan draws a plan. The same seed and profile draw the same one.
func NewPlan(seed uint64, p Profile) *Plan {
	plan := &Plan{Seed: seed}
	for n := range p.People {
		plan.People = append(plan.People, newPerson(seed, n, p.Load))
	}
	plan.Pairs = match(rand.New(rand.NewPCG(seed, math.MaxUint64)), plan.People, p.Load) //nolint:gosec // drawn by a seed, so that it can be drawn again
	plan.Blows = deal(rand.New(rand.NewPCG(seed, 0)), p)                                 //nolint:gosec // drawn by a seed, so that it can be drawn again
	return plan
}

func newPerson(seed uint64, n int, over time.Duration) *Person {
	dice := rand.New(rand.NewPCG(seed, uint64(n)+1)) //nolint:gosec // drawn by a seed, so that it can be drawn again
	p := &Person{Key: fmt.Sprintf("p%d-%04d", seed, n), Role: role(dice)}
	p.At = time.Duration(dice.Float64() * float64(over) * 0.85)
	d := draft{person: p, dice: dice}
	d.script()
	return p
}

func role(dice *rand.Rand) Role {
	switch roll := dice.Float64(); {
	case roll < .45:
		return Nurtured
	case roll < .70:
		return Ready
	case roll < .85:
		return Leaver
	case roll < .93:
		return Silent
	default:
		return Vandal
	}
}

// draft writes a script.
type draft struct {
	person *Person
	dice   *rand.Rand
}

func (d *draft) script() {
	consent := d.person.Role != Silent
	second := d.dice.IntN(3) == 0
	for range d.dice.IntN(3) { // before anybody knows who it is
		d.step(Track, PageViewed)
	}
	if d.person.Role == Ready && d.dice.IntN(2) == 0 {
		d.form(FormSubmitted, consent)
		d.tracks(2)
	}
	if d.person.Role == Ready {
		d.form(DemoRequested, consent)
	} else {
		d.form(FormSubmitted, consent)
	}
	d.tracks(5)
	if second {
		d.elsewhere(consent && d.person.Role != Leaver) // once more would be after the no
	}
	if d.person.Role == Vandal {
		d.step(Poison, "")
		d.tracks(1)
		d.step(Bad, "")
	}
}

// elsewhere lets the person look around in another browser, and then say there
// who they are: what was an unknown visitor is somebody known.
func (d *draft) elsewhere(consent bool) {
	from := len(d.person.Steps)
	d.tracks(3)
	d.form(FormSubmitted, consent)
	d.tracks(2)
	for i := range d.person.Steps[from:] {
		d.person.Steps[from+i].Elsewhere = true
	}
	d.person.Steps[from].With = false
}

func (d *draft) tracks(n int) {
	for range 1 + d.dice.IntN(n) {
		kind, kinds := Track, [...]string{PageViewed, PageViewed, CaseRead}
		if d.dice.IntN(6) == 0 {
			kind = Inbound
		}
		s := d.step(kind, kinds[d.dice.IntN(len(kinds))])
		before := len(d.person.Steps) - 2
		s.With = kind == Track && d.person.Steps[before].Kind == Track && d.dice.IntN(4) == 0
	}
}

func (d *draft) form(kind string, consent bool) {
	d.step(Form, kind).Consent = consent
}

func (d *draft) step(kind Kind, activity string) *Step {
	p := d.person
	seq := len(p.Steps) + 1
	p.Steps = append(p.Steps, Step{
		ID: fmt.Sprintf("%s-%02d", p.Key, seq), Seq: seq, Kind: kind, Type: activity,
		Message: letters(d.dice.Uint64()),
		Pause:   time.Duration(50+d.dice.IntN(1500)) * time.Millisecond,
		GiveUp:  kind == Track && d.dice.IntN(12) == 0,
		Again:   (kind == Track || kind == Form) && d.dice.IntN(10) == 0,
	})
	return &p.Steps[seq-1]
}

// letters spells a number: what says nothing about anybody is told to all services.
func letters(n uint64) string {
	return strings.Map(func(r rune) rune { return 'a' + r - '0' }, strconv.FormatUint(n, 10))
}

// deck is one round of blows: every process, the log and the cache, in every
// way that is open to it.
func deck() []Blow {
	var all []Blow
	add := func(way string, targets ...string) {
		for _, t := range targets {
			all = append(all, Blow{Target: t, Way: way})
		}
	}
	add(Kill, "ingest-1", "ingest-1", "ingest-1", "scoring-1", "scoring-2", "campaign-1", "campaign-2", "handoff-1", "handoff-1")
	add(Kill, "nats", "nats", "nats", "redis")
	add(Mid, "ingest-1", "ingest-1", "ingest-1", "campaign-1", "campaign-1", "campaign-2", "handoff-1", "handoff-1")
	add(Dark, "ingest-1", "scoring-1", "campaign-1", "handoff-1")
	add(Restart, "nats", "ingest-1", "campaign-1", "handoff-1")
	add(Flush, "redis", "redis")
	add(Freeze, "redis", "scoring-1", "campaign-2")
	return all
}

// deal spreads the blows over the load, in any order and at uneven distances.
func deal(dice *rand.Rand, p Profile) []Blow {
	var blows []Blow
	for range p.Rounds {
		blows = append(blows, deck()...)
	}
	dice.Shuffle(len(blows), func(i, j int) { blows[i], blows[j] = blows[j], blows[i] })
	gap := float64(p.Load) * 0.93 / float64(len(blows))
	for i := range blows {
		blows[i].At = time.Duration(gap * (float64(i) + 0.2 + 1.2*dice.Float64()))
		blows[i].Down = time.Duration(50+dice.IntN(900)) * time.Millisecond
	}
	return blows
}

// HashOf is the hash of what an event says.
func HashOf(activity, message string) string {
	sum := sha256.Sum256([]byte(activity + "\n" + message))
	return hex.EncodeToString(sum[:8])
}
