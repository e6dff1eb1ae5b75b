// Package erasure forgets a person, step by step, and writes down what was done.
//
// An erasure is a message on leads.erasure.<lead>: the certificate. It is written
// before the first step and again after every step, so whoever finds one that is
// not finished, after a crash or on another replica, goes on with the next step.
// Every step may be done twice. The certificate holds no personal data and is
// kept for ever.
//
// The order matters. First ingest's tombstone, so that nothing can be added any
// more; then everything that needs the person's identities, which are read from
// what is about to be forgotten; then the other services' tombstones; then the
// data key; and only then the old messages: by now every service's record of the
// lead is a tombstone, so whoever still had to read them would drop them.
//
// steps.go has the order, certificate.go the message, sweep.go looks through the
// streams that are not kept by lead.
package erasure
