// Package config is what the services are told during a torture run: short
// waits, a model whose scores are sums, and where everything listens.
package config

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed files
var files embed.FS //nolint:gochecknoglobals // go:embed asks for it

// WriteKey is the write key of the only source, Source is its name.
const (
	WriteKey = "website-write-key"
	Source   = "website"
)

// Write copies the configuration below a directory.
func Write(dir string) error {
	return fs.WalkDir(files, "files", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("files", path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		raw, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, raw, 0o600)
	})
}

// Instance is one process of a service.
type Instance struct {
	// Name is the service's and a number, like "campaign-2".
	Name, Service string
	// HTTP and GRPC are host:port.
	HTTP, GRPC string
}

// Place is where everything of a run is.
type Place struct {
	// Dir is the directory of the run: configuration, data and logs.
	Dir string
	// NATS, Redis and SMTP are host:port.
	NATS, Redis, SMTP string
	Instances         []Instance
	// Webhook is the CRM's URL, Secret signs what is sent there.
	Webhook, Secret string
	// Key hashes identities and signs links, in hex.
	Key string
}

// First is the first instance of a service: the one that others ask.
func (p Place) First(service string) Instance {
	for _, i := range p.Instances {
		if i.Service == service {
			return i
		}
	}
	return Instance{}
}

// File is where the settings of an instance are.
func (p Place) File(instance string) string { return filepath.Join(p.Dir, "config", instance+".yaml") }

// ConfigDir is where sources, model, programs and routes are.
func (p Place) ConfigDir() string { return filepath.Join(p.Dir, "config", "nurture") }

// WriteSettings writes the settings of all instances.
func (p Place) WriteSettings() error {
	if err := os.MkdirAll(p.ConfigDir(), 0o700); err != nil {
		return fmt.Errorf("make configuration directory: %w", err)
	}
	if err := Write(p.ConfigDir()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	for _, i := range p.Instances {
		text := fmt.Sprintf("nats_url: nats://%s\nredis_url: %s\nhttp_addr: %s\ngrpc_addr: %s\nlog_level: warn\n", p.NATS, p.Redis, i.HTTP, i.GRPC)
		if err := os.WriteFile(p.File(i.Name), []byte(text+p.settings(i)), 0o600); err != nil {
			return fmt.Errorf("write settings of %s: %w", i.Name, err)
		}
	}
	return nil
}

// settings are those of the instance's service.
func (p Place) settings(i Instance) string {
	dir, ingest, scoring := p.ConfigDir(), p.First("ingest").GRPC, p.First("scoring").GRPC
	switch i.Service {
	case "ingest":
		return fmt.Sprintf("ingest:\n  sources: %[1]s/sources.yaml\n  signals: %[1]s/signals.yaml\n  facts: %[1]s/facts.yaml\n  identity_key: %[2]q\n  data_key: %[2]q\n", dir, p.Key)
	case "scoring":
		return fmt.Sprintf("scoring:\n  model: %s/model.yaml\n", dir)
	case "campaign":
		return fmt.Sprintf("ingest_addr: %s\nscoring_addr: %s\n", ingest, scoring) +
			fmt.Sprintf("campaign:\n  programs: %[1]s/programs\n  templates: %[1]s/templates\n", dir) +
			fmt.Sprintf("  public_url: http://%s\n  link_keys: [%q]\n", i.HTTP, p.Key) +
			"  links: {site: \"https://www.torture.example\"}\n" +
			fmt.Sprintf("  smtp: {addr: %q, tls: none, hello: %s, connections: 4, timeout: 10s}\n", p.SMTP, i.Name) +
			"  sender: {batch: 16, workers: 2, attempt_timeout: 5s, retry_min: 1s, retry_max: 3s}\n"
	default:
		return fmt.Sprintf("ingest_addr: %s\nscoring_addr: %s\ncampaign_addr: %s\n", ingest, scoring, p.First("campaign").GRPC) +
			fmt.Sprintf("handoff:\n  routes: %s/routes.yaml\n  deliveries: 8\n", dir) +
			fmt.Sprintf("  webhook: {url: %q, secrets: [%q], allow: [\"127.0.0.0/8\"], timeout: 2s}\n", p.Webhook, p.Secret)
	}
}
