package store

import (
	"sync"

	"github.com/nurturehq/nurture/services/ingest/internal/identity"
)

// owners remembers which accounts keys name, for ever true once it is, and which
// accounts became part of others. It holds at most size keys: when the young half is full it becomes the old half, and
// what nobody asked for again is dropped.
type owners struct {
	mu         sync.Mutex
	half       int
	young, old map[identity.Key]string
	joined     map[string]string
}

func newOwners(size int) *owners {
	return &owners{half: max(size/2, 1), young: map[identity.Key]string{}, joined: map[string]string{}}
}

// root gives what an account is part of, itself when it is part of none.
func (o *owners) root(account string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.follow(account)
}

func (o *owners) follow(account string) string {
	for range len(o.joined) { // they never go round in a circle
		into, ok := o.joined[account]
		if !ok {
			break
		}
		account = into
	}
	return account
}

// join remembers that an account became part of another one.
func (o *owners) join(from, into string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.joined[from] = into
}

func (o *owners) get(key identity.Key) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	owner, ok := o.young[key]
	if !ok {
		if owner, ok = o.old[key]; ok {
			o.add(key, owner)
		}
	}
	return o.follow(owner), ok
}

// one gives the account that has all keys; false when one is not remembered or
// they are of several accounts.
func (o *owners) one(keys []identity.Key) (string, bool) {
	first := ""
	for _, k := range keys {
		owner, ok := o.get(k)
		if !ok || first != "" && owner != first {
			return "", false
		}
		first = owner
	}
	return first, first != ""
}

func (o *owners) put(key identity.Key, owner string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.add(key, owner)
}

func (o *owners) add(key identity.Key, owner string) {
	if len(o.young) >= o.half {
		o.young, o.old = make(map[identity.Key]string, o.half), o.young
	}
	o.young[key] = owner
}
