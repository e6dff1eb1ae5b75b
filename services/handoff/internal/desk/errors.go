package desk

import (
	"errors"
	"fmt"
	"strings"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Errors of commands.
var (
	// ErrWrongState: the command means nothing in the handoff's status.
	ErrWrongState = errors.New("the handoff does not allow this now")
	// ErrNoHandoff: sales never had the lead.
	ErrNoHandoff = errors.New("lead was never handed to sales")
	// ErrBadReason: the reason does not fit the command.
	ErrBadReason = errors.New("reason does not fit")
	// ErrMerging: the lead turned out to be another one a moment ago, or is one of its
	// own again, and it is not known yet how it stands with sales. Trying again helps.
	ErrMerging = errors.New("the lead is being merged or separated; answer again in a moment")
	// ErrUnknownDelivery: the lead has no delivery of this id.
	ErrUnknownDelivery = errors.New("unknown delivery")
)

// Commands of sales, as errors name them.
const (
	cmdAccept  = "accept"
	cmdReject  = "reject"
	cmdRecycle = "recycle"
	cmdOutcome = "outcome"
)

// Possible lists the commands a status allows, in the order of a handoff's life.
func Possible(s handoffv1.HandoffStatus) []string {
	switch s {
	case assigned:
		return []string{cmdAccept, cmdReject, cmdOutcome}
	case accepted, confirmed:
		return []string{cmdReject, cmdRecycle, cmdOutcome}
	case lost:
		return []string{cmdRecycle, cmdOutcome + " won"}
	default:
		return nil
	}
}

// StatusName is a status for people: "ASSIGNED".
func StatusName(s handoffv1.HandoffStatus) string {
	return strings.TrimPrefix(s.String(), "HANDOFF_STATUS_")
}

// wrongState says what the handoff is in and what can be done instead.
func wrongState(cmd string, h *handoffv1.Handoff) error {
	possible := "nothing until it qualifies again"
	switch list := Possible(h.GetStatus()); {
	case len(list) > 0:
		possible = strings.Join(list, ", ")
	case h.GetStatus() == held:
		possible = fmt.Sprintf("nothing until it is assigned; it is held because of %q", h.GetReason())
	case h.GetStatus() == won, h.GetStatus() == disqualified:
		possible = "nothing, it is closed"
	}
	return fmt.Errorf("%w: cannot %s, it is %s; possible now: %s", ErrWrongState, cmd, StatusName(h.GetStatus()), possible)
}

func idsOf(s *handoffv1.State) string {
	ids := []string{}
	for _, h := range stays(s) {
		for _, d := range h.GetDeliveries() {
			ids = append(ids, d.GetId())
		}
	}
	if len(ids) == 0 {
		return "no deliveries"
	}
	return strings.Join(ids, ", ")
}
