package measure

import "fmt"

// The kinds of warning.
const (
	Unstable  = "unstable"        // times had not settled when warming up ended
	TooFew    = "too few samples" // time ran out before MinSamples rounds
	Noisy     = "noisy"           // the interval is wide
	Drift     = "drift"           // the second half of the rounds differs from the first
	Overhead  = "overhead"        // the clock's own cost is not small beside the time
	Throttled = "throttled"       // the device slowed itself down
	NoEnergy  = "no energy"       // there is a counter, but what it counted cannot be attributed
)

// Warning says what makes a number doubtful. It is a value that is stored beside it.
type Warning struct {
	Kind   string `json:"kind"`           // one of the constants above
	Case   string `json:"case,omitempty"` // its name, "" if it concerns all
	Detail string `json:"detail"`         // for people
}

// String is one line for people.
func (w Warning) String() string {
	if w.Case == "" {
		return fmt.Sprintf("%s: %s", w.Kind, w.Detail)
	}
	return fmt.Sprintf("%s: %s: %s", w.Case, w.Kind, w.Detail)
}

const (
	noisyWidth    = 0.05 // half interval over median above which a time is noisy
	overheadShare = 0.01 // of the time, above which the clock's cost matters
	driftShare    = 0.05 // between halves, above which times drift, if their intervals part too
	driftSamples  = 12   // fewer say nothing about halves: each needs 6 for an interval
)

// doubts returns the warnings about one timing.
func (t Timing) doubts(options Options, null float64) []Warning {
	var out []Warning
	add := func(kind, format string, args ...any) {
		out = append(out, Warning{kind, t.Name, fmt.Sprintf(format, args...)})
	}
	n := len(t.Seconds)
	if n < options.MinSamples {
		add(TooFew, "%d samples in the time allowed, want %d", n, options.MinSamples)
	}
	if w := t.Median.RelativeWidth(); !(w <= noisyWidth) {
		add(Noisy, "interval is ± %.0f %% of the median", 100*w)
	}
	if n >= driftSamples {
		first, second := Median(t.Seconds[:n/2]), Median(t.Seconds[n/2:])
		apart := first.High < second.Low || second.High < first.Low
		if change := second.Value/first.Value - 1; apart && max(change, -change) > driftShare {
			add(Drift, "the second half of the rounds took %+.0f %%", 100*change)
		}
	}
	if share := null / (t.Median.Value * float64(t.Calls)); share > overheadShare {
		add(Overhead, "timing itself takes %.1f %% of it", 100*share)
	}
	return out
}
