package person

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// How far a sender's clock may be believed, relative to the receive time.
const (
	oldest   = -30 * 24 * time.Hour
	furthest = 5 * time.Minute
)

// Clamp gives when something happened by the sender's clock, at most 30 days
// before and 5 minutes after it was received; the receive time when it is not
// said.
func Clamp(at *timestamppb.Timestamp, received time.Time) *timestamppb.Timestamp {
	if at == nil || !at.IsValid() {
		return timestamppb.New(received)
	}
	switch t := at.AsTime(); {
	case t.Before(received.Add(oldest)):
		return timestamppb.New(received.Add(oldest))
	case t.After(received.Add(furthest)):
		return timestamppb.New(received.Add(furthest))
	}
	return at
}

// Doubt names why a sender's time is not believed, "" when it is: Clamp then
// takes the nearest one that is.
func Doubt(at *timestamppb.Timestamp, received time.Time) string {
	if at == nil || !at.IsValid() {
		return ""
	}
	switch t := at.AsTime(); {
	case t.Before(received.Add(oldest)):
		return "clamped_late"
	case t.After(received.Add(furthest)):
		return "clamped_future"
	}
	return ""
}
