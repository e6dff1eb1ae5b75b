package campaign

import (
	"context"
	"fmt"
	"strings"

	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/feed"
	"github.com/nurturehq/nurture/services/campaign/internal/letter"
	"github.com/nurturehq/nurture/services/campaign/internal/sender"
	"github.com/nurturehq/nurture/services/campaign/internal/sender/mail"
)

func (s *Service) newSender() *sender.Sender {
	c := s.cfg
	return sender.New(sender.Options{
		Batch: c.Sender.Batch, Workers: c.Sender.Workers, AttemptTimeout: c.Sender.AttemptTimeout,
		RetryMin: c.Sender.RetryMin, RetryMax: c.Sender.RetryMax,
	}, sender.Deps{
		Bus: s.deps.Bus, Log: s.deps.Log, Now: s.deps.Now,
		Pool: sender.NewPool(sender.PoolOptions{
			Addr: c.SMTP.Addr, TLS: sender.TLSMode(c.SMTP.TLS), Username: c.SMTP.Username, Password: c.SMTP.Password,
			Hello: c.SMTP.Hello, Connections: c.SMTP.Connections, Timeout: c.SMTP.Timeout, Now: s.deps.Now,
		}),
		Mail: &mail.Writer{
			NoTrap: c.Mail.NoTrap,
			Links:  s.links, BaseURL: strings.TrimRight(c.PublicURL, "/"), Domain: domainOf(c.Mail.From), ReplyTo: c.Mail.ReplyTo,
			Sender: letter.Sender{Name: c.Mail.FromName, Email: c.Mail.From, Company: c.Mail.Company, Address: c.Mail.Address},
			Carry: mail.Carry{
				Provider: mail.Provider(c.SMTP.Provider), ConfigurationSet: c.SMTP.ConfigurationSet, Stream: c.SMTP.MessageStream,
				Returns: s.returns, Domain: c.Mail.BounceDomain,
			},
		},
		States: s.states, Settle: s.settle, Leads: s.people, Program: s.programs.Program, Bounced: s.bounced,
	})
}

func domainOf(address string) string {
	return address[strings.LastIndexByte(address, '@')+1:]
}

// states reads our own states from the log: a cache may not know yet that the
// lead left the program.
func (s *Service) states(ctx context.Context, leads []string) (map[string]*campaignv1.State, error) {
	found, err := s.ledger.BatchGet(ctx, leads, true)
	if err != nil {
		return nil, err
	}
	states := make(map[string]*campaignv1.State, len(found))
	for lead, e := range found {
		states[lead] = e.State
	}
	return states, nil
}

// people asks ingest who the leads are and what they allow, as of now. A lead that
// turned out to be another one is that one.
func (s *Service) people(ctx context.Context, leads []string) (map[string]*leadv1.Lead, error) {
	resp, err := s.deps.Ingest.BatchGetLeads(ctx, &ingestv1.BatchGetLeadsRequest{LeadIds: leads, Fresh: true})
	if err != nil {
		return nil, fmt.Errorf("ask ingest for %d leads: %w", len(leads), err)
	}
	people := make(map[string]*leadv1.Lead, len(leads))
	for _, l := range resp.GetLeads() {
		people[l.GetLeadId()] = l
		for _, from := range l.GetMergedFrom() {
			people[from] = l
		}
	}
	return people, nil
}

// bounced tells ingest that a reader does not exist.
func (s *Service) bounced(ctx context.Context, touch *campaignv1.Touch, lead, reason string) {
	err := s.feed.Tell(ctx, feed.Did{
		Lead: lead, Type: feed.Bounced, Touch: touch.GetId(), Program: touch.GetProgram(), Step: touch.GetStep(),
		Reason: reason, At: s.deps.Now(),
	})
	if err != nil {
		s.deps.Log.ErrorContext(ctx, "a bounce was not told", "lead_id", lead, "touch_id", touch.GetId(), "error", err)
	}
}
