// Package store keeps every version of every program in the CONFIG bucket, by
// content hash: an enrollment finishes on the version it began, and a decision
// can be verified by the programs it was made with, whatever the files say now.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/services/campaign/internal/program"
)

const (
	programKey = "campaign.program."
	bookKey    = "campaign.book."
)

// timeout bounds one look into the bucket.
const timeout = 5 * time.Second

// Store finds programs and books. It is safe for concurrent use.
type Store struct {
	js       jetstream.JetStream
	compiler *program.Compiler

	mu       sync.RWMutex
	kv       jetstream.KeyValue
	programs map[string]*program.Program
	books    map[string]*program.Book
	current  *program.Book
}

// New makes a store whose current programs are the bundles. The error joins all
// that is wrong with them. Nothing is stored before Open.
func New(b *bus.Bus, bundles []program.Bundle, review time.Duration) (*Store, error) {
	compiler, programs, err := compile(bundles)
	if err != nil {
		return nil, err
	}
	s := &Store{js: b.JS, compiler: compiler, programs: map[string]*program.Program{}, books: map[string]*program.Book{}}
	for _, p := range programs {
		s.programs[p.Version] = p
	}
	return s, s.setCurrent(programs, review)
}

// compile compiles all bundles; the error joins all that is wrong.
func compile(bundles []program.Bundle) (*program.Compiler, []*program.Program, error) {
	compiler, err := program.NewCompiler()
	if err != nil {
		return nil, nil, err
	}
	var programs []*program.Program
	var errs []error
	for _, one := range bundles {
		p, err := compiler.Compile(one)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case find(programs, p.Name):
			errs = append(errs, fmt.Errorf("%s:1:1: there are two programs named %q; names must be unique", one.File, p.Name))
		}
		programs = append(programs, p)
	}
	return compiler, programs, errors.Join(errs...)
}

func find(programs []*program.Program, name string) bool {
	for _, p := range programs {
		if p.Name == name {
			return true
		}
	}
	return false
}

func (s *Store) setCurrent(programs []*program.Program, review time.Duration) error {
	program.Sort(programs)
	raw, err := program.NewIndex(programs, review).Encode()
	if err != nil {
		return err
	}
	s.current = &program.Book{ID: program.Hash(raw), Current: programs, Review: review, Version: s.loaded}
	s.books[s.current.ID] = s.current
	return nil
}

// Open stores the current programs, if they are new, and loads all that were
// ever current. It must be called before anything is decided.
func (s *Store) Open(ctx context.Context, bundles []program.Bundle) error {
	if err := s.bucket(ctx); err != nil {
		return err
	}
	for _, b := range bundles {
		raw, err := b.Encode()
		if err != nil {
			return err
		}
		if err := s.put(ctx, programKey+program.Hash(raw), raw); err != nil {
			return err
		}
	}
	raw, err := program.NewIndex(s.current.Current, s.current.Review).Encode()
	if err != nil {
		return err
	}
	return s.put(ctx, bookKey+s.current.ID, raw)
}

// bucket opens the bucket; whoever comes first makes it.
func (s *Store) bucket(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kv != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	kv, err := s.js.KeyValue(ctx, bus.Config)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: bus.Config, Description: "Versions of programs, models, routes and templates.", Storage: jetstream.FileStorage, History: 1,
		})
		if errors.Is(err, jetstream.ErrBucketExists) {
			kv, err = s.js.KeyValue(ctx, bus.Config)
		}
	}
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bus.Config, bus.Classify(err))
	}
	s.kv = kv
	return nil
}

// put stores a version. Keys are content hashes: what is there is the same.
func (s *Store) put(ctx context.Context, key string, raw []byte) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if _, err := s.kv.Create(ctx, key, raw); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("store %s: %w", key, bus.Classify(err))
	}
	return nil
}

// Current is the book of decisions made now.
func (s *Store) Current() *program.Book { return s.current }

// Book finds the book a decision was made by; the current one for an empty id.
func (s *Store) Book(ctx context.Context, id string) (*program.Book, error) {
	if id == "" || id == s.current.ID {
		return s.current, nil
	}
	s.mu.RLock()
	b := s.books[id]
	s.mu.RUnlock()
	if b != nil {
		return b, nil
	}
	raw, err := s.read(ctx, bookKey+id)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, fmt.Errorf("the list of programs %s is not in the bucket %s any more", id, bus.Config)
	}
	return s.loadBook(ctx, id, raw)
}

func (s *Store) loadBook(ctx context.Context, id string, raw []byte) (*program.Book, error) {
	ix, err := program.DecodeIndex(raw)
	if err != nil {
		return nil, err
	}
	b := &program.Book{ID: id, Review: ix.Review, Version: s.loaded}
	for _, version := range ix.Versions {
		p, err := s.Program(ctx, version)
		if err != nil {
			return nil, err
		}
		if p != nil {
			b.Current = append(b.Current, p)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books[id] = b
	return b, nil
}

// Program finds a version, in memory or in the bucket; nil when nobody has it.
func (s *Store) Program(ctx context.Context, version string) (*program.Program, error) {
	if p := s.loaded(version); p != nil {
		return p, nil
	}
	raw, err := s.read(ctx, programKey+version)
	if err != nil || raw == nil {
		return nil, err
	}
	b, err := program.DecodeBundle(bus.Config+"/"+programKey+version, raw)
	if err != nil {
		return nil, err
	}
	p, err := s.compiler.Compile(b)
	if err != nil {
		return nil, fmt.Errorf("compile stored program %s: %w", version, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.programs[version] = p
	return p, nil
}

func (s *Store) loaded(version string) *program.Program {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.programs[version]
}

// read gives a value; nil when there is none.
func (s *Store) read(ctx context.Context, key string) ([]byte, error) {
	if err := s.bucket(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	entry, err := s.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, bus.Classify(err))
	}
	return entry.Value(), nil
}
