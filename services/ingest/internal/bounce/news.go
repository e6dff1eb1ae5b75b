package bounce

import (
	"time"

	"github.com/nurturehq/nurture/services/ingest/internal/hook/fate"
)

// News is a report as news of the mail of a touch; false when it is none. An
// empty touch: only the address in it says whose mail it was. id is the
// report's own.
func (r Report) News(touch, id string) (fate.News, bool) {
	n := fate.News{ID: fate.Digest(string(r.Verdict), touch, id), Touch: touch, Recipient: r.Recipient, Reason: r.Reason, At: r.At}
	switch r.Verdict {
	case Hard:
		n.Kind, n.Hard = fate.Bounced, true
	case Soft:
		n.Kind = fate.Bounced
	case Deferred:
		n.Kind = fate.Deferred
	case Delivered:
		n.Kind = fate.Delivered
	case Complained:
		n.Kind = fate.Complained
	case Unsubscribed:
		// From now on, whatever the clock of the reader's machine says: a wish that
		// seems older than the consent would be lost.
		n.Kind, n.At = fate.Unsubscribed, time.Time{}
	case AutoReply, NotAReport:
		return fate.News{}, false
	}
	return n, true
}
