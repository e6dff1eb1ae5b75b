package limit

import "time"

// Visitors holds one bucket per visitor, for the latest ones only: memory is
// bounded, and whoever comes from many addresses gains no more than a full
// bucket for each.
type Visitors struct {
	most        int
	young, aged map[string]*Bucket
}

// NewVisitors remembers between most and twice as many visitors.
func NewVisitors(most int) *Visitors {
	return &Visitors{most: most, young: map[string]*Bucket{}, aged: map[string]*Bucket{}}
}

// Take takes one token of a visitor's bucket, or says how long to wait.
func (v *Visitors) Take(who string, rate, burst float64, now time.Time) (wait time.Duration) {
	b, ok := v.young[who]
	if !ok {
		if b, ok = v.aged[who]; !ok {
			b = &Bucket{}
		}
		if len(v.young) >= v.most {
			v.aged, v.young = v.young, make(map[string]*Bucket, v.most)
		}
		v.young[who] = b
	}
	return b.Take(1, rate, burst, now)
}

// Len is how many are remembered.
func (v *Visitors) Len() int { return len(v.young) + len(v.aged) }
