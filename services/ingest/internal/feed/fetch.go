package feed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/nurturehq/nurture/pkg/bus"
	"github.com/nurturehq/nurture/pkg/guard"
	ingestv1 "github.com/nurturehq/nurture/proto/nurture/ingest/v1"

	"github.com/nurturehq/nurture/services/ingest/internal/hook"
	"github.com/nurturehq/nurture/services/ingest/internal/person"
	"github.com/nurturehq/nurture/services/ingest/internal/source"
)

// How often work is tried before a person has to look.
const (
	// maxTries is about a day.
	maxTries = 30
	// maxTokenTries is about seven minutes: a wrong token does not mend itself.
	maxTokenTries = 5
)

// failure is why work could not be done.
type failure struct {
	error
	again bool // it may pass
	tries int  // how often it is tried
}

func forGood(err error) *failure { return &failure{error: err} }

func again(err error) *failure { return &failure{error: err, again: true, tries: maxTries} }

// pause is how long work waits after an attempt.
func pause(attempt int) time.Duration {
	schedule := [...]time.Duration{
		2 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	}
	if attempt-1 < len(schedule) {
		return schedule[max(attempt-1, 0)]
	}
	return time.Hour
}

// fetches does the fetching that verified webhooks left.
func (f *Feed) fetches(ctx context.Context, msgs []bus.Msg) {
	ctx = context.WithoutCancel(ctx)
	for _, m := range msgs {
		ctx := bus.Extract(ctx, m.Header)
		f.finish(ctx, m, f.fetch(ctx, m))
	}
}

// finish ends one piece of work: done, to be tried again, or parked.
func (f *Feed) finish(ctx context.Context, m bus.Msg, why *failure) {
	switch {
	case why == nil:
		f.end(m, nil)
	case why.again && m.Attempt < why.tries:
		f.Log.Warn("work of a webhook is tried again", "subject", m.Subject, "seq", m.Seq, "attempt", m.Attempt, "error", why.error)
		f.log(m.Retry(pause(m.Attempt)))
	case why.again:
		f.end(m, f.park(ctx, m, bus.ReasonExhausted, why))
	default:
		f.end(m, f.park(ctx, m, bus.ReasonRefused, why))
	}
}

// fetch asks the sender what an id stands for, and takes the answer.
func (f *Feed) fetch(ctx context.Context, m bus.Msg) *failure {
	in := &ingestv1.Inbound{}
	if err := proto.Unmarshal(m.Data, in); err != nil || in.GetFetch() == nil {
		return forGood(fmt.Errorf("the message is no fetch: %w", cmp.Or(err, errors.New("another command"))))
	}
	what := in.GetFetch()
	src, ok := f.Sources.Current().Named(what.GetSource())
	if !ok {
		return forGood(fmt.Errorf("source %s is not in sources.yaml any more", what.GetSource()))
	}
	asker, ok := f.Dialects[src.Kind].(hook.Asker)
	if !ok {
		return forGood(fmt.Errorf("sources of kind %q are not asked for anything", src.Kind))
	}
	item, why := f.ask(ctx, asker, what, src)
	if why != nil {
		return why
	}
	return f.take(ctx, src, item)
}

// ask puts the questions and makes an item of the answers.
func (f *Feed) ask(ctx context.Context, asker hook.Asker, what *hook.Fetch, src *source.Source) (hook.Item, *failure) {
	token := src.Credentials[hook.CredentialToken]
	if token == "" {
		return hook.Item{}, &failure{fmt.Errorf("source %s has no credential %s to ask with; add it to sources.yaml", src.Name, hook.CredentialToken), true, maxTokenTries}
	}
	questions, err := asker.Ask(what, src)
	if err != nil {
		return hook.Item{}, forGood(err)
	}
	answers := make([][]byte, len(questions))
	for i, q := range questions {
		status, body, err := f.Fetcher.Get(ctx, cmp.Or(src.Options[hook.OptionBase], asker.Base()), token, q)
		switch {
		case errors.Is(err, guard.ErrBlocked):
			return hook.Item{}, forGood(err)
		case err != nil:
			return hook.Item{}, again(err)
		case status/100 == 2:
			answers[i] = body
			continue
		}
		switch v := asker.Judge(status, body); {
		case v.Token && !q.Optional:
			return hook.Item{}, &failure{errors.New(v.Reason), true, maxTokenTries}
		case v.Again:
			return hook.Item{}, again(errors.New(v.Reason))
		case !q.Optional:
			return hook.Item{}, forGood(errors.New(v.Reason))
		}
	}
	item, err := asker.Resolve(what, answers, src)
	if err != nil {
		return hook.Item{}, forGood(err)
	}
	return item, nil
}

// take records what was fetched. What cannot be used is parked as the fetch it
// came from: sent back after the fields were mended, it is asked for again.
func (f *Feed) take(ctx context.Context, src *source.Source, item hook.Item) *failure {
	switch {
	case item.Ignored != "":
		return nil
	case item.Sales != nil:
		if err := f.Take(ctx, hook.Told{Source: src, Items: []hook.Item{item}}); err != nil {
			return again(err)
		}
		return nil
	case item.Submission == nil:
		return forGood(describe(item.Faults))
	}
	switch out := f.Accept(ctx, []person.Submission{*item.Submission})[0]; {
	case out.Err == nil:
		return nil
	case Passing(out.Err):
		return &failure{out.Err, true, 1 << 30} // the log comes back
	default:
		return forGood(out.Err)
	}
}
