package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/ledger"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/signal"
)

// Bounds of judging again.
const (
	// progressEvery is after how many leads it is said how far it is.
	progressEvery = 500
	// maxOfMail bounds the hits of one mail that are judged together, the newest:
	// a command must stay far below a megabyte.
	maxOfMail = 500
)

// RejudgeHits judges by the rules of now what is in the log, lead after lead, and
// brings flags up to date. A lead that was merged into another is left out, and so
// is one that is erased meanwhile.
func (s *Server) RejudgeHits(req *ingestv1.RejudgeHitsRequest, stream grpc.ServerStreamingServer[ingestv1.RejudgeHitsResponse]) error {
	r := &rejudging{server: s, req: req, rules: s.Signals(), stream: stream}
	r.sum.Rules = r.rules.Version
	for e, err := range s.Ledger.All(stream.Context()) {
		if err != nil {
			return fmt.Errorf("judge again: %w", err)
		}
		if e.State.GetLead().GetCreatedAt() == nil || e.State.GetErasedAt() != nil || e.State.GetMergedInto() != nil {
			continue
		}
		r.sum.Leads++
		if err := r.lead(stream.Context(), e); err != nil {
			return fmt.Errorf("judge lead %s again: %w", e.Lead, err)
		}
		if r.sum.Leads%progressEvery == 0 {
			if err := r.say("", nil, nil); err != nil {
				return err
			}
		}
	}
	return r.say("", nil, nil)
}

// rejudging is one pass over the log.
type rejudging struct {
	server *Server
	req    *ingestv1.RejudgeHitsRequest
	rules  *signal.Rules
	stream grpc.ServerStreamingServer[ingestv1.RejudgeHitsResponse]
	sum    ingestv1.RejudgeHitsResponse
}

func (r *rejudging) say(lead string, was, now *leadv1.Activity) error {
	msg := &ingestv1.RejudgeHitsResponse{
		Leads: r.sum.Leads, Hits: r.sum.Hits, Changed: r.sum.Changed, FlagsChanged: r.sum.FlagsChanged, Rules: r.sum.Rules,
		LeadId: lead, Was: was, Now: now,
	}
	if err := r.stream.Send(msg); err != nil {
		return fmt.Errorf("say what changed: %w", err)
	}
	return nil
}

// lead judges what one lead did, mail by mail.
func (r *rejudging) lead(ctx context.Context, e ledger.Entry[*ingestv1.State]) error {
	flags := r.rules.Flags(e.State.GetLead().GetProfile())
	if !proto.Equal(flags, e.State.GetLead().GetFlags()) && (flags != nil || e.State.GetLead().GetFlags() != nil) {
		if err := r.command(ctx, e.Lead, nil); err != nil {
			return gone(err)
		}
		r.sum.FlagsChanged++
	}
	if e.State.GetHitsTotal() == 0 && len(e.State.GetParts()) == 0 {
		return nil
	}
	mails, err := r.mails(ctx, e.Lead)
	if err != nil {
		return gone(err)
	}
	for _, hits := range mails {
		r.sum.Hits += uint64(len(hits))
		revisions := r.rules.Again(hits)
		if len(revisions) == 0 {
			continue
		}
		if err := r.command(ctx, e.Lead, hits); err != nil {
			return gone(err)
		}
		for _, rev := range revisions {
			now := proto.CloneOf(rev.Hit)
			now.Machine, now.Verdict = rev.Verdict.Machine, string(rev.Verdict.Reason)
			r.sum.Changed++
			if err := r.say(e.Lead, rev.Hit, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// command has the lead judged, unless nothing is to change.
func (r *rejudging) command(ctx context.Context, lead string, hits []*leadv1.Activity) error {
	if r.req.GetDryRun() {
		return nil
	}
	data, err := proto.Marshal(&ingestv1.Apply{Signals: r.rules.Version, MustExist: true, Rejudge: &ingestv1.Rejudge{Hits: hits}})
	if err != nil {
		return fmt.Errorf("encode command: %w", err)
	}
	_, err = r.server.Ledger.Update(ctx, lead, ledger.Command{Kind: person.KindRejudge, Data: data, Patient: true})
	return err
}

// mails are the hits of a person with their latest verdicts, mail by mail: of those
// mails of which a hit was recorded since. Each says of which lead it was told.
func (r *rejudging) mails(ctx context.Context, lead string) ([][]*leadv1.Activity, error) {
	acts, about, err := r.server.deeds(ctx, lead)
	if err != nil {
		return nil, err
	}
	hits := slices.DeleteFunc(acts, func(a *leadv1.Activity) bool { return !signal.IsHit(a) || a.GetHit() == nil })
	for _, a := range hits {
		if a.LeadId = about[a.GetId()]; a.LeadId == lead {
			a.LeadId = ""
		}
	}
	mails := signal.ByMail(hits)
	mails = slices.DeleteFunc(mails, func(hits []*leadv1.Activity) bool { return !slices.ContainsFunc(hits, r.isSince) })
	for i, hits := range mails {
		mails[i] = hits[max(0, len(hits)-maxOfMail):]
	}
	return mails, nil
}

func (r *rejudging) isSince(a *leadv1.Activity) bool {
	since := r.req.GetSince()
	return since == nil || !a.GetReceivedAt().AsTime().Before(since.AsTime())
}

// gone: a lead that was erased meanwhile needs no verdicts.
func gone(err error) error {
	if errors.Is(err, person.ErrErased) || errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrForgotten) {
		return nil
	}
	return err
}
