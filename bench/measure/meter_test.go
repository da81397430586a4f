package measure

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// drawing is a device that uses power as cases ask for it, and whose counter moves now and
// then, on the made-up clock.
type drawing struct {
	every   time.Duration
	watts   float64 // now
	used    float64 // joules until since
	since   time.Time
	shown   float64 // joules that the counter shows
	shownAt time.Time
	reads   int
	broken  error // of the second and later readings
	stopped int
}

// draw changes the power.
func (d *drawing) draw(watts float64) {
	d.advance()
	d.watts = watts
}

// advance brings the counter to the last update before now.
func (d *drawing) advance() {
	now := time.Now()
	if d.since.IsZero() {
		d.since, d.shownAt = now, now
	}
	for next := d.shownAt.Add(d.every); !next.After(now); next = next.Add(d.every) {
		d.shown, d.shownAt = d.used+d.watts*next.Sub(d.since).Seconds(), next
	}
	d.used += d.watts * now.Sub(d.since).Seconds()
	d.since = now
}

func (d *drawing) Start()                    {}
func (d *drawing) Counter() (Counter, error) { return Counter{"made-up counter", d.every}, nil }
func (d *drawing) Joules() (float64, error) {
	d.advance()
	if d.reads++; d.reads > 1 && d.broken != nil {
		return 0, d.broken
	}
	return d.shown, nil
}
func (d *drawing) Stop() Telemetry {
	d.stopped++
	return Telemetry{Device: "made-up device", PowerWatts: &Spread{1, 2, 3}, Throttles: []Throttle{}}
}

// work is a case that draws power for a while.
func (d *drawing) work(name string, watts float64, lasts time.Duration) Case {
	return Case{Name: name, Work: 8, Func: func() error {
		d.draw(watts)
		time.Sleep(lasts)
		d.draw(0)
		return nil
	}}
}

// TestEnergyIsOfTheCase gives two cases different powers: each must get its own, whether its
// timed rounds are long enough for the counter or others have to be made.
func TestEnergyIsOfTheCase(t *testing.T) {
	for _, c := range []struct {
		name   string
		every  time.Duration
		within float64 // of the true energy
		rounds int
	}{
		{"long rounds", time.Millisecond, 0.02, 10},
		{"counter slower than a round", 200 * time.Millisecond, 0.1, meterRounds},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &drawing{every: c.every}
			options := DefaultOptions()
			options.Watcher, options.Energy = d, true
			r := interleave(t, options, d.work("dense", 300, 90*time.Millisecond), d.work("pruned", 100, 50*time.Millisecond))
			if len(r.Warnings) != 0 || r.Rounds != 10 || r.Elapsed != 1400*time.Millisecond || d.stopped != 1 {
				t.Errorf("%d rounds in %v, warnings %v, stopped %d times", r.Rounds, r.Elapsed, r.Warnings, d.stopped)
			}
			if r.Telemetry == nil || *r.Telemetry.PowerWatts != (Spread{1, 2, 3}) {
				t.Errorf("telemetry %+v", r.Telemetry)
			}
			for i, want := range []struct{ watts, joules float64 }{{300, 300 * 0.09 / 8}, {100, 100 * 0.05 / 8}} {
				e := r.Timings[i].Energy
				if e == nil {
					t.Fatalf("%s has no energy", r.Timings[i].Name)
				}
				if e.Source != "made-up counter" || e.Rounds != c.rounds || e.RoundSeconds < leastUpdates*c.every.Seconds() {
					t.Errorf("%s: %+v", r.Timings[i].Name, e)
				}
				if !(math.Abs(e.Joules.Value/want.joules-1) <= c.within) || !(math.Abs(e.Watts/want.watts-1) <= c.within) {
					t.Errorf("%s: %v J a piece at %v W, want %v at %v", r.Timings[i].Name, e.Joules, e.Watts, want.joules, want.watts)
				}
				if len(r.Timings[i].Seconds) != 10 {
					t.Errorf("%s: %d times, with those of the rounds for energy", r.Timings[i].Name, len(r.Timings[i].Seconds))
				}
			}
		})
	}
}

// TestEnergyLeftOut: what cannot be attributed is no number, and the warning says why.
func TestEnergyLeftOut(t *testing.T) {
	for _, c := range []struct {
		name   string
		device *drawing
		watts  float64
		times  []time.Duration
		want   string
	}{
		// It takes 50 ms until the rounds for energy are planned, and 1 ms in them.
		{"rounds become short", &drawing{every: 100 * time.Millisecond}, 100,
			append(slices.Repeat([]time.Duration{50 * time.Millisecond}, 3+20), time.Millisecond), "too short for a counter that moves every 100ms"},
		{"the counter fails", &drawing{every: time.Millisecond, broken: errors.New("lost")}, 100, []time.Duration{time.Second}, "lost"},
		{"the counter stands still", &drawing{every: time.Millisecond}, 0, []time.Duration{time.Second}, "did not rise"},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := DefaultOptions()
			options.Watcher, options.Energy = c.device, true
			work := busy("x", c.times...)
			run := work.Func
			work.Func = func() error { c.device.draw(c.watts); return run() }
			r := interleave(t, options, work)
			if len(r.Warnings) != 1 || r.Warnings[0].Kind != NoEnergy || !strings.Contains(r.Warnings[0].Detail, c.want) {
				t.Errorf("warnings %v, want %s", r.Warnings, c.want)
			}
			if e := r.Timings[0].Energy; e != nil {
				t.Errorf("energy %+v", e)
			}
		})
	}
}

// TestEnergyAbsent: a machine without a counter is no reason to doubt a time.
func TestEnergyAbsent(t *testing.T) {
	options := DefaultOptions()
	options.Watcher, options.Energy = Unwatched{"processors", ErrNoEnergy}, true
	r := interleave(t, options, busy("x", 200*time.Millisecond))
	if len(r.Warnings) != 0 || r.Timings[0].Energy != nil {
		t.Errorf("warnings %v, energy %+v", r.Warnings, r.Timings[0].Energy)
	}
	if r.Telemetry.Device != "processors" || !slices.Equal(r.Telemetry.Absent, []string{ErrNoEnergy.Error()}) {
		t.Errorf("telemetry %+v", r.Telemetry)
	}
	if got, want := r.Telemetry.String(), "processors: nothing reported"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestWatcherStopsOnFailure leaves nothing running.
func TestWatcherStopsOnFailure(t *testing.T) {
	d := &drawing{every: time.Millisecond}
	options := DefaultOptions()
	options.Watcher, options.Energy = d, true
	calls := 0
	failing := Case{Name: "x", Func: func() error {
		time.Sleep(time.Second)
		if calls++; calls > 5 {
			return errors.New("broken")
		}
		return nil
	}}
	synctest.Test(t, func(t *testing.T) {
		if _, err := Interleave(t.Context(), []Case{failing}, options); err == nil || d.stopped != 1 {
			t.Errorf("error %v, stopped %d times", err, d.stopped)
		}
	})
}

// hotDevice reports that it was slowed down.
type hotDevice struct{ Unwatched }

func (hotDevice) Stop() Telemetry {
	return Telemetry{Device: "hot", Throttles: []Throttle{{"power limit", 0.5}}}
}

func TestThrottledWarning(t *testing.T) {
	options := DefaultOptions()
	options.Watcher = hotDevice{}
	r := interleave(t, options, busy("x", 200*time.Millisecond))
	if len(r.Warnings) != 1 || r.Warnings[0].String() != "throttled: power limit in 50 % of readings" {
		t.Errorf("warnings %v", r.Warnings)
	}
}
