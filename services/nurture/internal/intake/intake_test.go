package intake

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"pgregory.net/rapid"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/table"
)

// keeper takes rows as ingest does, and breaks off when it is told to.
type keeper struct {
	ingestv1.UnimplementedIngestServiceServer
	mu      sync.Mutex // a stream may begin before the one that broke off has ended
	kept    map[string]uint64
	breakAt func(row uint64) bool
}

func (k *keeper) ImportLeads(s grpc.BidiStreamingServer[ingestv1.ImportLeadsRequest, ingestv1.ImportLeadsResponse]) error {
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(m.GetPlan().GetColumns()) > 0 {
			if err := s.Send(&ingestv1.ImportLeadsResponse{Meanings: map[string]string{"email": "email"}}); err != nil {
				return err
			}
		}
		row := m.GetRow()
		if row == nil {
			continue
		}
		a := &ingestv1.ImportLeadsResponse{Number: row.GetNumber(), Result: ingestv1.ImportLeadsResponse_RESULT_CREATED}
		email := row.GetValues()["email"]
		k.mu.Lock()
		switch _, dup := k.kept[email]; {
		case strings.HasPrefix(email, "bad"):
			a.Result, a.Problems = ingestv1.ImportLeadsResponse_RESULT_REJECTED, []*ingestv1.ImportProblem{{Field: "email", Message: "is not one"}}
		case dup:
			a.Result = ingestv1.ImportLeadsResponse_RESULT_DUPLICATE
		default:
			k.kept[email] = row.GetNumber()
		}
		breaks := k.breakAt != nil && k.breakAt(row.GetNumber())
		k.mu.Unlock()
		if breaks {
			return status.Error(codes.Unavailable, "the log is away") // kept, and not answered
		}
		if err := s.Send(a); err != nil {
			return err
		}
	}
}

func serve(t testing.TB, k *keeper) ingestv1.IngestServiceClient {
	t.Helper()
	pipe, srv := bufconn.Listen(1<<16), grpc.NewServer()
	ingestv1.RegisterIngestServiceServer(srv, k)
	go func() { _ = srv.Serve(pipe) }() // ends with Stop
	t.Cleanup(srv.Stop)
	conn, err := grpc.NewClient("passthrough:///pipe", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return ingestv1.NewIngestServiceClient(conn)
}

// list writes n rows; every seventh is refused, every eleventh cannot be read.
func list(t testing.TB, dir string, n int) (path string, bad, torn int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("email,name\n")
	for i := 1; i <= n; i++ {
		switch {
		case i%11 == 0:
			torn++
			fmt.Fprintf(&b, "torn%d,a,b,c\n", i)
		case i%7 == 0:
			bad++
			fmt.Fprintf(&b, "bad%d,=Bad\n", i)
		default:
			fmt.Fprintf(&b, "p%d@acme.example,P\n", i)
		}
	}
	path = filepath.Join(dir, "list.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, bad, torn
}

func bring(ctx context.Context, t testing.TB, client ingestv1.IngestServiceClient, path string, stopAt uint64) (Tally, error) {
	t.Helper()
	rows, err := table.Open(path, table.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	j, err := OpenJournal(path+".progress", path+".rejects", "l1", rows.Columns())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	died := errors.New("died")
	return Run(ctx, Options{
		Client: client, Rows: rows, Plan: &ingestv1.ImportPlan{Columns: rows.Columns()}, Journal: j,
		Told: func(r table.Row, _ *ingestv1.ImportLeadsResponse) error {
			if r.Number == stopAt {
				return died
			}
			return nil
		},
		Wait: func(context.Context, time.Duration) error { return nil },
	})
}

func TestAnImportGoesOnWhereverItOrTheOtherSideDies(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(0, 3000).Draw(rt, "rows")
		breaks := map[uint64]int{}
		for _, at := range rapid.SliceOfN(rapid.Uint64Range(1, uint64(max(n, 1))), 0, 4).Draw(rt, "server breaks off") {
			breaks[at]++
		}
		dir, err := os.MkdirTemp(t.TempDir(), "") //nolint:usetesting // one for every case
		if err != nil {
			t.Fatal(err)
		}
		k := &keeper{kept: map[string]uint64{}, breakAt: func(row uint64) bool { breaks[row]--; return breaks[row] >= 0 }}
		client := serve(t, k)
		path, bad, torn := list(t, dir, n)
		for _, at := range rapid.SliceOfN(rapid.Uint64Range(1, uint64(n+1)), 0, 3).Draw(rt, "we die") {
			_, _ = bring(t.Context(), t, client, path, at) // a row it has passed already ends it as usual
		}
		tally, err := bring(t.Context(), t, client, path, 0)
		if err != nil {
			rt.Fatal(err)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		good := n - bad - torn
		if len(k.kept) != good || int(tally.Rows) != n || int(tally.Created+tally.Duplicate) != good || int(tally.Rejected) != bad+torn {
			rt.Fatalf("kept %d of %d, tally %+v", len(k.kept), good, tally)
		}
		checkRejects(rt, path+".rejects", bad+torn)
		if _, err := os.Stat(path + ".progress"); !errors.Is(err, os.ErrNotExist) {
			rt.Fatalf("the journal is left: %v", err)
		}
	})
}

// checkRejects: every refused row is there once, with its reason.
func checkRejects(t *rapid.T, path string, want int) {
	f, err := os.Open(path)
	if want == 0 {
		if !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("an empty file of refused rows is left: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) != want+1 || strings.Join(rows[0], ",") != "email,name,nurture_row,nurture_reason,nurture_line" {
		t.Fatalf("%d refused rows, want %d: %v", len(rows)-1, want, err)
	}
	seen := map[string]bool{}
	for _, r := range rows[1:] {
		torn := strings.HasPrefix(r[0], "torn") // its cells have no columns: all of it is kept
		if seen[r[2]] || r[3] == "" || strings.HasPrefix(r[1], "=") || torn && r[4] != r[0]+" | a | b | c" || !torn && r[4] != "" {
			t.Fatalf("row %v", r)
		}
		seen[r[2]] = true
	}
}

func TestARefusedLineThatIsNoObjectIsKeptAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list.ndjson")
	if err := os.WriteFile(path, []byte("{\"email\":\"jo@acme.example\"}\n{\"email\":}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if tally, err := bring(t.Context(), t, serve(t, &keeper{kept: map[string]uint64{}}), path, 0); err != nil || tally.Rejected != 1 {
		t.Fatalf("%+v, %v", tally, err)
	}
	raw, err := os.ReadFile(path + ".rejects")
	var row map[string]string
	if err != nil || json.Unmarshal(raw, &row) != nil || row[LineColumn] != `{"email":}` || row[RowColumn] != "2" || row[ReasonColumn] == "" {
		t.Errorf("refused rows %s, %v", raw, err)
	}
}

func TestWhatWillNotPassByItselfEndsAnImport(t *testing.T) {
	k := &keeper{kept: map[string]uint64{}}
	path, _, _ := list(t, t.TempDir(), 10)
	k.breakAt = func(uint64) bool { return true }
	if _, err := bring(t.Context(), t, serve(t, k), path, 0); status.Code(err) != codes.Unavailable {
		t.Errorf("a log that stays away: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bring(ctx, t, serve(t, k), path, 0); status.Code(err) != codes.Canceled {
		t.Errorf("stopped: %v", err)
	}
}

func TestWhatTheColumnsMeanIsAsked(t *testing.T) {
	m, err := Ask(t.Context(), serve(t, &keeper{}), &ingestv1.ImportPlan{Columns: []string{"email"}})
	if err != nil || m["email"] != "email" {
		t.Errorf("%v, %v", m, err)
	}
}
