package k8s

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// restricted asks the admission controller's own code.
func restricted(m *manifests) (f faults) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		f.add("open the evaluator: %v", err)
		return f
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, p := range m.pods() {
		if r := policy.AggregateCheckResults(evaluator.EvaluatePod(level, p.meta, p.spec)); !r.Allowed {
			f.add("%s: %s: %s", p.name, r.ForbiddenReason(), r.ForbiddenDetail())
		}
	}
	spaces := of[*corev1.Namespace](m)
	if len(spaces) != 1 {
		f.add("want one namespace, have %d", len(spaces))
	}
	for _, ns := range spaces {
		if got := ns.Labels["pod-security.kubernetes.io/enforce"]; got != "restricted" {
			f.add("namespace %s enforces %q", ns.Name, got)
		}
	}
	for _, o := range m.objects {
		if ns := o.GetNamespace(); len(spaces) == 1 && ns != spaces[0].Name && o != spaces[0] {
			f.add("%T %s is in the namespace %q", o, o.GetName(), ns)
		}
	}
	return f
}

// hardened is what goes beyond restricted.
func hardened(m *manifests) (f faults) {
	no := func(b *bool) bool { return b != nil && !*b }
	for _, p := range m.pods() {
		if !no(p.spec.AutomountServiceAccountToken) {
			f.add("%s: gets a token of a service account", p.name)
		}
		if !no(p.spec.EnableServiceLinks) {
			f.add("%s: gets Kubernetes' variables, which look like settings", p.name)
		}
		if s := p.spec.SecurityContext; s == nil || s.RunAsUser == nil || *s.RunAsUser < 10000 {
			f.add("%s: runs as a user that a machine may have", p.name)
		}
		if len(p.spec.Containers) != 1 || len(p.spec.InitContainers) > 0 {
			f.add("%s: the rules know pods of one container", p.name)
		}
		if s := p.container().SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			f.add("%s: can write to its root", p.name)
		}
		for _, v := range p.container().VolumeMounts {
			if !v.ReadOnly && v.Name != "data" {
				f.add("%s: can write to %s", p.name, v.MountPath)
			}
		}
	}
	return f
}

func bounded(m *manifests) (f faults) {
	for _, p := range m.pods() {
		has := p.container().Resources
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
			want, limit := has.Requests[name], has.Limits[name]
			if want.IsZero() || limit.IsZero() || limit.Cmp(want) < 0 {
				f.add("%s: %s: requests %s, limit %s", p.name, name, want.String(), limit.String())
			}
		}
		memory := has.Limits[corev1.ResourceMemory]
		if own := ownLimit(p); own > memory.Value()*9/10 {
			f.add("%s: may use %d bytes by itself, of %d", p.name, own, memory.Value())
		}
	}
	return f
}

// ownLimit is how much memory a process was told to use, in bytes.
func ownLimit(p pod) int64 {
	c, text := p.container(), ""
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			text = e.Value
		}
	}
	for i, arg := range c.Command {
		if arg == "--maxmemory" {
			text = c.Command[i+1]
		}
	}
	if text == "" {
		return 0
	}
	text = regexp.MustCompile(`(?i)(m|g)i?b$`).ReplaceAllString(text, "${1}")
	q, err := resource.ParseQuantity(regexp.MustCompile(`(?i)[mg]$`).ReplaceAllStringFunc(text, func(s string) string {
		return map[string]string{"m": "Mi", "M": "Mi", "g": "Gi", "G": "Gi"}[s]
	}))
	if err != nil {
		return 1 << 62
	}
	return q.Value()
}

func probed(m *manifests) (f faults) {
	for _, p := range m.pods() {
		c := p.container()
		for name, probe := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
			switch {
			case probe == nil:
				f.add("%s: no %s probe", p.name, name)
			case probe.HTTPGet != nil && p.port(probe.HTTPGet.Port.StrVal) == 0:
				f.add("%s: %s probe asks port %s, which it does not have", p.name, name, probe.HTTPGet.Port.String())
			case probe.TCPSocket != nil && p.port(probe.TCPSocket.Port.StrVal) == 0:
				f.add("%s: %s probe asks port %s, which it does not have", p.name, name, probe.TCPSocket.Port.String())
			}
		}
		if p.ours() && len(f) == 0 {
			f = append(f, probedOurs(p)...)
		}
	}
	return f
}

// probedOurs knows what pkg/rpc serves.
func probedOurs(p pod) (f faults) {
	c := p.container()
	for path, probe := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
		if probe.HTTPGet == nil || probe.HTTPGet.Path != path {
			f.add("%s: wants a probe of %s", p.name, path)
		}
	}
	if got := seconds(c.ReadinessProbe.TimeoutSeconds); got <= constant("pkg/rpc/serve.go", "readyTimeout") {
		f.add("%s: the readiness probe waits %s, which is not longer than the service looks at the log", p.name, got)
	}
	// A restart heals no log that is away: it only takes the process's memory.
	if c.LivenessProbe.HTTPGet.Path == c.ReadinessProbe.HTTPGet.Path {
		f.add("%s: would be killed while it is not ready", p.name)
	}
	return f
}

func drained(m *manifests) (f faults) {
	for _, p := range m.pods() {
		grace := time.Duration(0)
		if g := p.spec.TerminationGracePeriodSeconds; g != nil {
			grace = time.Duration(*g) * time.Second
		}
		need := 5 * time.Second
		if p.ours() {
			need = preStop(p) + drainOf(p.name)
		}
		if grace < need {
			f.add("%s: has %s to end and may need %s", p.name, grace, need)
		}
	}
	return f
}

func preStop(p pod) time.Duration {
	if l := p.container().Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
		return time.Duration(l.PreStop.Sleep.Seconds) * time.Second
	}
	return 0
}

// drainOf is how long a service may take to stop at worst, by its own constants:
// calls in flight, then its own work, then the lanes, then what it opened.
func drainOf(service string) time.Duration {
	own := map[string]func() time.Duration{
		// Two waves of mails that were claimed, at a server that does not answer.
		"campaign": func() time.Duration {
			return 2*durationOf("campaign", "campaign-sender-attempt-timeout") + constant("services/campaign/internal/sender/sender.go", "stopPatience")
		},
		"handoff": func() time.Duration {
			return constant("services/handoff/internal/crm/deliver.go", "grace") + constant("services/handoff/settle.go", "settleTimeout")
		},
	}[service]
	need := constant("pkg/rpc/serve.go", "DrainTimeout") + constant("pkg/ledger/lane.go", "drainTime") + constant("pkg/daemon/closers.go", "CloseTimeout")
	if own != nil {
		need += own()
	}
	return need
}

// constant reads a duration from a source file of the repository.
func constant(file, name string) time.Duration {
	raw, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		panic(err)
	}
	found := regexp.MustCompile(`(?m)^\s*(?:const )?` + name + `\s*=\s*(\d+) \* time\.(Second|Minute)`).FindStringSubmatch(string(raw))
	if found == nil {
		panic(file + " has no constant " + name)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		panic(err)
	}
	return time.Duration(n) * map[string]time.Duration{"Second": time.Second, "Minute": time.Minute}[found[2]]
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

func updated(m *manifests) (f faults) {
	for _, d := range of[*appsv1.Deployment](m) {
		p := m.pod(d.Name)
		if !p.ours() {
			continue
		}
		roll := d.Spec.Strategy.RollingUpdate
		if roll == nil || roll.MaxUnavailable == nil || *roll.MaxUnavailable != intstr.FromInt32(0) || roll.MaxSurge == nil || roll.MaxSurge.IntValue() < 1 {
			f.add("%s: an old pod may end before a new one is ready", d.Name)
		}
		if preStop(p) < 3*time.Second {
			f.add("%s: ends before everybody has heard that it goes", d.Name)
		}
	}
	return f
}

func budgeted(m *manifests) (f faults) {
	for _, p := range m.pods() {
		var mine []*policyv1.PodDisruptionBudget
		for _, b := range of[*policyv1.PodDisruptionBudget](m) {
			for _, s := range m.selected(b.Spec.Selector) {
				if s.name == p.name {
					mine = append(mine, b)
				}
			}
		}
		want := 0 // for the only pod there is, a budget says nothing or is in the way for ever
		if p.ours() || p.replicas > 1 {
			want = 1
		}
		if len(mine) != want {
			f.add("%s: has %d budgets, wants %d", p.name, len(mine), want)
		}
		if want == 0 || len(mine) != 1 {
			continue
		}
		away, all := int32(0), p.replicas
		if n := mine[0].Spec.MaxUnavailable; n != nil {
			away = int32(n.IntValue())
		} else if n := mine[0].Spec.MinAvailable; n != nil {
			away = all - int32(n.IntValue())
		}
		if away < 1 {
			f.add("%s: no node with it can ever be drained", p.name)
		}
		if all > 1 && away*2 >= all+1 {
			f.add("%s: %d of %d may be away at once", p.name, away, all)
		}
	}
	return f
}

func spread(m *manifests) (f faults) {
	for _, p := range m.pods() {
		have := map[string]bool{}
		for _, c := range p.spec.TopologySpreadConstraints {
			for _, s := range m.selected(c.LabelSelector) {
				if s.name == p.name {
					have[c.TopologyKey] = true
				}
			}
		}
		for _, key := range []string{corev1.LabelHostname, corev1.LabelTopologyZone} {
			if !have[key] && (p.ours() || p.replicas > 1) {
				f.add("%s: is not spread over %s", p.name, key)
			}
		}
	}
	return f
}
