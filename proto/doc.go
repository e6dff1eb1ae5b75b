// Package proto is the language that Nurture's services share, and this comment
// is the whole system in one read.
//
// # The job
//
// Of a hundred people who fill in a form, click an ad or read a price page,
// about twenty are ready to talk to sales now. Nurture owns the other eighty.
// Upstream systems publish what people do; Nurture works out who each person
// is, scores how well they fit and how warm they are, sends them programs of
// e-mails until they are ready, and only then hands them to sales, with the
// evidence. When sales says "not yet", the lead comes back to nurture.
//
// # Four services, four questions
//
// Each service answers one question, owns one stream and runs as one binary.
//
//   - ingest: who is this, and what did they do? It owns people: profile,
//     identity, consent, suppression, activities. Stream LEADS.
//   - scoring: is this lead ready to buy right now, and why? It owns points,
//     qualification and the lifecycle stage. Stream SCORES.
//   - campaign: what is the next best touch, if any? It owns programs,
//     enrollments and touches. Stream CAMPAIGN.
//   - handoff: who in sales gets this lead, and what became of it? It owns
//     assignments, deliveries to the CRM and the answers. Stream HANDOFF.
//
// The binary nurture runs all four in one process, on engines of its own.
//
// # Events tell, gRPC asks
//
// Facts travel as events on NATS JetStream. A service that needs to know or to
// command something now asks the owner over gRPC. Nobody writes another's state.
// That is why this module has two kinds of messages: each package
// nurture/<service>/v1 has the service's RPCs, and its State and Event, which is
// what its stream carries.
//
// # The log is the database
//
// One change of one lead is one message: a nurture.ledger.v1.Record on the subject
// `<stream>.<bucket>.<lead>.state`. It carries the events, the whole new state,
// the next wake-up and the causes, and it is published by compare-and-set. The
// last message of a subject is the state of that lead, the ones before it are
// its history. Redis holds copies, and may vanish at any moment.
//
// The bucket is a hash of the lead id, 0 to 63. A lane is a set of buckets worked
// by one goroutine, so that one lead is never folded twice at once. More lanes
// and more processes share the buckets out; nothing else changes.
//
// # A service is a fold
//
// The heart of a service is a pure function:
//
//	(state, input, now) -> state', events, wakeAt, reason
//
// An input is a record of another service, a fired wake-up, or a command: one that
// came over gRPC, or what became of an attempt to act on the world. Package
// pkg/ledger does the rest: it reads inputs, loads states, folds everything that
// is at hand, commits, arms the wake-up, acknowledges. An input whose fold cannot
// work is parked where a person sees it, and the lead's neighbours go on.
//
// now is the input's own time and everything else a fold needs is kept in the
// record's cause. So every decision can be computed again from the log, and
// `nurture verify` does: same inputs, same bytes.
//
// # Leads that are one person
//
// Ingest merges them and takes them apart again: MergedInto and Restored on the
// one, Merged and Unmerged on the other. An event about a merged lead is in the
// records of the survivor, and says whose it is (origin_lead_id). The other
// services follow: the merged lead closes, the survivor takes over what is in its
// state (Ties).
//
// # Companies
//
// A lead belongs to an account: the company that its group, or the domain of its
// address, names. The lead says which (account_id), and all services see that.
// What is known of the company itself is a record of its own in LEADS, which no
// lead's subject matches; who belongs to it is read out of the leads.
//
// # The way of one lead
//
//	form POST          ingest claims the identity (e-mail, user id, anonymous id)
//	                   and commits Captured and the activity. Answer: 2xx, durable.
//	LEADS record       scoring folds it: fit from the profile, behaviour from the
//	                   activity. Ready? Qualified. If not: NURTURING.
//	SCORES record      campaign folds it: enrolls the lead, plans a touch, wants to
//	                   be woken in three days.
//	TouchPlanned       the sender claims the touch, asks ingest whether it still
//	                   may, renders the mail, hands it to SMTP, and says what
//	                   became of it, by a command of its own.
//	click              comes back through campaign's link to inbound.campaign, and
//	                   by way of ingest it becomes one more LEADS record.
//	LEADS record       scoring: the line is crossed. Stage QUALIFIED.
//	SCORES record      campaign ends the enrollments. handoff folds it: gate,
//	                   route to a rep, DeliveryIntended, answer due in four hours.
//	DeliveryIntended   the deliverer posts the dossier to the CRM, signed, and
//	                   says what became of it, by a command of its own.
//	Reject(not ready)  handoff commits Recycled, scoring moves the stage, campaign
//	                   enrolls the lead in the recycle program. And so on.
//
// A trace follows the lead through all of it: NATS headers carry the context, and
// after a wait a new trace begins with a link to the one before.
//
// # Acting on the world
//
// Mails and webhooks cannot be folded again, so they are never sent by a fold.
// The fold records an intent; a worker reads it, acts once, and tells the outcome
// by a command, which is folded like any other input. A mail is claimed by
// compare-and-set before it is attempted, and one whose fate is not known is
// parked as ambiguous and never sent again by itself. A webhook has a stable id
// and is repeated until it is taken or parked.
//
// # Packages
//
//   - nurture/lead/v1: the lead as everybody sees it: Profile, Consent, Activity,
//     Stage, and View, the joined picture without personal data.
//   - nurture/ledger/v1: Record, the envelope of every change; Parked.
//   - nurture/ingest/v1, nurture/scoring/v1, nurture/campaign/v1,
//     nurture/handoff/v1: the RPCs, State and Event of each service.
//
// # Rules of the language
//
// Fields carry their unit in the comment. Times are google.protobuf.Timestamp.
// Money is in minor units with its currency. Enumerations start at UNSPECIFIED.
// Decisions carry a named reason. Personal data is in nurture.lead.v1.Profile and
// Consent only, and only ingest's records hold those. Requests are checked by the
// rules in their field options before any code of ours sees them. Files may grow
// and never break: `make lint` compares them with baseline.binpb.
//
// The same RPCs answer JSON over HTTP, by the paths in the service definitions.
//
// # Where to go from here
//
// docs/adr says why it is so, docs/lifecycle.md shows the stages,
// docs/guarantees.md says what is promised and what proves it. To read code, start
// with pkg/ledger/fold.go, then services/scoring/handle.go: a whole service in one
// file. The other services are the same room.
package proto
