package source

import (
	"cmp"

	"github.com/nurturehq/nurture/pkg/config"
)

// Limits are how much a source may send. All are above zero.
type Limits struct {
	// Rate is in events a second, Burst in events at once.
	Rate, Burst float64
	// Visitor is in forms a minute from one address of the internet, VisitorOnce
	// in forms at once.
	Visitor, VisitorOnce float64
	// Share is the part of what ingest works on at once, above 0, at most 1.
	Share float64
	// Rejects is how many rejects a minute are kept; more are only counted.
	Rejects float64
}

// DefaultLimits are generous: what a healthy source never reaches.
func DefaultLimits() Limits {
	return Limits{Rate: 5000, Burst: 20_000, Visitor: 60, VisitorOnce: 30, Share: 0.5, Rejects: 600}
}

// or fills what a file does not say.
func (l LimitsSpec) or(d Limits) Limits {
	return Limits{
		Rate: cmp.Or(float64(l.Rate), d.Rate), Burst: cmp.Or(float64(l.Burst), d.Burst),
		Visitor: cmp.Or(float64(l.Visitor), d.Visitor), VisitorOnce: cmp.Or(float64(l.VisitorOnce), d.VisitorOnce),
		Share: cmp.Or(float64(l.Share), d.Share), Rejects: cmp.Or(float64(l.Rejects), d.Rejects),
	}
}

// limits checks what no number alone can say.
func (r *reader) limits(name string, spec LimitsSpec, d Limits) Limits {
	l := spec.or(d)
	if l.Share > 1 {
		r.fail(config.Text{}, "source %s: limits.share is %v: expected a part of the whole, at most 1", name, l.Share)
	}
	if l.Burst < 1 || l.VisitorOnce < 1 {
		r.fail(config.Text{}, "source %s: limits: expected a burst of at least 1", name)
	}
	return l
}
