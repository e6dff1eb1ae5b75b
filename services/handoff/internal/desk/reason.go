package desk

// Reason names a decision. It is shown to people and kept in the record.
type Reason string

// Reasons why a qualified lead is held.
const (
	// Clear: nothing holds it.
	Clear Reason = ""
	// MissingEmail and its kin: a required field of the profile is empty.
	MissingEmail   Reason = "missing_email"
	MissingPhone   Reason = "missing_phone"
	MissingName    Reason = "missing_name"
	MissingCompany Reason = "missing_company"
	// NoConsent: a required purpose was never granted, or was withdrawn.
	NoConsent Reason = "no_consent"
	// Suppressed: the person must not be contacted.
	Suppressed Reason = "suppressed"
	// TestLead: somebody tries things out.
	TestLead Reason = "test_lead"
	// OwnStaff: one of our own people.
	OwnStaff Reason = "own_staff"
	// Competitor: the address or the company is a competitor's.
	Competitor Reason = "competitor"
	// NoCapacity: every rep who could take it is full.
	NoCapacity Reason = "no_capacity"
	// NoRepMatches: no rep's condition fits the lead.
	NoRepMatches Reason = "no_rep_matches"
	// MergeUnderWay: leads turned out to be this one, and whether sales has one of
	// them already is not seen yet.
	MergeUnderWay Reason = "merge_under_way"
	// LeadUnknown: who the person is could not be had in time.
	LeadUnknown Reason = "lead_unknown"
)

// Reasons of routing.
const (
	// RoundRobin: the weighted round robin chose the rep.
	RoundRobin Reason = "round_robin"
	// Reassigned: the rep before did not answer in time.
	Reassigned Reason = "reassigned"
)

// Reasons of changes.
const (
	Assigned        Reason = "assigned"
	Reminded        Reason = "reminded"
	NoOtherRep      Reason = "no_other_rep"
	SLAExhausted    Reason = "sla_exhausted"
	Accepted        Reason = "accepted"
	Recycled        Reason = "recycled"
	Disqualified    Reason = "disqualified"
	SalesQualified  Reason = "sales_qualified"
	Won             Reason = "won"
	Lost            Reason = "lost"
	Withdrawn       Reason = "withdrawn"
	Delivered       Reason = "delivered"
	DeliveryRetries Reason = "delivery_retries"
	DeliveryParked  Reason = "delivery_parked"
	DeliveryDue     Reason = "delivery_due"
	Redelivering    Reason = "redelivering"
	LookAgain       Reason = "look_again"
	// Merged: the lead turned out to be another one, or has the stay of one that
	// turned out to be it. Unmerged: they are separated again. TiesTold: more is
	// known of who is who, and nothing follows yet.
	Merged   Reason = "merged"
	Unmerged Reason = "unmerged"
	TiesTold Reason = "ties_told"
)

// Reasons why nothing changes.
const (
	// NotQualified: the score changed, but nobody is to be handed over.
	NotQualified Reason = "not_qualified"
	// WithSales: the lead is held or with a rep already.
	WithSales Reason = "already_with_sales"
	// Customer: it was won before.
	Customer Reason = "won_before"
	// NeverAgain: it was disqualified.
	NeverAgain Reason = "disqualified_before"
	// NotHeld: the lead changed, and nothing waits for that.
	NotHeld Reason = "not_held"
	// StillHeld: the same reason still holds it.
	StillHeld Reason = "still_held"
	// NotDue: a wake-up came for something that is settled.
	NotDue Reason = "not_due"
	// SettledBefore: the attempt's outcome is known.
	SettledBefore Reason = "settled_before"
	// Already: the command asks for what is so.
	Already Reason = "already"
)

// Reasons of deliveries.
const (
	// Exhausted: tried as often as the schedule says.
	Exhausted Reason = "exhausted"
	// EndpointDisabled: the CRM answered 410 and wants no more.
	EndpointDisabled Reason = "endpoint_disabled"
)
