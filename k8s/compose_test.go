package k8s

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// composed is one service of deploy/compose.yaml.
type composed struct {
	Image string `json:"image"`
	Build struct {
		Dockerfile string            `json:"dockerfile"`
		Args       map[string]string `json:"args"`
	} `json:"build"`
	Environment map[string]string `json:"environment"`
	Grace       string            `json:"stop_grace_period"`
}

func compose(t *testing.T) map[string]composed {
	t.Helper()
	var file struct {
		Services map[string]composed `json:"services"`
	}
	if err := yaml.Unmarshal([]byte(source("deploy/compose.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	return file.Services
}

// The compose file runs the same binaries: it can be no more wrong than these
// manifests, though no container engine is at hand either.
func TestTheComposeFileSetsWhatItsServicesRead(t *testing.T) {
	all := compose(t)
	if len(all) != len(services)+2 {
		t.Errorf("%d services, want four of ours and two engines", len(all))
	}
	anybody := map[string]bool{}
	for _, name := range services {
		for v := range variables(name) {
			anybody[v] = true
		}
	}
	for _, name := range services {
		for _, fault := range judge(name, all, anybody) {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// What each of these was, before, is what the judge is for.
func TestFaultsOfAComposeFileAreFound(t *testing.T) {
	for what, c := range map[string]struct {
		says  string
		wreck func(ingest *composed)
	}{
		"nobody to tell":       {"handoff-addr", func(s *composed) { delete(s.Environment, "HANDOFF_ADDR") }},
		"nobody there":         {"nobody is called", func(s *composed) { s.Environment["HANDOFF_ADDR"] = "hand:9090" }},
		"misspelt":             {"INGEST_SOURCE is read", func(s *composed) { s.Environment["INGEST_SOURCE"] = "x" }},
		"killed after 10 s":    {"to end", func(s *composed) { s.Grace = "10s" }},
		"a file that is not":   {"sauces.yaml", func(s *composed) { s.Environment["INGEST_SOURCES"] = "/etc/nurture/sauces.yaml" }},
		"another's binary":     {"builds", func(s *composed) { s.Build.Args["BINARY"] = "services/scoring/cmd/scoring" }},
		"listening for nobody": {"http-addr", func(s *composed) { s.Environment["HTTP_ADDR"] = "127.0.0.1:8080" }},
	} {
		t.Run(what, func(t *testing.T) {
			all := compose(t)
			ingest := all["ingest"]
			c.wreck(&ingest)
			all["ingest"] = ingest
			if found := judge("ingest", all, variables("ingest")); !strings.Contains(strings.Join(found, "\n"), c.says) {
				t.Errorf("found %q, want something with %q", found, c.says)
			}
		})
	}
}

// judge says what is wrong with one service. Variables are shared by all, so that
// it is enough when anybody reads one.
func judge(name string, all map[string]composed, anybody map[string]bool) (f faults) {
	s := all[name]
	if want := "services/" + name + "/cmd/" + name; s.Build.Args["BINARY"] != want || s.Build.Dockerfile != "deploy/Dockerfile" {
		f.add("builds %s", s.Build.Args["BINARY"])
	}
	if grace, err := time.ParseDuration(s.Grace); err != nil || grace < drainOf(name) {
		f.add("has %q to end and may need %s", s.Grace, drainOf(name))
	}
	for v, value := range s.Environment {
		if !anybody[v] {
			f.add("%s is read by nobody", v)
		}
		if file, ok := strings.CutPrefix(value, "/etc/nurture/"); ok {
			if _, err := os.Stat(filepath.Join(root, "deploy/example", file)); err != nil {
				f.add("%s: deploy/example, which the image has there, has no %s", v, file)
			}
		}
		host, port, _ := strings.Cut(value[strings.LastIndex(value, "/")+1:], ":")
		if _, ok := all[host]; !ok && slices.Contains([]string{"4222", "6379", "8222", "9090"}, port) && host != "0.0.0.0" {
			f.add("%s is %s, and nobody is called that", v, value)
		}
	}
	for flag, own := range settings()[name] {
		if v := s.Environment[own.env]; strings.Contains(own.fallback, "127.0.0.1") && (v == "" || strings.HasPrefix(v, "127.0.0.1")) {
			f.add("%s is %q in a container of its own", flag, v)
		}
	}
	return f
}
