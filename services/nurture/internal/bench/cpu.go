package bench

import (
	"fmt"
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used: services, engines
// and load together. It means something also where others use the processors.
func cpuTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// cpuEach is a line: the processor time since, per one of n things.
func cpuEach(name string, since time.Duration, n int) (Line, error) {
	now, err := cpuTime()
	return Line{name, float64((now - since).Microseconds()) / 1000 / float64(n), "ms"}, err
}
