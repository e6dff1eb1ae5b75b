package ledger

import "github.com/nats-io/nats.go/jetstream"

// slot is one delivered message that is not acknowledged yet.
type slot struct {
	feed  *feed
	epoch uint64
	msg   jetstream.Msg
	done  bool
}

// window is the messages of one feed in delivery order. Acknowledging the last
// of the finished ones at its front acknowledges all before it, and a lead that
// has to wait holds back the acknowledgement but not the other leads.
type window struct {
	epoch uint64
	slots []*slot
}

// add appends a delivered message; a newer epoch means that the feed started
// over and all that was pending will be delivered again.
func (w *window) add(s *slot) {
	if s.epoch != w.epoch {
		w.epoch, w.slots = s.epoch, w.slots[:0]
	}
	w.slots = append(w.slots, s)
}

// finished takes the finished front off the window and returns the message to
// acknowledge, nil when there is none.
func (w *window) finished() jetstream.Msg {
	n := 0
	for n < len(w.slots) && w.slots[n].done {
		n++
	}
	if n == 0 {
		return nil
	}
	last := w.slots[n-1]
	w.slots = append(w.slots[:0], w.slots[n:]...)
	if last.epoch != last.feed.epoch.Load() {
		return nil
	}
	return last.msg
}
