package e2e

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/nurturehq/nurture/pkg/config"
	"github.com/nurturehq/nurture/pkg/returnpath"
	"github.com/nurturehq/nurture/services/campaign"
	"github.com/nurturehq/nurture/services/ingest"
	"github.com/nurturehq/nurture/services/nurture/internal/box"
)

// reader is somebody who follows a page to the letter, with a copy of the example
// configuration and a Nurture of their own.
type reader struct {
	*testing.T
	page page
	// dir is where the reader stands: the configuration, with bin/nurture in it.
	// Under deploy/example it is itself.
	dir string
	// addr is where the test listens, by the port that pages write.
	addr map[string]string
	// env are the variables that the reader was told to set.
	env map[string]string
	// said is all that commands have printed.
	said strings.Builder

	nurture *exec.Cmd
	log     *journal
	ended   chan error
	// read is the configuration that nurture was started with.
	read string
}

func newReader(t *testing.T, p page) *reader {
	t.Helper()
	r := &reader{T: t, page: p, dir: t.TempDir(), log: &journal{}, env: map[string]string{}}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Whatever curl is answered with 400 or above is a command that did not work.
	files := map[string]string{".curlrc": "fail-with-body\nsilent\nshow-error\nmax-time = 10\n"}
	maps.Copy(files, p.files)
	if err := os.CopyFS(r.dir, os.DirFS(example(t))); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"bin/nurture": exe, "deploy/example": r.dir} {
		link := filepath.Join(r.dir, name)
		if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o700), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		r.write(name, []byte(text))
	}
	t.Cleanup(r.stop)
	return r
}

func (r *reader) write(name string, raw []byte) {
	r.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), raw, 0o600); err != nil {
		r.Fatal(err)
	}
}

// file is what a file says; nothing when it is not there.
func (r *reader) file(name string) []byte {
	raw, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil && !os.IsNotExist(err) {
		r.Fatal(err)
	}
	return raw
}

// follow does what a page says, from its first block to its last.
func (r *reader) follow(blocks []block) {
	r.Helper()
	left := map[string]bool{}
	for _, b := range blocks {
		if words, _ := among(b, r.page.left); words != "" {
			left[words] = true
			continue
		}
		if _, wait := among(b, r.page.first); wait.command != "" {
			r.expect(wait)
		}
		switch b.language {
		case "yaml":
			r.enter(b)
		case "sh", "console":
			r.do(b)
		default:
			if idle()[b.language] == "" {
				r.Errorf("%s: a block of language %q: what should be done with it?", b.place, b.language)
			}
		}
	}
	for words := range r.page.left {
		if !left[words] {
			r.Errorf("the page has no block that begins with %q any more: take it out of this test", words)
		}
	}
}

// enter puts a piece of configuration where the page says, and checks it.
func (r *reader) enter(b block) {
	r.Helper()
	text := r.filled(b.text)
	var top map[string]any
	if err := yaml.Unmarshal([]byte(text), &top); err != nil {
		r.Fatalf("%s: %v", b.place, err)
	}
	file := ""
	switch {
	case top["sources"] != nil:
		file = "sources.yaml"
	case top["attributes"] != nil:
		file = "facts.yaml"
	default:
		r.set(b.place, text)
		return
	}
	r.write(file, entered(r.T, r.file(file), text))
	if err := box.Lint(r.dir); err != nil {
		r.Fatalf("%s: nurture lint: %v", b.place, err)
	}
}

// set reads a piece of the services' settings as they would.
func (r *reader) set(place, text string) {
	r.Helper()
	set := settings{Campaign: campaign.DefaultConfig(), Ingest: ingest.DefaultConfig()}
	err := config.DecodeYAML(place, []byte(text), &set)
	err = errors.Join(err, set.Campaign.Validate())
	if keys := append(set.Campaign.Mail.BounceKeys, set.Ingest.Bounces.Keys...); len(keys) > 0 {
		_, bad := returnpath.NewSigner(keys)
		err = errors.Join(err, bad)
	}
	if err != nil {
		r.Errorf("%s: %v", place, err)
	}
}

// settings are the parts of the services' settings files that pages show.
type settings struct {
	Campaign campaign.Config `yaml:"campaign"`
	Ingest   ingest.Config   `yaml:"ingest"`
}

// alone are commands that need no running platform.
var alone = regexp.MustCompile(`\bnurture (source (create|rotate)|access|lint)\b`)

// do types the commands of a block and looks at what they print.
func (r *reader) do(b block) {
	r.Helper()
	if script := b.script(); strings.Contains(alone.ReplaceAllString(script, ""), "nurture ") || strings.Contains(script, "127.0.0.1:") {
		r.start()
	}
	out, err := r.shell(b.script())
	if err != nil {
		r.Fatalf("%s: %v\n%s\nprinted:\n%s\nNurture said:\n%s", b.place, err, b.script(), out, r.log.bytes())
	}
	if want := missing(b.shown(), out); want != nil {
		r.Errorf("%s: the page shows %s, but this was printed:\n%s", b.place, want, out)
	}
}

// expect types a command until it prints what is wanted: other services hear of
// some of it in a moment.
func (r *reader) expect(p promise) {
	r.Helper()
	r.start()
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(50 * time.Millisecond) {
		out, err := r.shell(p.command)
		lacks := ""
		for _, want := range p.says {
			if !strings.Contains(out, want) {
				lacks = want
			}
		}
		switch {
		case err == nil && lacks == "":
			return
		case time.Now().After(deadline):
			r.Fatalf("%s: %v, expected %q in\n%s", p.command, err, lacks, out)
		}
	}
}

// told are the variables that a command tells the reader to start ingest with.
var told = regexp.MustCompile(`(?m)^Start ingest with ([A-Z_]+)=([^<\s]+)$`)

// shell runs commands the way a reader would, in one shell after the other that
// remembers the variables of the former.
func (r *reader) shell(script string) (string, error) {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	vars := map[string]string{
		"INGEST_ADDR": r.addr["9080"], "SCORING_ADDR": r.addr["9081"], "CAMPAIGN_ADDR": r.addr["9082"], "HANDOFF_ADDR": r.addr["9083"],
		"NATS_URL": "nats://" + r.addr["4222"],
	}
	maps.Copy(vars, r.env)
	before := "set -a\nif [ -f .variables ]; then . ./.variables; fi\n"
	for name, value := range vars {
		before += name + "='" + value + "'\n"
	}
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", before+r.filled(script)+"\nexport -p >.variables")
	cmd.Dir, cmd.Env = r.dir, r.environ()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	r.said.Write(out)
	for _, v := range told.FindAllStringSubmatch(string(out), -1) {
		r.env[v[1]] = v[2]
	}
	return string(out), err
}

// environ is little more than what the reader set.
func (r *reader) environ() []string {
	env := []string{"PATH=" + filepath.Join(r.dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + r.dir, "CURL_HOME=" + r.dir, "LC_ALL=C"}
	for name, value := range r.env {
		env = append(env, name+"="+value)
	}
	return env
}

var address = regexp.MustCompile(`127\.0\.0\.1:(\d+)`)

// filled is a text with this test's addresses, and with what was printed before
// in place of the page's placeholders.
func (r *reader) filled(text string) string {
	r.Helper()
	for placeholder, pattern := range r.page.fill {
		if !strings.Contains(text, placeholder) {
			continue
		}
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(r.said.String(), -1)
		if found == nil {
			r.Fatalf("nothing for %s: no %s was printed yet in\n%s", placeholder, pattern, r.said.String())
		}
		last := found[len(found)-1]
		text = strings.ReplaceAll(text, placeholder, last[len(last)-1])
	}
	return address.ReplaceAllStringFunc(text, func(a string) string {
		if here, ok := r.addr[portOf(a)]; ok {
			return here
		}
		return a
	})
}
