package e2e

import (
	"context"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// whole is `nurture run` as a process of its own, and all that it leaves: its
// data, its log, and what it exports as OTLP.
type whole struct {
	t               *testing.T
	bin, data, left string
	doors           map[string]string
	nats, collector string
	cmd             *exec.Cmd
	done            chan error
	mu              sync.Mutex
	exported        int
}

func newWhole(t *testing.T) *whole {
	t.Helper()
	w := &whole{t: t, bin: filepath.Join(t.TempDir(), "nurture"), data: t.TempDir(), left: t.TempDir(), doors: map[string]string{}}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.bin, "../cmd/nurture")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build nurture: %v\n%s", err, out)
	}
	ports := freePorts(t, len(box.Doors())+1)
	for i, d := range box.Doors() {
		w.doors[d.Flag] = ports[i]
	}
	w.nats = ports[len(ports)-1]
	collector := httptest.NewServer(http.HandlerFunc(w.collect))
	t.Cleanup(collector.Close)
	w.collector = collector.URL
	t.Cleanup(w.kill)
	return w
}

// collect keeps what is exported, byte for byte.
func (w *whole) collect(_ http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	defer w.mu.Unlock()
	f, err := os.OpenFile(filepath.Join(w.left, "otlp"+strings.ReplaceAll(r.URL.Path, "/", "-")), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Error(err)
		return
	}
	_, _ = f.Write(raw)
	_ = f.Close()
	w.exported++
}

func (w *whole) exports() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.exported
}

// start runs the process and waits until it is ready.
func (w *whole) start() {
	w.t.Helper()
	_, port, err := net.SplitHostPort(w.nats)
	if err != nil {
		w.t.Fatal(err)
	}
	args := []string{"run", "--demo", "off", "--data", w.data, "--config", example(w.t), "--log", "debug", "--nats-port", port, "--time-scale", "0.02"}
	for flag, addr := range w.doors {
		args = append(args, "--"+flag, addr)
	}
	log, err := os.OpenFile(filepath.Join(w.left, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close()
	w.cmd, w.done = exec.Command(w.bin, args...), make(chan error, 1) //nolint:noctx // it is ended by signal
	w.cmd.Stdout, w.cmd.Stderr = log, log
	w.cmd.Env = append(os.Environ(), "NURTURE_ACCESS_FILE=", "NURTURE_TOKEN=", "OTEL_EXPORTER_OTLP_ENDPOINT="+w.collector, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_BLRP_SCHEDULE_DELAY=100", "OTEL_METRIC_EXPORT_INTERVAL=500")
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait(); close(done) }(w.cmd, w.done)
	p := w.person()
	p.wait("nurture run is ready", func() bool {
		select {
		case err := <-w.done:
			raw, _ := os.ReadFile(log.Name())
			w.t.Fatalf("nurture run ended: %v\n%s", err, raw)
		default:
		}
		return p.get(p.ingest+"/readyz") == "ready\n"
	})
}

// kill ends the process as a power cut would: it has no time for anything.
func (w *whole) kill() {
	if w.cmd == nil {
		return
	}
	_ = w.cmd.Process.Kill()
	<-w.done
	w.cmd = nil
}

// end asks the process to end.
func (w *whole) end() {
	w.t.Helper()
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-w.done:
		if err != nil {
			w.t.Errorf("nurture run ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		w.t.Fatal("nurture run does not end")
	}
	w.cmd = nil
}

// unindex removes the index files of the log: after a crash they may be older
// than what they are about, and the server reads the messages themselves.
func (w *whole) unindex() {
	w.t.Helper()
	for _, path := range w.indexes() {
		if err := os.Remove(path); err != nil {
			w.t.Fatal(err)
		}
	}
}

// indexes are the index files that there are.
func (w *whole) indexes() (paths []string) {
	w.t.Helper()
	err := filepath.WalkDir(filepath.Join(w.data, "nats"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() == "index.db" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}

func (w *whole) person() *person {
	at := func(door string) string { return "http://" + w.doors[door] }
	return &person{
		t: w.t, ingest: at(box.IngestHTTP), handoff: at(box.HandoffHTTP), desk: at(box.DeskHTTP), inbox: at(box.InboxHTTP), grpc: w.doors[box.IngestGRPC], nats: "nats://" + w.nats,
	}
}

// TestAProcessThatIsKilledRightAfterAnErasureHasForgotten kills `nurture run` the
// moment it has answered, looks through all it left, starts it again, with index
// files of the log that are older than the erasure and without any, and looks
// again: in its data, its log, and what it exported.
func TestAProcessThatIsKilledRightAfterAnErasureHasForgotten(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a binary")
	}
	w := newWhole(t)
	w.start()
	p := w.person()
	p.live()
	p.wait("spans, metrics and log lines are exported", func() bool { return w.exports() >= 3 })
	w.end() // writes index files
	if len(w.indexes()) == 0 {
		t.Error("there are no index files that could be too old")
	}
	if len(hits(t, w.data, canaries()["e-mail"])) == 0 {
		t.Fatal("the search does not find what must be there before the erasure")
	}
	w.start()
	said := p.erase(p.api())
	w.kill()
	if said.GetFinishedAt() == nil {
		t.Errorf("the erasure was answered before it was finished: %v", said)
	}
	forgotten(t, "after SIGKILL", w.data, w.left)
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(w.data)); err != nil {
		t.Fatal(err)
	}
	w.again(p, "after a restart with old index files")
	w.data = copied
	w.unindex()
	w.again(p, "after a restart without index files")
}

// again starts the process on what was left, lets the person come back and be
// erased once more, ends it, and searches.
func (w *whole) again(was *person, when string) {
	w.t.Helper()
	w.start()
	p := w.person()
	p.lead = was.lead
	p.erased(p.api())
	if fresh := p.fill(nil); fresh == "" || fresh == was.lead {
		w.t.Errorf("%s: whoever comes back is lead %q, and was %q", when, fresh, was.lead)
	} else {
		p.lead = fresh
		p.erase(p.api())
		p.erased(p.api())
	}
	w.end()
	forgotten(w.t, when, w.data, w.left)
}

// TestAnErasureIsFinishedWhereverItIsKilled kills the process after each step that
// it writes down, the log's server in it, and wants the erasure finished after the
// restart, and nothing of the person left. When overwriting itself was interrupted,
// the server may keep the bytes of a message it has marked as deleted (docs/adr/0012):
// then the certificate says so, and what was sealed is unreadable all the same.
func TestAnErasureIsFinishedWhereverItIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a process after each step of an erasure")
	}
	w := newWhole(t)
	w.start()
	seen := map[int]bool{}
	left := &residue{readable: map[string]bool{}, broken: map[string]bool{}}
	for steps := 0; ; steps++ {
		p := w.person()
		p.wait("the form is taken", func() bool { p.lead = p.fill(map[string]any{"form": "demo"}); return p.lead != "" })
		p.wait("sales has the lead", func() bool { return strings.Contains(p.get(p.desk+"/"), p.lead) })
		left.look(w)
		at, all := w.killAt(p, steps)
		seen[at] = true
		w.start()
		p.askAgain(p.api())
		done := p.erased(p.api())
		left.learn(done)
		for _, s := range done.GetSteps() {
			if s.GetStatus() == ingestv1.ErasureStatus_ERASURE_STATUS_PENDING {
				t.Errorf("killed after %d steps: finished, and %s is pending", at, s.GetName())
			}
		}
		if steps >= all {
			break
		}
	}
	t.Logf("killed after these numbers of steps: %v", slices.Sorted(maps.Keys(seen)))
	if len(seen) < 12 {
		t.Errorf("killed in %d different places only", len(seen))
	}
	w.end()
	for name, value := range canaries() {
		for _, path := range append(hits(t, w.data, value), hits(t, w.left, value)...) {
			if !left.explains(name, path) {
				t.Errorf("after all those crashes the %s is still in %s; steps that broke off: %v", name, path, left.broken)
			}
		}
	}
}

// residue is what the log's server may have left of a message that it was killed over.
type residue struct {
	// readable are the values that are not sealed, by stream and name.
	readable map[string]bool
	// broken are the streams in which overwriting broke off.
	broken map[string]bool
}

// look notes which values lie in the log as they are.
func (r *residue) look(w *whole) {
	for name, value := range canaries() {
		for _, path := range hits(w.t, filepath.Join(w.data, "nats"), value) {
			r.readable[streamOf(path)+" "+name] = true
		}
	}
}

// learn notes what the certificate says.
func (r *residue) learn(c *ingestv1.Erasure) {
	for _, s := range c.GetSteps() {
		if !s.GetInterrupted() {
			continue
		}
		switch s.GetName() {
		case "identities", "accounts", "data_key":
			r.broken["LEADS"] = true
		default:
			r.broken[strings.ToUpper(strings.TrimPrefix(s.GetName(), "messages_"))] = true
		}
	}
}

// explains reports whether a value may be in a file.
func (r *residue) explains(name, path string) bool {
	stream := streamOf(path)
	return r.broken[stream] && r.readable[stream+" "+name]
}

// streamOf is the stream that a file belongs to; empty for any other file.
func streamOf(path string) string {
	_, rest, _ := strings.Cut(path, "/streams/")
	stream, _, _ := strings.Cut(rest, "/")
	return stream
}

// killAt asks for an erasure and kills the process when so many steps are written
// down. It says how many were, and how many there are.
func (w *whole) killAt(p *person, steps int) (at, all int) {
	w.t.Helper()
	conn, err := nats.Connect(p.nats, nats.NoReconnect())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	sub, err := conn.SubscribeSync("leads.erasure." + p.lead)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		w.t.Fatal(err)
	}
	api := p.api()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		defer cancel()
		_, _ = api.EraseLead(ctx, &ingestv1.EraseLeadRequest{LeadId: p.lead}) // it dies under the call
	}()
	for {
		msg, err := sub.NextMsg(30 * time.Second)
		if err != nil {
			w.t.Fatal(err)
		}
		c := &ingestv1.Erasure{}
		if err := proto.Unmarshal(msg.Data, c); err != nil {
			w.t.Fatal(err)
		}
		at, all = 0, len(c.GetSteps())
		for _, s := range c.GetSteps() {
			if s.GetStatus() != ingestv1.ErasureStatus_ERASURE_STATUS_PENDING {
				at++
			}
		}
		if at >= steps || c.GetFinishedAt() != nil {
			w.kill()
			<-asked
			return at, all
		}
	}
}
