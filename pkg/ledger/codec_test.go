package ledger_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/bus/bustest"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/ledger/ledgertest"
	ledgerv1 "github.com/nurturehq/nurture/proto/nurture/ledger/v1"
)

// sealedMark in the name of a test makes its ledgers use a codec.
const sealedMark = "_sealed"

var errWrongLead = errors.New("the record is another lead's")

// lock is a codec with one key for all leads; those in lost are forgotten.
type lock struct {
	aead cipher.AEAD
	mu   sync.Mutex
	lost map[string]bool
	down error
}

// newLock makes the codec of a test: the same key in all of them, so that one
// ledger reads what another one wrote.
func newLock(t testing.TB) *lock {
	t.Helper()
	block, err := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return &lock{aead: aead, lost: map[string]bool{}}
}

func (k *lock) state(lead string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost[lead] {
		return ledger.ErrForgotten
	}
	return k.down
}

func (k *lock) Seal(_ context.Context, sheets []*ledger.Sheet) {
	for _, s := range sheets {
		raw, err := ledger.EncodeHidden(ledger.Hide(s.Record))
		if s.Err = errors.Join(err, k.state(s.Lead)); s.Err != nil {
			continue
		}
		nonce := make([]byte, k.aead.NonceSize())
		_, _ = rand.Read(nonce)
		s.Record = ledger.Bare(s.Record)
		s.Record.Sealed = k.aead.Seal(nonce, nonce, raw, []byte(s.Lead))
	}
}

func (k *lock) Open(_ context.Context, sheets []*ledger.Sheet) {
	for _, s := range sheets {
		if s.Err = k.state(s.Lead); s.Err == nil {
			s.Record, s.Err = k.openOne(s)
		}
	}
}

func (k *lock) openOne(s *ledger.Sheet) (*ledgerv1.Record, error) {
	sealed, n := s.Record.GetSealed(), k.aead.NonceSize()
	raw, err := k.aead.Open(nil, sealed[:n], sealed[n:], []byte(s.Lead))
	if err != nil {
		return nil, errWrongLead
	}
	h, err := ledger.DecodeHidden(raw)
	if err != nil {
		return nil, err
	}
	return ledger.Reveal(s.Record, h)
}

// stored reads a lead's records as they lie in the log.
func stored(t *testing.T, b *bus.Bus, lead string) (recs []*ledgerv1.Record) {
	t.Helper()
	for raw, err := range b.Read(t.Context(), bus.Scores, bus.Subject(bus.Scores, lead, bus.KindState), 1) {
		if err != nil {
			t.Fatal(err)
		}
		rec := &ledgerv1.Record{}
		if err := proto.Unmarshal(raw.Data, rec); err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
	return recs
}

func TestWhatIsSealedIsNotInTheLog(t *testing.T) {
	b := bustest.New(t)
	o := options()
	o.Codec = newLock(t)
	l := open(t, b, nil, o)
	start(t, l)
	if _, err := l.Update(t.Context(), "ann", ledger.Command{ID: "canary-id", Kind: "say", Data: []byte("canary-word")}); err != nil {
		t.Fatal(err)
	}
	if got := heard(t, l, "ann"); !slices.Equal(got, []string{"canary-word"}) {
		t.Fatalf("heard %q", got)
	}
	for _, rec := range stored(t, b, "ann") {
		if raw, _ := proto.Marshal(rec); bytes.Contains(raw, []byte("canary")) || len(rec.GetSealed()) == 0 {
			t.Errorf("stored in the clear: %v", rec)
		}
	}
	rep, err := l.Verify(t.Context())
	if err != nil || len(rep.Mismatches) > 0 || rep.Records != 1 {
		t.Errorf("verify: %+v, %v", rep, err)
	}
}

func TestACodecThatIsDownIsAPassingFault(t *testing.T) {
	b := bustest.New(t)
	o, k := options(), newLock(t)
	o.Codec, k.down = k, bus.ErrUnavailable
	l := open(t, b, nil, o)
	start(t, l)
	if _, err := l.Update(t.Context(), "ann", ledger.Command{Kind: "say", Data: []byte("x")}); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatalf("got %v", err)
	}
	say(t, b, "ann", "1", "2")
	k.mu.Lock()
	k.down = nil
	k.mu.Unlock()
	ledgertest.Eventually(t, "the inputs that waited are folded", func() bool { return slices.Equal(heard(t, l, "ann"), []string{"1", "2"}) })
}

func TestATombstoneForgetsWhatWasBeforeIt(t *testing.T) {
	for _, codec := range []bool{false, true} {
		t.Run(strconv.FormatBool(codec), func(t *testing.T) {
			b := bustest.New(t)
			o, k := options(), newLock(t)
			if codec {
				o.Codec = k
			}
			l := open(t, b, nil, o)
			say(t, b, "ann", "1", "2", "forget") // at hand at once: one record
			say(t, b, "bob", "1")
			start(t, l)
			ledgertest.Eventually(t, "ann is forgotten", func() bool {
				e, err := l.Get(t.Context(), "ann")
				return err == nil && e.State.GetSource() == "forgotten"
			})
			last := stored(t, b, "ann")
			if rec := last[len(last)-1]; !rec.GetTombstone() || len(rec.GetCauses()) != 1 || len(rec.GetEvents()) != 0 || len(rec.GetSealed()) != 0 {
				t.Errorf("tombstone %v", rec)
			}
			say(t, b, "ann", "3")
			ledgertest.Eventually(t, "it goes on", func() bool { return slices.Equal(heard(t, l, "ann"), []string{"3"}) })
			rep, err := l.Verify(t.Context())
			if err != nil || len(rep.Mismatches) > 0 || rep.Untold > 0 {
				t.Errorf("verify: %+v, %v", rep, err)
			}
		})
	}
}

func TestRecordsThatCannotBeReadAnyMoreAreForgottenAndNotWrong(t *testing.T) {
	b := bustest.New(t)
	o, k := options(), newLock(t)
	o.Codec = k
	l := open(t, b, nil, o)
	start(t, l)
	for _, word := range []string{"1", "2", "forget"} {
		if _, err := l.Update(t.Context(), "ann", ledger.Command{Kind: "say", Data: []byte(word)}); err != nil {
			t.Fatal(err)
		}
	}
	k.mu.Lock()
	k.lost["ann"] = true
	k.mu.Unlock()
	rep, err := l.Verify(t.Context())
	if err != nil || len(rep.Mismatches) > 0 || rep.Untold > 0 || rep.Forgotten != 3 {
		t.Errorf("verify: %+v, %v", rep, err)
	}
	all, err := l.History(t.Context(), "ann")
	if err != nil || len(all) != 1 {
		t.Errorf("history %v, %v", all, err)
	}
	if diff := cmp.Diff("forgotten", all[0].State.GetSource()); diff != "" {
		t.Error(diff)
	}
}
