package k8s

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// edge is a call that a policy lets through. Inside, from and to are workloads;
// outside they are what the policy says: a network, or labels of a namespace.
type edge struct {
	from, to string
	port     int32
}

func (e edge) String() string { return fmt.Sprintf("%s -> %s:%d", e.from, e.to, e.port) }

// graph is what the policies of an overlay permit.
type graph struct {
	// out is what pods may call, in what may call pods.
	out, in map[edge]bool
	// outside are the ends of edges that are no pods of ours.
	outside map[string]networkingv1.NetworkPolicyPeer
	faults  faults
}

func (m *manifests) graph() *graph {
	g := &graph{out: map[edge]bool{}, in: map[edge]bool{}, outside: map[string]networkingv1.NetworkPolicyPeer{}}
	for _, p := range of[*networkingv1.NetworkPolicy](m) {
		mine := m.selected(&p.Spec.PodSelector)
		if len(mine) == 0 {
			g.faults.add("policy %s: selects no pod", p.Name)
		}
		for _, r := range p.Spec.Egress {
			g.rule(m, p.Name, r.To, r.Ports, func(peer string, port int32) {
				for _, w := range mine {
					g.out[edge{w.name, peer, port}] = true
				}
			})
		}
		for _, r := range p.Spec.Ingress {
			g.rule(m, p.Name, r.From, r.Ports, func(peer string, port int32) {
				for _, w := range mine {
					g.in[edge{peer, w.name, port}] = true
				}
			})
		}
	}
	return g
}

// rule tells each peer and port of one rule. What is left out means everything,
// which no rule of ours means.
func (g *graph) rule(m *manifests, name string, peers []networkingv1.NetworkPolicyPeer, ports []networkingv1.NetworkPolicyPort, tell func(string, int32)) {
	if len(peers) == 0 || len(ports) == 0 {
		g.faults.add("policy %s: a rule for every peer or every port", name)
	}
	for _, peer := range peers {
		ends := g.ends(m, peer)
		if len(ends) == 0 {
			g.faults.add("policy %s: a peer that is no pod: %s", name, metav1.FormatLabelSelector(peer.PodSelector))
		}
		for _, end := range ends {
			for _, port := range ports {
				if port.Port == nil || port.Port.IntVal == 0 || port.EndPort != nil {
					g.faults.add("policy %s: a rule for many ports", name)
					continue
				}
				tell(end, port.Port.IntVal)
			}
		}
	}
}

// ends names what a peer means.
func (g *graph) ends(m *manifests, peer networkingv1.NetworkPolicyPeer) (list []string) {
	if peer.IPBlock == nil && peer.NamespaceSelector == nil {
		for _, p := range m.selected(peer.PodSelector) {
			list = append(list, p.name)
		}
		return list
	}
	name := "world"
	if peer.NamespaceSelector != nil {
		name = metav1.FormatLabelSelector(peer.NamespaceSelector)
	}
	g.outside[name] = peer
	return []string{name}
}

// edged: the edges between pods are those that settings ask for, at both ends.
func edged(m *manifests) (f faults) {
	g := m.graph()
	f = g.faults
	var all *networkingv1.NetworkPolicy
	for _, p := range of[*networkingv1.NetworkPolicy](m) {
		if len(p.Spec.PodSelector.MatchLabels)+len(p.Spec.PodSelector.MatchExpressions) == 0 && len(p.Spec.PolicyTypes) == 2 && len(p.Spec.Ingress)+len(p.Spec.Egress) == 0 {
			all = p
		}
	}
	if all == nil {
		f.add("nothing is denied by default")
	}
	needed := m.needed()
	for _, e := range sorted(g.out, g.in, needed) {
		_, toOutside := g.outside[e.to]
		_, fromOutside := g.outside[e.from]
		switch {
		case toOutside || fromOutside:
		case !needed[e]:
			f.add("%s: no setting asks for it", e)
		case !g.out[e]:
			f.add("%s: the caller may not", e)
		case !g.in[e]:
			f.add("%s: the called one does not let it in", e)
		case !m.pod(e.to).listens(e.port):
			f.add("%s: nobody listens", e)
		}
	}
	return f
}

func sorted(sets ...map[edge]bool) []edge {
	all := map[edge]bool{}
	for _, s := range sets {
		maps.Copy(all, s)
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b edge) int { return strings.Compare(a.String(), b.String()) })
}

// needed are the edges between pods that the settings name.
func (m *manifests) needed() map[edge]bool {
	all := map[edge]bool{}
	for _, p := range m.pods() {
		for _, a := range m.addresses(p) {
			if d := m.reach(a.host, "", a.port); d != nil {
				all[edge{p.name, d.workload, d.port}] = true
			}
		}
	}
	return all
}

// walled: what goes out of the namespace and comes into it.
func walled(m *manifests) (f faults) {
	g := m.graph()
	const dns, world, front, watch = "kubernetes.io/metadata.name=kube-system", "world", "nurture-edge=allowed", "nurture-metrics=allowed"
	for _, e := range sorted(g.out) {
		if _, outside := g.outside[e.to]; !outside {
			continue
		}
		switch {
		case e.to == dns && e.port == 53:
		case e.to == world && slices.Contains(m.business(e.from), e.port):
		default:
			f.add("%s: there is nothing for it out there", e)
		}
	}
	for _, e := range sorted(g.in) {
		if _, outside := g.outside[e.from]; !outside {
			continue
		}
		to := m.pod(e.to)
		if !to.ours() || e.port != to.port("http") || e.from != front && e.from != watch || e.from == front && e.to == "scoring" {
			f.add("%s: that door is not for the world", e)
		}
	}
	for _, p := range m.pods() {
		if g.out[edge{p.name, dns, 53}] != p.ours() {
			f.add("%s: asks for names: %v", p.name, p.ours())
		}
		for _, a := range m.addresses(p) {
			if m.reach(a.host, "", a.port) == nil && !g.out[edge{p.name, world, a.port}] {
				f.add("%s: may not call %s:%d, which a setting names", p.name, a.host, a.port)
			}
		}
	}
	for _, secret := range []string{"10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "127.0.0.1", "fd00::1", "fe80::1"} {
		f = append(f, m.leaks(netip.MustParseAddr(secret))...)
	}
	return f
}

// business are the ports at which a service has business in the world.
func (m *manifests) business(service string) []int32 {
	return map[string][]int32{
		"ingest":   {443},      // leads that are fetched, Amazon SNS
		"campaign": {587, 465}, // SMTP
		"handoff":  {443},      // the CRM
	}[service]
}

// leaks says which policies let pods call a private address.
func (m *manifests) leaks(addr netip.Addr) (f faults) {
	for _, p := range of[*networkingv1.NetworkPolicy](m) {
		for _, r := range p.Spec.Egress {
			for _, peer := range r.To {
				if peer.IPBlock == nil || !netip.MustParsePrefix(peer.IPBlock.CIDR).Contains(addr) {
					continue
				}
				if !slices.ContainsFunc(peer.IPBlock.Except, func(net string) bool { return netip.MustParsePrefix(net).Contains(addr) }) {
					f.add("policy %s: lets pods call %s", p.Name, addr)
				}
			}
		}
	}
	return f
}
