package rpc_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/nurturehq/nurture/proto/nurture/access/v1"
	_ "github.com/nurturehq/nurture/proto/nurture/campaign/v1"
	_ "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	_ "github.com/nurturehq/nurture/proto/nurture/scoring/v1"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/pkg/rpc"
)

func TestEveryCallSaysWhoMayMakeIt(t *testing.T) {
	methods := 0
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "nurture.") {
			return true
		}
		for i := range f.Services().Len() {
			list := f.Services().Get(i).Methods()
			for j := range list.Len() {
				methods++
				m := list.Get(j)
				role, _ := proto.GetExtension(m.Options(), accessv1.E_Needs).(accessv1.Role)
				if !slices.Contains(access.Roles(), role) {
					t.Errorf("%s does not say who may call it: give it option (nurture.access.v1.needs)", m.FullName())
				}
				if erases := strings.HasPrefix(string(m.Name()), "Erase"); erases && role != access.Admin {
					t.Errorf("%s is for administrators, not for %s", m.FullName(), access.NameOf(role))
				}
			}
		}
		return true
	})
	if methods < 40 {
		t.Fatalf("found %d calls: the services are not linked into this test", methods)
	}
}

func TestWithoutAnAccessFileOnlyThisMachineIsServed(t *testing.T) {
	f := serve(t, &ingest{}, nil)
	if got := f.do(t, http.MethodGet, "/v1/leads/known", ""); got.status != http.StatusOK {
		t.Errorf("from this machine: %d %s", got.status, got.body)
	}
	for _, header := range [][2]string{
		{"X-Forwarded-For", "203.0.113.7"},
		{"Forwarded", "for=203.0.113.7"},
		{"X-Real-IP", "203.0.113.7"},
		{"Via", "1.1 proxy"},
		{"X-Forwarded-For", "127.0.0.1"},
	} {
		got := f.do(t, http.MethodGet, "/v1/leads/known", "", header[:]...)
		if got.status != http.StatusUnauthorized || !strings.Contains(got.problem.Detail, "nurture access create") {
			t.Errorf("through a proxy that says %s: %d %s", header[0], got.status, got.body)
		}
		if got.header.Get("WWW-Authenticate") != `Bearer realm="nurture"` {
			t.Errorf("WWW-Authenticate: %q", got.header.Get("WWW-Authenticate"))
		}
	}
	if got := f.do(t, http.MethodGet, "/metrics", "", "Via", "1.1 proxy"); got.status != http.StatusUnauthorized {
		t.Errorf("metrics through a proxy: %d", got.status)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := f.do(t, http.MethodGet, path, "", "Via", "1.1 proxy"); got.status != http.StatusOK {
			t.Errorf("%s through a proxy: %d", path, got.status)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-forwarded-for", "203.0.113.7")
	if _, err := f.client.GetLead(ctx, &ingestv1.GetLeadRequest{LeadId: "known"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("gRPC through a proxy: %v", err)
	}
}

func TestAPageWhoseNamePointsAtThisMachineIsNotThisMachine(t *testing.T) {
	f := serve(t, &ingest{}, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/v1/leads/known", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "attacker.example:8080"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d", resp.StatusCode)
	}
}

func TestBehindAProxyThatAddsNothingNobodyIsThisMachine(t *testing.T) {
	f := serve(t, &ingest{}, func(o *rpc.ServeOptions) { o.Fronted = true })
	if got := f.do(t, http.MethodGet, "/v1/leads/known", ""); got.status != http.StatusUnauthorized {
		t.Errorf("got %d", got.status)
	}
	if _, err := f.client.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "known"}); err != nil {
		t.Errorf("gRPC has no proxy: %v", err)
	}
}

func TestPathsThatAreThePublicsAskForNothing(t *testing.T) {
	k := newAccess(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/forms/{source}", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	f := serve(t, &ingest{}, func(o *rpc.ServeOptions) { k.asked(o); o.Handler = mux })
	for path, want := range map[string]int{"/v1/forms/website": 204, "/v1/leads": 401} {
		if got := f.do(t, http.MethodPost, path, "{}", "X-Forwarded-For", "203.0.113.7"); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
	if got := f.do(t, http.MethodGet, "/v1/nothing", ""); got.status != http.StatusNotFound {
		t.Errorf("a path that does not exist: %d", got.status)
	}
}

func TestATokenOpensWhatItsRolesAllow(t *testing.T) {
	k := newAccess(t)
	tokens := map[string]string{}
	for _, role := range access.Roles() {
		tokens[access.NameOf(role)] = k.create(access.NameOf(role), role)
	}
	f := serve(t, answering(&ingestv1.CaptureLeadResponse{LeadId: "l1"}, nil), k.asked)
	for _, c := range []struct {
		method, path, body string
		may                []string
		scope              string
	}{
		{"GET", "/v1/leads/known", "", []string{"personal", "admin"}, "personal"},
		{"POST", "/v1/leads", lead, []string{"send", "admin"}, "send"},
		{"GET", "/v1/sources", "", []string{"read", "personal", "operate", "admin"}, "read"},
		{"POST", "/v1/leads/known:erase", "{}", []string{"admin"}, "admin"},
		{"POST", "/v1/rejects/1:redrive", "", []string{"operate", "admin"}, "operate"},
		{"GET", "/metrics", "", []string{"read", "personal", "operate", "admin"}, "read"},
	} {
		for _, role := range access.Roles() {
			name := access.NameOf(role)
			got := f.do(t, c.method, c.path, c.body, bearer(tokens[name])...)
			// What this test's service does not implement, and metrics of a process
			// without telemetry, are failures of the server and not of the caller.
			allowed := got.status == http.StatusOK || got.status >= http.StatusInternalServerError
			if allowed != slices.Contains(c.may, name) {
				t.Errorf("%s %s as %s: %d %s", c.method, c.path, name, got.status, got.body)
			}
			if !allowed && (got.status != http.StatusForbidden || !strings.Contains(got.problem.Detail, "needs the role "+c.scope+"; "+name+" has "+name) ||
				!strings.Contains(got.header.Get("WWW-Authenticate"), `error="insufficient_scope", scope="`+c.scope+`"`)) {
				t.Errorf("%s %s as %s: %s %v", c.method, c.path, name, got.body, got.header)
			}
		}
		got := f.do(t, c.method, c.path, c.body)
		if got.status != http.StatusUnauthorized || !strings.Contains(got.problem.Detail, "Authorization: Bearer") {
			t.Errorf("%s %s without a token: %d %s", c.method, c.path, got.status, got.body)
		}
	}
}

func TestGRPCCallersShowTheSameTokens(t *testing.T) {
	k := newAccess(t)
	token := k.create("support", access.Personal)
	f := serve(t, &ingest{}, k.asked)
	for _, c := range []struct {
		token string
		get   codes.Code
		erase codes.Code
	}{
		{"", codes.Unauthenticated, codes.Unauthenticated},
		{"nt_support_0", codes.Unauthenticated, codes.Unauthenticated},
		{token, codes.OK, codes.PermissionDenied},
		{" " + token + "\n", codes.OK, codes.PermissionDenied}, // as files have it
	} {
		conn, err := rpc.DialAs(f.grpc, c.token)
		if err != nil {
			t.Fatal(err)
		}
		client := ingestv1.NewIngestServiceClient(conn)
		if _, err := client.GetLead(t.Context(), &ingestv1.GetLeadRequest{LeadId: "known"}); status.Code(err) != c.get {
			t.Errorf("%q: %v", c.token, err)
		}
		if _, err := client.EraseLead(t.Context(), &ingestv1.EraseLeadRequest{LeadId: "known"}); status.Code(err) != c.erase {
			t.Errorf("%q erases: %v", c.token, err)
		}
		stream, err := client.ExportEvents(t.Context(), &ingestv1.ExportEventsRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if want := map[codes.Code]codes.Code{codes.OK: codes.Internal, codes.Unauthenticated: codes.Unauthenticated}[c.get]; status.Code(err) != want {
			t.Errorf("%q exports: %v", c.token, err)
		}
		_ = conn.Close()
	}
	t.Setenv("NURTURE_TOKEN", token)
	if err := ask(t, dial(t, f.grpc)); err != nil {
		t.Errorf("with NURTURE_TOKEN: %v", err)
	}
}

func TestNobodyIntroducesHimselfAsSomebodyElse(t *testing.T) {
	k := newAccess(t)
	token := k.create("grafana", access.Read)
	f := serve(t, &ingest{}, k.asked)
	for _, prefix := range []string{"", "Grpc-Metadata-", "grpcgateway-"} {
		got := f.do(t, http.MethodGet, "/v1/leads/known", "", append(bearer(token),
			prefix+"Nurture-Caller-Name", "root", prefix+"Nurture-Caller-Roles", "admin", prefix+"Nurture-Caller-Kind", "process")...)
		if got.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", prefix, got.status, got.body)
		}
	}
	conn, err := rpc.DialAs(f.grpc, token)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "nurture-caller-roles", "admin", "nurture-caller-name", "root")
	if _, err := ingestv1.NewIngestServiceClient(conn).GetLead(ctx, &ingestv1.GetLeadRequest{LeadId: "known"}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("gRPC: %v", err)
	}
}
