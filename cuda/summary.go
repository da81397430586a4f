package cuda

import (
	"slices"

	"optin/bench/measure"
)

// summarise folds the readings of some devices, each a list with an entry for every device,
// into what a measurement keeps. Power and memory are those of all devices together.
func summarise(readings [][]reading) measure.Telemetry {
	t := measure.Telemetry{Readings: len(readings), Throttles: throttles(readings)}
	for _, q := range []struct {
		is       quantity
		to       **measure.Spread
		together bool
	}{
		{powerWatts, &t.PowerWatts, true},
		{memoryBytes, &t.MemoryBytes, true},
		{clockMHz, &t.ClockMHz, false},
		{memoryMHz, &t.MemoryClockMHz, false},
		{celsius, &t.Celsius, false},
		{busyPercent, &t.BusyPercent, false},
		{memoryBusyPercent, &t.MemoryBusyPercent, false},
	} {
		var values []float64
		for _, all := range readings {
			some, sum := reported(all, q.is)
			switch {
			case !q.together:
				values = append(values, some...)
			case len(some) == len(all):
				values = append(values, sum)
			}
		}
		*q.to = measure.SpreadOf(values)
	}
	return t
}

// reported is a quantity of those devices that have it, and its sum.
func reported(all []reading, q quantity) (values []float64, sum float64) {
	for _, r := range all {
		if v, ok := r.values[q]; ok {
			values = append(values, v)
			sum += v
		}
	}
	return values, sum
}

// throttles are the reasons for which a device was slowed down; nil if none reports them.
func throttles(readings [][]reading) []measure.Throttle {
	asked := 0
	seen := make(map[uint64]int)
	for _, all := range readings {
		var bits uint64
		for _, r := range all {
			bits |= r.reasons
		}
		if !slices.ContainsFunc(all, func(r reading) bool { return r.reasonsKnown }) {
			continue
		}
		asked++
		for _, reason := range throttleReasons() {
			if bits&reason.bit != 0 {
				seen[reason.bit]++
			}
		}
	}
	if asked == 0 {
		return nil
	}
	out := []measure.Throttle{}
	for _, reason := range throttleReasons() {
		if n := seen[reason.bit]; n > 0 {
			out = append(out, measure.Throttle{Reason: reason.name, Share: float64(n) / float64(asked)})
		}
	}
	return out
}
