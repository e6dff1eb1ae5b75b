package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
)

func TestAStartIsPatientWithALogThatAnswersLateAndWithNothingElse(t *testing.T) {
	late, wrong := fmt.Errorf("open bucket: %w", bus.ErrUnavailable), errors.New("no such bucket")
	for what, c := range map[string]struct {
		// first is what the attempts before second fail with; each takes 5 s.
		first  error
		second time.Duration
		then   error
		want   error
		// least and most are how long it takes.
		least, most time.Duration
	}{
		"it answers":         {nil, 0, nil, nil, 5 * time.Second, 5 * time.Second},
		"it answers late":    {late, 12 * time.Second, nil, nil, 15 * time.Second, 21 * time.Second},
		"it never answers":   {late, time.Hour, nil, bus.ErrUnavailable, 30 * time.Second, 36 * time.Second},
		"it answers no":      {wrong, time.Hour, nil, wrong, 5 * time.Second, 5 * time.Second},
		"it answers no late": {late, 12 * time.Second, wrong, wrong, 15 * time.Second, 21 * time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := bus.Patiently(t.Context(), func(context.Context) error {
					fails := c.first
					if time.Since(began) >= c.second {
						fails = c.then
					}
					<-time.After(5 * time.Second)
					return fails
				})
				if took := time.Since(began); !errors.Is(err, c.want) || took < c.least || took > c.most {
					t.Errorf("got %v after %s, want %v after %s to %s", err, took, c.want, c.least, c.most)
				}
			})
		})
	}
}

func TestAStartThatIsCalledOffEndsItsPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(7*time.Second, cancel)
		began := time.Now()
		err := bus.Patiently(ctx, func(context.Context) error { return bus.ErrUnavailable })
		if took := time.Since(began); !errors.Is(err, context.Canceled) || took > 8*time.Second {
			t.Errorf("got %v after %s, want that it was called off, after 7 s", err, took)
		}
	})
}
