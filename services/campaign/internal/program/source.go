package program

import "time"

// source is a program as it stands in YAML.
type source struct {
	Name         string          `yaml:"name"`
	Description  string          `yaml:"description"`
	Priority     int             `yaml:"priority"`
	Evergreen    bool            `yaml:"evergreen"`
	Purpose      string          `yaml:"purpose"`
	Enroll       enrollSource    `yaml:"enroll"`
	Exit         conditionSource `yaml:"exit"`
	Goal         conditionSource `yaml:"goal"`
	QuietHours   *quietSource    `yaml:"quiet_hours"`
	FrequencyCap *capSource      `yaml:"frequency_cap"`
	MaxDefer     time.Duration   `yaml:"max_defer"`
	Steps        []stepSource    `yaml:"steps"`
}

type enrollSource struct {
	// On is empty, or "recycled".
	On   string `yaml:"on"`
	Who  string `yaml:"who"`
	When string `yaml:"when"`
	// ReEntry is "never", "always", or "after 30d".
	ReEntry string `yaml:"re_entry"`
}

type conditionSource struct {
	When string `yaml:"when"`
}

type quietSource struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
	Zone string `yaml:"zone"`
}

type capSource struct {
	Max int           `yaml:"max"`
	Per time.Duration `yaml:"per"`
}

// stepSource is a step: an id and exactly one of the kinds.
type stepSource struct {
	ID     string        `yaml:"id"`
	Next   string        `yaml:"next"`
	Email  *emailSource  `yaml:"email"`
	Wait   *waitSource   `yaml:"wait"`
	Await  *awaitSource  `yaml:"await"`
	Branch *branchSource `yaml:"branch"`
	Exit   *exitSource   `yaml:"exit"`
	Goal   *goalSource   `yaml:"goal"`
}

type emailSource struct {
	Template string `yaml:"template"`
	Subject  string `yaml:"subject"`
}

type waitSource struct {
	For time.Duration `yaml:"for"`
}

type awaitSource struct {
	Event   string        `yaml:"event"`
	When    string        `yaml:"when"`
	Timeout time.Duration `yaml:"timeout"`
	Then    string        `yaml:"then"`
	Else    string        `yaml:"else"`
}

type branchSource struct {
	When string `yaml:"when"`
	Then string `yaml:"then"`
	Else string `yaml:"else"`
}

type exitSource struct {
	Reason string `yaml:"reason"`
}

type goalSource struct{}

// kinds lists what the step says it is; exactly one is right.
func (s stepSource) kinds() []Kind {
	var kinds []Kind
	for _, k := range []struct {
		kind Kind
		set  bool
	}{
		{Email, s.Email != nil},
		{Wait, s.Wait != nil},
		{Await, s.Await != nil},
		{Branch, s.Branch != nil},
		{Exit, s.Exit != nil},
		{Goal, s.Goal != nil},
	} {
		if k.set {
			kinds = append(kinds, k.kind)
		}
	}
	return kinds
}
