package identity

// Ask is who an event says it is from. Absent keys are zero.
type Ask struct {
	Email, User, Anonymous, External Key
}

// Entry is whose a key is.
type Entry struct {
	Lead string
	// Seq of the claim in the log, to write the next one on top of it.
	Seq uint64
}

// Held is what is known about a lead when it must be weighed against another.
type Held struct {
	// Exists: the lead has a record. A claim alone does not make a lead.
	Exists bool
	// Email and User say that it has an e-mail address or a user id.
	Email, User bool
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
}

// Repoint gives a claimed key to another lead, once the event is recorded there.
type Repoint struct {
	Key Key
	// Seq of the claim it replaces.
	Seq uint64
	To  string
}

// Answer is whose an event is.
type Answer struct {
	Lead string
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
}

// keys lists what is present, strongest first.
func (a Ask) keys(yield func(Key) bool) {
	for _, k := range [...]Key{a.Email, a.User, a.Anonymous, a.External} {
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
// before, else the lead of the e-mail, of the user id, of the anonymous id, else
// a new one. An anonymous id is a browser, and several people may sit before
// it: it does not decide when its lead is somebody else.
func Decide(a Ask, v *View, newLead func() string) Answer {
	ans := Answer{Lead: choose(a, v)}
	if ans.Lead == "" {
		ans.Lead, ans.New = newLead(), true
	}
	for k := range a.keys {
		e := v.Claims[k]
		switch e.Lead {
		case "":
			ans.Claim = append(ans.Claim, k)
		case ans.Lead:
			ans.Replayed = ans.Replayed || k.Kind == External
		default:
			ans.elsewhere(k, e, v)
		}
	}
	return ans
}

// choose gives the lead an event belongs to; empty when it must be a new one.
func choose(a Ask, v *View) string {
	person := v.Claims[a.Email].Lead
	if person == "" {
		person = v.Claims[a.User].Lead
	}
	if person == "" {
		person = browser(a, v)
	}
	submission := v.Claims[a.External].Lead
	switch {
	case submission == "" || submission == person:
		return person
	case person == "" || v.weigh(submission).Exists:
		return submission
	}
	return person
}

// browser gives the lead of the anonymous id unless it is somebody else.
func browser(a Ask, v *View) string {
	lead := v.Claims[a.Anonymous].Lead
	if lead == "" || a.Email.Kind == None && a.User.Kind == None {
		return lead
	}
	held := v.weigh(lead)
	if a.Email.Kind != None && held.Email || a.User.Kind != None && held.User {
		return ""
	}
	return lead
}

// elsewhere deals with a key that another lead has.
func (ans *Answer) elsewhere(k Key, e Entry, v *View) {
	repoint := Repoint{Key: k, Seq: e.Seq, To: ans.Lead}
	switch k.Kind {
	case Anonymous:
		ans.Repoint = append(ans.Repoint, repoint)
		if !v.weigh(e.Lead).Strong() {
			ans.Merged = append(ans.Merged, Merge{From: e.Lead, By: k.Kind})
		}
	case User:
		if v.weigh(e.Lead).Email {
			ans.UserForeign = true
			return
		}
		ans.Repoint = append(ans.Repoint, repoint)
		ans.Merged = append(ans.Merged, Merge{From: e.Lead, By: k.Kind})
	case External:
		ans.Repoint = append(ans.Repoint, repoint)
	case Email, Suppressed, None:
	}
}

// Assume enters what an answer claims into the view, so that the next decision
// of the same group knows it.
func (v *View) Assume(ans Answer) {
	held, weighed := v.Held[ans.Lead]
	for _, k := range ans.Claim {
		v.Claims[k] = Entry{Lead: ans.Lead}
		held.Email = held.Email || k.Kind == Email
		held.User = held.User || k.Kind == User
	}
	if weighed || ans.New {
		held.Exists = true
		v.Held[ans.Lead] = held
	}
}
