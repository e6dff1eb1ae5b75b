package k8s

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// hidden stands for a value that is in a Secret.
const hidden = "(secret)"

// environment is what a container finds, as far as it is in the manifests.
func (m *manifests) environment(p pod) map[string]string {
	env := map[string]string{}
	for _, from := range p.container().EnvFrom {
		if from.ConfigMapRef != nil {
			maps.Copy(env, m.config(from.ConfigMapRef.Name))
		}
	}
	for _, e := range p.container().Env {
		env[e.Name] = e.Value
		if e.ValueFrom != nil {
			env[e.Name] = hidden
		}
	}
	return env
}

// config is the data of a ConfigMap; nil: there is none.
func (m *manifests) config(name string) map[string]string {
	for _, c := range of[*corev1.ConfigMap](m) {
		if c.Name == name {
			return c.Data
		}
	}
	return nil
}

// told are the settings of a service's pod by flag, from its file and its
// variables; unknown are those that the service does not have.
func (m *manifests) told(p pod) (known map[string]string, unknown []string) {
	known = map[string]string{}
	var file any
	if raw, ok := m.files(p)[m.environment(p)["CONFIG"]]; ok {
		if err := yaml.UnmarshalStrict([]byte(raw), &file); err != nil {
			unknown = append(unknown, err.Error())
		}
	}
	have := settings()[p.name]
	var walk func(path []string, v any)
	walk = func(path []string, v any) {
		flag := strings.ReplaceAll(strings.Join(path, "-"), "_", "-")
		_, leaf := have[flag]
		if tree, ok := v.(map[string]any); ok && !leaf {
			for name, below := range tree {
				walk(append(slices.Clone(path), name), below)
			}
			return
		}
		if !leaf {
			unknown = append(unknown, strings.Join(path, "."))
		}
		known[flag] = text(v)
	}
	walk(nil, file)
	delete(known, "")
	env := m.environment(p)
	for flag, s := range have {
		if v, ok := env[s.env]; ok {
			known[flag] = v
		}
	}
	return known, unknown
}

func text(v any) string {
	raw, _ := yaml.Marshal(v)
	return strings.Trim(strings.TrimSpace(string(raw)), `"'`)
}

// set: every variable and every line of a settings file is one that the service reads.
func set(m *manifests) (f faults) {
	for _, p := range m.pods() {
		if !p.ours() {
			continue
		}
		for name := range m.environment(p) {
			if !variables(p.name)[name] {
				f.add("%s: does not read %s", p.name, name)
			}
		}
		_, unknown := m.told(p)
		for _, name := range unknown {
			if name != "" {
				f.add("%s: has no setting %s", p.name, name)
			}
		}
	}
	return f
}

// outward: what is an address of the own machine by default is set to another one.
func outward(m *manifests) (f faults) {
	for _, p := range m.pods() {
		if !p.ours() {
			continue
		}
		known, _ := m.told(p)
		for flag, s := range settings()[p.name] {
			if v := known[flag]; strings.Contains(s.fallback, "127.0.0.1") && (v == "" || strings.Contains(v, "127.0.0.1")) {
				f.add("%s: %s is %q in a pod of its own, by default %q", p.name, flag, v, s.fallback)
			}
		}
	}
	return f
}

// address is a host and a port that a setting names.
type address struct {
	host string
	port int32
}

// addresses are those that the settings of a pod tell it to call.
func (m *manifests) addresses(p pod) (list []address) {
	if !p.ours() {
		return nil
	}
	known, _ := m.told(p)
	hostPort := regexp.MustCompile(`^(?:([a-z]+):/{2,3})?([a-z][a-z0-9.-]*)(?::(\d+))?(?:/.*)?$`)
	for flag, v := range known {
		if !strings.HasSuffix(flag, "-addr") && !strings.HasSuffix(flag, "-url") || strings.HasSuffix(flag, "public-url") {
			continue
		}
		found := hostPort.FindStringSubmatch(v)
		if found == nil {
			continue // nothing, or where it listens
		}
		port, _ := strconv.Atoi(found[3])
		if found[3] == "" {
			port = map[string]int{"https": 443, "http": 80}[found[1]]
		}
		list = append(list, address{found[2], int32(port)})
	}
	return list
}

// files are those that a container finds, by path; what is in Secrets is hidden.
func (m *manifests) files(p pod) map[string]string {
	found := map[string]string{}
	for _, mount := range p.container().VolumeMounts {
		for _, v := range p.spec.Volumes {
			if v.Name != mount.Name {
				continue
			}
			if v.ConfigMap != nil {
				for name, data := range m.config(v.ConfigMap.Name) {
					found[path.Join(mount.MountPath, name)] = data
				}
			}
			if v.Secret != nil {
				for _, item := range v.Secret.Items {
					found[path.Join(mount.MountPath, item.Path)] = hidden
				}
			}
		}
	}
	return found
}

// pathed: every setting that is a path leads to a file, or to a directory of files.
func pathed(m *manifests) (f faults) {
	for _, p := range m.pods() {
		if !p.ours() {
			continue
		}
		files := m.files(p)
		for name, v := range m.environment(p) {
			if !strings.HasPrefix(v, "/") {
				continue
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(file string) bool { return file == v || path.Dir(file) == v }) {
				f.add("%s: %s is %s, where nothing is", p.name, name, v)
			}
		}
	}
	return f
}

// referred: ConfigMaps are built, volumes are there, and README.md makes the Secrets.
func referred(m *manifests) (f faults) {
	secret := func(where, name string, keys ...string) {
		for _, key := range keys {
			if !slices.Contains(secrets()[name], key) {
				f.add("%s: README.md does not make %s in the secret %s", where, key, name)
			}
		}
	}
	for _, in := range of[*networkingv1.Ingress](m) {
		for _, tls := range in.Spec.TLS {
			if !strings.Contains(readme(), "kubectl create secret tls "+tls.SecretName+" ") {
				f.add("ingress %s: README.md does not make the secret %s", in.Name, tls.SecretName)
			}
		}
	}
	for _, p := range m.pods() {
		c := p.container()
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef == nil || m.config(from.ConfigMapRef.Name) == nil {
				f.add("%s: variables from a ConfigMap that is not there", p.name)
			}
		}
		for _, e := range c.Env {
			if ref := e.ValueFrom; ref != nil && ref.SecretKeyRef != nil {
				secret(p.name, ref.SecretKeyRef.Name, ref.SecretKeyRef.Key)
			} else if p.ours() && strings.Contains(strings.ToLower(e.Name), "password") {
				f.add("%s: %s is written in a manifest", p.name, e.Name)
			}
		}
		for _, mount := range c.VolumeMounts {
			if !m.holds(p, mount.Name) {
				f.add("%s: mounts %s, which is not there", p.name, mount.Name)
			}
		}
		for _, v := range p.spec.Volumes {
			if v.Secret == nil {
				continue
			}
			if len(v.Secret.Items) == 0 {
				f.add("%s: the secret %s is mounted without naming what must be in it", p.name, v.Secret.SecretName)
			}
			for _, item := range v.Secret.Items {
				secret(p.name, v.Secret.SecretName, item.Key)
			}
		}
	}
	return f
}

// holds reports whether a pod has a volume, and the volume something in it.
func (m *manifests) holds(p pod, name string) bool {
	for _, v := range p.spec.Volumes {
		if v.Name == name {
			return v.Secret != nil || v.ConfigMap != nil && m.config(v.ConfigMap.Name) != nil
		}
	}
	return slices.Contains(m.claims(p), name)
}

// trusted: where there are certificates, exactly those may call that have reason to.
func trusted(m *manifests) (f faults) {
	for _, p := range m.pods() {
		if !p.ours() {
			continue
		}
		env := m.environment(p)
		if env["NURTURE_TLS_CERT"] == "" {
			if env["NURTURE_TLS"] != "off" || m.overlay != "dev" {
				f.add("%s: has no certificate", p.name)
			}
			continue
		}
		var callers []string
		for _, e := range sorted(m.needed()) {
			if e.to == p.name && e.port == p.port("grpc") {
				callers = append(callers, e.from)
			}
		}
		if got := strings.Split(env["NURTURE_TLS_PEERS"], ","); !slices.Equal(slices.Sorted(slices.Values(got)), callers) {
			f.add("%s: lets %q call, is called by %q", p.name, got, callers)
		}
	}
	return f
}
