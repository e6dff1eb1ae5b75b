package scoring_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/leadview/leadtest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	pkgrpc "github.com/nurturehq/nurture/pkg/rpc"
	"github.com/nurturehq/nurture/services/scoring"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
	scoringv1 "github.com/nurturehq/nurture/proto/nurture/scoring/v1"
)

const patience = 20 * time.Second

// room is the whole service on a real log.
type room struct {
	t      *testing.T
	bus    *bus.Bus
	svc    *scoring.Service
	http   string
	client scoringv1.ScoringServiceClient
}

func openRoom(t *testing.T, modelFile string) *room {
	t.Helper()
	b := bustest.New(t)
	grpcAt, httpAt := listen(t), listen(t)
	svc, err := scoring.New(scoring.Config{Model: modelFile, Lanes: 2}, scoring.Deps{
		Bus: b, Redis: ledgertest.Miniredis(t), Log: slog.New(slog.DiscardHandler), HTTP: httpAt, GRPC: grpcAt,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- svc.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	conn, err := pkgrpc.Dial(grpcAt.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &room{t: t, bus: b, svc: svc, http: "http://" + httpAt.Addr().String(), client: scoringv1.NewScoringServiceClient(conn)}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// publish writes a record as another service would.
func (r *room) publish(stream, lead string, state proto.Message, events ...proto.Message) {
	r.t.Helper()
	rec := &ledgerv1.Record{State: encode(r.t, state)}
	for _, e := range events {
		rec.Events = append(rec.Events, encode(r.t, e))
	}
	msg := &nats.Msg{Subject: bus.Subject(stream, lead, bus.KindState), Data: encode(r.t, rec)}
	if _, err := r.bus.Publish(r.t.Context(), msg); err != nil {
		r.t.Fatal(err)
	}
}

func person(lead string) *ingestv1.State {
	return &ingestv1.State{Lead: leadtest.WithFacts(&leadv1.Lead{LeadId: lead, Profile: &leadv1.Profile{
		Email: "ada@example.com", FirstName: "Ada", Employees: 300, Country: "DE",
	}})}
}

func captured() proto.Message {
	return &ingestv1.Event{Fact: &ingestv1.Event_Captured{Captured: &ingestv1.Captured{}}}
}

func activity(kind string) proto.Message {
	return &ingestv1.Event{Fact: &ingestv1.Event_Activity{Activity: &leadv1.Activity{
		Type: kind, OccurredAt: timestamppb.Now(), Properties: map[string]string{"path": "/pricing"},
	}}}
}

// until waits for a record of the lead that ok agrees to.
func (r *room) until(what, lead string, ok func(*scoringv1.State) bool) *ledgerv1.Record {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	state, rec := &scoringv1.State{}, &ledgerv1.Record{}
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		msg, err := r.bus.LastMsg(r.t.Context(), bus.Scores, bus.Subject(bus.Scores, lead, bus.KindState))
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			r.t.Fatal(err)
		}
		if err == nil {
			if err := errors.Join(proto.Unmarshal(msg.Data, rec), proto.Unmarshal(rec.GetState(), state)); err != nil {
				r.t.Fatal(err)
			}
			if ok(state) {
				return rec
			}
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: still %v", what, state)
		}
	}
}

func inStage(want leadv1.Stage) func(*scoringv1.State) bool {
	return func(s *scoringv1.State) bool { return s.GetScore().GetStage() == want }
}

func (r *room) get(path string) (int, map[string]any) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.http+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	body := map[string]any{}
	if err := json.Unmarshal(raw, &body); err != nil {
		r.t.Fatalf("%s: %s", path, raw)
	}
	return resp.StatusCode, body
}
