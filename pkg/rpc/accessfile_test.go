package rpc_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/pkg/rpc"
)

// keys is an access file under test, and its clock.
type keys struct {
	t    *testing.T
	file string
	now  atomic.Int64
}

func newAccess(t *testing.T) *keys {
	k := &keys{t: t, file: filepath.Join(t.TempDir(), "access.yaml")}
	k.now.Store(time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).UnixNano())
	k.write(nil)
	return k
}

func (k *keys) write(raw []byte) {
	k.t.Helper()
	if err := os.WriteFile(k.file, raw, 0o600); err != nil {
		k.t.Fatal(err)
	}
}

func (k *keys) pass(d time.Duration) { k.now.Add(int64(d)) }

// create enters a token and gives it.
func (k *keys) create(name string, roles ...access.Role) string {
	k.t.Helper()
	return k.enter(access.Entry{Name: name, Roles: roles, Created: "2026-11-25"})
}

func (k *keys) enter(e access.Entry) string {
	k.t.Helper()
	raw, err := os.ReadFile(k.file)
	if err != nil {
		k.t.Fatal(err)
	}
	token := access.Mint(e.Name)
	if raw, err = access.Added(k.file, raw, e, token); err != nil {
		k.t.Fatal(err)
	}
	k.write(raw)
	return token
}

// asked makes a front ask for the tokens of the file.
func (k *keys) asked(o *rpc.ServeOptions) {
	var err error
	o.Access, err = rpc.OpenAccess(rpc.AccessOptions{
		File: k.file, Log: o.Log, Now: func() time.Time { return time.Unix(0, k.now.Load()) },
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func TestTokensAreReadAgainWhenTheFileChanges(t *testing.T) {
	k := newAccess(t)
	first := k.create("crm", access.Personal)
	f := serve(t, &ingest{}, k.asked)
	get := func(token string) int { return f.do(t, http.MethodGet, "/v1/leads/known", "", bearer(token)...).status }
	if got := get(first); got != http.StatusOK {
		t.Fatalf("first: %d", got)
	}
	second := k.enter(access.Entry{Name: "crm", Created: "2026-11-25", Expires: "2026-11-25"})
	k.pass(2 * time.Second)
	if a, b := get(first), get(second); a != http.StatusOK || b != http.StatusOK {
		t.Errorf("both are good while one follows the other: %d %d", a, b)
	}
	raw, err := os.ReadFile(k.file)
	if err != nil {
		t.Fatal(err)
	}
	k.write([]byte("access: [broken"))
	k.pass(2 * time.Second)
	if got := get(first); got != http.StatusOK || !strings.Contains(f.logs.String(), "the former tokens stay") {
		t.Errorf("a broken file: %d", got)
	}
	if raw, err = access.Revoked(k.file, raw, first[:len("nt_crm_1234")]); err != nil {
		t.Fatal(err)
	}
	k.write(raw)
	k.pass(2 * time.Second)
	if a, b := get(first), get(second); a != http.StatusUnauthorized || b != http.StatusOK {
		t.Errorf("after the old one was revoked: %d %d", a, b)
	}
	k.pass(24 * time.Hour)
	got := f.do(t, http.MethodGet, "/v1/leads/known", "", bearer(second)...)
	if got.status != http.StatusUnauthorized || !strings.Contains(got.problem.Detail, "expired") ||
		!strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("the day after its last: %d %s", got.status, got.body)
	}
	if err := os.Remove(k.file); err != nil {
		t.Fatal(err)
	}
	k.pass(2 * time.Second)
	if got := f.do(t, http.MethodGet, "/v1/leads/known", ""); got.status != http.StatusUnauthorized {
		t.Errorf("without the file everybody is let in: %d", got.status)
	}
}

func TestWhoeverGuessesIsSlowedDownAndNobodyElseIs(t *testing.T) {
	reader := metric.NewManualReader()
	meters := otel.GetMeterProvider()
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(reader)))
	t.Cleanup(func() { otel.SetMeterProvider(meters) })
	k := newAccess(t)
	token := k.create("crm", access.Personal)
	f := serve(t, &ingest{}, k.asked)
	get := func(token string) answer { return f.do(t, http.MethodGet, "/v1/leads/known", "", bearer(token)...) }
	for i := range 10 {
		if got := get("nt_guess"); got.status != http.StatusUnauthorized {
			t.Fatalf("guess %d: %d", i, got.status)
		}
	}
	got := get("nt_guess")
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "6" {
		t.Errorf("one more: %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
	}
	if got := get(token); got.status != http.StatusOK {
		t.Errorf("the right token, from the same address: %d", got.status)
	}
	k.pass(6 * time.Second)
	if a, b := get("nt_guess").status, get("nt_guess").status; a != http.StatusUnauthorized || b != http.StatusTooManyRequests {
		t.Errorf("after the wait: %d %d", a, b)
	}
	f.do(t, http.MethodPost, "/v1/leads/known:erase", "{}", bearer(token)...)
	f.do(t, http.MethodGet, "/v1/leads/known", "")
	if diff := cmp.Diff(map[string]int64{"unknown": 11, "limited": 2, "role": 1, "missing": 1}, refusals(t, reader)); diff != "" {
		t.Errorf("counted: %s", diff)
	}
}

// refusals are what was counted, by reason.
func refusals(t *testing.T, reader *metric.ManualReader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "nurture_access_refused" {
				for _, p := range sum.DataPoints {
					reason, _ := p.Attributes.Value("reason")
					counts[reason.AsString()] = p.Value
				}
			}
		}
	}
	return counts
}

func TestWhoDidWhatIsWrittenDownWithoutWhoItIsAbout(t *testing.T) {
	k := newAccess(t)
	token := k.create("support", access.Personal)
	f := serve(t, &ingest{}, k.asked)
	f.do(t, http.MethodGet, "/v1/leads/known", "", bearer(token)...)
	f.do(t, http.MethodGet, "/v1/leads/ann@example.com", "", bearer(token)...)
	f.do(t, http.MethodPost, "/v1/leads/known:erase", "{}", bearer(token)...)
	f.do(t, http.MethodPost, "/v1/leads:lookup", `{"email":"ann@example.com"}`, bearer(token)...)
	var lines []map[string]any
	for line := range strings.Lines(f.logs.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err == nil && strings.HasPrefix(l["msg"].(string), "access") {
			lines = append(lines, l)
		}
	}
	if len(lines) != 4 {
		t.Fatalf("%d lines: %s", len(lines), f.logs.String())
	}
	for field, want := range map[string]string{"caller": "support", "method": "GetLead", "lead_id": "known", "result": "OK", "role": "personal", "by": "token"} {
		if lines[0][field] != want {
			t.Errorf("%s is %v, want %s", field, lines[0][field], want)
		}
	}
	if lines[1]["lead_id"] != "(not an id)" || lines[1]["result"] != "NOT_FOUND" {
		t.Errorf("what was typed: %v", lines[1])
	}
	if lines[2]["msg"] != "access refused" || lines[2]["method"] != "EraseLead" || lines[2]["caller"] != "support" {
		t.Errorf("refused: %v", lines[2])
	}
	if lines[3]["method"] != "LookupLead" || lines[3]["caller"] != "support" {
		t.Errorf("looked up: %v", lines[3])
	}
	if strings.Contains(f.logs.String(), "ann@") || strings.Contains(f.logs.String(), token) {
		t.Error("the log has an address or a token")
	}
}

func TestTheTokenOfAProcessIsGoodInItAlone(t *testing.T) {
	k := newAccess(t)
	var own string
	f := serve(t, &ingest{}, func(o *rpc.ServeOptions) { k.asked(o); own = o.Access.Token() })
	other := serve(t, &ingest{}, k.asked)
	if got := f.do(t, http.MethodGet, "/v1/leads/known", "", bearer(own)...); got.status != http.StatusOK {
		t.Errorf("here: %d", got.status)
	}
	if got := f.do(t, http.MethodPost, "/v1/leads/known:erase", "{}", bearer(own)...); got.status != http.StatusForbidden {
		t.Errorf("erase: %d", got.status)
	}
	if got := other.do(t, http.MethodGet, "/v1/leads/known", "", bearer(own)...); got.status != http.StatusUnauthorized {
		t.Errorf("elsewhere: %d", got.status)
	}
}

func TestAServiceThatWasToldToAskForTokensDoesNotStartWithout(t *testing.T) {
	if _, err := rpc.OpenAccess(rpc.AccessOptions{File: filepath.Join(t.TempDir(), "none.yaml")}); err == nil || !strings.Contains(err.Error(), "nurture access create") {
		t.Errorf("got %v", err)
	}
}

func TestACertificateIsAsGoodAsATokenAndATokenNeedsNone(t *testing.T) {
	k := newAccess(t)
	token := k.create("support", access.Personal)
	ca := newAuthority(t)
	cert, key := ca.sign(t, "ingest", "localhost")
	become(t, cert, key, ca.file)
	f := serve(t, &ingest{}, k.asked)
	if err := ask(t, f.conn); err != nil {
		t.Errorf("by certificate: %v", err)
	}
	become(t, "", "", ca.file)
	if _, err := newClient(t, target(f), "").GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "known"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("neither: %v", err)
	}
	if _, err := newClient(t, target(f), token).GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "known"}); err != nil {
		t.Errorf("by token: %v", err)
	}
	stranger := newAuthority(t)
	cert, key = stranger.sign(t, "stranger", "localhost")
	become(t, cert, key, ca.file)
	conn, err := rpc.DialAs(target(f), token)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	refused(t, "a certificate nobody here signed, in spite of the token", ask(t, conn))
}

func newClient(t *testing.T, target, token string) ingestv1.IngestServiceClient {
	t.Helper()
	conn, err := rpc.DialAs(target, token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return ingestv1.NewIngestServiceClient(conn)
}

// silent is a service whose call does not say who may make it.
func silent() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{ServiceName: "nurture.ingest.v1.NoSuchService", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Do"}}}
}

func TestAServiceWithACallThatDoesNotSayDoesNotStart(t *testing.T) {
	var opts rpc.ServeOptions
	serve(t, &ingest{}, func(o *rpc.ServeOptions) { opts = *o })
	opts.GRPC, opts.HTTP = listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	opts.Register = func(s *grpc.Server) { s.RegisterService(silent(), nil) }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := rpc.Serve(ctx, opts); err == nil || !strings.Contains(err.Error(), "NoSuchService") {
		t.Errorf("got %v", err)
	}
}
