package measure

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/floats"
)

// Watcher watches the device that computes while cases are timed on it. Its methods are for
// one goroutine.
type Watcher interface {
	// Start begins to watch.
	Start()
	// Counter describes what counts Joules; the error says why nothing does.
	Counter() (Counter, error)
	// Joules is the energy that the device has used since some moment that does not change.
	Joules() (float64, error)
	// Stop ends what Start began, and says what was seen.
	Stop() Telemetry
}

// Counter describes a counter of energy.
type Counter struct {
	Source string        // for people, such as "RAPL (package-0, dram)"
	Every  time.Duration // between its updates: shorter pieces of work cannot be told apart
}

// Telemetry is what a device did while cases were timed on it. What it does not report is
// nil, never 0.
type Telemetry struct {
	Device            string     `json:"device"`              // that was watched, with its driver
	Readings          int        `json:"readings"`            // of its state, taken in the background
	PowerWatts        *Spread    `json:"power_watts"`         // over all cases and what is between them
	ClockMHz          *Spread    `json:"clock_mhz"`           // of the multiprocessors
	MemoryClockMHz    *Spread    `json:"memory_clock_mhz"`    // of its memory
	Celsius           *Spread    `json:"celsius"`             // of the chip
	BusyPercent       *Spread    `json:"busy_percent"`        // of time in which a kernel ran
	MemoryBusyPercent *Spread    `json:"memory_busy_percent"` // of time in which memory was read or written
	MemoryBytes       *Spread    `json:"memory_bytes"`        // in use, by all programs
	Throttles         []Throttle `json:"throttles"`           // reasons seen at least once; nil: the device does not report them
	Absent            []string   `json:"absent,omitempty"`    // what could not be read, and why
}

// Spread is that of a quantity over the readings that had it.
type Spread struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
}

// Throttle is one reason for which a device ran slower than it can, and how often.
type Throttle struct {
	Reason string  `json:"reason"` // for people, such as "power limit"
	Share  float64 `json:"share"`  // of the readings, 0 to 1
}

// String is for people, as "power limit in 33 % of readings".
func (t Throttle) String() string {
	return fmt.Sprintf("%s in %.0f %% of readings", t.Reason, 100*t.Share)
}

// SpreadOf is nil without values.
func SpreadOf(values []float64) *Spread {
	if len(values) == 0 {
		return nil
	}
	return &Spread{Min: slices.Min(values), Mean: floats.Sum(values) / float64(len(values)), Max: slices.Max(values)}
}

// throttled is why the device was slowed down, "" if it was not, or does not say.
func (t Telemetry) throttled() string {
	var reasons []string
	for _, x := range t.Throttles {
		reasons = append(reasons, x.String())
	}
	return strings.Join(reasons, ", ")
}

// String is one line for people; what the device did not report is left out.
func (t Telemetry) String() string {
	var parts []string
	add := func(s *Spread, format string, scale float64) {
		if s != nil {
			parts = append(parts, fmt.Sprintf(format, s.Mean/scale))
		}
	}
	add(t.PowerWatts, "%.0f W", 1)
	add(t.ClockMHz, "%.0f MHz", 1)
	add(t.MemoryClockMHz, "memory %.0f MHz", 1)
	add(t.Celsius, "%.0f °C", 1)
	add(t.BusyPercent, "%.0f %% busy", 1)
	add(t.MemoryBusyPercent, "memory %.0f %% busy", 1)
	add(t.MemoryBytes, "%.1f GiB in use", 1<<30)
	if why := t.throttled(); why != "" {
		parts = append(parts, "slowed by "+why)
	}
	if len(parts) == 0 {
		parts = []string{"nothing reported"}
	}
	return t.Device + ": " + strings.Join(parts, ", ")
}

// Unwatched stands for a device that nothing can be read from.
type Unwatched struct {
	Device string
	Why    error
}

// Start does nothing.
func (u Unwatched) Start() {}

// Counter gives the reason.
func (u Unwatched) Counter() (Counter, error) { return Counter{}, u.Why }

// Joules gives the reason.
func (u Unwatched) Joules() (float64, error) { return 0, u.Why }

// Stop says only which device it is: the reason is that of Counter.
func (u Unwatched) Stop() Telemetry { return Telemetry{Device: u.Device} }

// errStill says that a counter cannot be used.
var errStill = errors.New("the counter of energy does not move")

// Pace is the time between updates of a counter: the longest of a few. It takes as long as
// they do, and is an error where there is none for a second.
func Pace(read func() (float64, error)) (time.Duration, error) {
	const (
		updates  = 5                      // the time before the first is not a whole one
		patience = time.Second            // the slowest known counter moves every 100 ms
		look     = 100 * time.Microsecond // the fastest, every millisecond
	)
	last, err := read()
	if err != nil {
		return 0, err
	}
	var longest time.Duration
	since := time.Now()
	for seen := 0; seen < updates; {
		time.Sleep(look)
		now, err := read()
		if err != nil {
			return 0, err
		}
		waited := time.Since(since)
		switch {
		case now != last:
			if seen > 0 {
				longest = max(longest, waited)
			}
			last, since = now, time.Now()
			seen++
		case waited > patience:
			return 0, errStill
		}
	}
	return longest, nil
}
