package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// ErrNotWords: the bytes are not what SealWords made.
var ErrNotWords = errors.New("these bytes were not sealed here")

// SealWords seals words about a lead that another service keeps.
// ledger.ErrNotFound: the lead is unknown or was erased.
func (v *Vault) SealWords(ctx context.Context, lead, words string) ([]byte, error) {
	keys, err := v.keys(ctx, []string{lead}, false)
	if err != nil {
		return nil, fmt.Errorf("seal words: %w", err)
	}
	f, ok := keys[lead]
	if !ok || f.isTombstone() {
		return nil, fmt.Errorf("seal words: lead %s is unknown or was erased: %w", lead, ledger.ErrNotFound)
	}
	if f.err != nil {
		return nil, fmt.Errorf("seal words: %w", f.err)
	}
	aead, err := subtle.NewAESGCM(f.key[:])
	if err != nil {
		return nil, fmt.Errorf("seal words: %w", err)
	}
	s := &ingestv1.SealedWords{LeadId: lead}
	if s.Cipher, err = aead.Encrypt([]byte(words), aboutWords(lead)); err != nil {
		return nil, fmt.Errorf("seal words: %w", err)
	}
	raw, err := deterministic.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("seal words: %w", err)
	}
	return raw, nil
}

// OpenWords opens what SealWords made, in order; words about a lead whose key was
// destroyed are empty. The keys are read from the log: no memory of another
// replica's must outlive an erasure. ErrNotWords names the first that is none.
func (v *Vault) OpenWords(ctx context.Context, sealed [][]byte) ([]string, error) {
	all, leads := make([]*ingestv1.SealedWords, len(sealed)), map[string]bool{}
	for i, raw := range sealed {
		all[i] = &ingestv1.SealedWords{}
		if err := proto.Unmarshal(raw, all[i]); err != nil || !identity.ValidLead(all[i].GetLeadId()) {
			return nil, fmt.Errorf("open words %d: %w", i, ErrNotWords)
		}
		leads[all[i].GetLeadId()] = true
	}
	names := make([]string, 0, len(leads))
	for lead := range leads {
		names = append(names, lead)
	}
	keys, err := v.read(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("open words: %w", err)
	}
	words := make([]string, len(sealed))
	for i, s := range all {
		if words[i], err = openWords(s, keys); err != nil {
			return nil, fmt.Errorf("open words %d of lead %s: %w", i, s.GetLeadId(), err)
		}
	}
	return words, nil
}

func openWords(s *ingestv1.SealedWords, keys map[string]found) (string, error) {
	f, ok := keys[s.GetLeadId()]
	if !ok || f.isTombstone() {
		return "", nil
	}
	if f.err != nil {
		return "", f.err
	}
	aead, err := subtle.NewAESGCM(f.key[:])
	if err != nil {
		return "", err
	}
	raw, err := aead.Decrypt(s.GetCipher(), aboutWords(s.GetLeadId()))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotWords, err)
	}
	return string(raw), nil
}

// aboutWords ties words to their lead, and keeps them apart from its records.
func aboutWords(lead string) []byte { return []byte("words/" + lead) }
