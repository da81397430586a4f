package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"optin/bench/measure"
	"optin/bench/record"
)

// throttledMark stands beside a time that was taken while the device was slowed down.
const throttledMark = ", throttled"

// mark is what stands beside the figures of a timing.
func mark(throttled bool) string {
	if throttled {
		return throttledMark
	}
	return ""
}

// watched says whether the device was watched during any timing of a record.
func watched(rec *record.Record) bool {
	return slices.ContainsFunc(rec.Runs, func(r record.Run) bool {
		return slices.ContainsFunc(r.Timings, func(t record.Timing) bool { return t.Telemetry != nil })
	})
}

// energyTable shows what the device used and did while a model was timed. Of several seeds
// it shows the first. It has no rows where nothing could be read.
func energyTable(rec *record.Record, m *record.Model) table {
	t := table{
		title: fmt.Sprintf("%s on %s: energy and device", m.Name, m.Task),
		note: "Joules per example, by the device's own counter and for each model by its own rounds; a processor's counts the whole machine. " +
			"The rest is of the whole measurement, both models: means, and the most of temperature and memory (of all programs). Throttled: reasons why the device was slower than it can be.",
		header: []string{"Method", "Timed", "Keep", "Batch", "Dense, J", "Pruned, J", "Of dense", "Power, pruned", "Clock", "Temperature", "Busy", "Memory", "Throttled"},
		words:  2,
	}
	for _, s := range seriesOf(rec, m.Name) {
		for _, p := range s.points {
			for _, x := range p.runs[0].Timings {
				if x.Telemetry == nil {
					continue
				}
				cells := deviceCells(x)
				if !slices.ContainsFunc(cells, func(c string) bool { return c != notAvailable }) {
					continue
				}
				t.add(append([]string{s.label, x.Kind, three(p.keep), strconv.Itoa(x.Batch)}, cells...)...)
			}
		}
	}
	return t
}

// deviceCells are those of a timing from the energy of the dense model on.
func deviceCells(x record.Timing) []string {
	d := x.Telemetry
	before, after := joules(x.DenseEnergy), joules(x.PrunedEnergy)
	var share, watts *float64
	if after != nil {
		watts = &x.PrunedEnergy.Watts
	}
	if before != nil && after != nil {
		quotient := *after / *before
		share = &quotient
	}
	unit := func(format string) func(float64) string {
		return func(v float64) string { return fmt.Sprintf(format, v) }
	}
	_, clock, _ := parts(d.ClockMHz)
	_, _, celsius := parts(d.Celsius)
	_, busy, _ := parts(d.BusyPercent)
	_, _, memory := parts(d.MemoryBytes)
	return []string{show(before, three), show(after, three), show(share, percent1), show(watts, unit("%.0f W")), show(clock, unit("%.0f MHz")),
		show(celsius, unit("%.0f °C")), show(busy, unit("%.0f %%")), show(memory, func(v float64) string { n := int64(v); return bytesOf(&n) }), reasons(d)}
}

// energyHeader names the columns of energyColumns in timings.csv.
func energyHeader() []string {
	return []string{"throttled", "throttle_reasons", "energy_source", "dense_joules_per_example", "dense_joules_low", "dense_joules_high", "dense_watts",
		"pruned_joules_per_example", "pruned_joules_low", "pruned_joules_high", "pruned_watts", "energy_rounds", "device_watts", "clock_mhz", "clock_mhz_min",
		"memory_clock_mhz", "celsius_max", "busy_percent", "memory_busy_percent", "memory_bytes_max", "device", "not_read"}
}

// energyColumns are what is known of the device during a timing, in base units.
func energyColumns(x record.Timing) []string {
	d := cmp.Or(x.Telemetry, &measure.Telemetry{})
	throttled := notAvailable
	if d.Throttles != nil {
		throttled = map[bool]string{true: "yes", false: "no"}[len(d.Throttles) > 0]
	}
	source, rounds := notAvailable, notAvailable
	if e := cmp.Or(x.PrunedEnergy, x.DenseEnergy); e != nil {
		source, rounds = e.Source, strconv.Itoa(e.Rounds)
	}
	row := []string{throttled, reasons(d), source}
	row = append(append(row, energyOf(x.DenseEnergy)...), energyOf(x.PrunedEnergy)...)
	row = append(row, rounds)
	_, watts, _ := parts(d.PowerWatts)
	slowest, clock, _ := parts(d.ClockMHz)
	_, memoryClock, _ := parts(d.MemoryClockMHz)
	_, _, celsius := parts(d.Celsius)
	_, busy, _ := parts(d.BusyPercent)
	_, memoryBusy, _ := parts(d.MemoryBusyPercent)
	_, _, memory := parts(d.MemoryBytes)
	for _, v := range []*float64{watts, clock, slowest, memoryClock, celsius, busy, memoryBusy, memory} {
		row = append(row, show(v, exact))
	}
	return append(row, orNot(d.Device), strings.Join(d.Absent, "; "))
}

// energyOf is the energy per example with its interval, and the power.
func energyOf(e *measure.Energy) []string {
	if e == nil {
		return slices.Repeat([]string{notAvailable}, 4)
	}
	return []string{exact(e.Joules.Value), exact(e.Joules.Low), exact(e.Joules.High), exact(e.Watts)}
}

// reasons are why a device was slowed down: "no" if it was not.
func reasons(d *measure.Telemetry) string {
	if d.Throttles == nil {
		return notAvailable
	}
	var words []string
	for _, t := range d.Throttles {
		words = append(words, t.String())
	}
	return cmp.Or(strings.Join(words, ", "), "no")
}

// telemetryOf says which devices were watched, and what could not be read of them.
func telemetryOf(rec *record.Record) string {
	var words []string
	add := func(text string) {
		if !slices.Contains(words, text) {
			words = append(words, text)
		}
	}
	for _, r := range rec.Runs {
		for _, t := range r.Timings {
			if t.Telemetry == nil {
				continue
			}
			add(t.Telemetry.Device)
			for _, why := range t.Telemetry.Absent {
				add(why)
			}
		}
	}
	return strings.Join(words, "; ")
}

// joules is the energy per example; nil without one.
func joules(e *measure.Energy) *float64 {
	if e == nil {
		return nil
	}
	return &e.Joules.Value
}

// parts are those of a spread, nil without one.
func parts(s *measure.Spread) (low, mean, high *float64) {
	if s == nil {
		return nil, nil, nil
	}
	return &s.Min, &s.Mean, &s.Max
}
