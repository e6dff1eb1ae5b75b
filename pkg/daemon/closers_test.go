package daemon

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhatWasOpenedLastIsClosedFirstAndOnce(t *testing.T) {
	var closers Closers
	var order []string
	broken := errors.New("broken")
	add := func(name string, err error) {
		closers.Add(name, func(context.Context) error {
			order = append(order, name)
			return err
		})
	}
	add("bus", nil)
	add("redis", broken)
	add("listener", nil)
	err := closers.Close(t.Context())
	if diff := cmp.Diff([]string{"listener", "redis", "bus"}, order); diff != "" {
		t.Error(diff)
	}
	if !errors.Is(err, broken) || err.Error() != "close redis: broken" {
		t.Errorf("got %v", err)
	}
	if err := closers.Close(t.Context()); err != nil || len(order) != 3 {
		t.Errorf("closed again: %v, %v", order, err)
	}
}

func TestErrorsOfClosingJoinTheErrorOfRunning(t *testing.T) {
	failed, broken := errors.New("failed"), errors.New("broken")
	run := func() (err error) {
		var closers Closers
		defer closers.CloseInto(&err)
		closers.Add("bus", func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("closing is not bounded")
			}
			return broken
		})
		return failed
	}
	if err := run(); !errors.Is(err, failed) || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
