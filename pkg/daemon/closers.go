package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CloseTimeout bounds how long all closers of one program may take together.
const CloseTimeout = 15 * time.Second

// Closers are what a program opened, to be closed last opened first. The zero
// value is ready. Not safe for concurrent use: one main opens and closes.
type Closers struct {
	open []closer
}

type closer struct {
	name string
	shut func(context.Context) error
}

// Add remembers something that was opened. name is used in errors.
func (c *Closers) Add(name string, shut func(context.Context) error) {
	c.open = append(c.open, closer{name, shut})
}

// Close closes everything, last opened first, whatever fails on the way, and
// answers all errors joined. A second call does nothing.
func (c *Closers) Close(ctx context.Context) error {
	var errs []error
	for n := len(c.open); n > 0; n = len(c.open) {
		last := c.open[n-1]
		c.open = c.open[:n-1]
		if err := last.shut(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}

// CloseInto closes everything within CloseTimeout and joins what fails to
// *err. Made for defer in a function with a named error result.
func (c *Closers) CloseInto(err *error) {
	ctx, cancel := context.WithTimeout(context.Background(), CloseTimeout)
	defer cancel()
	*err = errors.Join(*err, c.Close(ctx))
}
