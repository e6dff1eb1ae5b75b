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

// Place is where everything of a run is.
type Place struct {
	// Dir is the directory of the run: configuration, data and logs.
	Dir string
	// NATS and Redis are host:port, so are the others.
	NATS, Redis, SMTP          string
	IngestHTTP, IngestGRPC     string
	ScoringHTTP, ScoringGRPC   string
	CampaignHTTP, CampaignGRPC string
	HandoffHTTP, HandoffGRPC   string
	// Webhook is the CRM's URL, Secret signs what is sent there.
	Webhook, Secret string
	// Key hashes identities and signs links, in hex.
	Key string
}

// File is where the settings of a service are.
func (p Place) File(service string) string { return filepath.Join(p.Dir, "config", service+".yaml") }

// ConfigDir is where sources, model, programs and routes are.
func (p Place) ConfigDir() string { return filepath.Join(p.Dir, "config", "nurture") }

// WriteSettings writes the settings of all services.
func (p Place) WriteSettings() error {
	if err := os.MkdirAll(p.ConfigDir(), 0o700); err != nil {
		return fmt.Errorf("make configuration directory: %w", err)
	}
	if err := Write(p.ConfigDir()); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	for service, text := range p.settings() {
		if err := os.WriteFile(p.File(service), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write settings of %s: %w", service, err)
		}
	}
	return nil
}

func (p Place) settings() map[string]string {
	dir := p.ConfigDir()
	common := func(http, grpc string) string {
		return fmt.Sprintf("nats_url: nats://%s\nredis_url: %s\nhttp_addr: %s\ngrpc_addr: %s\nlog_level: warn\n", p.NATS, p.Redis, http, grpc)
	}
	return map[string]string{
		"ingest": common(p.IngestHTTP, p.IngestGRPC) +
			fmt.Sprintf("ingest:\n  sources: %s/sources.yaml\n  identity_key: %q\n", dir, p.Key),
		"scoring": common(p.ScoringHTTP, p.ScoringGRPC) +
			fmt.Sprintf("scoring:\n  model: %s/model.yaml\n", dir),
		"campaign": common(p.CampaignHTTP, p.CampaignGRPC) +
			fmt.Sprintf("ingest_addr: %s\nscoring_addr: %s\n", p.IngestGRPC, p.ScoringGRPC) +
			fmt.Sprintf("campaign:\n  programs: %[1]s/programs\n  templates: %[1]s/templates\n", dir) +
			fmt.Sprintf("  public_url: http://%s\n  link_keys: [%q]\n", p.CampaignHTTP, p.Key) +
			"  links: {site: \"https://www.torture.example\"}\n" +
			fmt.Sprintf("  smtp: {addr: %q, tls: none, connections: 4, timeout: 5s}\n", p.SMTP) +
			"  sender: {batch: 16, workers: 2, attempt_timeout: 3s, retry_min: 1s, retry_max: 3s}\n",
		"handoff": common(p.HandoffHTTP, p.HandoffGRPC) +
			fmt.Sprintf("ingest_grpc: %s\nscoring_grpc: %s\ncampaign_grpc: %s\n", p.IngestGRPC, p.ScoringGRPC, p.CampaignGRPC) +
			fmt.Sprintf("handoff:\n  routes: %s/routes.yaml\n  deliveries: 8\n", dir) +
			fmt.Sprintf("  webhook: {url: %q, secrets: [%q], allow: [\"127.0.0.0/8\"], timeout: 2s}\n", p.Webhook, p.Secret),
	}
}
