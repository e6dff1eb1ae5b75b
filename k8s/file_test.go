package k8s

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// linted puts the files of the ConfigMaps where `nurture lint` looks for them.
func linted(m *manifests) (f faults) {
	dir, err := os.MkdirTemp("", "nurture-lint-")
	if err != nil {
		return faults{err.Error()}
	}
	defer func() { _ = os.RemoveAll(dir) }()
	count := 0
	for config, below := range map[string]string{
		"ingest-config": "", "scoring-config": "", "handoff-config": "", "campaign-programs": "programs", "campaign-templates": "templates",
	} {
		at := filepath.Join(dir, below)
		if err := os.MkdirAll(at, 0o700); err != nil {
			return faults{err.Error()}
		}
		for name, data := range named[*corev1.ConfigMap](m, config).Data {
			count++
			if err := os.WriteFile(filepath.Join(at, name), []byte(data), 0o600); err != nil {
				return faults{err.Error()}
			}
		}
	}
	if out, err := run("./services/nurture/cmd/nurture", "lint", dir); err != nil {
		f.add("%s", out)
	}
	if have := exampleFiles(); count != have {
		f.add("the ConfigMaps have %d files, deploy/example has %d: name the new ones in its kustomization.yaml", count, have)
	}
	return f
}

// exampleFiles counts what services read of deploy/example.
func exampleFiles() (n int) {
	for _, pattern := range []string{"*.yaml", "programs/*.yaml", "templates/*.liquid"} {
		found, _ := filepath.Glob(filepath.Join(root, "deploy/example", pattern))
		n += len(found)
	}
	return n - 1 // kustomization.yaml
}

// claims are the volumes that a StatefulSet's pods get for themselves.
func (m *manifests) claims(p pod) (names []string) {
	for _, s := range of[*appsv1.StatefulSet](m) {
		for _, c := range s.Spec.VolumeClaimTemplates {
			if s.Name == p.name {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// log reads nats.conf as the server would.
func (m *manifests) log() (*server.Options, error) {
	file, err := os.CreateTemp("", "nats-*.conf")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	if _, err := file.WriteString(named[*corev1.ConfigMap](m, "nats-config").Data["nats.conf"]); err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	return server.ProcessConfigFile(file.Name())
}

func logged(m *manifests) (f faults) {
	o, err := m.log()
	if err != nil {
		f.add("nats.conf: %v", err)
		return f
	}
	nats := m.pod("nats")
	mounts := nats.container().VolumeMounts
	switch {
	case !o.JetStream || !o.SyncAlways:
		f.add("nats.conf: acknowledges before it is on disk")
	case !slices.ContainsFunc(mounts, func(v corev1.VolumeMount) bool {
		return v.MountPath == o.StoreDir && slices.Contains(m.claims(nats), v.Name)
	}):
		f.add("nats.conf: writes to %s, where no volume is that stays", o.StoreDir)
	case int32(o.Port) != nats.port("client") || int32(o.HTTPPort) != nats.port("monitor"):
		f.add("nats.conf: listens on %d and %d", o.Port, o.HTTPPort)
	case nats.replicas != 1:
		f.add("nats: %d servers behind one name, each with a log of its own", nats.replicas)
	}
	return f
}

// imaged: an image of ours is nurture-<service>, and README.md builds it from the
// main package of that name; engines are those of deploy/compose.yaml.
func imaged(m *manifests) (f faults) {
	dockerfile, compose := source("deploy/Dockerfile"), source("deploy/compose.yaml")
	if !strings.Contains(dockerfile, "ARG BINARY=") || !strings.Contains(dockerfile, `"./${BINARY}"`) || !strings.Contains(dockerfile, `ENTRYPOINT ["/app"]`) {
		f.add("deploy/Dockerfile does not build the binary that BINARY names")
	}
	if user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindStringSubmatch(dockerfile); user == nil || user[1] != "65532" {
		f.add("deploy/Dockerfile: not user 65532")
	}
	built := regexp.MustCompile(`BINARY=services/\$svc/cmd/\$svc -t nurture-\$svc:dev`)
	if !built.MatchString(readme()) {
		f.add("README.md does not build the images")
	}
	for _, p := range m.pods() {
		image, tag, _ := strings.Cut(filepath.Base(p.container().Image), ":")
		if tag == "" || tag == "latest" {
			f.add("%s: the image %s has no version", p.name, p.container().Image)
		}
		if m.overlay == "prod" && p.container().ImagePullPolicy != corev1.PullAlways {
			f.add("%s: whoever may run a pod may run an image that somebody else pulled", p.name)
		}
		if !p.ours() {
			if !strings.Contains(compose, "image: "+image+":"+tag+"\n") {
				f.add("%s: deploy/compose.yaml has another image than %s:%s", p.name, image, tag)
			}
			continue
		}
		name := strings.TrimPrefix(image, "nurture-")
		if _, err := os.Stat(filepath.Join(root, "services", name, "cmd", name, "main.go")); err != nil || name != p.name {
			f.add("%s: no main package makes the image %s", p.name, image)
		}
		if len(p.container().Command) > 0 {
			f.add("%s: has a command of its own, the image has one", p.name)
		}
	}
	return f
}

func source(file string) string {
	raw, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		panic(err)
	}
	return string(raw)
}
