package vault

import "sync"

// memory remembers the latest data keys, at most size of them: when the young
// half is full it becomes the old half, and what nobody asked for again is
// dropped.
type memory struct {
	mu         sync.Mutex
	half       int
	young, old map[string][KeySize]byte
	// unborn are keys on their way to the log, together with the first record of
	// their lead: that one is sealed with them, and nothing else.
	unborn map[string][KeySize]byte
}

func newMemory(size int) *memory {
	return &memory{half: max(size/2, 1), young: map[string][KeySize]byte{}, unborn: map[string][KeySize]byte{}}
}

// expect remembers a key that is on its way.
func (m *memory) expect(lead string, key [KeySize]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unborn[lead] = key
}

// settle ends the wait for a key: it is on the log, or nobody knows.
func (m *memory) settle(lead string, stored bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key, ok := m.unborn[lead]
	delete(m.unborn, lead)
	if ok && stored {
		m.add(lead, key)
	}
}

func (m *memory) get(lead string) (key [KeySize]byte, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key, ok = m.young[lead]; ok {
		return key, true
	}
	if key, ok = m.unborn[lead]; ok {
		return key, true
	}
	if key, ok = m.old[lead]; ok {
		m.add(lead, key)
	}
	return key, ok
}

func (m *memory) put(lead string, key [KeySize]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(lead, key)
}

func (m *memory) drop(lead string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, lead)
	delete(m.old, lead)
}

func (m *memory) add(lead string, key [KeySize]byte) {
	if len(m.young) >= m.half {
		m.young, m.old = make(map[string][KeySize]byte, m.half), m.young
	}
	m.young[lead] = key
}
