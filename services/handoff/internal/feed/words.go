package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
)

// Errors of words.
var (
	// ErrNotSealed: the words cannot be kept now. Trying again helps.
	ErrNotSealed = errors.New("the text cannot be sealed now, because ingest does not answer; nothing was changed: answer again in a moment")
	// ErrForgotten: words about somebody whom ingest does not know are not kept.
	ErrForgotten = errors.New("the lead was erased, or ingest does not know it: nothing can be written about it")
)

// openAtOnce is how many texts one question may hold: a text may have 8 kB.
const openAtOnce = 200

// Words has ingest seal what sales writes, and open it for whoever may read it:
// handoff has no keys.
type Words struct {
	Ingest ingestv1.WordsServiceClient
	Log    *slog.Logger
	// Within bounds the wait for texts to show; sealing, without which an answer
	// of sales is refused, may take leadPatience times as long.
	Within time.Duration
}

// Seal seals a text about a lead; of a blank one nothing is kept. ErrNotSealed,
// ErrForgotten.
func (w Words) Seal(ctx context.Context, lead, text string) ([]byte, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	ctx, end := context.WithTimeout(ctx, leadPatience*w.Within)
	defer end()
	resp, err := w.Ingest.SealWords(ctx, &ingestv1.SealWordsRequest{LeadId: lead, Words: text})
	switch {
	case status.Code(err) == codes.NotFound:
		return nil, ErrForgotten
	case err != nil:
		w.Log.Warn("seal what sales wrote", "lead_id", lead, "error", err)
		return nil, ErrNotSealed
	case len(resp.GetSealed()) == 0:
		return nil, ErrNotSealed
	}
	return resp.GetSealed(), nil
}

// Show gives stays as answers show them, in order: with their texts, or without
// while ingest cannot open them.
func (w Words) Show(ctx context.Context, stays ...*handoffv1.Handoff) []*handoffv1.Handoff {
	ctx, end := context.WithTimeout(ctx, w.Within)
	defer end()
	shown := make([]*handoffv1.Handoff, len(stays))
	var worded []int
	for i, h := range stays {
		shown[i] = dossier.Bare(h)
		if len(h.GetSealedText()) > 0 {
			worded = append(worded, i)
		}
	}
	for part := range slices.Chunk(worded, openAtOnce) {
		sealed := make([][]byte, len(part))
		for j, i := range part {
			sealed[j] = stays[i].GetSealedText()
		}
		texts, err := w.open(ctx, sealed)
		if err != nil {
			w.Log.Warn("open what sales wrote: answered without", "texts", len(worded), "error", err)
			return shown
		}
		for j, i := range part {
			shown[i].Text = texts[j]
		}
	}
	return shown
}

func (w Words) open(ctx context.Context, sealed [][]byte) ([]string, error) {
	resp, err := w.Ingest.OpenWords(ctx, &ingestv1.OpenWordsRequest{Sealed: sealed})
	if err != nil {
		return nil, err
	}
	if len(resp.GetWords()) != len(sealed) {
		return nil, fmt.Errorf("asked for %d texts, got %d", len(sealed), len(resp.GetWords()))
	}
	return resp.GetWords(), nil
}

// withText is a stay that has a sealed text, as a dossier shows it.
func (w Words) withText(ctx context.Context, h *handoffv1.Handoff) (*handoffv1.Handoff, error) {
	texts, err := w.open(ctx, [][]byte{h.GetSealedText()})
	if err != nil {
		return nil, err
	}
	shown := dossier.Bare(h)
	shown.Text = texts[0]
	return shown, nil
}
