package handoff_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	"github.com/nurturehq/nurture/pkg/rpc"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/services/handoff"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // the published test vector

const patience = 20 * time.Second

// others are the services that handoff asks, as much of them as it needs.
// webhook is one that the CRM received and whose signature it verified.
type webhook struct {
	id, kind string
	dossier  *handoffv1.Dossier
	body     []byte
	at       time.Time
}

// crmServer answers webhooks by a script and keeps what it got.
type crmServer struct {
	*httptest.Server
	tb  testing.TB
	got chan webhook
	mu  sync.Mutex
	// answer gives the status of the nth webhook, counted from 1.
	answer func(n int) int
	n      int
}

func newCRM(tb testing.TB, answer func(n int) int) *crmServer {
	tb.Helper()
	c := &crmServer{tb: tb, got: make(chan webhook, 10_000), answer: answer}
	c.Server = httptest.NewServer(c)
	tb.Cleanup(c.Close)
	return c
}

func always(status int) func(int) int { return func(int) int { return status } }

func (c *crmServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, _ := io.ReadAll(r.Body)
	verify, _ := standardwebhooks.NewWebhook(secret)
	if err := verify.Verify(body, r.Header); err != nil {
		c.tb.Errorf("signature: %v", err)
	}
	var e struct {
		SpecVersion, ID, Type, Source, Subject string
		Data                                   json.RawMessage
	}
	d := &handoffv1.Dossier{}
	if err := json.Unmarshal(body, &e); err != nil || e.SpecVersion != "1.0" || e.ID != r.Header.Get("webhook-id") {
		c.tb.Errorf("not a CloudEvent: %v %s", err, body)
	} else if err := protojson.Unmarshal(e.Data, d); err != nil {
		c.tb.Errorf("not a dossier: %v", err)
	}
	c.mu.Lock()
	c.n++
	n := c.n
	c.mu.Unlock()
	w.WriteHeader(c.answer(n))
	c.got <- webhook{id: e.ID, kind: e.Type, dossier: d, body: body, at: at}
}

func (c *crmServer) next() webhook {
	c.tb.Helper()
	select {
	case w := <-c.got:
		return w
	case <-time.After(patience):
		c.tb.Fatal("no webhook came")
		return webhook{}
	}
}

// room is handoff running on real engines.
type room struct {
	tb     testing.TB
	bus    *bus.Bus
	others *others
	words  *safe
	svc    *handoff.Service
	sales  handoffv1.HandoffServiceClient
	grpc   string
	http   string
	stop   func()
}

type setup struct {
	routes     string
	crm        *crmServer
	generation string
	hang       bool
	on         *bus.Bus
	askWithin  time.Duration
	access     *rpc.Access
}

const plainRoutes = "sla: {respond_within: 0s}\nreps: [{id: ada, name: Ada Example}]\n"

func newRoom(tb testing.TB, s setup) *room {
	tb.Helper()
	if s.routes == "" {
		s.routes = plainRoutes
	}
	file := filepath.Join(tb.TempDir(), "routes.yaml")
	if err := os.WriteFile(file, []byte(s.routes), 0o600); err != nil {
		tb.Fatal(err)
	}
	r := &room{tb: tb, bus: s.on, others: &others{leads: map[string]*leadv1.Lead{}, hang: s.hang}, words: &safe{}}
	if r.bus == nil {
		r.bus = bustest.New(tb)
	}
	cfg := handoff.DefaultConfig()
	cfg.Routes, cfg.AskWithin = file, 2*time.Second
	if s.askWithin > 0 {
		cfg.AskWithin = s.askWithin
	}
	if s.crm != nil {
		cfg.Webhook = handoff.Webhook{
			URL: s.crm.URL, Secrets: []string{secret}, Allow: []string{"127.0.0.0/8"}, Generation: s.generation, Timeout: 5 * time.Second,
		}
	}
	deps := handoff.Deps{
		Bus: r.bus, Redis: ledgertest.Miniredis(tb), Log: slog.New(slog.DiscardHandler),
		HTTP: listen(tb), GRPC: listen(tb), Access: s.access, Ingest: r.others, Words: r.words, Scoring: r.others, Campaign: r.others,
	}
	r.http, r.grpc = "http://"+deps.HTTP.Addr().String(), deps.GRPC.Addr().String()
	svc, err := handoff.New(cfg, deps)
	if err != nil {
		tb.Fatal(err)
	}
	r.svc = svc
	conn, err := rpc.Dial(deps.GRPC.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	r.sales = handoffv1.NewHandoffServiceClient(conn)
	r.run()
	return r
}

func (r *room) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.svc.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.tb.Errorf("run: %v", err)
		}
	})
	r.tb.Cleanup(r.stop)
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func someone(lead string) *leadv1.Lead {
	return leadtest.WithFacts(&leadv1.Lead{LeadId: lead, Profile: &leadv1.Profile{Email: lead + "@acme.example", FirstName: "Jo", Company: "Acme"}})
}

// record publishes a record as its owner would.
func (r *room) record(stream, lead string, state proto.Message, events ...proto.Message) {
	r.tb.Helper()
	r.recordHaving(stream, lead, 0, state, events...)
}

// recordHaving is record by an owner that had read LEADS up to a sequence.
func (r *room) recordHaving(stream, lead string, read uint64, state proto.Message, events ...proto.Message) {
	r.tb.Helper()
	rec := &ledgerv1.Record{Id: lead, Applied: []*ledgerv1.Mark{{Stream: bus.Leads, Seq: read}}}
	rec.State, _ = proto.Marshal(state)
	for _, e := range events {
		raw, _ := proto.Marshal(e)
		rec.Events = append(rec.Events, raw)
	}
	raw, err := proto.Marshal(rec)
	if err != nil {
		r.tb.Fatal(err)
	}
	if _, err := r.bus.Publish(r.tb.Context(), &nats.Msg{Subject: bus.Subject(stream, lead, bus.KindState), Data: raw}); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *room) qualify(lead string) {
	r.tb.Helper()
	score := &scoringv1.Score{LeadId: lead, Fit: 30, Behaviour: 12, Qualified: true}
	r.record(bus.Scores, lead, &scoringv1.State{Score: score},
		&scoringv1.Event{Fact: &scoringv1.Event_StageChanged{StageChanged: &scoringv1.StageChanged{To: leadv1.Stage_STAGE_QUALIFIED}}},
		&scoringv1.Event{Fact: &scoringv1.Event_Qualified{Qualified: &scoringv1.Qualified{Score: score, Why: "fast_track:demo"}}})
}

// arrive makes a known lead that qualifies.
func (r *room) arrive(lead string) {
	r.tb.Helper()
	r.others.know(someone(lead))
	r.qualify(lead)
}

// until waits for a handoff that is as wanted.
func (r *room) until(lead, what string, ok func(h *handoffv1.Handoff) bool) *handoffv1.Handoff {
	r.tb.Helper()
	var last *handoffv1.Handoff
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		resp, err := r.sales.GetHandoff(r.tb.Context(), &handoffv1.GetHandoffRequest{LeadId: lead})
		if err == nil && ok(resp.GetHandoff()) {
			return resp.GetHandoff()
		}
		last = resp.GetHandoff()
		<-time.After(5 * time.Millisecond)
	}
	r.tb.Fatalf("%s is never %s; it is %v", lead, what, last)
	return nil
}

func inStatus(s handoffv1.HandoffStatus) func(*handoffv1.Handoff) bool {
	return func(h *handoffv1.Handoff) bool { return h.GetStatus() == s }
}

func deliveryIs(n int, s handoffv1.DeliveryStatus) func(*handoffv1.Handoff) bool {
	return func(h *handoffv1.Handoff) bool {
		return len(h.GetDeliveries()) > n && h.GetDeliveries()[n].GetStatus() == s
	}
}
