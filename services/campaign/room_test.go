package campaign_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/nats-io/nats.go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	"github.com/nurturehq/nurture/pkg/rpc"
	campaignv1 "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
	"github.com/nurturehq/nurture/services/campaign"
)

// room is the whole service with real engines. Its neighbours are played by
// records on their streams and by what they would answer.
type room struct {
	ingestv1.IngestServiceClient
	scoringv1.ScoringServiceClient
	t      *testing.T
	bus    *bus.Bus
	svc    *campaign.Service
	client campaignv1.CampaignServiceClient
	base   string
	cfg    campaign.Config

	mu     sync.Mutex
	people map[string]*leadv1.Lead
	mails  []string
	// silent readers' mails are taken without an answer: the connection breaks.
	silent map[string]bool
}

func newRoom(t *testing.T) *room {
	t.Helper()
	r := &room{t: t, bus: bustest.New(t), people: map[string]*leadv1.Lead{}, silent: map[string]bool{}, cfg: campaign.DefaultConfig()}
	r.cfg.Programs, r.cfg.Templates = "../../deploy/example/programs", "../../deploy/example/templates"
	r.cfg.TimeScale, r.cfg.LinkKeys = 0.02, []string{strings.Repeat("ab", 32)}
	r.cfg.SMTP.Addr = r.smtp()
	return r
}

// start runs the service until the test ends.
func (r *room) start() *room {
	r.t.Helper()
	web, calls := listen(r.t), listen(r.t)
	r.base = "http://" + web.Addr().String()
	r.cfg.PublicURL = r.base
	var err error
	r.svc, err = campaign.New(r.cfg, campaign.Deps{
		Bus: r.bus, Redis: ledgertest.Miniredis(r.t), Log: slog.New(slog.DiscardHandler), HTTP: web, GRPC: calls, Ingest: r, Scoring: r,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.svc.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run: %v", err)
		}
	})
	conn, err := rpc.Dial(calls.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	r.client = campaignv1.NewCampaignServiceClient(conn)
	return r
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// smtp takes every mail.
func (r *room) smtp() string {
	l := listen(r.t)
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return letterbox{r, c}, nil }))
	srv.Domain = "localhost"
	go func() { _ = srv.Serve(l) }()
	r.t.Cleanup(func() { _ = srv.Close() })
	return l.Addr().String()
}

type letterbox struct {
	*room
	conn *smtp.Conn
}

func (letterbox) Reset()                               {}
func (letterbox) Logout() error                        { return nil }
func (letterbox) Mail(string, *smtp.MailOptions) error { return nil }
func (letterbox) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (l letterbox) Data(body io.Reader) error {
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mails = append(l.mails, string(raw))
	for lead := range l.silent {
		if strings.Contains(string(raw), "<"+lead+"@example.com>") {
			return l.conn.Conn().Close()
		}
	}
	return nil
}

func (r *room) BatchGetLeads(_ context.Context, in *ingestv1.BatchGetLeadsRequest, _ ...grpc.CallOption) (*ingestv1.BatchGetLeadsResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	resp := &ingestv1.BatchGetLeadsResponse{}
	for _, id := range in.GetLeadIds() {
		if p := r.people[id]; p != nil {
			resp.Leads = append(resp.Leads, proto.CloneOf(p))
		}
	}
	return resp, nil
}

func (r *room) RecordConsent(_ context.Context, in *ingestv1.RecordConsentRequest, _ ...grpc.CallOption) (*ingestv1.RecordConsentResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.people[in.GetLeadId()].Consents = []*leadv1.Consent{in.GetConsent()}
	r.people[in.GetLeadId()].Suppression = in.GetSuppression()
	return &ingestv1.RecordConsentResponse{}, nil
}

func (r *room) BatchGetScores(context.Context, *scoringv1.BatchGetScoresRequest, ...grpc.CallOption) (*scoringv1.BatchGetScoresResponse, error) {
	return &scoringv1.BatchGetScoresResponse{}, nil
}

// record writes what a neighbour would.
func (r *room) record(stream, lead string, state proto.Message, events ...proto.Message) {
	r.t.Helper()
	rec := &ledgerv1.Record{State: encode(r.t, state)}
	for _, e := range events {
		rec.Events = append(rec.Events, encode(r.t, e))
	}
	if _, err := r.bus.Publish(r.t.Context(), &nats.Msg{Subject: bus.Subject(stream, lead, bus.KindState), Data: encode(r.t, rec)}); err != nil {
		r.t.Fatal(err)
	}
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// capture makes a lead that agreed to mails.
func (r *room) capture(lead string) {
	r.t.Helper()
	p := &leadv1.Lead{
		LeadId: lead, Profile: &leadv1.Profile{Email: lead + "@example.com", FirstName: "Ann"}, CreatedAt: timestamppb.Now(),
		Consents: []*leadv1.Consent{{Purpose: "marketing_email", Granted: true}},
	}
	leadtest.WithFacts(p)
	r.mu.Lock()
	r.people[lead] = p
	r.mu.Unlock()
	r.record(bus.Leads, lead, &ingestv1.State{Lead: p}, &ingestv1.Event{Fact: &ingestv1.Event_Captured{Captured: &ingestv1.Captured{}}})
}

func (r *room) stage(lead string, s leadv1.Stage) {
	r.t.Helper()
	r.record(bus.Scores, lead, &scoringv1.State{Score: &scoringv1.Score{LeadId: lead, Stage: s, StageSince: timestamppb.Now()}})
}

// mailsTo are the mails a lead got, oldest first.
func (r *room) mailsTo(lead string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var mine []string
	for _, m := range r.mails {
		if strings.Contains(m, "<"+lead+"@example.com>") {
			mine = append(mine, strings.ReplaceAll(m, "=\r\n", ""))
		}
	}
	return mine
}

func (r *room) stay(lead, name string) *campaignv1.Enrollment {
	r.t.Helper()
	resp, err := r.client.ListEnrollments(r.t.Context(), &campaignv1.ListEnrollmentsRequest{LeadId: lead})
	if err != nil {
		if status.Code(err) == codes.NotFound {
			return nil
		}
		r.t.Fatal(err)
	}
	var last *campaignv1.Enrollment
	for _, e := range resp.GetEnrollments() {
		if e.GetProgram() == name {
			last = e
		}
	}
	return last
}

func (r *room) eventually(what string, ok func() bool) {
	r.t.Helper()
	ledgertest.Eventually(r.t, what, ok)
}

func (r *room) get(path string) *http.Response {
	r.t.Helper()
	return r.do(http.MethodGet, path, "")
}

func (r *room) do(method, url, body string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}
