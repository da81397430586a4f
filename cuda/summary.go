package cuda

import (
	"fmt"
	"strings"
	"time"
)

// Range is the spread of a quantity over the readings that had it. N is 0 where the
// device does not report the quantity; the rest then means nothing.
type Range struct {
	N              int
	Min, Mean, Max float64
}

func (r *Range) add(x float64) {
	if r.N == 0 {
		r.Min, r.Max = x, x
	}
	r.N++
	r.Min, r.Max = min(r.Min, x), max(r.Max, x)
	r.Mean += (x - r.Mean) / float64(r.N)
}

// Where the energy of a Summary comes from.
const (
	EnergyCounter    = "counter"    // the device's own
	EnergyIntegrated = "integrated" // from power, by the trapezoidal rule
	EnergyUnknown    = ""           // the device reports neither
)

// Summary is what a device did while it was watched.
type Summary struct {
	Readings      int
	Duration      time.Duration // from the first reading to the last
	ClockMHz      Range         // of the multiprocessors
	MemoryMHz     Range
	PowerWatts    Range
	Celsius       Range
	BusyPercent   Range // of time in which a kernel ran
	MemoryPercent Range // of time in which memory was read or written
	EnergyJoules  float64
	EnergySource  string     // one of the Energy constants
	Throttles     []Throttle // reasons seen at least once
	Err           error      // the first failed reading; what was read is kept
}

// Throttled reports whether the device was ever slowed down.
func (s Summary) Throttled() bool { return len(s.Throttles) > 0 }

// String is one line for people; what the device did not report is left out.
func (s Summary) String() string {
	var parts []string
	add := func(r Range, format string) {
		if r.N > 0 {
			parts = append(parts, fmt.Sprintf(format, r.Mean))
		}
	}
	add(s.ClockMHz, "%.0f MHz")
	add(s.PowerWatts, "%.0f W")
	add(s.Celsius, "%.0f °C")
	add(s.BusyPercent, "%.0f %% busy")
	if s.EnergySource != EnergyUnknown {
		parts = append(parts, fmt.Sprintf("%.1f J", s.EnergyJoules))
	}
	for _, t := range s.Throttles {
		parts = append(parts, fmt.Sprintf("slowed by %s in %.0f %% of readings", t.Reason, 100*t.Share))
	}
	if len(parts) == 0 {
		return "nothing reported"
	}
	return strings.Join(parts, ", ")
}

// summarise folds readings, in order of time, into a Summary.
func summarise(readings []reading) Summary {
	s := Summary{Readings: len(readings)}
	if len(readings) == 0 {
		return s
	}
	first, last := readings[0], readings[len(readings)-1]
	s.Duration = last.at.Sub(first.at)
	for _, r := range readings {
		for _, q := range []struct {
			is quantity
			to *Range
			x  float64
		}{
			{hasClock, &s.ClockMHz, r.clockMHz},
			{hasMemoryClock, &s.MemoryMHz, r.memoryMHz},
			{hasPower, &s.PowerWatts, r.powerWatts},
			{hasTemperature, &s.Celsius, r.celsius},
			{hasUse, &s.BusyPercent, r.busyPercent},
			{hasUse, &s.MemoryPercent, r.memoryPercent},
		} {
			if r.has&q.is != 0 {
				q.to.add(q.x)
			}
		}
	}
	s.EnergyJoules, s.EnergySource = energy(readings)
	s.Throttles = throttles(readings)
	return s
}

// energy is the difference of the device's counter if it has one, else the integral of
// its power.
func energy(readings []reading) (joules float64, source string) {
	if len(readings) < 2 {
		return 0, EnergyUnknown
	}
	first, last := readings[0], readings[len(readings)-1]
	if first.has&last.has&hasEnergy != 0 {
		return last.energyJoules - first.energyJoules, EnergyCounter
	}
	for i, r := range readings[1:] {
		before := readings[i]
		if r.has&before.has&hasPower == 0 {
			return 0, EnergyUnknown
		}
		joules += (r.powerWatts + before.powerWatts) / 2 * r.at.Sub(before.at).Seconds()
	}
	return joules, EnergyIntegrated
}

func throttles(readings []reading) []Throttle {
	var asked int
	seen := make(map[uint64]int)
	for _, r := range readings {
		if r.has&hasReasons == 0 {
			continue
		}
		asked++
		for _, reason := range throttleReasons() {
			if r.reasons&reason.bit != 0 {
				seen[reason.bit]++
			}
		}
	}
	var out []Throttle
	for _, reason := range throttleReasons() {
		if n := seen[reason.bit]; n > 0 {
			out = append(out, Throttle{reason.name, float64(n) / float64(asked)})
		}
	}
	return out
}
