package ingest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/types/known/timestamppb"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// lookEvery is how often sources.yaml and the secrets it names are looked at.
const lookEvery = 2 * time.Second

// reading is what a look at sources.yaml and its secrets found.
type reading struct {
	set *source.Set
	err error
	// sum tells one content from another, that of the secrets included.
	sum [sha256.Size]byte
}

// readSources reads sources.yaml and the secrets that it names.
func readSources(file string) reading {
	raw, err := os.ReadFile(file)
	if err != nil {
		err = fmt.Errorf("read sources: %w (set sources to the path of your sources.yaml)", err)
		return reading{err: err, sum: sha256.Sum256([]byte(err.Error()))}
	}
	h := sha256.New()
	_, _ = h.Write(raw) // a hash takes everything
	secrets := secretsBeside(file)
	set, err := source.Parse(file, raw, func(ref source.Ref) (string, error) {
		v, err := secrets(ref)
		_, _ = fmt.Fprintf(h, "\x00%s\x00%v", v, err)
		return v, err
	})
	return reading{set: set, err: err, sum: [sha256.Size]byte(h.Sum(nil))}
}

// secretsBeside reads secrets from the environment and from files, whose paths
// count from where the sources file is.
func secretsBeside(file string) source.Secrets {
	return func(ref source.Ref) (string, error) {
		if ref.Env != "" {
			v, ok := os.LookupEnv(ref.Env)
			if !ok {
				return "", fmt.Errorf("the variable %s is not set; it holds a secret", ref.Env)
			}
			return strings.TrimSpace(v), nil
		}
		path := ref.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(file), path)
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("there is no file %s; it holds a secret", path)
		}
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return strings.TrimSpace(string(raw)), nil
	}
}

// watcher keeps the sources up to date with their file.
type watcher struct {
	mu sync.Mutex
	// used is what is in use or was refused, last what the latest look found: a
	// change counts when two looks agree, so that nobody reads half a file.
	used, last [sha256.Size]byte
	readAt     time.Time
	fault      string
}

// begin notes what New has read.
func (w *watcher) begin(sum [sha256.Size]byte, now time.Time) {
	w.used, w.last, w.readAt = sum, sum, now
}

// watch looks at sources.yaml and signals.yaml until ctx ends.
func (s *Service) watch(ctx context.Context) error {
	ticks := s.deps.Look
	if ticks == nil {
		t := time.NewTicker(lookEvery)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
			s.look(ctx)
			s.listenAgain(ctx)
		}
	}
}

// look reads the sources again. A file that cannot be used changes nothing, and
// says so until it is mended.
func (s *Service) look(ctx context.Context) {
	r := readSources(s.cfg.Sources)
	w := &s.watcher
	w.mu.Lock()
	defer w.mu.Unlock()
	settled := r.sum == w.last
	w.last = r.sum
	if !settled || r.sum == w.used {
		return
	}
	w.used = r.sum
	if r.err != nil {
		w.fault = r.err.Error()
		s.tally.files.Add(ctx, 1, metric.WithAttributes(attribute.String("result", "refused")))
		s.deps.Log.ErrorContext(ctx, "sources cannot be used; the former ones stay", "file", s.cfg.Sources, "error", r.err)
		return
	}
	w.fault, w.readAt = "", s.deps.Now()
	s.sources.Replace(r.set)
	s.tally.files.Add(ctx, 1, metric.WithAttributes(attribute.String("result", "used")))
	s.deps.Log.InfoContext(ctx, "sources were read again", "file", s.cfg.Sources, "sources", len(r.set.All()))
}

// listSources says what is configured and what was seen of it.
func (s *Service) listSources() *ingestv1.ListSourcesResponse {
	s.watcher.mu.Lock()
	resp := &ingestv1.ListSourcesResponse{
		CountedSince: timestamppb.New(s.started), ReadAt: timestamppb.New(s.watcher.readAt), Fault: s.watcher.fault,
	}
	s.watcher.mu.Unlock()
	for _, src := range s.sources.Current().All() {
		entry := &ingestv1.Source{
			Name: src.Name, Title: src.Title, Kind: src.Kind, Secrets: uint32(len(src.Secrets)),
		}
		for _, path := range src.Addresses() {
			entry.Addresses = append(entry.Addresses, strings.TrimSuffix(s.cfg.PublicURL, "/")+path)
		}
		for _, k := range src.Keys {
			entry.Keys = append(entry.Keys, &ingestv1.SourceKey{Prefix: k.Prefix, Created: k.Created})
		}
		entry.Counts, entry.LastEventAt = s.tally.of(src.Name)
		resp.Sources = append(resp.Sources, entry)
	}
	return resp
}
