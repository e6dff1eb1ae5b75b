package limit

// Shares hands out the places of work that is done at once: all of them
// together are bounded, and so is what one sender holds, so that however much
// one sends, there is a place for the others.
type Shares struct {
	total, taken int
	held         map[string]int
}

// NewShares has total places.
func NewShares(total int) *Shares { return &Shares{total: total, held: map[string]int{}} }

// Enter takes n places for a sender, who may hold the given part of all. A batch
// larger than its part goes in alone.
func (s *Shares) Enter(who string, n int, part float64) bool {
	most := max(1, int(part*float64(s.total)))
	if s.taken+n > s.total || s.held[who] > 0 && s.held[who]+n > most {
		return false
	}
	s.taken += n
	s.held[who] += n
	return true
}

// Leave gives n places back.
func (s *Shares) Leave(who string, n int) {
	s.taken -= n
	if s.held[who] -= n; s.held[who] <= 0 {
		delete(s.held, who)
	}
}

// Taken is how many places are taken.
func (s *Shares) Taken() int { return s.taken }
