package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

// Transit is a stream of messages that are on their way: once all its readers have
// handled one, what became of it is elsewhere.
type Transit struct {
	Bus    *Bus
	Stream string
	// Readers are the durable consumers that must exist, and the subject each is for:
	// what is for one that nobody has opened yet waits for it. Others count as well.
	Readers map[string]string
}

// Handled is up to which sequence every reader has acknowledged all that is for it.
func (t Transit) Handled(ctx context.Context) (uint64, error) {
	s, err := t.open(ctx)
	if err != nil {
		return 0, err
	}
	return t.handled(ctx, s)
}

func (t Transit) open(ctx context.Context) (jetstream.Stream, error) {
	s, err := t.Bus.JS.Stream(ctx, t.Stream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", t.Stream, Classify(err))
	}
	return s, nil
}

func (t Transit) handled(ctx context.Context, s jetstream.Stream) (uint64, error) {
	upTo := s.CachedInfo().State.LastSeq
	missing := maps.Clone(t.Readers)
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Config.Durable == "" {
			continue
		}
		delete(missing, info.Name)
		for _, subject := range subjectsOf(info.Config) {
			if err := t.until(ctx, subject, info.AckFloor.Stream, &upTo); err != nil {
				return 0, err
			}
		}
	}
	if err := list.Err(); err != nil {
		return 0, fmt.Errorf("list consumers of %s: %w", t.Stream, Classify(err))
	}
	for _, subject := range missing {
		if err := t.until(ctx, subject, 0, &upTo); err != nil {
			return 0, err
		}
	}
	return upTo, nil
}

// until lowers upTo to before the first message of a subject after a sequence. It
// asks the stream's leader: what a consumer says of its backlog, and what a replica
// answers, may be older than the last message.
func (t Transit) until(ctx context.Context, subject string, after uint64, upTo *uint64) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	ask, err := json.Marshal(map[string]any{"seq": after + 1, "next_by_subj": subject})
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	raw, err := t.Bus.NC.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+t.Stream, ask)
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", subject, t.Stream, Classify(err))
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(raw.Data, &answer); {
	case err != nil:
		return fmt.Errorf("read %s of %s: %w", subject, t.Stream, err)
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil
	case answer.Error != nil:
		return fmt.Errorf("read %s of %s: %w", subject, t.Stream, Classify(answer.Error))
	case answer.Message.Seq <= after:
		return fmt.Errorf("read %s of %s: the answer has sequence %d, and not one after %d", subject, t.Stream, answer.Message.Seq, after)
	}
	*upTo = min(*upTo, answer.Message.Seq-1)
	return nil
}

func subjectsOf(c jetstream.ConsumerConfig) []string {
	switch {
	case len(c.FilterSubjects) > 0:
		return c.FilterSubjects
	case c.FilterSubject != "":
		return []string{c.FilterSubject}
	}
	return []string{">"}
}

// Clear removes everything if all of it is handled, and reports whether nothing is
// left, on disk either: the server removes the files when it removes everything.
// When a message comes at that moment the server keeps the file that it is in, with
// the bytes of what was before it; then, and while something is not handled, the
// answer is false: ask again.
func (t Transit) Clear(ctx context.Context) (bool, error) {
	s, err := t.open(ctx)
	if err != nil {
		return false, err
	}
	last := s.CachedInfo().State.LastSeq
	if upTo, err := t.handled(ctx, s); err != nil || upTo < last {
		return false, err
	}
	// The first puts the files away, to be deleted in the background; the second does
	// not go on before they are.
	for range 2 {
		if err := t.purge(ctx, s, last); err != nil {
			return false, err
		}
	}
	info, err := s.Info(ctx)
	if err != nil {
		return false, fmt.Errorf("look at stream %s: %w", t.Stream, Classify(err))
	}
	return info.State.LastSeq == last, nil
}

// Trim clears the stream if there is something in it. While something is not
// handled it removes what is, but not before the stream holds more than some bytes.
func (t Transit) Trim(ctx context.Context, most uint64) error {
	s, err := t.open(ctx)
	if err != nil || s.CachedInfo().State.Msgs == 0 {
		return err
	}
	upTo, err := t.handled(ctx, s)
	state := s.CachedInfo().State
	if err != nil || upTo < state.LastSeq && state.Bytes <= most {
		return err
	}
	return t.purge(ctx, s, upTo)
}

func (t Transit) purge(ctx context.Context, s jetstream.Stream, upTo uint64) error {
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return fmt.Errorf("remove what is handled from %s: %w", t.Stream, Classify(err))
	}
	return nil
}
