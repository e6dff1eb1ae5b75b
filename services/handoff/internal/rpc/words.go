package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/access"
	"github.com/nurturehq/nurture/pkg/ledger"
	"github.com/nurturehq/nurture/pkg/rpc"
	handoffv1 "github.com/nurturehq/nurture/proto/nurture/handoff/v1"

	"github.com/nurturehq/nurture/services/handoff/internal/desk"
	"github.com/nurturehq/nurture/services/handoff/internal/dossier"
)

// keep makes of a request what the log keeps of it: its text sealed. That is done
// before it is folded, so that folding it again needs nobody.
func (s *Server) keep(ctx context.Context, lead string, req request) (proto.Message, error) {
	said, ok := req.(interface{ GetText() string })
	if !ok {
		return req, nil
	}
	whose, err := s.whose(ctx, lead)
	if err != nil {
		return nil, err
	}
	sealed, err := s.words.Seal(ctx, whose, said.GetText())
	if err != nil {
		return nil, err
	}
	switch r := req.(type) {
	case *handoffv1.RejectRequest:
		r = proto.CloneOf(r)
		r.Text = ""
		return &handoffv1.RejectCommand{Request: r, SealedText: sealed}, nil
	case *handoffv1.RecycleRequest:
		r = proto.CloneOf(r)
		r.Text = ""
		return &handoffv1.RecycleCommand{Request: r, SealedText: sealed}, nil
	case *handoffv1.RecordOutcomeRequest:
		r = proto.CloneOf(r)
		r.Text = ""
		return &handoffv1.OutcomeCommand{Request: r, SealedText: sealed}, nil
	default:
		return nil, fmt.Errorf("%T has a text that nobody seals", req)
	}
}

// whose is the lead under whose key words about a stay belong: the one it was
// taken over from, which gets it back with an unmerge, and may be erased then. The
// errors are those of the command that it is asked for.
func (s *Server) whose(ctx context.Context, lead string) (string, error) {
	e, err := s.ledger.Get(ctx, lead)
	switch {
	case err == nil && desk.Merging(e.State):
		return "", desk.ErrMerging
	case errors.Is(err, ledger.ErrNotFound), err == nil && e.State.GetHandoff() == nil:
		return "", desk.ErrNoHandoff
	case err != nil:
		return "", err
	}
	return cmp.Or(e.State.GetHandoff().GetFromLeadId(), lead), nil
}

// show is a stay as answers show it.
func (s *Server) show(ctx context.Context, h *handoffv1.Handoff) *handoffv1.Handoff {
	return s.showAll(ctx, []*handoffv1.Handoff{h})[0]
}

// showAll is show for many. What sales wrote may say who somebody is: sales sees it,
// and who may see people.
func (s *Server) showAll(ctx context.Context, stays []*handoffv1.Handoff) []*handoffv1.Handoff {
	if rpc.May(ctx, access.Sales) || rpc.May(ctx, access.Personal) {
		return s.words.Show(ctx, stays...)
	}
	bare := make([]*handoffv1.Handoff, len(stays))
	for i, h := range stays {
		bare[i] = dossier.Bare(h)
	}
	return bare
}
