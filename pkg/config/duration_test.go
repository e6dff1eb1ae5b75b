package config_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/nurturehq/nurture/pkg/config"
)

func TestDurationsKnowDaysAndWeeks(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "0d": 0, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * day,
		"2w": 14 * day, "1w2d3h": 9*day + 3*time.Hour, "1.5d": 36 * time.Hour, "-1d": -day, "250ms": 250 * time.Millisecond,
	} {
		got, err := config.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "7", "d", "w", "1d1w", "soon", "1y", "--1h", "-+1h", "Infd", "NaNd", "1e300w", "1d-1h", "999999w"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q was accepted as %v", text, got)
		}
	}
}

func TestAFormattedDurationIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "unit")
		d := unit * time.Duration(rapid.Int64Range(-1000, 1000).Draw(t, "n"))
		got, err := config.ParseDuration(config.FormatDuration(d))
		if err != nil || got != d {
			t.Fatalf("%v was written %q and read back as %v, %v", d, config.FormatDuration(d), got, err)
		}
	})
}
