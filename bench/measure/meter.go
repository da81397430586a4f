package measure

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Energy is what the device used for a case, by its own rounds.
type Energy struct {
	Source       string   `json:"source"`        // what counted it
	Joules       Estimate `json:"joules"`        // per item: median of the rounds, with its interval
	Watts        float64  `json:"watts"`         // mean power in them
	Rounds       int      `json:"rounds"`        // that were counted
	RoundSeconds float64  `json:"round_seconds"` // that one lasts: the shortest
}

// What a counter says is up to one update old, so that what a round seems to use is off by up
// to an update's worth of energy, part of which belongs to the case before or is given to the
// one after.
const (
	leastUpdates = 10  // in a round: it is then off by a tenth at most, the median of rounds by less
	aimUpdates   = 12  // in rounds made for the meter
	meterRounds  = 3   // of these
	maxCalls     = 1e6 // in one of these
)

// meter attributes energy to cases: it reads a counter before and after each case of a round.
// A nil meter does nothing.
type meter struct {
	watcher Watcher
	counter Counter
	absent  error     // why there is no counter
	fault   error     // that ended the counting
	spent   [][]spent // by case and round
}

// spent is what one case took in one round.
type spent struct {
	joules, seconds float64
	calls           int
}

// openMeter is nil where energy is not asked for.
func openMeter(o Options, cases int) *meter {
	if o.Watcher == nil || !o.Energy {
		return nil
	}
	m := &meter{watcher: o.Watcher, spent: make([][]spent, cases)}
	m.counter, m.absent = o.Watcher.Counter()
	return m
}

// works says whether there is something to read.
func (m *meter) works() bool { return m != nil && m.absent == nil && m.fault == nil }

// read is the counter in joules.
func (m *meter) read() float64 {
	if !m.works() {
		return 0
	}
	var joules float64
	joules, m.fault = m.watcher.Joules()
	return joules
}

// enter accounts for a round of case i that began when the counter stood at before.
func (m *meter) enter(i int, before, secondsPerCall float64, calls int) {
	if now := m.read(); m.works() {
		m.spent[i] = append(m.spent[i], spent{now - before, secondsPerCall * float64(calls), calls})
	}
}

// forget empties the accounts.
func (m *meter) forget() { clear(m.spent) }

// shortest is the least time that case i took in a round.
func (m *meter) shortest(i int) float64 {
	least := math.Inf(1)
	for _, s := range m.spent[i] {
		least = min(least, s.seconds)
	}
	return least
}

// resolves says whether the rounds of case i are long enough for the counter.
func (m *meter) resolves(i int) bool {
	return m.shortest(i) >= leastUpdates*m.counter.Every.Seconds()
}

// meterRounds adds a few rounds for the energy alone, longer ones, where those that were
// timed are too short for its counter.
func (r *runner) meterRounds(ctx context.Context) error {
	if !r.meter.works() {
		return nil
	}
	long := true
	for i := range r.cases {
		long = long && r.meter.resolves(i)
	}
	if long {
		return nil
	}
	timed := *r
	r.meter.forget()
	r.calls, r.seconds, r.null = slices.Clone(r.calls), make([][]float64, len(r.cases)), nil
	for i, s := range timed.seconds {
		least := aimUpdates * r.meter.counter.Every.Seconds()
		r.calls[i] = max(r.calls[i], int(min(least/max(slices.Min(s), 1e-9), maxCalls))+1)
	}
	for range meterRounds {
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	r.calls, r.seconds, r.null = timed.calls, timed.seconds, timed.null
	return nil
}

// energy is that of case i, whose calls deal with so many items each; nil where it is not
// known.
func (m *meter) energy(i int, work float64) *Energy {
	if !m.works() || m.doubt(i) != nil {
		return nil
	}
	e := &Energy{Source: m.counter.Source, Rounds: len(m.spent[i]), RoundSeconds: m.shortest(i)}
	var perItem []float64
	var joules, seconds float64
	for _, s := range m.spent[i] {
		perItem = append(perItem, s.joules/float64(s.calls)/work)
		joules, seconds = joules+s.joules, seconds+s.seconds
	}
	e.Joules, e.Watts = Median(perItem), joules/seconds
	return e
}

// doubt is why what was counted for case i says nothing.
func (m *meter) doubt(i int) error {
	if !m.resolves(i) {
		return fmt.Errorf("a round of %v is too short for a counter that moves every %v: at least %d updates are wanted",
			Rounded(m.shortest(i)), Rounded(m.counter.Every.Seconds()), leastUpdates)
	}
	for _, s := range m.spent[i] {
		if s.joules <= 0 {
			return errors.New("the counter did not rise during a round")
		}
	}
	return nil
}

// watch starts a watcher, which may be nil. What it returns stops it, the first time that it
// is called.
func watch(w Watcher) (stop func() *Telemetry) {
	if w == nil {
		return func() *Telemetry { return nil }
	}
	w.Start()
	var seen *Telemetry
	return func() *Telemetry {
		if seen == nil {
			t := w.Stop()
			seen = &t
		}
		return seen
	}
}

// take adds what was seen of the device to a result.
func (r *Result) take(seen *Telemetry, m *meter) {
	if seen == nil {
		return
	}
	r.Telemetry = seen
	if why := seen.throttled(); why != "" {
		r.Warnings = append(r.Warnings, Warning{Throttled, "", why})
	}
	if m == nil {
		return
	}
	if m.absent != nil {
		seen.Absent = append(seen.Absent, m.absent.Error())
		return
	}
	if m.fault != nil {
		r.Warnings = append(r.Warnings, Warning{NoEnergy, "", m.fault.Error()})
		return
	}
	for i, t := range r.Timings {
		if err := m.doubt(i); err != nil {
			r.Warnings = append(r.Warnings, Warning{NoEnergy, t.Name, err.Error()})
		}
	}
}
