package ingest

import (
	"context"
	"fmt"

	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
)

// nobody is no lead's id: what is for it is refused as about an unknown lead.
const nobody = "-nobody-"

// find looks up whom news are about that must make no lead and name only an
// address. The address itself is not news: it may be one that the lead had once.
func (s *Service) find(ctx context.Context, subs []person.Submission) error {
	var at []int
	var keys []identity.Key
	for i := range subs {
		if subs[i].Lead == "" && subs[i].Apply.GetMustExist() {
			at = append(at, i)
			keys = append(keys, s.hasher.Key(identity.Email, subs[i].Apply.GetCapture().GetProfile().GetEmail()))
		}
	}
	if len(at) == 0 {
		return nil
	}
	leads, err := s.book.Find(ctx, keys, false)
	if err != nil {
		return fmt.Errorf("find whom news are about: %w", err)
	}
	for j, i := range at {
		subs[i].Lead = leads[keys[j]]
		if subs[i].Lead == "" {
			subs[i].Lead = nobody
		}
		subs[i].Apply.Capture.Profile = &leadv1.Profile{}
	}
	return nil
}
