// Package ledger is the heart of every service: a keyed state on a JetStream
// stream, changed by a pure fold, one record per change.
//
//	inputs ─┐                 ┌─ record (events, whole state, wake-up, causes)
//	wake-ups├─> lane ─> fold ─┤  committed if the lead's last record is still
//	commands┘                 └─ the one that was folded; else read, fold again
//
// What a service gets from it: every input is applied once, in order, whatever
// is redelivered, replayed or worked by two processes at once; a lead that
// cannot be processed stops only itself and is parked; a wake-up is never lost;
// and any state can be rebuilt from the log, byte for byte (Verify).
//
// Read fold.go for the contract, lane.go for the way of an input, commit.go for
// how records are written.
package ledger
