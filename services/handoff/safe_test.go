package handoff_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
)

// safe is as much of ingest as seals and opens words.
type safe struct {
	ingestv1.WordsServiceClient
	mu sync.Mutex
	// away makes every question fail; asked counts those that open.
	away  bool
	asked int
	// forgotten are leads whose key was destroyed.
	forgotten map[string]bool
}

func (s *safe) set(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

func (s *safe) forget(lead string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten = map[string]bool{lead: true}
}

func (s *safe) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func keyOf(lead string) cipher.AEAD {
	key := sha256.Sum256([]byte(lead))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func (s *safe) SealWords(_ context.Context, r *ingestv1.SealWordsRequest, _ ...grpc.CallOption) (*ingestv1.SealWordsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.away:
		return nil, status.Error(codes.Unavailable, "connection refused")
	case s.forgotten[r.GetLeadId()]:
		return nil, status.Error(codes.NotFound, "unknown or erased")
	}
	return &ingestv1.SealWordsResponse{Sealed: keyOf(r.GetLeadId()).Seal([]byte(r.GetLeadId()+"/"), nil, []byte(r.GetWords()), nil)}, nil
}

func (s *safe) OpenWords(_ context.Context, r *ingestv1.OpenWordsRequest, _ ...grpc.CallOption) (*ingestv1.OpenWordsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.away {
		return nil, status.Error(codes.Unavailable, "connection refused")
	}
	out := &ingestv1.OpenWordsResponse{}
	for _, sealed := range r.GetSealed() {
		lead, text, _ := strings.Cut(string(sealed), "/")
		if s.forgotten[lead] {
			out.Words = append(out.Words, "")
			continue
		}
		words, err := keyOf(lead).Open(nil, nil, []byte(text), nil)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		out.Words = append(out.Words, string(words))
	}
	return out, nil
}
