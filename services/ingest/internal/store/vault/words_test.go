package vault

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/fact"
)

// words seals some about a lead.
func words(t *testing.T, v *Vault, lead, text string) []byte {
	t.Helper()
	sealed, err := v.SealWords(t.Context(), lead, text)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWordsAreNoiseOnceTheKeyOfTheirLeadIsDestroyed(t *testing.T) {
	b := bustest.New(t)
	v, other := New(b, ring(t, 1), fact.Builtin(), 10), New(b, ring(t, 1), fact.Builtin(), 10)
	begin(t, v, "l1")
	begin(t, v, "l2")
	all := [][]byte{words(t, v, "l1", "Jo is moving to Rome"), words(t, v, "l2", "no budget"), words(t, v, "l1", "Jo is moving to Rome")}
	if bytes.Contains(bytes.Join(all, nil), []byte("Rome")) || bytes.Equal(all[0], all[2]) {
		t.Error("the words can be read, or the same ones recognised")
	}
	want := []string{"Jo is moving to Rome", "no budget", "Jo is moving to Rome"}
	for _, replica := range []*Vault{v, other} {
		if got, err := replica.OpenWords(t.Context(), all); err != nil || !slices.Equal(got, want) {
			t.Fatalf("opened %q, %v", got, err)
		}
	}
	if err := v.Destroy(t.Context(), "l1"); err != nil {
		t.Fatal(err)
	}
	for name, replica := range map[string]*Vault{"the one that destroyed the key": v, "one that had used it": other, "a new one": New(b, ring(t, 1), fact.Builtin(), 10)} {
		if got, err := replica.OpenWords(t.Context(), all); err != nil || !slices.Equal(got, []string{"", "no budget", ""}) {
			t.Errorf("%s opens %q, %v", name, got, err)
		}
	}
	if _, err := v.SealWords(t.Context(), "l1", "more"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("words about an erased lead: %v", err)
	}
	if _, err := v.SealWords(t.Context(), "nobody", "more"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("words about nobody: %v", err)
	}
	if _, err := b.LastMsg(t.Context(), bus.Leads, Subject("nobody")); !errors.Is(err, bus.ErrNoMessage) {
		t.Errorf("a key was made for nobody: %v", err)
	}
}

func TestWordsOfALeadAreNotAnothersNorARecord(t *testing.T) {
	v := New(bustest.New(t), ring(t, 1), fact.Builtin(), 10)
	begin(t, v, "l1")
	begin(t, v, "l2")
	as := func(lead string, cipher []byte) []byte {
		raw, err := proto.Marshal(&ingestv1.SealedWords{LeadId: lead, Cipher: cipher})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	mine := &ingestv1.SealedWords{}
	if err := proto.Unmarshal(words(t, v, "l1", "mine"), mine); err != nil {
		t.Fatal(err)
	}
	s := &ledger.Sheet{Lead: "l1", Record: ann(t)}
	v.Seal(t.Context(), []*ledger.Sheet{s})
	if s.Err != nil {
		t.Fatal(s.Err)
	}
	for name, sealed := range map[string][]byte{
		"another's": as("l2", mine.GetCipher()), "a record": as("l1", s.Record.GetSealed()), "of no lead": as("", mine.GetCipher()),
		"a day's": as("rejects/2026-01-01", mine.GetCipher()), "cut": as("l1", mine.GetCipher()[:20]), "empty": {}, "noise": []byte("noise"),
	} {
		if got, err := v.OpenWords(t.Context(), [][]byte{words(t, v, "l1", "fine"), sealed}); !errors.Is(err, ErrNotWords) {
			t.Errorf("%s: opened %q, %v", name, got, err)
		}
	}
}

func TestWordsSurviveARewrap(t *testing.T) {
	b := bustest.New(t)
	v := New(b, ring(t, 1), fact.Builtin(), 10)
	begin(t, v, "l1")
	sealed := words(t, v, "l1", "kept")
	next := New(b, ring(t, 2, 1), fact.Builtin(), 10)
	if n, _, err := next.Rewrap(t.Context()); err != nil || n != 1 {
		t.Fatalf("rewrapped %d, %v", n, err)
	}
	last := New(b, ring(t, 2), fact.Builtin(), 10)
	if got, err := last.OpenWords(t.Context(), [][]byte{sealed}); err != nil || !slices.Equal(got, []string{"kept"}) {
		t.Errorf("opened %q, %v", got, err)
	}
	if got, err := v.OpenWords(t.Context(), [][]byte{sealed}); !errors.Is(err, ErrNoKey) {
		t.Errorf("without the key that wraps: opened %q, %v", got, err)
	}
}
