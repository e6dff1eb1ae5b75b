// Package intake brings a list into ingest row by row. It goes on where it was
// when it, or the other side, dies, and keeps what was refused beside the list.
package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"
	"github.com/nurturehq/nurture/services/nurture/internal/table"
)

const (
	// window bounds the rows that are sent and not answered.
	window = 2000
	// patience is how often a broken stream is opened again without a single
	// answer in between.
	patience = 8
	// firstPause grows twofold with every try.
	firstPause = 250 * time.Millisecond
)

// Options are one import. All but Told and Moved are required.
type Options struct {
	Client ingestv1.IngestServiceClient
	Rows   table.Reader
	Plan   *ingestv1.ImportPlan
	// Journal keeps how far the import is.
	Journal *Journal
	// Told is called with every answer; Moved now and then with the tally.
	Told  func(row table.Row, a *ingestv1.ImportLeadsResponse) error
	Moved func(Tally)
	// Wait pauses before a stream is opened again; the error is that of ctx.
	Wait func(ctx context.Context, d time.Duration) error
}

// Tally counts what became of the rows.
type Tally struct {
	Rows, Created, Updated, Duplicate, Rejected, Valid, Incomplete uint64
}

// add counts one answer.
func (t *Tally) add(a *ingestv1.ImportLeadsResponse) {
	t.Rows++
	switch a.GetResult() {
	case ingestv1.ImportLeadsResponse_RESULT_CREATED:
		t.Created++
	case ingestv1.ImportLeadsResponse_RESULT_UPDATED:
		t.Updated++
	case ingestv1.ImportLeadsResponse_RESULT_DUPLICATE:
		t.Duplicate++
	case ingestv1.ImportLeadsResponse_RESULT_VALID:
		t.Valid++
	case ingestv1.ImportLeadsResponse_RESULT_REJECTED, ingestv1.ImportLeadsResponse_RESULT_UNSPECIFIED:
		t.Rejected++
		return
	}
	if len(a.GetProblems()) > 0 {
		t.Incomplete++
	}
}

// Run sends every row that the journal does not know as answered, and returns
// when all are. What passes by itself is tried again.
func Run(ctx context.Context, o Options) (Tally, error) {
	if o.Wait == nil {
		o.Wait = wait
	}
	im := &intake{o: o, tally: o.Journal.Tally}
	pause := firstPause
	for tries := 1; ; tries++ {
		before := im.tally.Rows
		err := im.stream(ctx)
		if err == nil {
			return im.tally, o.Journal.finish()
		}
		if im.tally.Rows > before {
			tries, pause = 1, firstPause
		}
		if err := o.Journal.save(im.tally); err != nil {
			return im.tally, err
		}
		if !passing(err) || tries >= patience {
			return im.tally, err
		}
		if err := o.Wait(ctx, pause); err != nil {
			return im.tally, err
		}
		pause *= 2
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("import: %w", ctx.Err())
	}
}

func passing(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted:
		return true
	default:
		return false
	}
}

// intake is one import on its way.
type intake struct {
	o     Options
	tally Tally
	// unanswered are the rows that were read and have no answer yet, in order.
	unanswered []table.Row
	end        bool
}

// refill reads rows until the window is full; rows before the journal's place
// were answered before.
func (im *intake) refill(room int) error {
	for !im.end && len(im.unanswered) < room {
		r, err := im.o.Rows.Next()
		if errors.Is(err, io.EOF) {
			im.end = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("read list: %w", err)
		}
		if r.Number > im.o.Journal.Tally.Rows {
			im.unanswered = append(im.unanswered, r)
		}
	}
	return nil
}

// answered takes the first unanswered row off the list.
func (im *intake) answered(a *ingestv1.ImportLeadsResponse) error {
	r := im.unanswered[0]
	im.unanswered = im.unanswered[1:]
	if a == nil {
		a = &ingestv1.ImportLeadsResponse{
			Number: r.Number, Result: ingestv1.ImportLeadsResponse_RESULT_REJECTED,
			Problems: []*ingestv1.ImportProblem{{Message: r.Fault}},
		}
	}
	if a.GetNumber() != r.Number {
		return fmt.Errorf("the answer is of row %d, expected %d", a.GetNumber(), r.Number)
	}
	// First kept, then counted: the count is what a later run believes.
	if a.GetResult() == ingestv1.ImportLeadsResponse_RESULT_REJECTED {
		if err := im.o.Journal.reject(r, a); err != nil {
			return err
		}
	}
	im.tally.add(a)
	if im.o.Told != nil {
		if err := im.o.Told(r, a); err != nil {
			return err
		}
	}
	if im.o.Moved != nil {
		im.o.Moved(im.tally)
	}
	return im.o.Journal.note(im.tally)
}
