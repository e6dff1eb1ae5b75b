package bus_test

import (
	"testing"
	"time"

	"github.com/nurturehq/nurture/pkg/bus"
)

func TestASlowDiskMakesBatchesOfFewer(t *testing.T) {
	p := bus.NewPace()
	if p.Batches(32) || !p.Batches(65) {
		t.Error("on a quiet disk up to about 64 go one by one")
	}
	for range 20 {
		p.Piped(32, 32*1200*time.Microsecond)
	}
	if p.Batches(8) || !p.Batches(32) {
		t.Error("when an fsync takes a millisecond, 32 go together")
	}
	for range 2000 {
		p.Batches(64)
	}
	if p.Batches(32) {
		t.Error("a bad minute is forgotten")
	}
}
