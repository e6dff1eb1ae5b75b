package person

import (
	"errors"
	"fmt"
)

// Errors of a command.
var (
	// ErrUnknownLead: the command is about a lead that must exist and does not.
	ErrUnknownLead = errors.New("no such lead")
	// ErrErased: the person was forgotten; who comes again is a new lead.
	ErrErased = errors.New("the lead was erased")
	// ErrUndecodable: the command is not an encoded Apply.
	ErrUndecodable = errors.New("command cannot be read")
	// ErrUnderWay: another merge or unmerge of the lead has to be finished first.
	ErrUnderWay = errors.New("another merge of the lead is under way")
	// ErrApart: the two leads were separated by hand: only a hand merges them again.
	ErrApart = errors.New("the two leads were separated by hand")
	// ErrFull: the lead cannot take in any more.
	ErrFull = errors.New("the lead has taken in as many others as it can hold")
	// ErrItself: a lead cannot be merged into itself or into one that is part of it.
	ErrItself = errors.New("the two are one lead")
	// ErrNoStatement: no statement put the lead into that account.
	ErrNoStatement = errors.New("the lead cannot be removed")
	// ErrNoMerge: the lead made no such promise.
	ErrNoMerge = errors.New("no such merge is under way")
)

// MovedError says that the lead is merged into another one, which the command is for.
type MovedError struct {
	Lead, Into string
}

// Error says where the lead went.
func (e *MovedError) Error() string { return fmt.Sprintf("lead %s is merged into %s", e.Lead, e.Into) }

// GoneError says that the lead whose identity led here is not, or not any more, merged
// into this one.
type GoneError struct {
	Lead, Origin string
}

// Error says which lead is not here.
func (e *GoneError) Error() string {
	return fmt.Sprintf("lead %s is not merged into %s", e.Origin, e.Lead)
}
