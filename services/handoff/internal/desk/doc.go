// Package desk is the handoff desk: the pure decisions about one lead's stay
// with sales. It holds a qualified lead until the gate is content, assigns it
// to the rep the router proposed, minds the rep's time to answer, takes sales'
// answer, and follows every delivery to the CRM until it arrived or is parked.
//
// Every method takes the state, what happened and the moment, and returns a
// Decision. Nothing here reads a clock, a network or a map in random order, so
// the same inputs give the same bytes in a replay.
package desk
