package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/nurturehq/nurture/pkg/rpc"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/normal"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/roster"
)

// rowsAtOnce bounds how many rows of a list share a commit, and how many wait.
const rowsAtOnce = 250

type importStream = grpc.BidiStreamingServer[ingestv1.ImportLeadsRequest, ingestv1.ImportLeadsResponse]

// ImportLeads takes the rows of a list. Rows that arrive while others are being
// committed go together; an idle stream answers each row at once.
func (s *Server) ImportLeads(stream importStream) error {
	im, err := s.openImport(stream)
	if err != nil {
		return err
	}
	if columns := im.columns; len(columns) > 0 {
		if err := stream.Send(&ingestv1.ImportLeadsResponse{Meanings: im.list.Meanings(columns)}); err != nil {
			return fmt.Errorf("answer plan: %w", err)
		}
	}
	rows := make(chan *ingestv1.ImportRow, rowsAtOnce)
	both, ctx := errgroup.WithContext(stream.Context())
	both.Go(func() error {
		defer close(rows)
		return receiveRows(ctx, stream, rows)
	})
	both.Go(func() error {
		for group := next(rows); len(group) > 0; group = next(rows) {
			if err := im.take(ctx, stream, group); err != nil {
				return err
			}
		}
		return nil
	})
	return both.Wait() //nolint:wrapcheck // each says what it did
}

// importing is one list on its way in.
type importing struct {
	list    *roster.List
	columns []string
	dryRun  bool
	// first is, in a dry run, the row that has told an address already.
	first  map[string]uint64
	accept func(ctx context.Context, subs []person.Submission) []person.Outcome
}

// maxRemembered bounds the addresses that a dry run compares.
const maxRemembered = 1_000_000

func (s *Server) openImport(stream importStream) (*importing, error) {
	msg, err := stream.Recv()
	if errors.Is(err, io.EOF) || err == nil && msg.GetPlan() == nil {
		err = rpc.Invalid(rpc.Field{Field: "plan", Message: "is missing; expected the plan in the first message of the stream"})
	}
	if err != nil {
		return nil, fmt.Errorf("open list: %w", err)
	}
	plan, country := msg.GetPlan(), ""
	if src, ok := s.Sources.Current().Named(plan.GetSource()); ok {
		country = src.Country
	}
	list, faults := roster.Open(plan, country)
	if len(faults) > 0 {
		return nil, invalid(faults)
	}
	return &importing{list: list, columns: plan.GetColumns(), dryRun: plan.GetDryRun(), first: map[string]uint64{}, accept: s.Accept}, nil
}

func receiveRows(ctx context.Context, stream importStream, rows chan<- *ingestv1.ImportRow) error {
	for {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("receive row: %w", err)
		}
		row := msg.GetRow()
		if row == nil {
			return rpc.Invalid(rpc.Field{Field: "plan", Message: "came twice; expected rows after the first message"})
		}
		select {
		case rows <- row:
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // the other side says why
		}
	}
}

// next waits for a row and takes those that are at hand with it; none when
// there will be no more.
func next(rows <-chan *ingestv1.ImportRow) []*ingestv1.ImportRow {
	row, ok := <-rows
	if !ok {
		return nil
	}
	group := []*ingestv1.ImportRow{row}
	for len(group) < rowsAtOnce {
		select {
		case row, ok := <-rows:
			if !ok {
				return group
			}
			group = append(group, row)
		default:
			return group
		}
	}
	return group
}

// take records a group of rows and answers each of them, in order.
func (im *importing) take(ctx context.Context, stream importStream, group []*ingestv1.ImportRow) error {
	answers := make([]*ingestv1.ImportLeadsResponse, len(group))
	var subs []person.Submission
	var at []int
	for i, row := range group {
		read := im.list.Read(row)
		answers[i] = &ingestv1.ImportLeadsResponse{Number: row.GetNumber(), Problems: problems(read.Faults)}
		switch {
		case read.Submission == nil:
			answers[i].Result = ingestv1.ImportLeadsResponse_RESULT_REJECTED
		case im.dryRun:
			answers[i].Result = ingestv1.ImportLeadsResponse_RESULT_VALID
			im.compare(answers[i], read.Submission)
		default:
			subs, at = append(subs, *read.Submission), append(at, i)
		}
	}
	if err := im.record(ctx, subs, at, answers); err != nil {
		return err
	}
	for _, a := range answers {
		if err := stream.Send(a); err != nil {
			return fmt.Errorf("answer row %d: %w", a.GetNumber(), err)
		}
	}
	return nil
}

// record commits submissions. What passes by itself ends the stream: who sent
// it sends the unanswered rows again.
func (im *importing) record(ctx context.Context, subs []person.Submission, at []int, answers []*ingestv1.ImportLeadsResponse) error {
	if len(subs) == 0 {
		return nil
	}
	for j, out := range im.accept(ctx, subs) {
		a := answers[at[j]]
		switch code := rpc.Status(out.Err).Code(); {
		case code == codes.Unavailable || code == codes.ResourceExhausted || code == codes.DeadlineExceeded || code == codes.Canceled || code == codes.Internal:
			return fmt.Errorf("record row %d: %w", a.GetNumber(), out.Err)
		case out.Err != nil:
			a.Result = ingestv1.ImportLeadsResponse_RESULT_REJECTED
			a.Problems = append(a.Problems, &ingestv1.ImportProblem{Message: rpc.Status(out.Err).Message()})
			continue
		case out.Duplicate:
			a.Result = ingestv1.ImportLeadsResponse_RESULT_DUPLICATE
		case out.Created:
			a.Result = ingestv1.ImportLeadsResponse_RESULT_CREATED
		default:
			a.Result = ingestv1.ImportLeadsResponse_RESULT_UPDATED
		}
		a.LeadId = out.Lead
	}
	return nil
}

// compare notes when a dry run meets an address a second time.
func (im *importing) compare(a *ingestv1.ImportLeadsResponse, sub *person.Submission) {
	email := sub.Apply.GetCapture().GetProfile().GetEmail()
	if email == "" {
		return
	}
	if first, again := im.first[email]; again {
		a.Problems = append(a.Problems, &ingestv1.ImportProblem{
			Field: "email", Message: fmt.Sprintf("is the same as in row %d: both tell about one lead", first),
		})
	} else if len(im.first) < maxRemembered {
		im.first[email] = a.GetNumber()
	}
}

func problems(faults []normal.Fault) []*ingestv1.ImportProblem {
	list := make([]*ingestv1.ImportProblem, len(faults))
	for i, f := range faults {
		list[i] = &ingestv1.ImportProblem{Field: f.Field, Message: f.Message}
	}
	return list
}
