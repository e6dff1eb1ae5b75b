package dossier

import (
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
)

// Bare is a stay as it may leave the service: without what is sealed.
func Bare(h *handoffv1.Handoff) *handoffv1.Handoff {
	if len(h.GetSealedText()) == 0 {
		return h
	}
	bare := proto.CloneOf(h)
	bare.SealedText = nil
	return bare
}
