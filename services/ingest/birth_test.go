package ingest_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest"
)

// birth is what the log has of one lead.
type birth struct {
	claims []string
	// first and last are the sequences of what a lead begins with: its claims, its
	// key and its first record.
	first, last, n uint64
	key            bool
	causes, events []string
	email          string
}

func (b birth) String() string {
	slices.Sort(b.claims)
	return fmt.Sprintf("%v key %v causes %v events %v email %s", b.claims, b.key, b.causes, b.events, b.email)
}

// births reads all that the log has of leads.
func (r *room) births() map[string]*birth {
	r.t.Helper()
	leads := map[string]*birth{}
	of := func(lead string) *birth {
		if leads[lead] == nil {
			leads[lead] = &birth{}
		}
		return leads[lead]
	}
	for raw, err := range r.bus.Read(r.t.Context(), bus.Leads, "leads.>", 1) {
		if err != nil {
			r.t.Fatal(err)
		}
		lead, kind, _, _ := bus.Split(raw.Subject)
		switch {
		case strings.HasPrefix(raw.Subject, "leads.identity.secret."), strings.HasPrefix(raw.Subject, "leads.identity.domain."):
			continue
		case strings.HasPrefix(raw.Subject, "leads.identity."):
			claim := &ingestv1.Claim{}
			if err := proto.Unmarshal(raw.Data, claim); err != nil {
				r.t.Fatal(err)
			}
			lead = claim.GetLeadId()
			of(lead).claims = append(of(lead).claims, raw.Subject)
		case kind == bus.KindKey:
			of(lead).key = true
		case kind == bus.KindState && len(of(lead).causes) == 0:
			r.tell(lead, of(lead))
		default:
			continue
		}
		b := of(lead)
		b.first, b.last, b.n = cmp.Or(b.first, raw.Sequence), raw.Sequence, b.n+1
	}
	return leads
}

// tell adds what the records of a lead say.
func (r *room) tell(lead string, b *birth) {
	r.t.Helper()
	history, err := r.svc.Ledger().History(r.t.Context(), lead)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range history {
		for _, c := range e.Record.GetCauses() {
			b.causes = append(b.causes, c.GetKind()+" "+c.GetId()+" "+c.GetReason())
		}
		for _, raw := range e.Record.GetEvents() {
			ev := &ingestv1.Event{}
			if err := proto.Unmarshal(raw, ev); err != nil {
				r.t.Fatal(err)
			}
			b.events = append(b.events, fmt.Sprintf("%T %s", ev.GetFact(), ev.GetActivity().GetId()))
		}
		b.email = e.State.GetLead().GetProfile().GetEmail()
	}
}

// told lists what the log has of leads, in an order that does not depend on ids.
func (r *room) told() string {
	r.t.Helper()
	var all []string
	for _, b := range r.births() {
		all = append(all, b.String())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// visit is one event of a visitor who tells more or less of who it is.
func visit(visitor string, n int, user, email bool) map[string]any {
	e := map[string]any{"type": "track", "event": "Looked", "anonymousId": visitor, "messageId": fmt.Sprintf("%s-%d", visitor, n)}
	if user {
		e["userId"] = "user of " + visitor
	}
	if email {
		e["type"], e["traits"] = "identify", map[string]any{"email": visitor + "@acme.example"}
	}
	return e
}

func TestLeadsBornInOneCommitAndInTwoAreTheSameOnTheLog(t *testing.T) {
	together, apart := newRoom(t), newRoom(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		if run++; run > 4 {
			return // leads are a second's work, and there are many in each run
		}
		visitors := rapid.IntRange(25, 40).Draw(rt, "visitors")
		var batch []map[string]any
		for v := range visitors {
			for n := range rapid.IntRange(1, 3).Draw(rt, "events") {
				batch = append(batch, visit(fmt.Sprintf("r%d-v%d", run, v), n, rapid.Bool().Draw(rt, "user"), rapid.Bool().Draw(rt, "email")))
			}
		}
		together.track("/v1/batch", map[string]any{"batch": batch})
		for _, e := range batch {
			apart.track("/v1/"+e["type"].(string), e)
		}
	})
	for _, b := range together.births() {
		if b.last-b.first+1 != b.n || !b.key {
			t.Errorf("a lead is not born in one commit: %+v", *b)
		}
	}
	if one, two := together.told(), apart.told(); one != two {
		t.Errorf("in one commit\n%s\nin two\n%s", one, two)
	}
}

func TestOneVisitorsEventsAtOnceAreOneLeadWhileMuchIsWritten(t *testing.T) {
	srv := bustest.Server(t)
	rooms := []*room{joinRoom(t, bustest.Connect(t, srv)), joinRoom(t, bustest.Connect(t, srv))}
	const visitors, each = 60, 5
	var wg sync.WaitGroup
	for n := range each {
		for half := range 2 { // both replicas are told of all visitors, in other orders
			var batch []map[string]any
			for v := range visitors {
				batch = append(batch, visit(fmt.Sprintf("v%d", (v*7+n*11+half*13)%visitors), n, half == n%2, false))
			}
			wg.Go(func() { rooms[half].track("/v1/batch", map[string]any{"batch": batch}) })
		}
	}
	wg.Wait()
	births := rooms[0].births()
	claimed := 0
	for lead, b := range births {
		if len(b.causes) > 0 && len(b.claims) > 0 {
			claimed++
		}
		for _, c := range b.claims {
			if strings.Contains(c, ".anonymous.") && len(b.causes) < each {
				t.Errorf("lead %s has %d of %d events: %s", lead, len(b.causes), each, b)
			}
		}
	}
	if claimed != visitors {
		t.Errorf("%d visitors are %d leads", visitors, claimed)
	}
}

// TestAProcessThatDiesWhileLeadsAreBornLeavesNoneHalfBorn cuts one process after
// the other off the log, at arbitrary moments, while batches of new visitors
// arrive; whoever comes next is sent the same again.
func TestAProcessThatDiesWhileLeadsAreBornLeavesNoneHalfBorn(t *testing.T) {
	srv := bustest.Server(t)
	const visitors = 120
	pauses := rapid.SliceOfN(rapid.IntRange(10, 250), 6, 6).Example(int(time.Now().UnixNano() % 1000))
	t.Logf("killed after %v ms", pauses)
	var batches [][]byte
	for n := range 4 {
		batch := make([]map[string]any, visitors)
		for v := range visitors {
			batch[v] = visit(fmt.Sprintf("v%d", v+n*visitors), 0, false, false)
		}
		raw, err := json.Marshal(map[string]any{"writeKey": websiteKey, "batch": batch})
		if err != nil {
			t.Fatal(err)
		}
		batches = append(batches, raw)
	}
	for _, ms := range pauses {
		url, kill := mortal(t, bustest.Connect(t, srv))
		var wg sync.WaitGroup
		for _, raw := range batches {
			wg.Go(func() { try(t, url+"/v1/batch", raw) })
		}
		<-time.After(time.Duration(ms) * time.Millisecond) // the moment is what is drawn
		kill()
		wg.Wait()
	}
	last := joinRoom(t, bustest.Connect(t, srv))
	t.Logf("%d leads were born", len(last.births()))
	for lead, b := range last.births() {
		if !b.key || len(b.claims) != 1 || len(b.causes) == 0 || b.last-b.first+1 != b.n {
			t.Errorf("lead %s is half born: %+v", lead, *b)
		}
	}
	for _, raw := range batches {
		if got := last.post("/v1/batch", raw); got.status != 200 {
			t.Fatalf("answered %d: %s", got.status, got.body)
		}
	}
	births := last.births()
	for lead, b := range births {
		if len(b.causes) != 1 {
			t.Errorf("lead %s has its event %d times: %+v", lead, len(b.causes), *b)
		}
	}
	if want := len(batches) * visitors; len(births) != want {
		t.Errorf("%d visitors are %d leads", want, len(births))
	}
}

// mortal starts a process that can be cut off from the log at once: as after kill
// -9, nothing it still does has an effect.
func mortal(t *testing.T, b *bus.Bus) (url string, kill func()) {
	t.Helper()
	web := listen(t)
	cfg := ingest.DefaultConfig()
	cfg.Sources, cfg.IdentityKey, cfg.DataKey = filepath.Join("..", "..", "deploy", "example", "sources.yaml"), secret, secret
	svc, err := ingest.New(cfg, ingest.Deps{Bus: b, Log: slog.New(slog.DiscardHandler), HTTP: web, GRPC: listen(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = svc.Run(ctx) // ends when the connection is cut
	}()
	url = "http://" + web.Addr().String()
	ledgertest.Eventually(t, "the process answers", func() bool {
		resp, err := http.Get(url + "/readyz") //nolint:noctx // a test's own server
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return url, func() {
		b.NC.Close()
		cancel()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Error("a process that lost its connection did not end")
		}
	}
}

// try sends and does not mind what comes of it.
func try(t *testing.T, url string, body []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	if resp, err := http.DefaultClient.Do(req); err == nil {
		_ = resp.Body.Close()
	}
}
