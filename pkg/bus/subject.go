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

// Kinds are the last tokens of a lead's subjects.
const (
	// KindState is a record: events, whole state, wake-up, cause.
	KindState = "state"
	// KindWait carries the schedule of the next wake-up.
	KindWait = "wait"
	// KindDue is a fired wake-up.
	KindDue = "due"
	// KindOutcome is what became of an attempt to act on the world.
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

// Subject builds `<stream>.<bucket>.<lead>.<kind>[.<id>]`.
func Subject(stream, lead, kind string, id ...string) string {
	parts := append([]string{Prefix(stream), BucketOf(lead), lead, kind}, id...)
	return strings.Join(parts, ".")
}

// Filter builds the subject that matches one kind in one bucket ("*" for all):
// `<stream>.<bucket>.*.<kind>`. A kind may carry its own wildcard ("outcome.*").
func Filter(stream, bucket, kind string) string {
	return Prefix(stream) + "." + bucket + ".*." + kind
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
	return parts[2], parts[3], id, true
}

// IdentitySubject is where the claim of an identity lives: one message for ever,
// written only if there is none. kind is email, user, anonymous or external;
// hash is the keyed hash of the value.
func IdentitySubject(kind, hash string) string {
	return "leads.identity." + kind + "." + hash
}

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
