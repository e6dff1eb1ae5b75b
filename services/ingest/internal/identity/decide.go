package identity

import (
	"cmp"
	"slices"
)

// Ask is who an event says it is from. Absent keys are zero.
type Ask struct {
	Email, User, Anonymous, External, Phone Key
	// Systems are the person's ids in other systems.
	Systems []Key
	// Previous is an id that the sender states to be the same person's, as a user
	// id: it counts when somebody has it as one. A browser's has none.
	Previous Key
}

// Entry is whose a key is.
type Entry struct {
	Lead string
	// Origin is the lead it was claimed for, when that one is merged into Lead.
	Origin string
	// Seq of the claim in the log, to write the next one on top of it.
	Seq uint64
}

// Held is what is known about a lead when it must be weighed against another.
type Held struct {
	// Exists: the lead has a record. A claim alone does not make a lead.
	Exists bool
	// Email and User say that it has an e-mail address or a user id.
	Email, User bool
	// Into is the lead it is merged into; the rest is then about that one.
	Into string
	// Apart are leads that were separated from it by hand.
	Apart []string
}

// Strong reports whether the lead is somebody, not only a browser.
func (h Held) Strong() bool { return h.Email || h.User }

// View is what is claimed, and what is known about the leads concerned.
type View struct {
	Claims map[Key]Entry
	Held   map[string]Held
	// Missing are leads that had to be weighed and are not in Held: the decision
	// made without them does not count.
	Missing []string
}

func (v *View) weigh(lead string) Held {
	held, ok := v.Held[lead]
	if !ok {
		v.Missing = append(v.Missing, lead)
	}
	return held
}

// Merge says that another lead turned out to be the same person, by which kind
// of identity.
type Merge struct {
	From string
	By   Kind
	// Stated: the sender says so outright.
	Stated bool
}

// Repoint gives a claimed key to another lead, once the event is recorded there.
type Repoint struct {
	Key Key
	// Seq of the claim it replaces.
	Seq uint64
	To  string
	// Origin is the lead it belongs to within To.
	Origin string
}

// Answer is whose an event is.
type Answer struct {
	Lead string
	// Origin is the lead whose identity decided, when it is merged into Lead.
	Origin string
	// New: nobody was known, the lead is to begin now.
	New bool
	// Claim are the keys nobody has: they must be claimed for Lead first.
	Claim []Key
	// Replayed: the submission was claimed before, and perhaps recorded.
	Replayed bool
	// Merged are leads that turned out to be this one.
	Merged []Merge
	// Repoint is done after the event is recorded: before, a crash would lose
	// the link between the two leads.
	Repoint []Repoint
	// UserForeign: the user id belongs to somebody else and must not be added.
	UserForeign bool
	// PreviousUser: the previous id is a user's, and no browser's.
	PreviousUser bool
}

// keys lists what is present, strongest first.
func (a Ask) keys(yield func(Key) bool) {
	for _, k := range [...]Key{a.Email, a.User} {
		if k.Kind != None && !yield(k) {
			return
		}
	}
	for _, k := range a.Systems {
		if k.Kind != None && !yield(k) {
			return
		}
	}
	for _, k := range [...]Key{a.Previous, a.Anonymous, a.Phone, a.External} {
		if k.Kind != None && !yield(k) {
			return
		}
	}
}

// Several reports whether more than one key is present.
func (a Ask) Several() bool {
	n := 0
	for range a.keys {
		n++
	}
	return n > 1
}

// Keys lists the present keys, strongest first.
func (a Ask) Keys() func(yield func(Key) bool) { return a.keys }

// Decide says whose an event is: its submission's lead if that was claimed
// before, else the lead of the e-mail, of the user id, of an id in another system,
// (or of a user id that the sender states to be the same person's), of the
// anonymous id, of the phone number, else a new one. An anonymous id is a
// browser and a number may be a switchboard: several people may be behind one, so
// neither decides when its lead is somebody else.
func Decide(a Ask, v *View, newLead func() string) Answer {
	if a.Previous == a.User {
		a.Previous = Key{}
	}
	d := decision{ask: a, view: v}
	d.follow()
	ans := Answer{PreviousUser: d.at(a.Previous) != ""}
	ans.Lead, ans.Origin = d.choose()
	if ans.Lead == "" {
		ans.Lead, ans.New = newLead(), true
	}
	for k := range a.keys {
		e := v.Claims[k]
		if k.Kind == Anonymous && ans.PreviousUser {
			continue
		}
		switch d.at(k) {
		case "":
			if k != a.Previous {
				ans.Claim = append(ans.Claim, k)
			}
		case ans.Lead:
			ans.Replayed = ans.Replayed || k.Kind == External
			if e.Lead != ans.Lead { // spares the next event the detour
				ans.Repoint = append(ans.Repoint, Repoint{Key: k, Seq: e.Seq, To: ans.Lead, Origin: e.Lead})
			}
		default:
			if k == a.Previous {
				ans.stated(k, e, d.at(k), v)
				continue
			}
			ans.elsewhere(k, e, d.at(k), v)
		}
	}
	return ans
}

// decision is one event being decided.
type decision struct {
	ask  Ask
	view *View
	// into says where leads that are merged went.
	into map[string]string
}

// follow finds out which of several leads are merged. A single one is followed
// when its record says so.
func (d *decision) follow() {
	first, several := "", false
	for k := range d.ask.keys {
		lead := d.view.Claims[k].Lead
		if lead == "" || lead == first {
			continue
		}
		several = several || first != ""
		first = lead
	}
	if !several {
		return
	}
	d.into = map[string]string{}
	for k := range d.ask.keys {
		if lead := d.view.Claims[k].Lead; lead != "" {
			d.into[lead] = d.view.weigh(lead).Into
		}
	}
}

// at gives the lead a key leads to; empty when it is nobody's.
func (d *decision) at(k Key) string {
	lead := d.view.Claims[k].Lead
	if into := d.into[lead]; into != "" {
		return into
	}
	return lead
}

// origin gives the lead a key was claimed for, when that is another one.
func (d *decision) origin(k Key) string {
	e := d.view.Claims[k]
	if e.Origin == "" && d.at(k) != e.Lead {
		return e.Lead
	}
	return e.Origin
}

// choose gives the lead an event belongs to, and which lead merged into it is
// meant; empty when it must be a new one.
func (d *decision) choose() (lead, origin string) {
	by := d.decisive()
	person, submission := d.at(by), d.at(d.ask.External)
	switch {
	case submission == "" || submission == person:
	case person == "" || d.view.weigh(d.view.Claims[d.ask.External].Lead).Exists:
		by = d.ask.External
	}
	return d.at(by), d.origin(by)
}

// decisive gives the strongest key that says who the person is.
func (d *decision) decisive() Key {
	sure := append(append([]Key{d.ask.Email, d.ask.User}, d.ask.Systems...), d.ask.Previous)
	for _, k := range sure {
		if d.at(k) != "" {
			return k
		}
	}
	for _, k := range [...]Key{d.ask.Anonymous, d.ask.Phone} {
		if d.at(k) != "" && !d.shared(k) {
			return k
		}
	}
	return Key{}
}

// shared reports whether the lead of a browser or a number is somebody else
// than who the event says it is from.
func (d *decision) shared(k Key) bool {
	if d.ask.Email.Kind == None && d.ask.User.Kind == None {
		return false
	}
	held := d.view.weigh(d.view.Claims[k].Lead)
	return d.ask.Email.Kind != None && held.Email || d.ask.User.Kind != None && held.User
}

// stated deals with a user id that another lead has and that the sender states
// to be the same person's: only who separated the two knows better.
func (ans *Answer) stated(k Key, e Entry, at string, v *View) {
	if slices.Contains(v.weigh(e.Lead).Apart, ans.Lead) {
		return
	}
	ans.Merged = append(ans.Merged, Merge{From: at, By: k.Kind, Stated: true})
	ans.Repoint = append(ans.Repoint, Repoint{Key: k, Seq: e.Seq, To: ans.Lead, Origin: cmp.Or(e.Origin, e.Lead)})
}

// elsewhere deals with a key that another lead has.
func (ans *Answer) elsewhere(k Key, e Entry, at string, v *View) {
	held := v.weigh(e.Lead)
	repoint := Repoint{Key: k, Seq: e.Seq, To: ans.Lead}
	merge := func() {
		if !slices.Contains(held.Apart, ans.Lead) {
			repoint.Origin = cmp.Or(e.Origin, e.Lead)
			ans.Merged = append(ans.Merged, Merge{From: at, By: k.Kind})
		}
		ans.Repoint = append(ans.Repoint, repoint)
	}
	switch k.Kind {
	case Anonymous:
		if held.Strong() {
			ans.Repoint = append(ans.Repoint, repoint)
			return
		}
		merge()
	case User:
		if held.Email {
			ans.UserForeign = true
			return
		}
		merge()
	case System, Phone:
		if !held.Strong() {
			merge()
		}
	case External:
		ans.Repoint = append(ans.Repoint, repoint)
	case Email, Suppressed, Domain, Group, Company, None:
	}
}

// Assume enters what an answer claims into the view, so that the next decision
// of the same group knows it.
func (v *View) Assume(ans Answer) {
	held, weighed := v.Held[ans.Lead]
	for _, k := range ans.Claim {
		v.Claims[k] = Entry{Lead: ans.Lead, Origin: ans.Origin}
		held.Email = held.Email || k.Kind == Email
		held.User = held.User || k.Kind == User
	}
	if weighed || ans.New {
		held.Exists = true
		v.Held[ans.Lead] = held
	}
}
