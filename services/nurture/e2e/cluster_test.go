package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/box"
	"github.com/nurturehq/nurture/services/nurture/internal/crmdesk"
	"github.com/nurturehq/nurture/services/nurture/internal/inbox"
	"github.com/nurturehq/nurture/services/nurture/internal/population"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/fleet"
	"github.com/nurturehq/nurture/services/nurture/internal/traffic"
)

// cluster is the processes of one test, and the world outside: mailboxes and CRM.
type cluster struct {
	t       *testing.T
	bin     string
	example string
	nats    string
	redis   string
	ports   map[string]string // "ingest http" -> host:port
	secret  string
	access  accessFile
	mails   *inbox.Inbox
	desk    *crmdesk.Desk
	running []*process
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{
		t: t, bin: t.TempDir(), example: example(t), ports: map[string]string{},
		secret: "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
	}
	for _, name := range []string{"ingest", "scoring", "campaign", "handoff"} {
		c.build(name)
		c.ports[name+" http"], c.ports[name+" grpc"] = freePort(t), freePort(t)
	}
	c.build("nurture")
	c.access = newAccessFile(t, c.bin)
	t.Cleanup(c.killAll)
	c.startEngines()
	c.openWorld()
	return c
}

func (c *cluster) startEngines() {
	c.t.Helper()
	redis, err := exec.LookPath("redis-server")
	if err != nil {
		c.t.Fatal("redis-server is missing: install it (Debian: apt-get install redis-server; macOS: brew install redis)")
	}
	_, port, _ := net.SplitHostPort(freePort(c.t))
	c.redis = "127.0.0.1:" + port
	c.run("redis-server", redis, "--port", port, "--save", "", "--appendonly", "no", "--dir", c.bin)
	nats := freePort(c.t)
	_, port, _ = net.SplitHostPort(nats)
	c.nats = "nats://" + nats
	c.run("engines", filepath.Join(c.bin, "nurture"), "engines", "--data", filepath.Join(c.t.TempDir(), "nats"), "--port", port)
	for _, addr := range []string{c.redis, nats} {
		c.until(addr+" answers", 20*time.Second, func() bool {
			conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback, answers or refuses at once
			if err != nil {
				return false
			}
			return conn.Close() == nil
		})
	}
}

// openWorld opens the mailboxes and the CRM in this process.
func (c *cluster) openWorld() {
	c.t.Helper()
	log := slog.New(slog.DiscardHandler)
	smtp, deskDoor := listen(c.t), listen(c.t)
	c.ports["smtp"], c.ports["desk"] = smtp.Addr().String(), deskDoor.Addr().String()
	var err error
	if c.mails, err = inbox.New(inbox.Options{SMTP: smtp, HTTP: listen(c.t), Log: log}); err != nil {
		c.t.Fatal(err)
	}
	c.desk, err = crmdesk.New(crmdesk.Options{HTTP: deskDoor, Secret: c.secret, Handoff: "http://" + c.ports["handoff http"], Token: c.access.sales, Log: log})
	if err != nil {
		c.t.Fatal(err)
	}
	c.background("inbox", c.mails.Run)
	c.background("desk", c.desk.Run)
}

// start runs a service and waits until it is ready.
func (c *cluster) start(name string) {
	c.t.Helper()
	p := c.ports
	args := []string{"--nats-url", c.nats, "--redis-url", c.redis, "--http-addr", p[name+" http"], "--grpc-addr", p[name+" grpc"], "--log-level", "warn"}
	in := func(parts ...string) string { return filepath.Join(append([]string{c.example}, parts...)...) }
	args = append(args, map[string][]string{
		"ingest":  {"--ingest-sources", in("sources.yaml"), "--ingest-identity-key", strings.Repeat("ab", 32), "--ingest-data-key", strings.Repeat("cd", 32)},
		"scoring": {"--scoring-model", in("model.yaml")},
		"campaign": {
			"--ingest-addr", p["ingest grpc"], "--scoring-addr", p["scoring grpc"],
			"--campaign-programs", in("programs"), "--campaign-templates", in("templates"), "--campaign-time-scale", fmt.Sprint(box.StoryScale),
			"--campaign-public-url", "http://" + p["campaign http"], "--campaign-link-keys", strings.Repeat("cd", 32), "--campaign-smtp-addr", p["smtp"],
		},
		"handoff": {
			"--ingest-addr", p["ingest grpc"], "--scoring-addr", p["scoring grpc"], "--campaign-addr", p["campaign grpc"],
			"--handoff-routes", in("routes.yaml"), "--handoff-webhook-url", "http://" + p["desk"] + crmdesk.WebhookPath,
			"--handoff-webhook-secrets", c.secret, "--handoff-webhook-allow", "127.0.0.0/8",
		},
	}[name]...)
	proc := c.run(name, filepath.Join(c.bin, name), args...)
	c.until(name+" is ready", 30*time.Second, func() bool {
		select {
		case err := <-proc.done:
			c.t.Fatalf("%s ended while starting: %v\n%s", name, err, proc.out)
		default:
		}
		resp, err := http.Get("http://" + p[name+" http"] + "/readyz") //nolint:noctx // loopback
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// crowd makes some people who visit ingest.
func (c *cluster) crowd(leads int) *traffic.Traffic {
	const react = 300 * time.Millisecond
	return traffic.New(traffic.Options{
		People: population.New(population.Options{Leads: leads, Seed: 1, Over: time.Second, React: react}), Visits: true,
		Ingest: "http://" + c.ports["ingest http"], Source: traffic.ExampleSource, WriteKey: traffic.ExampleKey,
		Inbox: c.mails, Desk: c.desk, Seed: 1, React: react, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
}

// background runs something in this process until the test ends.
func (c *cluster) background(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		if err := run(ctx); err != nil {
			c.t.Errorf("%s ended with %v", name, err)
		}
	})
	c.t.Cleanup(func() { cancel(); done.Wait() })
}

func (c *cluster) flushRedis() {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.redis) //nolint:noctx // loopback
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "FLUSHALL\r\n"); err != nil {
		c.t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "+OK\r\n" {
		c.t.Fatalf("redis answered %q, %v", line, err)
	}
}

func (c *cluster) until(what string, patience time.Duration, done func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			c.t.Fatalf("not within %s: %s", patience, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// freePort is a port of loopback that nobody has at this moment, and that the
// system does not give to connections.
func freePort(t *testing.T) string {
	t.Helper()
	return freePorts(t, 1)[0]
}

// freePorts are different ones: asked for one by one, two may be the same.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	ports, err := fleet.Ports(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	addrs := make([]string, n)
	for i, p := range ports {
		addrs[i] = fleet.Addr(p)
	}
	return addrs
}
