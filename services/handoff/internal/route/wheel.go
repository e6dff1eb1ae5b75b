package route

// Wheel is a smooth weighted round robin. Turning it often gives every entry
// its share by weight, and spreads the turns of a heavy entry evenly instead
// of in a row: weights 5, 1, 1 give a a b a c a a.
type Wheel struct {
	weights []int
	current []int
}

// NewWheel makes a wheel of these weights. An entry without weight is never chosen.
func NewWheel(weights []int) *Wheel {
	return &Wheel{weights: weights, current: make([]int, len(weights))}
}

// Turn chooses among the entries that may be chosen; -1 when there is none. Of
// equal ones the first wins.
func (w *Wheel) Turn(may func(i int) bool) int {
	best, total := -1, 0
	for i, weight := range w.weights {
		if weight <= 0 || !may(i) {
			continue
		}
		w.current[i] += weight
		total += weight
		if best < 0 || w.current[i] > w.current[best] {
			best = i
		}
	}
	if best >= 0 {
		w.current[best] -= total
	}
	return best
}
