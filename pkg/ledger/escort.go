package ledger

import (
	"context"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
)

// Escort are messages of the same stream that a record must not be without, like
// what a lead that begins has to have: they and the record are stored in one
// atomic batch, or none of them is. When a condition of theirs does not hold the
// command ends with ErrOvertaken. Commands of one UpdateAll may share an escort
// if they are for the same lead.
//
// Such a record is never a single publish, so an escort pays where much is
// written at once, and nowhere else.
type Escort struct {
	// Msgs are conditional, each on its subject's last message (bus.ExpectLast).
	Msgs []*nats.Msg
	// Stored, if not nil, hears the sequence of the first of them, before the
	// command is answered; those of the others follow. It is not called when they
	// were not stored, or when that is not known.
	Stored func(first uint64)
}

// messages is about how many messages items make.
func messages(its []*item) int {
	n := len(its)
	for _, it := range its {
		if it.cmd != nil && it.cmd.escort != nil {
			n += len(it.cmd.escort.Msgs)
		}
	}
	return n
}

// escortBy makes the escort of a command the work's.
func (w *work[S]) escortBy(cmd *command) {
	if cmd != nil && cmd.escort != nil && !slices.Contains(w.escorts, cmd.escort) {
		w.escorts = append(w.escorts, cmd.escort)
	}
}

// accompanied reports whether the record cannot be a publish of its own.
func (w *work[S]) accompanied() bool { return len(w.escorts) > 0 || w.copied }

// messages is how many messages the work is in the log.
func (w *work[S]) messages() int {
	n := 1
	for _, e := range w.escorts {
		n += len(e.Msgs)
	}
	if w.copied {
		n++
	}
	return n
}

// arrive tells the escorts of a stored record where they are.
func (w *work[S]) arrive() {
	first := w.seq - uint64(w.messages()-1) //nolint:gosec // a batch
	for _, e := range w.escorts {
		if e.Stored != nil {
			e.Stored(first)
		}
		first += uint64(len(e.Msgs))
	}
	w.escorts = nil
}

// fitting is how many works fit into one batch, and the messages they are.
func fitting[S proto.Message](works []*work[S]) (n, msgs int) {
	for _, w := range works {
		if n > 0 && msgs+w.messages() > batchMax {
			break
		}
		n++
		msgs += w.messages()
	}
	return n, msgs
}

// settleEscorts finds, of the works whose record was not written, those whose
// escort was overtaken.
func (l *Ledger[S]) settleEscorts(ctx context.Context, works []*work[S]) {
	var subjects []string
	for _, w := range works {
		if w.err == errUnwritten { //nolint:errorlint // set just now
			for _, e := range w.escorts {
				for _, m := range e.Msgs {
					subjects = append(subjects, m.Subject)
				}
			}
		}
	}
	last := make(map[string]uint64, len(subjects))
	for part := range slices.Chunk(subjects, multiGet) {
		msgs, err := l.d.Bus.LastMsgs(ctx, l.o.Stream, part)
		for _, s := range part {
			if m := msgs[s]; m != nil {
				last[s] = m.Sequence
			}
		}
		if err != nil {
			return // they are tried again, and meet it again
		}
	}
	for _, w := range works {
		if w.err == errUnwritten && w.overtaken(last) { //nolint:errorlint // set just now
			w.err = ErrOvertaken
		}
	}
}

// overtaken reports whether a condition of an escort does not hold.
func (w *work[S]) overtaken(last map[string]uint64) bool {
	for _, e := range w.escorts {
		for _, m := range e.Msgs {
			if m.Header.Get(jetstream.ExpectedLastSubjSeqHeader) != strconv.FormatUint(last[m.Subject], 10) {
				return true
			}
		}
	}
	return false
}
