package mailgun

import (
	"crypto/sha256"
	"sync"
)

// maxTokens bounds what is remembered. A token that was forgotten could be used
// for another body until its signature is too old.
const maxTokens = 50_000

// tokens remembers which body a token came with. It is safe for concurrent use.
type tokens struct {
	mu     sync.Mutex
	bodies map[[sha256.Size]byte][sha256.Size]byte
	order  [][sha256.Size]byte
	next   int
}

func newTokens() *tokens {
	return &tokens{bodies: map[[sha256.Size]byte][sha256.Size]byte{}}
}

// once reports whether a token comes for the first time, or again with the body
// it came with.
func (t *tokens) once(token string, body []byte) bool {
	if t == nil {
		return true
	}
	key, sum := sha256.Sum256([]byte(token)), sha256.Sum256(body)
	t.mu.Lock()
	defer t.mu.Unlock()
	if had, ok := t.bodies[key]; ok {
		return had == sum
	}
	t.bodies[key] = sum
	if len(t.order) < maxTokens {
		t.order = append(t.order, key)
		return true
	}
	delete(t.bodies, t.order[t.next])
	t.order[t.next] = key
	t.next = (t.next + 1) % maxTokens
	return true
}
