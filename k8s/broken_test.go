package k8s

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// breakage is one thing done wrong, and what the rule says about it.
type breakage struct {
	overlay, rule, what, says string
	wreck                     func(m *manifests)
}

func breakages() []breakage {
	var all []breakage
	for _, some := range [][]breakage{brokenPods(), brokenLife(), brokenNetwork(), brokenSettings(), brokenFiles()} {
		all = append(all, some...)
	}
	return all
}

// onPod breaks something of one workload's pod.
func onPod(name string, wreck func(p pod)) func(*manifests) {
	return func(m *manifests) { wreck(m.pod(name)) }
}

func brokenPods() []breakage {
	const within, nothing, bounds = "pods are within Pod Security restricted", "pods can do nothing that they need not", "pods are bounded"
	yes := true
	return []breakage{
		{"prod", within, "root", "runAsNonRoot", onPod("ingest", func(p pod) { p.spec.SecurityContext.RunAsNonRoot = nil })},
		{"prod", within, "no seccomp", "seccomp", onPod("nats", func(p pod) { p.spec.SecurityContext.SeccompProfile = nil })},
		{"dev", within, "capabilities", "capabilities", onPod("redis", func(p pod) { p.container().SecurityContext.Capabilities = nil })},
		{"dev", within, "the machine's files", "hostPath", onPod("scoring", func(p pod) {
			p.spec.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}
		})},
		{"dev", within, "a namespace that lets everything in", "enforces", func(m *manifests) { of[*corev1.Namespace](m)[0].Labels = nil }},
		{"prod", within, "another namespace", "default", func(m *manifests) { named[*corev1.Service](m, "nats").Namespace = "default" }},
		{"prod", nothing, "a token", "token", onPod("handoff", func(p pod) { p.spec.AutomountServiceAccountToken = nil })},
		{"prod", nothing, "variables of services", "look like settings", onPod("handoff", func(p pod) { p.spec.EnableServiceLinks = &yes })},
		{"prod", nothing, "a user of the machine", "a machine may have", onPod("nats", func(p pod) { *p.spec.SecurityContext.RunAsUser = 1000 })},
		{"dev", nothing, "a root that can be written", "root", onPod("campaign", func(p pod) { p.container().SecurityContext.ReadOnlyRootFilesystem = nil })},
		{"dev", nothing, "keys that can be written", "/etc/nurture/keys", onPod("ingest", func(p pod) { p.container().VolumeMounts[2].ReadOnly = false })},
		{"prod", bounds, "no limit", "limit 0", onPod("scoring", func(p pod) { delete(p.container().Resources.Limits, corev1.ResourceMemory) })},
		{"prod", bounds, "no request", "requests 0", onPod("redis", func(p pod) { delete(p.container().Resources.Requests, corev1.ResourceCPU) })},
		{"dev", bounds, "more than the container has", "by itself", onPod("nats", func(p pod) { p.container().Env[0].Value = "600MiB" })},
		{"dev", bounds, "a cache as large as the container", "by itself", onPod("redis", func(p pod) { p.container().Command[6] = "384mb" })},
	}
}

func brokenLife() []breakage {
	const (
		probes, drain   = "probes ask for what is served", "there is time to drain"
		update, budgets = "an update loses nothing", "drains of nodes neither stop everything nor wait for ever"
		apart           = "pods are spread"
	)
	grace := func(n int64) func(pod) {
		return func(p pod) { p.spec.TerminationGracePeriodSeconds = &n }
	}
	budget := func(name string, n int32) func(*manifests) {
		return func(m *manifests) {
			few := intstr.FromInt32(n)
			named[*policyv1.PodDisruptionBudget](m, name).Spec.MaxUnavailable = &few
		}
	}
	return []breakage{
		{"prod", probes, "none", "no startup probe", onPod("ingest", func(p pod) { p.container().StartupProbe = nil })},
		{"prod", probes, "a port that is not there", "does not have", onPod("nats", func(p pod) { p.container().LivenessProbe.HTTPGet.Port = intstr.FromString("http") })},
		{"dev", probes, "a path that is not served", "/readyz", onPod("campaign", func(p pod) { p.container().ReadinessProbe.HTTPGet.Path = "/ready" })},
		{"dev", probes, "killed while the log is away", "/healthz", onPod("campaign", func(p pod) { p.container().LivenessProbe.HTTPGet.Path = "/readyz" })},
		{"dev", probes, "impatient", "waits 1s", onPod("handoff", func(p pod) { p.container().ReadinessProbe.TimeoutSeconds = 1 })},
		{"prod", drain, "Kubernetes' default", "has 30s", onPod("scoring", grace(30))},
		{"prod", drain, "a hanging SMTP server", "campaign: has 1m30s", onPod("campaign", grace(90))},
		{"prod", drain, "a slow CRM", "handoff: has 45s", onPod("handoff", grace(45))},
		{"prod", update, "one less while it updates", "before a new one is ready", func(m *manifests) {
			one := intstr.FromInt32(1)
			named[*appsv1.Deployment](m, "ingest").Spec.Strategy.RollingUpdate.MaxUnavailable = &one
		}},
		{"prod", update, "all at once", "before a new one is ready", func(m *manifests) {
			named[*appsv1.Deployment](m, "campaign").Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
		}},
		{"prod", update, "gone before it is said", "everybody has heard", onPod("ingest", func(p pod) { p.container().Lifecycle = nil })},
		{"prod", budgets, "none", "scoring: has 0 budgets, wants 1", func(m *manifests) {
			named[*policyv1.PodDisruptionBudget](m, "scoring").Spec.Selector.MatchLabels = map[string]string{"a": "b"}
		}},
		{"dev", budgets, "never drained", "ever be drained", budget("ingest", 0)},
		{"prod", budgets, "both away", "2 of 2", budget("ingest", 2)},
		{"prod", budgets, "one for a single pod", "nats: has 1 budgets, wants 0", func(m *manifests) {
			named[*policyv1.PodDisruptionBudget](m, "scoring").Spec.Selector.MatchLabels = map[string]string{"app.kubernetes.io/name": "nats"}
		}},
		{"prod", apart, "anywhere", "is not spread over", onPod("ingest", func(p pod) { p.spec.TopologySpreadConstraints = nil })},
		{"prod", apart, "by somebody else's labels", "kubernetes.io/hostname", onPod("handoff", func(p pod) {
			p.spec.TopologySpreadConstraints[0].LabelSelector.MatchLabels = map[string]string{"app.kubernetes.io/name": "ingest"}
		})},
	}
}

func brokenNetwork() []breakage {
	const meet, ends, doors = "selectors and ports meet", "edges have both ends, and those that are needed are there alone", "the world gets in and out by its doors alone"
	onPolicy := func(name string, wreck func(s *networkingv1.NetworkPolicySpec)) func(*manifests) {
		return func(m *manifests) {
			for _, p := range of[*networkingv1.NetworkPolicy](m) {
				if p.Name == name {
					wreck(&p.Spec)
				}
			}
		}
	}
	port := func(n int32) *intstr.IntOrString { p := intstr.FromInt32(n); return &p }
	return []breakage{
		{"dev", meet, "a service for nobody", "0 workloads", func(m *manifests) {
			named[*corev1.Service](m, "redis").Spec.Selector["app.kubernetes.io/name"] = "cache"
		}},
		{"dev", meet, "a service for everybody", "6 workloads", func(m *manifests) {
			named[*corev1.Service](m, "redis").Spec.Selector = map[string]string{"app.kubernetes.io/part-of": "nurture"}
		}},
		{"dev", meet, "a port that is not there", "does not have", func(m *manifests) {
			named[*corev1.Service](m, "ingest-http").Spec.Ports[0].TargetPort = intstr.FromString("web")
		}},
		{"dev", meet, "other labels", "its own pods", onPod("scoring", func(p pod) { p.meta.Labels["app.kubernetes.io/name"] = "score" })},
		{"prod", meet, "an ingress to nowhere", "not there", func(m *manifests) {
			of[*networkingv1.Ingress](m)[0].Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name = "ingest"
		}},
		{"dev", ends, "everything allowed", "denied by default", onPolicy("deny-all", func(s *networkingv1.NetworkPolicySpec) { s.PolicyTypes = s.PolicyTypes[:1] })},
		{"dev", ends, "a caller without leave", "handoff -> ingest:9090: the caller may not", onPolicy("handoff", func(s *networkingv1.NetworkPolicySpec) { s.Egress[2].To = s.Egress[2].To[1:] })},
		{"dev", ends, "nobody let in", "campaign -> nats:4222: the called one", onPolicy("nats", func(s *networkingv1.NetworkPolicySpec) { s.Ingress = nil })},
		{"dev", ends, "an edge for nothing", "scoring -> ingest:9090: no setting", onPolicy("scoring", func(s *networkingv1.NetworkPolicySpec) {
			s.Egress = append(s.Egress, networkingv1.NetworkPolicyEgressRule{
				To:    []networkingv1.NetworkPolicyPeer{{PodSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "ingest"}}}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: port(9090)}},
			})
		})},
		{"dev", ends, "a peer that is misspelt", "no pod", onPolicy("redis", func(s *networkingv1.NetworkPolicySpec) {
			s.Ingress[0].From[0].PodSelector.MatchLabels = map[string]string{"nurture-role": "servise"}
		})},
		{"dev", ends, "every port", "every peer or every port", onPolicy("redis", func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].Ports = nil })},
		{"dev", doors, "gRPC for the world", "not for the world", onPolicy("ingest", func(s *networkingv1.NetworkPolicySpec) { s.Ingress[0].Ports[0].Port = port(9090) })},
		{"dev", doors, "the log for the world", "not for the world", onPolicy("nats", func(s *networkingv1.NetworkPolicySpec) {
			s.Ingress[0].From[0].NamespaceSelector = s.Ingress[0].From[0].PodSelector
		})},
		{"prod", doors, "private addresses", "10.1.2.3", onPolicy("handoff", func(s *networkingv1.NetworkPolicySpec) {
			s.Egress[3].To[0].IPBlock.Except = s.Egress[3].To[0].IPBlock.Except[1:]
		})},
		{"prod", doors, "any port", "scoring -> world:22", onPolicy("scoring", func(s *networkingv1.NetworkPolicySpec) {
			s.Egress = append(s.Egress, networkingv1.NetworkPolicyEgressRule{
				To:    []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "203.0.113.0/24"}}},
				Ports: []networkingv1.NetworkPolicyPort{{Port: port(22)}},
			})
		})},
		{"prod", doors, "no names", "asks for names", onPolicy("names", func(s *networkingv1.NetworkPolicySpec) { s.Egress = nil })},
		{"prod", doors, "no way to the SMTP server", "smtp.example.com:587", onPolicy("campaign", func(s *networkingv1.NetworkPolicySpec) { s.Egress[3].Ports = s.Egress[3].Ports[1:] })},
	}
}

func brokenSettings() []breakage {
	const is, there, machine, paths, callers = "what is set is a setting", "all that is named is there", "no default that means this machine is left", "paths lead to files", "callers are those that have a certificate to call"
	env := func(name, value string) func(pod) {
		return func(p pod) { p.container().Env = append(p.container().Env, corev1.EnvVar{Name: name, Value: value}) }
	}
	without := func(name string) func(pod) {
		return func(p pod) {
			for i := range p.container().Env {
				if p.container().Env[i].Name == name {
					p.container().Env[i].Name = "GOGC"
				}
			}
		}
	}
	return []breakage{
		{"dev", is, "a variable of another service", "INGEST_SOURCES", onPod("scoring", env("INGEST_SOURCES", "x"))},
		{"dev", is, "a misspelt variable", "NATS_URI", func(m *manifests) { named[*corev1.ConfigMap](m, "common").Data["NATS_URI"] = "x" }},
		{"prod", is, "a misspelt line of a file", "campaign.smtp.adr", rewrite("campaign-settings", "settings.yaml", "smtp: {addr", "smtp: {adr")},
		{"dev", there, "a ConfigMap that is not there", "not there", onPod("ingest", func(p pod) { p.spec.Volumes[1].ConfigMap.Name = "sources" })},
		{"dev", there, "variables from nowhere", "variables from", onPod("ingest", func(p pod) { p.container().EnvFrom[0].ConfigMapRef.Name = "common" })},
		{"dev", there, "a secret that nobody makes", "does not make link-key in", onPod("campaign", func(p pod) {
			for _, e := range p.container().Env {
				if e.Name == "CAMPAIGN_LINK_KEYS" {
					e.ValueFrom.SecretKeyRef.Key = "link-key"
				}
			}
		})},
		{"prod", there, "another secret", "tls.crt in the secret tls", onPod("ingest", func(p pod) {
			for _, v := range p.spec.Volumes {
				if v.Name == "tls" {
					v.Secret.SecretName = "tls"
				}
			}
		})},
		{"prod", there, "a door without a certificate", "the secret door-tls", func(m *manifests) { of[*networkingv1.Ingress](m)[0].Spec.TLS[0].SecretName = "door-tls" }},
		{"dev", there, "keys that may be missing", "without naming", onPod("ingest", func(p pod) { p.spec.Volumes[2].Secret.Items = nil })},
		{"dev", there, "a password for all to read", "written in a manifest", onPod("campaign", env("CAMPAIGN_SMTP_PASSWORD", "x"))},
		{"dev", machine, "nobody to tell", "handoff-addr", onPod("ingest", without("HANDOFF_ADDR"))},
		{"dev", machine, "served to itself alone", "http-addr", func(m *manifests) { named[*corev1.ConfigMap](m, "common").Data["HTTP_ADDR"] = "127.0.0.1:8080" }},
		{"prod", machine, "mails to itself", "campaign-smtp-addr", rewrite("campaign-settings", "settings.yaml", `addr: "smtp.example.com:587", `, "")},
		{"dev", paths, "a file that is not mounted", "/etc/nurture/model.yaml", onPod("scoring", func(p pod) { p.container().Env[0].Value = "/etc/nurture/model.yaml" })},
		{"prod", paths, "certificates elsewhere", "/tls/tls.crt", func(m *manifests) { named[*corev1.ConfigMap](m, "common").Data["NURTURE_TLS_CERT"] = "/tls/tls.crt" }},
		{"prod", callers, "anybody with a certificate", "is called by", onPod("scoring", without("NURTURE_TLS_PEERS"))},
		{"prod", callers, "plaintext", "no certificate", func(m *manifests) { named[*corev1.ConfigMap](m, "common").Data["NURTURE_TLS_CERT"] = "" }},
	}
}

// rewrite changes a file of a ConfigMap.
func rewrite(config, file, from, to string) func(*manifests) {
	return func(m *manifests) {
		data := named[*corev1.ConfigMap](m, config).Data
		if !strings.Contains(data[file], from) {
			panic(file + " has no " + from)
		}
		data[file] = strings.ReplaceAll(data[file], from, to)
	}
}

func brokenFiles() []breakage {
	const lint, log, images = "the configuration passes its lint", "the log is durable and there is one", "images are what the Dockerfile builds"
	image := func(name string) func(pod) { return func(p pod) { p.container().Image = name } }
	return []breakage{
		{"dev", lint, "a misspelt condition", "welcome.yaml", rewrite("campaign-programs", "welcome.yaml", "lead.has_email", "lead.has_emial")},
		{"dev", lint, "a file that is left out", "files, deploy/example has", func(m *manifests) { delete(named[*corev1.ConfigMap](m, "ingest-config").Data, "facts.yaml") }},
		{"prod", log, "acknowledged before it is written", "before it is on disk", rewrite("nats-config", "nats.conf", "sync_interval: always", "sync_interval: 2m")},
		{"dev", log, "gone with the pod", "no volume is that stays", rewrite("nats-config", "nats.conf", "store_dir: /data", "store_dir: /tmp")},
		{"dev", log, "another port", "listens on 4223", rewrite("nats-config", "nats.conf", "port: 4222", "port: 4223")},
		{"prod", log, "a second one", "2 servers", func(m *manifests) { *named[*appsv1.StatefulSet](m, "nats").Spec.Replicas = 2 }},
		{"prod", log, "no configuration", "nats.conf:", rewrite("nats-config", "nats.conf", "jetstream {", "jetstream {{")},
		{"prod", images, "another service's", "no main package", onPod("ingest", image("registry.example.com/nurture-ingestion:0.1.0"))},
		{"prod", images, "whatever is there today", "no version", onPod("ingest", image("registry.example.com/nurture-ingest"))},
		{"prod", images, "whatever the machine has", "somebody else pulled", onPod("redis", func(p pod) { p.container().ImagePullPolicy = "" })},
		{"dev", images, "another engine than compose", "another image", onPod("nats", image("nats:2.11-alpine"))},
		{"dev", images, "a command of its own", "has a command", onPod("scoring", func(p pod) { p.container().Command = []string{"/scoring"} })},
	}
}
