package web

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/nurturehq/nurture/pkg/visitor"
	leadv1 "github.com/nurturehq/nurture/proto/nurture/lead/v1"
	"github.com/nurturehq/nurture/services/campaign/internal/link"
)

// maxAgent is as much of a user agent as is kept, in bytes: the ones of browsers
// are half of that.
const maxAgent = 256

// evidence is what was seen of whoever follows a link or loads a picture. The
// address itself is not kept: of it the network.
func (p *pages) evidence(r *http.Request, tok link.Token, now time.Time) *leadv1.Hit {
	h := &leadv1.Hit{
		Agent: clip(r.UserAgent()), Head: r.Method == http.MethodHead, Trap: tok.Kind == link.Trap, Link: linkID(tok),
	}
	if !tok.Sent.IsZero() {
		h.SentAt = timestamppb.New(tok.Sent)
	}
	ip, ok := visitor.Public(r, p.Proxies)
	if !ok {
		return h
	}
	h.Network = visitor.Network(ip)
	if tok.Kind != link.Open {
		h.Crowd = p.crowds.follow(ip, tok.Lead, now)
	}
	return h
}

// clip keeps the beginning of a user agent, as valid text.
func clip(agent string) string {
	return strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], "")
}

// linkID tells the links of a mail apart; empty for the picture.
func linkID(tok link.Token) string {
	if tok.Kind == link.Open {
		return ""
	}
	sum := sha256.Sum256([]byte{byte(tok.Kind)})
	if tok.Target != "" {
		sum = sha256.Sum256([]byte(tok.Target))
	}
	return hex.EncodeToString(sum[:4])
}

// Bounds of what is remembered about addresses.
const (
	crowdWithin  = 10 * time.Second
	maxAddresses = 10_000
	maxFollowed  = 32
)

// crowds counts for how many leads one address follows links at once. It forgets
// after seconds, and all of it when the process ends: it is evidence, no fact.
type crowds struct {
	mu   sync.Mutex
	seen map[netip.Addr][]followed
}

// followed is one link that an address followed.
type followed struct {
	lead string
	at   time.Time
}

// follow notes a link that was followed, and counts the leads whose links that
// address followed within the last seconds, this one included.
func (c *crowds) follow(ip netip.Addr, lead string, now time.Time) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) >= maxAddresses {
		c.sweep(now)
	}
	if c.seen == nil {
		c.seen = map[netip.Addr][]followed{}
	}
	list := append(recent(c.seen[ip], now), followed{lead: lead, at: now})
	list = list[max(0, len(list)-maxFollowed):]
	c.seen[ip] = list
	leads := map[string]bool{}
	for _, f := range list {
		leads[f.lead] = true
	}
	return uint32(len(leads)) //nolint:gosec // at most maxFollowed
}

// sweep forgets who has not come for a while; when that is nobody, everybody.
func (c *crowds) sweep(now time.Time) {
	for ip, list := range c.seen {
		if len(recent(list, now)) == 0 {
			delete(c.seen, ip)
		}
	}
	if len(c.seen) >= maxAddresses {
		clear(c.seen)
	}
}

func recent(list []followed, now time.Time) []followed {
	for len(list) > 0 && now.Sub(list[0].at) > crowdWithin {
		list = list[1:]
	}
	return list
}
