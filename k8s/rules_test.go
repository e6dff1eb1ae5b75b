package k8s

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

type labelSet = labels.Set

// faults are what a rule found, one line each.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// rule is something that must hold of every overlay.
type rule struct {
	name string
	find func(m *manifests) faults
}

var rules = [...]rule{
	{"pods are within Pod Security restricted", restricted},
	{"pods can do nothing that they need not", hardened},
	{"pods are bounded", bounded},
	{"probes ask for what is served", probed},
	{"there is time to drain", drained},
	{"an update loses nothing", updated},
	{"drains of nodes neither stop everything nor wait for ever", budgeted},
	{"pods are spread", spread},
	{"selectors and ports meet", connected},
	{"all that is named is there", referred},
	{"edges have both ends, and those that are needed are there alone", edged},
	{"the world gets in and out by its doors alone", walled},
	{"what is set is a setting", set},
	{"no default that means this machine is left", outward},
	{"paths lead to files", pathed},
	{"callers are those that have a certificate to call", trusted},
	{"the configuration passes its lint", linted},
	{"the log is durable and there is one", logged},
	{"images are what the Dockerfile builds", imaged},
}

func TestEveryOverlayKeepsEveryRule(t *testing.T) {
	for _, overlay := range overlays {
		for _, r := range rules {
			t.Run(overlay+"/"+r.name, func(t *testing.T) {
				for _, fault := range r.find(load(t, overlay)) {
					t.Error(fault)
				}
			})
		}
	}
}

// A rule that finds nothing in what is broken proves nothing about what is not.
func TestEveryRuleFindsWhatItLooksFor(t *testing.T) {
	proved := map[string]bool{}
	for _, b := range breakages() {
		t.Run(b.rule+"/"+b.what, func(t *testing.T) {
			m := load(t, b.overlay)
			b.wreck(m)
			for _, r := range rules {
				if r.name != b.rule {
					continue
				}
				proved[r.name] = true
				found := r.find(m)
				if !strings.Contains(strings.Join(found, "\n"), b.says) {
					t.Errorf("found %q, want something with %q", found, b.says)
				}
				return
			}
			t.Fatal("there is no such rule")
		})
	}
	for _, r := range rules {
		if !proved[r.name] {
			t.Errorf("nothing shows that the rule finds anything: %s", r.name)
		}
	}
}
