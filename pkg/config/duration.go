package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

var errDuration = errors.New("expected a duration like 90s, 1h30m, 7d or 2w")

// ParseDuration is time.ParseDuration that also knows weeks (w, 7 days) and
// days (d, 24 hours), which come first: "2w", "1.5d", "1d12h".
func ParseDuration(text string) (time.Duration, error) {
	rest, negative := strings.CutPrefix(text, "-")
	var sum time.Duration
	rest, weeks, err := long(rest, "w", 7*day)
	if err != nil {
		return 0, err
	}
	rest, days, err := long(rest, "d", day)
	if err != nil {
		return 0, err
	}
	sum = weeks + days
	if rest != "" || sum == 0 && !strings.ContainsAny(text, "wd") {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || strings.HasPrefix(rest, "+") {
			return 0, errDuration
		}
		sum += d
	}
	if sum < 0 {
		return 0, errors.New("a duration may have at most 292 years")
	}
	if negative {
		sum = -sum
	}
	return sum, nil
}

// long takes "<number><unit>" off the front of text.
func long(text, unit string, size time.Duration) (rest string, d time.Duration, err error) {
	number, rest, ok := strings.Cut(text, unit)
	if !ok {
		return text, 0, nil
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) || n < 0 {
		return "", 0, errDuration
	}
	if n *= float64(size); n >= math.MaxInt64 {
		return "", 0, errors.New("a duration may have at most 292 years")
	}
	return rest, time.Duration(n), nil
}

// FormatDuration writes a duration so that ParseDuration reads it back: whole
// days and weeks as such, the rest as time.Duration does.
func FormatDuration(d time.Duration) string {
	switch {
	case d != 0 && d%(7*day) == 0:
		return strconv.FormatInt(int64(d/(7*day)), 10) + "w"
	case d != 0 && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
