package ingest

import (
	"context"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/store"
)

// resolved is whose submissions are, and what is to be stored with the first
// records of leads that begin.
type resolved struct {
	answers []identity.Answer
	pledges store.Pledges
}

// asking is a way to ask the book: store.Book.Begin, or claimed.
type asking func(context.Context, []identity.Ask) ([]identity.Answer, store.Pledges, error)

// claimed asks without pledges: all is claimed when it returns.
func (s *Service) claimed(ctx context.Context, asks []identity.Ask) ([]identity.Answer, store.Pledges, error) {
	answers, err := s.book.Resolve(ctx, asks)
	return answers, nil, err
}

// resolve says whose each submission is. New identities are claimed when it
// returns, or pledged. A submission whose sender knows the lead is not asked about.
func (s *Service) resolve(ctx context.Context, subs []person.Submission, ask asking) ([]identity.Answer, store.Pledges, error) {
	asks := make([]identity.Ask, 0, len(subs))
	for i := range subs {
		if subs[i].Lead == "" {
			asks = append(asks, s.ask(subs[i].Apply.GetCapture()))
		}
	}
	var found []identity.Answer
	var pledges store.Pledges
	if len(asks) > 0 {
		var err error
		if found, pledges, err = ask(ctx, asks); err != nil || len(asks) == len(subs) {
			return found, pledges, err
		}
	}
	answers := make([]identity.Answer, len(subs))
	for i := range subs {
		if subs[i].Lead != "" {
			answers[i] = identity.Answer{Lead: subs[i].Lead}
			continue
		}
		answers[i], found = found[0], found[1:]
	}
	return answers, pledges, nil
}

func (s *Service) ask(c *ingestv1.CaptureLeadRequest) identity.Ask {
	ask := identity.Ask{
		Email:     s.hasher.Key(identity.Email, c.GetProfile().GetEmail()),
		User:      s.hasher.Key(identity.User, c.GetUserId()),
		Anonymous: s.hasher.Key(identity.Anonymous, c.GetAnonymousId()),
		External:  s.hasher.ExternalKey(c.GetSource(), c.GetExternalId()),
		Phone:     s.hasher.Key(identity.Phone, c.GetProfile().GetPhone()),
		Previous:  s.hasher.Key(identity.User, c.GetPreviousId()),
	}
	for _, id := range c.GetExternalIds() {
		ask.Systems = append(ask.Systems, s.hasher.Key(identity.System, id))
	}
	return ask
}
