package torture

import "time"

// Op says what a line of the journal is about.
type Op string

// The operations.
const (
	// OpSend: a call is about to be made.
	OpSend Op = "send"
	// OpAnswer: what came back of it.
	OpAnswer Op = "answer"
	// OpMail: a mail arrived, and is about to be accepted.
	OpMail Op = "mail"
	// OpHook: a webhook arrived, and is about to be answered.
	OpHook Op = "hook"
	// OpFault: something is about to be broken.
	OpFault Op = "fault"
)

// Status is what a caller knows about an event.
type Status string

// The statuses.
const (
	// Acked: the service said that it is durable.
	Acked Status = "acked"
	// Refused: the service said that it will never take it, and why.
	Refused Status = "refused"
	// Unknown: no answer, or one that says nothing about it.
	Unknown Status = "unknown"
)

// Kind is what sort of event a call carries.
type Kind string

// The kinds.
const (
	// Form is a web form; Track one call of a tracking library, alone or in a
	// batch; Inbound an event published straight to NATS.
	Form    Kind = "form"
	Track   Kind = "track"
	Inbound Kind = "inbound"
	// Bad cannot be taken and must be refused; Poison cannot be refused, because
	// nobody waits for an answer, and must be parked.
	Bad    Kind = "bad"
	Poison Kind = "poison"
	// Hit is an open or a click of a mail that went out.
	Hit Kind = "hit"
	// Merge says that two leads are one person; Unmerge that they are not.
	Merge   Kind = "merge"
	Unmerge Kind = "unmerge"
	// Unsubscribe is the one-click POST of a mail; Accept and Reject are what
	// sales says.
	Unsubscribe Kind = "unsubscribe"
	Accept      Kind = "accept"
	Reject      Kind = "reject"
)

// Line is one line of the journal. Lines are in the order in which they became
// durable: that order, and no clock, says what was before what.
type Line struct {
	// N counts the lines from 1.
	N  int       `json:"n"`
	At time.Time `json:"at"`
	Op Op        `json:"op"`
	// ID of the event, the touch, the delivery; of a fault the process.
	ID string `json:"id"`
	// Who is the person of the plan; Lead the lead they turned out to be, or the
	// one whose mail was hit.
	Who  string `json:"who,omitempty"`
	Lead string `json:"lead,omitempty"`
	// From is the lead that is merged into Lead, or separated from it.
	From string `json:"from,omitempty"`
	// Machine: whoever hit the mail is one, and behaves like one.
	Machine bool `json:"machine,omitempty"`
	// Seq is the place of the event in the person's script, from 1.
	Seq  int    `json:"seq,omitempty"`
	Kind Kind   `json:"kind,omitempty"`
	Type string `json:"type,omitempty"`
	// Consent: the event says that its person may be written to.
	Consent bool `json:"consent,omitempty"`
	// Hash of what the event says.
	Hash   string `json:"hash,omitempty"`
	Try    int    `json:"try,omitempty"`
	Status Status `json:"status,omitempty"`
	// Code is the HTTP or SMTP code, Reason the words of an answer, the way of a fault.
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Began is when the mail's transaction was opened.
	Began time.Time `json:"began,omitzero"`
}

// FactKind says what a fact is about.
type FactKind string

// The facts of LEADS.
const (
	// Activity: a person did something; ID, Type and Hash are the event's.
	Activity FactKind = "activity"
	// Suppressed: contact is forbidden from here on.
	Suppressed FactKind = "suppressed"
	// Withdrawn: the first time that a consent was taken back.
	Withdrawn FactKind = "withdrawn"
	// Judged: an open or a click got its verdict, Human or Machine in Status; Ref is
	// "again" when an earlier one is overruled.
	Judged FactKind = "judged"
	// Merged: the lead Ref turned out to be this one; Unmerged: it did not.
	Merged   FactKind = "merged"
	Unmerged FactKind = "unmerged"
	// Frozen: this lead is merged into the lead Ref, and nothing is recorded about
	// it any more; Restored: it is one of its own again.
	Frozen   FactKind = "frozen"
	Restored FactKind = "restored"
	// Known is the last state of a lead that is nobody else: Points is the number
	// of activities that it has.
	Known FactKind = "known"
)

// Verdicts as facts tell them.
const (
	StatusHuman   = "human"
	StatusMachine = "machine"
)

// Again marks a verdict that overrules an earlier one.
const Again = "again"

// The facts of SCORES. Score is the last state: Points and the stage in Status.
const (
	Score     FactKind = "score"
	Qualified FactKind = "qualified"
)

// The facts of CAMPAIGN. Touch and Enrollment are last states, Ref the program
// and Type the step; Claim is the sender's own message, Outcome what it told the journey.
const (
	Touch      FactKind = "touch"
	Enrollment FactKind = "enrollment"
	Claim      FactKind = "claim"
	Outcome    FactKind = "outcome"
)

// The facts of HANDOFF. Delivery is a last state, Command one answer of sales
// with the request's id.
const (
	Handoff  FactKind = "handoff"
	Delivery FactKind = "delivery"
	Command  FactKind = "command"
)

// The facts about all streams.
const (
	// Parked: given to a person. Ref is the service, ID what it is about.
	Parked FactKind = "parked"
	// Digest sums up a lead's last state in a stream; Read is what a service
	// answers about it, Ref says under which circumstances.
	Digest FactKind = "digest"
	// Awaits: the last state of a lead in a stream waits for what the lead Ref, that
	// is or was one with it, hands over.
	Awaits FactKind = "awaits"
	Read   FactKind = "read"
)

// Fact is one thing that a stream says. Facts are in the order of their stream.
type Fact struct {
	Stream string `json:"stream"`
	Seq    uint64 `json:"seq"`
	// At is when the server stored it.
	At time.Time `json:"at"`
	// Lead is the one it is about; Host the one in whose record it stands when that
	// is another one, because they are merged.
	Lead   string   `json:"lead,omitempty"`
	Host   string   `json:"host,omitempty"`
	Kind   FactKind `json:"kind"`
	ID     string   `json:"id,omitempty"`
	Type   string   `json:"type,omitempty"`
	Ref    string   `json:"ref,omitempty"`
	Hash   string   `json:"hash,omitempty"`
	Status string   `json:"status,omitempty"`
	Reason string   `json:"reason,omitempty"`
	Points float64  `json:"points,omitempty"`
}

// Statuses of touches, enrollments and deliveries as facts tell them.
const (
	StatusPlanned   = "planned"
	StatusDeferred  = "deferred"
	StatusSkipped   = "skipped"
	StatusSent      = "sent"
	StatusAmbiguous = "ambiguous"
	StatusFailed    = "failed"
	StatusActive    = "active"
	StatusCompleted = "completed"
	StatusExited    = "exited"
	StatusPending   = "pending"
	StatusRetrying  = "retrying"
	StatusDelivered = "delivered"
	StatusParked    = "parked"
)

// Verified is what rebuilding a service's states from the log showed.
type Verified struct {
	Service string `json:"service"`
	Leads   int    `json:"leads"`
	Records int    `json:"records"`
	// Mismatches names the records that do not come out again.
	Mismatches []string `json:"mismatches,omitempty"`
}

// Evidence is all that is known after a run.
type Evidence struct {
	Seed     uint64     `json:"seed"`
	Journal  []Line     `json:"journal"`
	Facts    []Fact     `json:"facts"`
	Verified []Verified `json:"verified"`
	// Crashes are processes that ended by themselves with a panic.
	Crashes []string `json:"crashes,omitempty"`
	// Quiet says that all work had ended before the facts were read; Waiting
	// names what had not.
	Quiet   bool     `json:"quiet"`
	Waiting []string `json:"waiting,omitempty"`
}
