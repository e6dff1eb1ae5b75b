package load

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sink"
)

// Read lets the reader of a mail react, and machines that come before: they look
// at it, and a leaver unsubscribes at the first one.
func (l *Load) Read(ctx context.Context, m sink.Mail, role torture.Role) {
	l.look(ctx, m)
	l.leave(ctx, m, role)
}

func (l *Load) leave(ctx context.Context, m sink.Mail, role torture.Role) {
	if role != torture.Leaver || m.Unsubscribe == "" || !l.once("unsubscribe "+m.Who) {
		return
	}
	lead, _ := torture.LeadOf(m.Touch)
	c := call{
		lines: []torture.Line{{ID: "unsubscribe-" + m.Who, Who: m.Who, Lead: lead, Kind: torture.Unsubscribe}},
		do: func(ctx context.Context) answer {
			a := l.post(ctx, m.Unsubscribe, "application/x-www-form-urlencoded", []byte("List-Unsubscribe=One-Click"))
			a.lead = lead
			return a
		},
	}
	l.begin(func() {
		if sleep(ctx, time.Duration(sink.Roll(l.Seed, m.Who, 2500))*time.Millisecond) {
			l.try(ctx, c)
		}
	})
}

// Sell lets sales answer a handoff that arrived: most are accepted, some given
// back, some left alone.
func (l *Load) Sell(ctx context.Context, h sink.Hook) {
	if h.Type != "assigned" || !l.once("handoff "+h.Lead) {
		return
	}
	kind, body := torture.Accept, map[string]string{"by": "Ada Example"}
	switch roll := sink.Roll(l.Seed, "sales "+h.Lead, 100); {
	case roll < 20:
		return
	case roll < 50:
		kind, body = torture.Reject, map[string]string{"by": "Ada Example", "reason": "REJECT_REASON_NOT_READY"}
	}
	id := string(kind) + "-" + h.Lead
	body["request_id"] = id
	raw, err := json.Marshal(body)
	if err != nil {
		l.Fail(err)
		return
	}
	c := call{
		lines: []torture.Line{{ID: id, Lead: h.Lead, Kind: kind}},
		do: func(ctx context.Context) answer {
			a := l.post(ctx, l.Handoff+"/v1/handoffs/"+h.Lead+":"+string(kind), "application/json", raw)
			a.lead = h.Lead
			return a
		},
	}
	l.begin(func() {
		if sleep(ctx, time.Duration(100+sink.Roll(l.Seed, id, 1500))*time.Millisecond) {
			l.try(ctx, c)
		}
	})
}
