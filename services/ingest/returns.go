package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/returnpath"
	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/bounce"
	"github.com/nurturehq/nurture/services/ingest/internal/feed/postbox"
	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/reject"
)

// returns names the source of what mails that come back tell.
const returns = "bounces"

// BouncesConfig is how mails that come back are taken.
type BouncesConfig struct {
	Addr      string   `yaml:"addr" help:"host:port where mails that come back are taken over SMTP, e.g. 127.0.0.1:2525; empty: nowhere"`
	Domain    string   `yaml:"domain" help:"domain of the return addresses, the same as campaign's mail.bounce_domain"`
	Keys      []string `yaml:"keys" help:"keys of the return addresses, the same as campaign's mail.bounce_keys" secret:"true"`
	Mailboxes []string `yaml:"mailboxes" help:"further names below the domain whose mail is taken, for feedback loops"`
	SoftLimit uint32   `yaml:"soft_limit" help:"after how many mails in a row that bounced for now an address counts as gone, 0 for never, at most 10"`
	PerMinute int      `yaml:"per_minute" help:"mails taken over SMTP per minute; more are told to come later"`
}

func defaultBounces() BouncesConfig {
	return BouncesConfig{Mailboxes: []string{"complaints", "postmaster"}, SoftLimit: fate.DefaultSoft, PerMinute: 3000}
}

// openReturns checks the settings of mails that come back.
func (s *Service) openReturns() (err error) {
	c := s.cfg.Bounces
	switch {
	case c.SoftLimit > person.MaxSoftBounces:
		return fmt.Errorf("bounces.soft_limit: %d is more than %d, which is how many mails are remembered", c.SoftLimit, person.MaxSoftBounces)
	case c.Domain == "" && c.Addr == "" && len(c.Keys) == 0:
		return nil
	case c.Domain == "":
		return errors.New("bounces.domain: write the domain of the return addresses, the same as campaign's mail.bounce_domain")
	}
	if s.returns, err = returnpath.NewSigner(c.Keys); err != nil {
		return fmt.Errorf("bounces.keys: %w", err)
	}
	return nil
}

// takeReturns takes mails that come back over SMTP, if there is a listener.
func (s *Service) takeReturns(ctx context.Context, l net.Listener) error {
	if l == nil {
		return nil
	}
	return postbox.Serve(ctx, l, postbox.Options{
		Domain: s.cfg.Bounces.Domain, Mailboxes: s.cfg.Bounces.Mailboxes, PerMinute: s.cfg.Bounces.PerMinute,
		Verify: func(token string) bool { _, ok := s.returns.Verify(token); return ok },
		Log:    s.deps.Log, Now: s.deps.Now,
		Take: func(ctx context.Context, mail []byte, recipient string) (string, error) {
			resp, err := s.takeReturn(ctx, &ingestv1.TakeReturnRequest{Mail: mail, Recipient: recipient})
			return cmp.Or(resp.GetParked(), resp.GetVerdict()), err
		},
	})
}

// unheard is why a mail that came back tells nothing about a lead we know.
type unheard struct {
	reason string
	faults []normal.Fault
}

// takeReturn reads a mail that came back and records what it says of a lead, or
// keeps it where a person finds it. It answers when that is durable; an error
// means that it may be sent again.
func (s *Service) takeReturn(ctx context.Context, req *ingestv1.TakeReturnRequest) (*ingestv1.TakeReturnResponse, error) {
	resp, why, err := s.hearReturn(ctx, req)
	if err != nil || why == nil {
		return resp, err
	}
	err = s.reject(ctx, reject.Rejected{
		Source: returns, Kind: reject.Mail, Reason: why.reason, Faults: why.faults, Raw: req.GetMail(), ContentType: "message/rfc822",
		About: map[string]string{aboutRecipient: req.GetRecipient()}, At: s.deps.Now(),
	})
	if err != nil {
		return nil, classify(err)
	}
	resp.Parked = why.faults[0].Field + " " + why.faults[0].Message
	s.metrics.returned(ctx, bounce.Verdict(resp.GetVerdict()), "parked")
	return resp, nil
}

// aboutRecipient is where a reject keeps the address that a mail came back to.
const aboutRecipient = "recipient"

// returnAgain reads a mail that was kept, by the keys and limits of today.
func (s *Service) returnAgain(ctx context.Context, what reject.Rejected, resp *ingestv1.RedriveRejectResponse) ([]normal.Fault, error) {
	heard, why, err := s.hearReturn(ctx, &ingestv1.TakeReturnRequest{Mail: what.Raw, Recipient: what.About[aboutRecipient]})
	switch {
	case err != nil:
		return nil, err
	case why != nil:
		return why.faults, nil
	case heard.GetLeadId() != "":
		resp.LeadIds = append(resp.LeadIds, heard.GetLeadId())
	}
	return nil, nil
}

// hearReturn reads a mail that came back and records what it says of a lead.
func (s *Service) hearReturn(ctx context.Context, req *ingestv1.TakeReturnRequest) (*ingestv1.TakeReturnResponse, *unheard, error) {
	box, token, _ := returnpath.Split(req.GetRecipient())
	report := bounce.Read(req.GetMail(), box)
	resp := &ingestv1.TakeReturnResponse{Verdict: string(report.Verdict)}
	touch, believed := s.whose(token, report, req.GetTrusted())
	news, ok := report.News(touch, cmp.Or(report.ID, fate.Digest(string(req.GetMail()))))
	switch {
	case !ok && (report.Verdict == bounce.AutoReply || report.Reason != ""):
		s.metrics.returned(ctx, report.Verdict, "ignored")
		return resp, nil, nil
	case !ok:
		return resp, unused(reject.Refused, "mail", "is no report; somebody wrote to the return address"), nil
	case !believed:
		return resp, unused(reject.Refused, "return path", "is not signed by us, and the mail quotes nothing that is: anybody could have written it"), nil
	}
	return s.recordReturn(ctx, resp, news)
}

func unused(reason, field, message string) *unheard {
	return &unheard{reason, []normal.Fault{{Field: field, Message: message}}}
}

// whose says which mail a report is about: a signed return address is proof,
// and what the report says itself only if its mailbox is trusted.
func (s *Service) whose(token string, r bounce.Report, trusted bool) (touch string, believed bool) {
	if s.returns != nil {
		if touch, ok := s.returns.Verify(token); ok {
			return touch, true
		}
		if touch, ok := s.returns.Find(r.Text); ok {
			return touch, true
		}
	}
	return r.Touch, trusted
}

func (s *Service) recordReturn(ctx context.Context, resp *ingestv1.TakeReturnResponse, news fate.News) (*ingestv1.TakeReturnResponse, *unheard, error) {
	sub, faults := news.Submission(returns, s.cfg.Bounces.SoftLimit)
	if sub == nil {
		return resp, &unheard{reject.Invalid, faults}, nil
	}
	sub.ID = person.Scoped(returns, news.ID)
	out := s.accept(ctx, []person.Submission{*sub})[0]
	switch {
	case out.Err == nil:
	case rpc.Status(out.Err).Code() == codes.NotFound:
		return resp, unused(reject.Refused, "lead", "is not known here; was the mail sent by another installation?"), nil
	default:
		return nil, nil, out.Err
	}
	resp.LeadId, resp.TouchId, resp.Duplicate = out.Lead, news.Touch, out.Duplicate
	s.metrics.returned(ctx, bounce.Verdict(resp.GetVerdict()), "recorded")
	return resp, nil, nil
}
