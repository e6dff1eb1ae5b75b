package bus

import (
	"hash/fnv"
	"strings"
)

// Streams, each written by its owner alone. docs/adr/0001 and 0002 say why.
const (
	Inbound  = "INBOUND"
	Leads    = "LEADS"
	Scores   = "SCORES"
	Campaign = "CAMPAIGN"
	Handoff  = "HANDOFF"
	Outbound = "OUTBOUND"
	Parked   = "PARKED"
	Config   = "CONFIG"
	Advisory = "ADVISORY"
)

// HeaderBorn marks the first record of a lead in a stream. Who reads it has most
// likely no state of that lead yet and need not look for one: if there is one,
// the compare-and-set says so.
const HeaderBorn = "Nurture-Born"

// HeaderTombstone marks a record that forgets its lead, so that readers know
// without decoding it.
const HeaderTombstone = "Nurture-Tombstone"

// Buckets is the number of parts the leads are spread over, fixed for ever: it
// is part of every subject.
const Buckets = 64

// Kinds are the second tokens of a lead's subjects: in front, so that whoever asks
// for a rare kind is not led past all the others. docs/performance.md has the figures.
const (
	// KindState is a record: events, whole state, wake-up, cause.
	KindState = "state"
	// KindUrgent is a copy of a record that somebody waits for, for whoever reads
	// nothing else.
	KindUrgent = "urgent"
	// KindWait carries the schedule of the next wake-up.
	KindWait = "wait"
	// KindDue is a fired wake-up.
	KindDue = "due"
	// KindOutcome is what became of an attempt to act on the world: a command, and a
	// subject only of one that had to be parked.
	KindOutcome = "outcome"
	// KindClaim is the right to attempt, held by one sender for ever.
	KindClaim = "claim"
	// KindKey is the wrapped data key of a lead, in LEADS.
	KindKey = "key"
	// KindRedrive is a parked input that a person sent back.
	KindRedrive = "redrive"
)

const digits = "0123456789"

// BucketOf gives a lead's bucket as two digits, "00" to "63": FNV-1a of the id.
func BucketOf(lead string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(lead))
	n := h.Sum32() % Buckets
	return string([]byte{digits[n/10], digits[n%10]})
}

// Prefix gives the first token of a stream's subjects.
func Prefix(stream string) string {
	if stream == Handoff {
		return "handoffs"
	}
	return strings.ToLower(stream)
}

// Subject builds `<stream>.<kind>.<bucket>.<lead>[.<id>]`.
func Subject(stream, lead, kind string, id ...string) string {
	parts := append([]string{Prefix(stream), kind, BucketOf(lead), lead}, id...)
	return strings.Join(parts, ".")
}

// Subjects match all that a stream has of a lead, of any kind: without an id, and with one.
func Subjects(stream, lead string) [2]string {
	all := Subject(stream, lead, "*")
	return [2]string{all, all + ".>"}
}

// Filter builds the subject that matches one kind in one bucket ("*" for all):
// `<stream>.<kind>.<bucket>.*`. A kind whose subjects have an id says so: "redrive.*".
func Filter(stream, bucket, kind string) string {
	kind, id, ok := strings.Cut(kind, ".")
	all := Prefix(stream) + "." + kind + "." + bucket + ".*"
	if ok {
		all += "." + id
	}
	return all
}

// Split takes a lead's subject apart. ok is false for any other subject.
func Split(subject string) (lead, kind, id string, ok bool) {
	parts := strings.SplitN(subject, ".", 5)
	if len(parts) < 4 {
		return "", "", "", false
	}
	if len(parts) == 5 {
		id = parts[4]
	}
	return parts[3], parts[1], id, true
}

// IdentitySubject is where the claim of an identity lives: one message for ever,
// written only if there is none. kind is email, user, domain, ...; hash is the
// keyed hash of the value.
func IdentitySubject(kind, hash string) string {
	return "leads.identity." + kind + "." + hash
}

// AccountSubject is where an account lives in LEADS: its records, the last one
// whole. It is no lead's subject.
func AccountSubject(account string) string { return "leads.account." + account }

// AccountJoinSubject is where it is said, once for ever, that an account was made
// one with another.
func AccountJoinSubject(account string) string { return "leads.joined." + account }

// InboundSubject is where upstreams publish raw events.
func InboundSubject(source string) string { return "inbound." + source }

// OutboundSubject is where public CloudEvents go, e.g. "handoff.assigned".
func OutboundSubject(kind string) string { return "outbound." + kind }

// ParkedSubject is where a message that could not be processed waits for a person.
// lead is "none" when it is not known.
func ParkedSubject(service, lead string) string {
	if lead == "" {
		lead = "none"
	}
	return "parked." + service + "." + BucketOf(lead) + "." + lead
}
