package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

const (
	websiteKey = "website-write-key"
	secret     = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

// room is the whole service on real engines, reached as strangers reach it.
type room struct {
	t     testing.TB
	bus   *bus.Bus
	url   string
	api   ingestv1.IngestServiceClient
	acc   ingestv1.AccountServiceClient
	words ingestv1.WordsServiceClient
	http  *http.Client
	svc   *ingest.Service
	stop  func()
}

func newRoom(t testing.TB) *room { return joinRoom(t, bustest.New(t)) }

func newRoomWith(t testing.TB, change func(*ingest.Config)) *room {
	return joinRoom(t, bustest.New(t), change)
}

// joinRoom starts one replica on a log.
func joinRoom(t testing.TB, b *bus.Bus, changes ...func(*ingest.Config)) *room {
	t.Helper()
	return joinRoomWith(t, b, func(*ingest.Deps) {}, changes...)
}

// joinRoomWith is joinRoom with other dependencies.
func joinRoomWith(t testing.TB, b *bus.Bus, depend func(*ingest.Deps), changes ...func(*ingest.Config)) *room {
	t.Helper()
	httpL, grpcL := listen(t), listen(t)
	cfg := ingest.DefaultConfig()
	cfg.Sources, cfg.IdentityKey = filepath.Join("..", "..", "deploy", "example", "sources.yaml"), secret
	cfg.DataKey = secret
	for _, change := range changes {
		change(&cfg)
	}
	deps := ingest.Deps{
		Bus: b, Redis: ledgertest.Miniredis(t), Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), HTTP: httpL, GRPC: grpcL,
	}
	depend(&deps)
	svc, err := ingest.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		verify(t, svc, b)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	conn, err := grpc.NewClient(grpcL.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
	}
	t.Cleanup(client.CloseIdleConnections)
	r := &room{t: t, bus: b, url: "http://" + httpL.Addr().String(), api: ingestv1.NewIngestServiceClient(conn), acc: ingestv1.NewAccountServiceClient(conn), words: ingestv1.NewWordsServiceClient(conn), http: client, svc: svc, stop: stop}
	r.eventually("the service is ready", func() bool {
		resp, err := client.Get(r.url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return r
}

// verify folds everything in the log again: whatever a test did, the same
// states must come out, byte for byte.
func verify(t testing.TB, svc *ingest.Service, b *bus.Bus) {
	t.Helper()
	if _, measuring := t.(*testing.B); measuring || !b.NC.IsConnected() {
		return
	}
	report, err := svc.Ledger().Verify(context.Background())
	if err != nil || len(report.Mismatches) > 0 || report.Untold > 0 {
		t.Errorf("the log does not give its states again: %+v, %v", report, err)
	}
	if _, wrong, err := svc.VerifyAccounts(context.Background()); err != nil || len(wrong) > 0 {
		t.Errorf("the log does not give its accounts again: %+v, %v", wrong, err)
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *room) eventually(what string, ok func() bool) {
	r.t.Helper()
	ledgertest.Eventually(r.t, what, ok)
}

// reply is what came back over HTTP.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.body, &m); err != nil {
		t.Fatalf("answer %d is not JSON: %s", r.status, r.body)
	}
	return m
}

// post sends a body with headers given as name, value, name, value.
func (r *room) post(path string, body []byte, headers ...string) reply {
	r.t.Helper()
	return r.send(http.MethodPost, path, body, headers...)
}

func (r *room) send(method, path string, body []byte, headers ...string) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, raw}
}

const formType = "application/x-www-form-urlencoded"

// submit sends a form as a program and gives the lead.
func (r *room) submit(form string) (lead string) {
	r.t.Helper()
	got := r.post("/v1/forms/website", []byte(form), "Content-Type", formType, "Accept", "application/json")
	if got.status/100 != 2 {
		r.t.Fatalf("form answered %d: %s", got.status, got.body)
	}
	return got.json(r.t)["lead_id"].(string)
}

// track sends events of the Segment dialect and expects all to be taken.
func (r *room) track(path string, event map[string]any) map[string]any {
	r.t.Helper()
	event["writeKey"] = websiteKey
	raw, err := json.Marshal(event)
	if err != nil {
		r.t.Fatal(err)
	}
	got := r.post(path, raw)
	if got.status != http.StatusOK {
		r.t.Fatalf("%s answered %d: %s", path, got.status, got.body)
	}
	return got.json(r.t)
}

func (r *room) lead(id string) *leadv1.Lead {
	r.t.Helper()
	got, err := r.api.GetLead(r.t.Context(), &ingestv1.GetLeadRequest{LeadId: id})
	if err != nil {
		r.t.Fatal(err)
	}
	return got.GetLead()
}

// types lists what a lead did, oldest first.
func (r *room) types(id string) string {
	r.t.Helper()
	got, err := r.api.ListActivities(r.t.Context(), &ingestv1.ListActivitiesRequest{LeadId: id})
	if err != nil {
		r.t.Fatal(err)
	}
	var types []string
	for _, a := range got.GetActivities() {
		types = append(types, a.GetType())
	}
	return strings.Join(types, " ")
}

// leads counts the leads in the log.
func (r *room) leads() int {
	r.t.Helper()
	s, err := r.bus.JS.Stream(r.t.Context(), bus.Leads)
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := s.Info(r.t.Context(), jetstream.WithSubjectFilter(bus.Filter(bus.Leads, "*", bus.KindState)))
	if err != nil {
		r.t.Fatal(err)
	}
	return len(info.State.Subjects)
}

func (r *room) parked() []bus.ParkedMsg {
	r.t.Helper()
	list, err := r.bus.ListParked(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, p := range list {
		if len(p.GetSealed()) == 0 {
			continue
		}
		got, err := r.api.GetReject(r.t.Context(), &ingestv1.GetRejectRequest{RejectId: p.Seq})
		if err != nil {
			r.t.Fatal(err)
		}
		p.Data, p.Headers, p.Faults = got.GetReject().GetRaw(), got.GetReject().GetAbout(), got.GetReject().GetFaults()
	}
	return list
}

// said is what is wrong with a parked message.
func said(p bus.ParkedMsg) string {
	if len(p.GetFaults()) == 0 {
		return p.GetError()
	}
	return p.GetFaults()[0].GetMessage()
}
