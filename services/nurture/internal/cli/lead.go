package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/nurturehq/nurture/pkg/rpc"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

func newLead() *cobra.Command {
	return group("lead", "Find a lead, look at it, merge it with another, hand out its data, or forget it", newLeadFind(), newLeadShow(), newLeadConsents(), newLeadMerge(), newLeadUnmerge(), newLeadExport(), newLeadErase(), newLeadErasure())
}

// addrs are where the four services answer gRPC, and the token that they ask for.
type addrs struct{ host, ingest, scoring, campaign, handoff, token string }

func addrFlags(cmd *cobra.Command) *addrs {
	a := &addrs{}
	f := cmd.Flags()
	f.StringVar(&a.host, "addr", "", "host on which the services answer gRPC on their usual ports (default 127.0.0.1)")
	f.StringVar(&a.ingest, "ingest-addr", "", "host:port of ingest's gRPC (INGEST_ADDR; default port 9080 of --addr)")
	f.StringVar(&a.scoring, "scoring-addr", "", "host:port of scoring's gRPC (SCORING_ADDR; default port 9081 of --addr)")
	f.StringVar(&a.campaign, "campaign-addr", "", "host:port of campaign's gRPC (CAMPAIGN_ADDR; default port 9082 of --addr)")
	f.StringVar(&a.handoff, "handoff-addr", "", "host:port of handoff's gRPC (HANDOFF_ADDR; default port 9083 of --addr)")
	f.StringVar(&a.token, "token", "", "token of the API, where one is asked for (better NURTURE_TOKEN: other users see the arguments of a program)")
	return a
}

// opened is the token to show.
func (a *addrs) opened() string {
	if a.token != "" {
		return a.token
	}
	return os.Getenv("NURTURE_TOKEN")
}

// peers are the clients of the four services.
type peers struct {
	ingest   ingestv1.IngestServiceClient
	accounts ingestv1.AccountServiceClient
	scoring  scoringv1.ScoringServiceClient
	campaign campaignv1.CampaignServiceClient
	handoff  handoffv1.HandoffServiceClient
	conns    []*grpc.ClientConn
}

// target is where a service answers: where its own flag says, at its usual port of
// --addr, where its variable says, at its usual port here.
func (a *addrs) target(own, env, port string) string {
	if own != "" {
		return own
	}
	if there := os.Getenv(env); a.host == "" && there != "" {
		return there
	}
	return net.JoinHostPort(cmp.Or(a.host, "127.0.0.1"), port)
}

func (a *addrs) dial() (*peers, error) {
	p := &peers{}
	dial := func(own, env, port string) (*grpc.ClientConn, error) {
		target := a.target(own, env, port)
		conn, err := rpc.DialAs(target, a.opened())
		if err != nil {
			p.close()
			return nil, fmt.Errorf("dial %s: %w", target, err)
		}
		p.conns = append(p.conns, conn)
		return conn, nil
	}
	for _, d := range []struct {
		own, env, port string
		use            func(*grpc.ClientConn)
	}{
		{a.ingest, "INGEST_ADDR", "9080", func(c *grpc.ClientConn) {
			p.ingest, p.accounts = ingestv1.NewIngestServiceClient(c), ingestv1.NewAccountServiceClient(c)
		}},
		{a.scoring, "SCORING_ADDR", "9081", func(c *grpc.ClientConn) { p.scoring = scoringv1.NewScoringServiceClient(c) }},
		{a.campaign, "CAMPAIGN_ADDR", "9082", func(c *grpc.ClientConn) { p.campaign = campaignv1.NewCampaignServiceClient(c) }},
		{a.handoff, "HANDOFF_ADDR", "9083", func(c *grpc.ClientConn) { p.handoff = handoffv1.NewHandoffServiceClient(c) }},
	} {
		conn, err := dial(d.own, d.env, d.port)
		if err != nil {
			return nil, err
		}
		d.use(conn)
	}
	return p, nil
}

func (p *peers) close() {
	for _, c := range p.conns {
		_ = c.Close()
	}
}

// biography is everything the services know of one lead. A service that has never
// heard of it leaves its part nil.
type biography struct {
	asked       string // the id that was asked for
	lead        *leadv1.Lead
	account     *ingestv1.GetAccountResponse
	merges      []*ingestv1.Merge
	activities  []*leadv1.Activity
	score       *scoringv1.ExplainScoreResponse
	enrollments []*campaignv1.Enrollment
	touches     []*campaignv1.Touch
	handoff     *handoffv1.Handoff
}

func newLeadShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show <lead id or e-mail>", Short: "Tell the whole story of one lead: who, score, programs, mails, sales, what they did", Args: wantArgs("id"),
	}
	a := addrFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := a.dial()
		if err != nil {
			return err
		}
		defer p.close()
		s, err := p.biography(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return printBiography(cmd.OutOrStdout(), s)
	}
	return cmd
}

func (p *peers) biography(ctx context.Context, id string) (*biography, error) {
	id, err := leadNamed(ctx, p.ingest, id)
	if err != nil {
		return nil, err
	}
	lead, err := p.ingest.GetLead(ctx, &ingestv1.GetLeadRequest{LeadId: id})
	switch {
	case status.Code(err) == codes.NotFound:
		return nil, fmt.Errorf("there is no lead %q: `nurture lead find` says which one somebody is", id)
	case err != nil:
		return nil, fmt.Errorf("ask ingest: %w", err)
	}
	s := &biography{asked: id, lead: lead.GetLead()}
	return s, p.rest(ctx, s.lead.GetLeadId(), s)
}

// rest asks the other parts; a lead unknown to a service is no error.
func (p *peers) rest(ctx context.Context, id string, s *biography) error {
	asks := []struct {
		who string
		ask func() error
	}{
		{"ingest", func() (err error) {
			if account := s.lead.GetAccountId(); account != "" {
				s.account, err = p.accounts.GetAccount(ctx, &ingestv1.GetAccountRequest{AccountId: account, PageSize: 1})
			}
			return err
		}},
		{"ingest", func() error {
			r, err := p.ingest.ListMerges(ctx, &ingestv1.ListMergesRequest{LeadId: id})
			s.merges = r.GetMerges()
			return err
		}},
		{"ingest", func() error {
			r, err := p.ingest.ListActivities(ctx, &ingestv1.ListActivitiesRequest{LeadId: id, Limit: 200})
			s.activities = r.GetActivities()
			return err
		}},
		{"scoring", func() (err error) {
			s.score, err = p.scoring.ExplainScore(ctx, &scoringv1.ExplainScoreRequest{LeadId: id})
			return err
		}},
		{"campaign", func() error {
			r, err := p.campaign.ListEnrollments(ctx, &campaignv1.ListEnrollmentsRequest{LeadId: id})
			s.enrollments = r.GetEnrollments()
			return err
		}},
		{"campaign", func() error {
			r, err := p.campaign.ListTouches(ctx, &campaignv1.ListTouchesRequest{LeadId: id})
			s.touches = r.GetTouches()
			return err
		}},
		{"handoff", func() error {
			r, err := p.handoff.GetHandoff(ctx, &handoffv1.GetHandoffRequest{LeadId: id})
			s.handoff = r.GetHandoff()
			return err
		}},
	}
	for _, a := range asks {
		if err := a.ask(); err != nil && status.Code(err) != codes.NotFound {
			return fmt.Errorf("ask %s: %w", a.who, err)
		}
	}
	return nil
}
