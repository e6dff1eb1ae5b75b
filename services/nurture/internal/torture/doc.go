// Package torture is the judge of a run under faults: evidence in, report out.
// It is pure and knows none of the code it judges. What happened is told by two
// independent witnesses: the journal, which was fsynced before every call and
// before every answer of the sinks, and the facts, read from the streams when
// all was over. Whatever the two do not agree on is a violation.
//
// How to read it: evidence.go is what is known, check.go asks every question,
// report.go is the answer, mutant.go spoils good evidence to prove that the
// checker sees it, plan.go makes the load and the faults of a seed. The rooms
// below do the I/O: journal, load, sink, fleet, witness.
package torture
