package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// pace is how many journeys begin, how many of them in a second.
type pace struct {
	rate     float64
	journeys int
	// prefix makes the ids of these journeys differ from others'.
	prefix string
}

// paced begins journeys at a steady rate and measures each from just before
// its begin until its id arrives. An overload shows as latency: the pace is
// kept whatever the answers take.
func paced(ctx context.Context, p pace, arrived <-chan string, begin func(id string) error) ([]time.Duration, error) {
	rate, journeys := p.rate, p.journeys
	var mu sync.Mutex
	begun := make(map[string]time.Time, journeys)
	errs := make(chan error, journeys)
	go func() {
		tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
		defer tick.Stop()
		for i := range journeys {
			id := p.prefix + strconv.Itoa(i)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			mu.Lock()
			begun[id] = time.Now()
			mu.Unlock()
			go func() {
				if err := begin(id); err != nil {
					errs <- err
				}
			}()
		}
	}()
	took := make([]time.Duration, 0, journeys)
	deadline := time.NewTimer(time.Minute + time.Duration(float64(journeys)/rate)*time.Second)
	defer deadline.Stop()
	for len(took) < journeys {
		select {
		case id := <-arrived:
			mu.Lock()
			at, ok := begun[id]
			delete(begun, id)
			mu.Unlock()
			if ok {
				took = append(took, time.Since(at))
			}
		case err := <-errs:
			return nil, err
		case <-deadline.C:
			return nil, fmt.Errorf("%d of %d journeys arrived; the others wait, or came without an address because ingest took too long to say whose they are", len(took), journeys)
		}
	}
	return took, nil
}

// quantile gives the q-quantile in milliseconds.
func quantile(took []time.Duration, q float64) float64 {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	i := min(int(q*float64(len(took))), len(took)-1)
	return float64(took[i].Microseconds()) / 1000
}

// closed runs workers that each do one thing after the other until n are done;
// it returns the rate per second and every latency.
func closed(workers, n int, do func(worker, i int) error) (float64, []time.Duration, error) {
	var wg sync.WaitGroup
	took := make([][]time.Duration, workers)
	errs := make([]error, workers)
	start := time.Now()
	for w := range workers {
		wg.Go(func() {
			for i := range n / workers {
				at := time.Now()
				if errs[w] = do(w, i); errs[w] != nil {
					return
				}
				took[w] = append(took[w], time.Since(at))
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	return float64(len(all)) / time.Since(start).Seconds(), all, errors.Join(errs...)
}
