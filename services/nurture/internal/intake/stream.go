package intake

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/table"
)

type stream = grpc.BidiStreamingClient[ingestv1.ImportLeadsRequest, ingestv1.ImportLeadsResponse]

// stream sends rows and takes answers until all are answered or it breaks.
// Between the two, at most a window of rows is under way: the sender is given
// room by every answer.
func (im *intake) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := im.o.Client.ImportLeads(ctx)
	if err != nil {
		return fmt.Errorf("open stream: %w", err)
	}
	if err := s.Send(&ingestv1.ImportLeadsRequest{Part: &ingestv1.ImportLeadsRequest_Plan{Plan: im.o.Plan}}); err != nil {
		return broken(s, err)
	}
	answers := listen(s)
	sent := 0 // of the unanswered rows, how many are on their way
	for {
		if err := im.refill(window); err != nil {
			return err
		}
		if sent, err = im.send(s, sent); err != nil {
			return brokenOff(answers, err)
		}
		for len(im.unanswered) > 0 && im.unanswered[0].Fault != "" {
			sent--
			if err := im.answered(nil); err != nil {
				return err
			}
		}
		if len(im.unanswered) == 0 && im.end {
			return finish(s, answers)
		}
		if sent == 0 {
			continue // all of them could not be read
		}
		if sent, err = im.receive(answers, sent); err != nil {
			return err
		}
	}
}

// send sends the rows behind the first sent ones; unreadable ones are passed over.
func (im *intake) send(s stream, sent int) (int, error) {
	for _, r := range im.unanswered[sent:] {
		if r.Fault == "" {
			if err := s.Send(rowOf(r)); err != nil {
				return sent, err //nolint:wrapcheck // broken finds the reason
			}
		}
		sent++
	}
	return sent, nil
}

func rowOf(r table.Row) *ingestv1.ImportLeadsRequest {
	return &ingestv1.ImportLeadsRequest{Part: &ingestv1.ImportLeadsRequest_Row{Row: &ingestv1.ImportRow{Number: r.Number, Values: r.Values}}}
}

// answer is what was received, or why nothing more will be.
type answer struct {
	*ingestv1.ImportLeadsResponse
	err error
}

// listen receives beside the sending: if neither side listened while it talks,
// both would wait for each other. The channel has room for a whole window.
func listen(s stream) <-chan answer {
	answers := make(chan answer, window+2)
	go func() {
		defer close(answers)
		for {
			a, err := s.Recv()
			answers <- answer{a, err}
			if err != nil {
				return
			}
		}
	}()
	return answers
}

// receive takes answers until half the window is free, so that rows go out in
// long runs.
func (im *intake) receive(answers <-chan answer, sent int) (int, error) {
	for low := min(sent, window/2); sent > 0 && sent >= low; {
		if im.unanswered[0].Fault != "" {
			return sent, nil
		}
		a := <-answers
		if a.err != nil {
			return sent, fmt.Errorf("send rows: %w", a.err)
		}
		if a.GetNumber() == 0 {
			continue // what the columns mean was asked for elsewhere
		}
		sent--
		if err := im.answered(a.ImportLeadsResponse); err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// finish ends a stream whose rows are all answered.
func finish(s stream, answers <-chan answer) error {
	if err := s.CloseSend(); err != nil {
		return fmt.Errorf("end stream: %w", err)
	}
	for a := range answers {
		if a.err != nil && !errors.Is(a.err, io.EOF) {
			return fmt.Errorf("end stream: %w", a.err)
		}
	}
	return nil
}

// brokenOff finds out why a stream took no more: the reason comes with receiving.
func brokenOff(answers <-chan answer, err error) error {
	for a := range answers {
		if a.err != nil && errors.Is(err, io.EOF) {
			err = a.err
		}
	}
	return fmt.Errorf("send rows: %w", err)
}

// broken finds out why a stream took no more: the reason comes with receiving.
func broken(s stream, err error) error {
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("send rows: %w", err)
	}
	for {
		if _, err := s.Recv(); err != nil {
			return fmt.Errorf("send rows: %w", err)
		}
	}
}

// Ask asks what the columns of a plan mean; it sends no row.
func Ask(ctx context.Context, client ingestv1.IngestServiceClient, plan *ingestv1.ImportPlan) (map[string]string, error) {
	s, err := client.ImportLeads(ctx)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	if err := s.Send(&ingestv1.ImportLeadsRequest{Part: &ingestv1.ImportLeadsRequest_Plan{Plan: plan}}); err != nil {
		return nil, broken(s, err)
	}
	if err := s.CloseSend(); err != nil {
		return nil, fmt.Errorf("end stream: %w", err)
	}
	var meanings map[string]string
	for {
		a, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return meanings, nil
		}
		if err != nil {
			return nil, fmt.Errorf("ask what the columns mean: %w", err)
		}
		meanings = a.GetMeanings()
	}
}
