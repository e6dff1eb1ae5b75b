package k8s

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Nobody has a cluster at hand. What can be had without one is had: the processes
// of an overlay's pods, as many as it says, with the variables, files and secrets
// that their containers would find and nothing else, on the server that its
// nats.conf describes; asked what the kubelet would ask, and told to stop.
func TestTheProcessesOfTheirPodsWorkTogetherAndStop(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			s := newStage(t, load(t, overlay))
			for _, a := range s.actors {
				a.start()
			}
			for _, a := range s.actors {
				a.ready()
			}
			s.lead()
			for _, a := range s.actors {
				a.stop()
			}
		})
	}
}

// actor is the process of one pod.
type actor struct {
	*stage
	pod
	http, grpc string
	dir        string
	cmd        *exec.Cmd
	out        *os.File
	done       chan error
}

// start runs the binary with what its container finds. Its working directory is
// the image's /data, which nobody may need: the root cannot be written.
func (a *actor) start() {
	a.t.Helper()
	work := filepath.Join(a.dir, "data")
	if err := os.MkdirAll(work, 0o500); err != nil {
		a.t.Fatal(err)
	}
	a.mount()
	binary, err := program(service(a.name))
	if err != nil {
		a.t.Fatal(err)
	}
	if a.out, err = os.Create(filepath.Join(a.dir, "out")); err != nil {
		a.t.Fatal(err)
	}
	a.cmd = exec.Command(binary)
	a.cmd.Dir, a.cmd.Stdout, a.cmd.Stderr = work, a.out, a.out
	for name, value := range a.m.environment(a.pod) {
		a.cmd.Env = append(a.cmd.Env, name+"="+a.here(name, value))
	}
	if err := a.cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.done = make(chan error, 1)
	go func() { a.done <- a.cmd.Wait() }()
	a.t.Cleanup(func() { _ = a.cmd.Process.Kill() })
}

// mount writes the files of the container's volumes.
func (a *actor) mount() {
	a.t.Helper()
	write := func(path, data string) {
		file := filepath.Join(a.dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(data), 0o400)); err != nil {
			a.t.Fatal(err)
		}
	}
	for path, data := range a.m.files(a.pod) {
		if data != hidden {
			write(path, data)
		}
	}
	for _, mount := range a.container().VolumeMounts {
		for _, v := range a.spec.Volumes {
			if v.Name != mount.Name || v.Secret == nil {
				continue
			}
			for _, item := range v.Secret.Items {
				write(filepath.Join(mount.MountPath, item.Path), a.secret(v.Secret.SecretName, item.Key))
			}
		}
	}
}

// here is a variable's value where there is neither a cluster nor a container.
func (a *actor) here(name, value string) string {
	switch {
	case value == hidden:
		for _, e := range a.container().Env {
			if e.Name == name {
				return a.secret(e.ValueFrom.SecretKeyRef.Name, e.ValueFrom.SecretKeyRef.Key)
			}
		}
	case name == "HTTP_ADDR":
		return a.http
	case name == "GRPC_ADDR":
		return a.grpc
	case strings.HasPrefix(value, "/"):
		return filepath.Join(a.dir, value)
	}
	for from, to := range a.names {
		value = strings.ReplaceAll(value, from, to)
	}
	return value
}

// ready asks what the kubelet asks.
func (a *actor) ready() {
	a.t.Helper()
	for _, probe := range []*corev1.Probe{a.container().StartupProbe, a.container().LivenessProbe, a.container().ReadinessProbe} {
		a.until(a.name+" answers "+probe.HTTPGet.Path, func() bool {
			select {
			case err := <-a.done:
				a.t.Fatalf("%s ended: %v\n%s", a.name, err, a.said())
			default:
			}
			resp, err := http.Get("http://" + a.http + probe.HTTPGet.Path)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	}
}

// stop does what the kubelet does at the end.
func (a *actor) stop() {
	a.t.Helper()
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		a.t.Fatal(err)
	}
	select {
	case err := <-a.done:
		if err != nil {
			a.t.Errorf("%s ended with %v\n%s", a.name, err, a.said())
		}
	case <-time.After(time.Duration(*a.spec.TerminationGracePeriodSeconds)*time.Second - preStop(a.pod)):
		a.t.Errorf("%s does not end\n%s", a.name, a.said())
	}
	if wrote, err := os.ReadDir(a.cmd.Dir); err != nil || len(wrote) > 0 {
		a.t.Errorf("%s wrote %v, %v: its root cannot be written in a pod", a.name, wrote, err)
	}
}

func (a *actor) said() string {
	raw, _ := os.ReadFile(a.out.Name())
	return string(raw)
}

// lead sends a form in, and asks handoff for the dossier, which it collects from
// the three others.
func (s *stage) lead() {
	s.t.Helper()
	var made struct {
		Lead string `json:"lead_id"`
	}
	form := url.Values{"form": {"demo"}, "email": {"ann@acme.example"}, "first_name": {"Ann"}, "company": {"Acme"}, "consent_marketing_email": {"yes"}}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.actor("ingest").http+"/v1/forms/website", strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if status, body := s.ask(req); status != http.StatusCreated || json.Unmarshal(body, &made) != nil || made.Lead == "" {
		s.t.Fatalf("the form was answered %d: %s", status, body)
	}
	var seen string
	defer func() {
		if s.t.Failed() {
			s.t.Logf("last answer: %s", seen)
		}
	}()
	s.until("sales has the lead, with all the evidence", func() bool {
		req, err := http.NewRequest(http.MethodGet, "http://"+s.actor("handoff").http+"/v1/handoffs/"+made.Lead+"/dossier", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if s.token != "" {
			req.Header.Set("Authorization", "Bearer "+s.token)
		}
		status, body := s.ask(req)
		seen = fmt.Sprintf("%d: %s", status, body)
		return status == http.StatusOK && regexp.MustCompile(`"missing":\s*\[\]`).Match(body)
	})
}

func (s *stage) ask(req *http.Request) (int, []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, body
}

func (s *stage) until(what string, done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !done(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, a := range s.actors {
				s.t.Logf("%s said:\n%s", a.name, a.said())
			}
			s.t.Fatalf("not within 90 s: %s", what)
		}
	}
}
