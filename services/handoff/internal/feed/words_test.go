package feed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/feed"
)

// safe opens words by taking a prefix off. It gives err, or one text too few.
type safe struct {
	ingestv1.WordsServiceClient
	err   error
	few   bool
	asked []int
}

func (s *safe) SealWords(_ context.Context, r *ingestv1.SealWordsRequest, _ ...grpc.CallOption) (*ingestv1.SealWordsResponse, error) {
	return &ingestv1.SealWordsResponse{}, s.err
}

func (s *safe) OpenWords(_ context.Context, r *ingestv1.OpenWordsRequest, _ ...grpc.CallOption) (*ingestv1.OpenWordsResponse, error) {
	s.asked = append(s.asked, len(r.GetSealed()))
	out := &ingestv1.OpenWordsResponse{}
	for _, sealed := range r.GetSealed() {
		out.Words = append(out.Words, "opened "+string(sealed))
	}
	if s.few {
		out.Words = out.Words[1:]
	}
	return out, s.err
}

func words(s *safe) feed.Words {
	return feed.Words{Ingest: s, Log: slog.New(slog.DiscardHandler), Within: time.Second}
}

// stays are n, of which every third has no text.
func stays(n int) []*handoffv1.Handoff {
	all := make([]*handoffv1.Handoff, n)
	for i := range all {
		all[i] = &handoffv1.Handoff{LeadId: fmt.Sprint(i)}
		if i%3 > 0 {
			all[i].SealedText = fmt.Append(nil, i)
		}
	}
	return all
}

func TestManyTextsAreOpenedInAFewQuestionsAndEachIsItsOwn(t *testing.T) {
	s := &safe{}
	for i, h := range words(s).Show(t.Context(), stays(1000)...) {
		want := ""
		if i%3 > 0 {
			want = fmt.Sprint("opened ", i)
		}
		if h.GetLeadId() != fmt.Sprint(i) || h.GetText() != want || len(h.GetSealedText()) > 0 {
			t.Fatalf("stay %d is shown as %v", i, h)
		}
	}
	if len(s.asked) != 4 {
		t.Errorf("asked %v", s.asked)
	}
	s.asked = nil
	if h := words(s).Show(t.Context(), nil, stays(1)[0]); h[0] != nil || len(s.asked) > 0 {
		t.Errorf("of nothing %v is shown, after %v", h, s.asked)
	}
}

func TestTextsThatCannotBeOpenedAreLeftOut(t *testing.T) {
	for _, s := range []*safe{{err: errors.New("down")}, {few: true}} {
		for _, h := range words(s).Show(t.Context(), stays(3)...) {
			if h.GetText() != "" || len(h.GetSealedText()) > 0 {
				t.Errorf("shown as %v", h)
			}
		}
	}
}

func TestWordsAreSealedOrRefused(t *testing.T) {
	for name, tt := range map[string]struct{ answer, want error }{
		"ingest is down":        {status.Error(codes.Unavailable, "down"), feed.ErrNotSealed},
		"ingest has no keys":    {status.Error(codes.Internal, "no key"), feed.ErrNotSealed},
		"ingest does not admit": {status.Error(codes.PermissionDenied, "no role"), feed.ErrNotSealed},
		"the lead is forgotten": {status.Error(codes.NotFound, "erased"), feed.ErrForgotten},
		"nothing comes back":    {nil, feed.ErrNotSealed},
	} {
		if sealed, err := words(&safe{err: tt.answer}).Seal(t.Context(), "l1", "x"); !errors.Is(err, tt.want) || sealed != nil {
			t.Errorf("%s: %q, %v", name, sealed, err)
		}
	}
	if sealed, err := words(&safe{err: errors.New("down")}).Seal(t.Context(), "l1", " \t\n"); err != nil || sealed != nil {
		t.Errorf("a blank text: %q, %v", sealed, err)
	}
}
