// Package source is what sources.yaml says: who may tell us about leads, under
// which keys, and how what they send is to be read. Pure: whoever loads the
// file hands it over and reads the secrets that it names.
package source

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"

	"github.com/nurturehq/nurture/pkg/config"
)

// Source is one source, ready for use. It is never changed after it was read.
type Source struct {
	Name  string
	Title string
	// Kind is the dialect of the source's webhooks, one of Kinds(); empty: forms,
	// tracking libraries, NATS.
	Kind    string
	Country string
	// Form is nil when the source has none.
	Form *Form
	// Keys are the write keys, in the order of the file.
	Keys []Key
	// Secrets are the live secrets of the sender's signature, newest first, at
	// most two. Never log a Source: these are clear text.
	Secrets []string
	// Credentials are what we need to ask the sender something, by name, e.g.
	// "access_token". Clear text as well.
	Credentials map[string]string
	// Options are the dialect's own settings, names checked against Kinds().
	Options map[string]string
	// Fields say what the sender's names mean here, e.g. "mail": "email". Its own
	// names are in snake case.
	Fields map[string]string
	// Consent is on what grounds people who come by this source may be written
	// to; nil: the source says nothing about it.
	Consent *Consent
	Limits  Limits
	origins []string
}

// Key is one write key as far as we know it.
type Key struct {
	// Prefix is the beginning of the key, for people to tell keys apart; empty
	// when the file does not say it.
	Prefix string
	// Created is the day it was made, like 2026-11-25; empty when not said.
	Created string
	sum     [sha256.Size]byte
	at      config.Text
}

// Consent is the ground on which a source's leads may be contacted.
type Consent struct {
	// Purpose like marketing_email.
	Purpose string
	// Basis is consent, legitimate_interest or contract.
	Basis string
	// Text are the exact words the person saw, with their version; empty unless
	// Basis is consent.
	Text, Version string
}

// Set is all sources.
type Set struct {
	byName map[string]*Source
	keys   []key
}

type key struct {
	sum    [sha256.Size]byte
	source *Source
}

// All lists the sources by name.
func (s *Set) All() []*Source {
	list := make([]*Source, 0, len(s.byName))
	for _, src := range s.byName {
		list = append(list, src)
	}
	slices.SortFunc(list, func(a, b *Source) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Named gives a source by its name.
func (s *Set) Named(name string) (*Source, bool) {
	src, ok := s.byName[name]
	return src, ok
}

// WithOrg gives the source that takes the Web-to-Lead forms of a Salesforce
// organisation.
func (s *Set) WithOrg(id string) (*Source, bool) {
	for _, src := range s.All() {
		if src.Form != nil && len(id) >= 15 && slices.Contains(src.Form.OrgIDs, id[:15]) {
			return src, true
		}
	}
	return nil, false
}

// Keyed gives the source of a write key. All keys are compared, in constant
// time, whichever fits.
func (s *Set) Keyed(writeKey string) (*Source, bool) {
	sum := sha256.Sum256([]byte(writeKey))
	var found *Source
	for i := range s.keys {
		if subtle.ConstantTimeCompare(sum[:], s.keys[i].sum[:]) == 1 {
			found = s.keys[i].source
		}
	}
	return found, found != nil
}

// Admits reports whether a page of this origin may send; an empty origin is no
// browser and may.
func (s *Source) Admits(origin string) bool {
	return origin == "" || len(s.origins) == 0 || slices.Contains(s.origins, strings.ToLower(origin))
}

// Addresses are the paths that the source's sender sends to.
func (s *Source) Addresses() []string {
	var paths []string
	if s.Kind != "" {
		paths = append(paths, "/v1/hooks/"+s.Name)
	}
	if s.Form != nil {
		paths = append(paths, "/v1/forms/"+s.Name)
	}
	if len(s.Keys) > 0 {
		paths = append(paths, "/v1/batch")
	}
	return paths
}
