package load

import (
	"context"
	"net/http"
	"time"

	"github.com/nurturehq/nurture/services/nurture/internal/torture"
	"github.com/nurturehq/nurture/services/nurture/internal/torture/sink"
)

// Agents of those who look at mails.
const (
	browser = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	library = "python-requests/2.32.3"
)

// visit is one look at something of a mail.
type visit struct {
	what, address string
	method, agent string
	machine       bool
}

// look lets readers and machines look at a mail. Who does depends on the seed and
// the touch: nobody, its reader, a gateway that follows every link, also the one
// that no reader sees, a program that says that it is one, or that and the reader.
func (l *Load) look(ctx context.Context, m sink.Mail) {
	if m.Picture == "" || m.Trap == "" || len(m.Links) != len(torture.LinkNames()) || !l.once("look "+m.Touch) {
		return
	}
	at := func(name string, visits ...visit) {
		l.begin(func() {
			if sleep(ctx, time.Duration(sink.Roll(l.Seed, name+m.Touch, 2500))*time.Millisecond) {
				l.visits(ctx, m, visits)
			}
		})
	}
	names := torture.LinkNames()
	picture := visit{what: torture.Picture, address: m.Picture, method: http.MethodGet, agent: browser}
	click := func(i int) visit {
		return visit{what: names[i], address: m.Links[i], method: http.MethodGet, agent: browser}
	}
	byProgram := click(1)
	byProgram.agent, byProgram.machine = library, true
	switch roll := sink.Roll(l.Seed, "look "+m.Touch, 100); {
	case roll < 40:
	case roll < 50:
		at("reader", picture)
	case roll < 70:
		at("reader", picture, click(0))
	case roll < 85:
		at("gateway", asMachine(visit{what: torture.TrapLink, address: m.Trap, method: http.MethodGet, agent: browser}, click(0), picture, click(1))...)
	case roll < 92:
		byProgram.method = http.MethodHead
		at("program", byProgram)
	default:
		at("program", byProgram)
		at("reader", picture, click(0))
	}
}

func asMachine(all ...visit) []visit {
	for i := range all {
		all[i].machine = true
	}
	return all
}

// visits makes them one after the other. Nobody looks again when there was no
// answer: that would be another hit. Who only the first one shows to be a machine
// goes no further when it may not have been seen.
func (l *Load) visits(ctx context.Context, m sink.Mail, all []visit) {
	lead, _ := torture.LeadOf(m.Touch)
	for i, v := range all {
		kind := torture.Clicked
		if v.what == torture.Picture {
			kind = torture.Opened
		}
		seen := l.try(ctx, call{
			lines: []torture.Line{{
				ID: torture.HitID(m.Touch, v.what), Who: m.Who, Lead: lead, Kind: torture.Hit, Type: kind, Machine: v.machine, Hash: torture.HitHash(kind, v.what),
			}},
			giveUp: true,
			do:     func(ctx context.Context) answer { return l.visit(ctx, v) },
		})
		if !seen && i == 0 && v.what == torture.TrapLink {
			return
		}
	}
}

// visit follows a link. Only the answer's header says that the hit is safe: a
// click leads on in any case.
func (l *Load) visit(ctx context.Context, v visit) answer {
	req, err := http.NewRequestWithContext(ctx, v.method, v.address, http.NoBody)
	if err != nil {
		return answer{status: torture.Unknown, reason: err.Error()}
	}
	req.Header.Set("User-Agent", v.agent)
	return l.do(req, func(code int, header http.Header, _ []byte) answer {
		a := answer{status: torture.Unknown, code: code, reason: header.Get("Nurture-Hit")}
		switch {
		case a.reason == "told":
			a.status = torture.Acked
		case code == http.StatusNotFound:
			a.status = torture.Refused
		}
		return a
	})
}
