package k8s

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// connected: selectors mean pods, and ports are those of containers.
func connected(m *manifests) (f faults) {
	for _, p := range m.pods() {
		if !slices.ContainsFunc(m.selected(p.selects), func(s pod) bool { return s.name == p.name }) {
			f.add("%s: the workload does not select its own pods", p.name)
		}
	}
	for _, s := range of[*corev1.Service](m) {
		pods := m.behind(s)
		if len(pods) != 1 {
			f.add("service %s: selects the pods of %d workloads", s.Name, len(pods))
			continue
		}
		for _, port := range s.Spec.Ports {
			if port.TargetPort.StrVal == "" || pods[0].port(port.TargetPort.StrVal) == 0 {
				f.add("service %s: port %d leads to %q, which %s does not have", s.Name, port.Port, port.TargetPort.String(), pods[0].name)
			}
		}
	}
	for _, in := range of[*networkingv1.Ingress](m) {
		for _, r := range in.Spec.Rules {
			for _, path := range r.HTTP.Paths {
				if to := path.Backend.Service; m.reach(to.Name, to.Port.Name, 0) == nil {
					f.add("ingress %s: %s leads to %s, port %s, which is not there", in.Name, r.Host, to.Name, to.Port.Name)
				}
			}
		}
	}
	return f
}

// behind are the pods of a Service.
func (m *manifests) behind(s *corev1.Service) []pod {
	if len(s.Spec.Selector) == 0 {
		return nil
	}
	return m.selected(&metav1.LabelSelector{MatchLabels: s.Spec.Selector})
}

// door is a port of a workload's container.
type door struct {
	workload string
	port     int32
}

// reach follows a Service, by the name or the number of its port, to a container;
// nil when there is nothing.
func (m *manifests) reach(service, name string, number int32) *door {
	for _, s := range of[*corev1.Service](m) {
		pods := m.behind(s)
		if s.Name != service || len(pods) != 1 {
			continue
		}
		for _, port := range s.Spec.Ports {
			target := pods[0].port(port.TargetPort.StrVal)
			if target > 0 && (name != "" && port.Name == name || number > 0 && port.Port == number) {
				return &door{pods[0].name, target}
			}
		}
	}
	return nil
}
