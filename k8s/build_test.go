package k8s

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// overlays are what a reader applies.
var overlays = [...]string{"dev", "prod"}

// root is the repository's.
const root = ".."

// manifests are the objects of one overlay, as the API server would take them.
type manifests struct {
	overlay string
	objects []metav1.Object
}

// built keeps the documents of each overlay: kustomize is asked once.
var built = func() map[string]func() ([][]byte, error) {
	all := map[string]func() ([][]byte, error){}
	for _, o := range overlays {
		all[o] = sync.OnceValues(func() ([][]byte, error) { return build(filepath.Join("overlays", o)) })
	}
	return all
}()

// build does what `kubectl apply -k` does before it talks to a cluster.
func build(dir string) ([][]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	var docs [][]byte
	for _, r := range resources.Resources() {
		doc, err := r.AsYAML()
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// load gives fresh objects of an overlay, to be broken at will.
func load(t *testing.T, overlay string) *manifests {
	t.Helper()
	docs, err := built[overlay]()
	if err != nil {
		t.Fatalf("build %s: %v", overlay, err)
	}
	m := &manifests{overlay: overlay}
	for _, doc := range docs {
		o, err := decode(doc)
		if err != nil {
			t.Fatalf("%s: %v in:\n%s", overlay, err, doc)
		}
		m.objects = append(m.objects, o)
	}
	return m
}

// decode turns a document into its type. What the type does not know is an error.
func decode(doc []byte) (metav1.Object, error) {
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(doc, &kind); err != nil {
		return nil, err
	}
	known := map[string]metav1.Object{
		"v1 Namespace":                       &corev1.Namespace{},
		"v1 ConfigMap":                       &corev1.ConfigMap{},
		"v1 Service":                         &corev1.Service{},
		"apps/v1 Deployment":                 &appsv1.Deployment{},
		"apps/v1 StatefulSet":                &appsv1.StatefulSet{},
		"networking.k8s.io/v1 NetworkPolicy": &networkingv1.NetworkPolicy{},
		"networking.k8s.io/v1 Ingress":       &networkingv1.Ingress{},
		"policy/v1 PodDisruptionBudget":      &policyv1.PodDisruptionBudget{},
	}
	o, ok := known[kind.APIVersion+" "+kind.Kind]
	if !ok {
		return nil, fmt.Errorf("%s %s is not expected here", kind.APIVersion, kind.Kind)
	}
	return o, yaml.UnmarshalStrict(doc, o)
}

// of lists the objects of one type.
func of[T metav1.Object](m *manifests) (list []T) {
	for _, o := range m.objects {
		if t, ok := o.(T); ok {
			list = append(list, t)
		}
	}
	return list
}

// named finds an object; kustomize adds a hash to the names of ConfigMaps.
func named[T metav1.Object](m *manifests, name string) T {
	for _, o := range of[T](m) {
		if o.GetName() == name {
			return o
		}
	}
	for _, o := range of[T](m) {
		if strings.HasPrefix(o.GetName(), name+"-") {
			return o
		}
	}
	panic(fmt.Sprintf("%s has no %T %q", m.overlay, *new(T), name))
}

// pod is what a workload makes.
type pod struct {
	// name is the workload's.
	name     string
	replicas int32
	// selects is the workload's own selector.
	selects *metav1.LabelSelector
	meta    *metav1.ObjectMeta
	spec    *corev1.PodSpec
}

// pods are those of all workloads.
func (m *manifests) pods() (list []pod) {
	for _, o := range m.objects {
		switch w := o.(type) {
		case *appsv1.Deployment:
			list = append(list, pod{w.Name, *w.Spec.Replicas, w.Spec.Selector, &w.Spec.Template.ObjectMeta, &w.Spec.Template.Spec})
		case *appsv1.StatefulSet:
			list = append(list, pod{w.Name, *w.Spec.Replicas, w.Spec.Selector, &w.Spec.Template.ObjectMeta, &w.Spec.Template.Spec})
		}
	}
	return list
}

// pod finds the one of a workload.
func (m *manifests) pod(name string) pod {
	for _, p := range m.pods() {
		if p.name == name {
			return p
		}
	}
	panic("no workload " + name)
}

// container is the only one of a pod.
func (p pod) container() *corev1.Container { return &p.spec.Containers[0] }

// ours reports whether the pod runs a service of this repository.
func (p pod) ours() bool { return p.meta.Labels["nurture-role"] == "service" }

// port finds a port of the container by name; 0: there is none.
func (p pod) port(name string) int32 {
	for _, c := range p.container().Ports {
		if c.Name == name {
			return c.ContainerPort
		}
	}
	return 0
}

// listens reports whether the container has a port of that number.
func (p pod) listens(number int32) bool {
	for _, c := range p.container().Ports {
		if c.ContainerPort == number {
			return true
		}
	}
	return false
}

// selected are the pods that a selector means; nil and what is wrong are none.
func (m *manifests) selected(s *metav1.LabelSelector) (list []pod) {
	matches, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil
	}
	for _, p := range m.pods() {
		if matches.Matches(labelSet(p.meta.Labels)) {
			list = append(list, p)
		}
	}
	return list
}
