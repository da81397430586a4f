package measure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"
)

// Case is one of the things to compare.
type Case struct {
	Name string
	Func func() error // is timed; an error ends the measurement
	Work float64      // items that one call deals with, for Throughput; 0 counts as 1
}

// Options says how long to measure. The zero value of a field means what it says:
// start from [DefaultOptions].
type Options struct {
	WarmupTime time.Duration // at most, to wait for times to settle; one round is always run. Default 10 s
	MinSamples int           // rounds, unless MaxTime comes first. Default 10: the median's interval then spans ranks 2 to 9
	MaxSamples int           // rounds at most. Default 1000
	MinTime    time.Duration // of all rounds together. Default 1 s
	MaxTime    time.Duration // after which no round begins. Default 60 s
	Precision  float64       // half interval over median at which a case needs no more rounds. Default 0.01
	MinSample  time.Duration // a faster call is repeated within a sample to last this long. Default 1 ms, 10⁴ times the clock's cost
	Seed       uint64        // of the order within rounds and of resampling. Default 1

	// Watcher, if not nil, watches the device during the rounds: a result taken while it
	// was slowed down carries a warning.
	Watcher Watcher
	Energy  bool // attribute the Watcher's energy to the cases, with longer rounds for that alone where need be
}

// DefaultOptions returns the values named in [Options].
func DefaultOptions() Options {
	return Options{
		WarmupTime: 10 * time.Second,
		MinSamples: 10,
		MaxSamples: 1000,
		MinTime:    time.Second,
		MaxTime:    time.Minute,
		Precision:  0.01,
		MinSample:  time.Millisecond,
		Seed:       1,
	}
}

// Result is what Interleave measured.
type Result struct {
	Timings      []Timing      `json:"timings"` // in the order of the cases
	WarmupRounds int           `json:"warmup_rounds"`
	Rounds       int           `json:"rounds"`
	Elapsed      time.Duration `json:"elapsed_ns"`   // of the rounds, without warming up
	NullSeconds  float64       `json:"null_seconds"` // median time of doing nothing, measured alike
	Seed         uint64        `json:"seed"`
	Warnings     []Warning     `json:"warnings"`
	Telemetry    *Telemetry    `json:"telemetry,omitempty"` // of the device during the rounds; nil without a Watcher
}

// Timing is what was measured of one case.
type Timing struct {
	Name    string    `json:"name"`
	Work    float64   `json:"work"`             // items per call
	Calls   int       `json:"calls"`            // per sample
	Seconds []float64 `json:"seconds"`          // per call, one sample a round, in order
	Median  Estimate  `json:"median"`           // of Seconds
	Speedup Estimate  `json:"speedup"`          // first case's median over this one's: above 1 is faster
	Energy  *Energy   `json:"energy,omitempty"` // nil: not available
}

// Throughput is in items per second.
func (t Timing) Throughput() Estimate { return t.Median.inverse(t.Work) }

// Latency returns the time in seconds that share p of the samples do not exceed.
func (t Timing) Latency(p float64) float64 { return Percentile(t.Seconds, p) }

// Interleave times the cases against each other, the first being the one to compare with,
// as the package comment describes. It returns early with an error if a case fails or ctx
// is done.
func Interleave(ctx context.Context, cases []Case, options Options) (Result, error) {
	if len(cases) == 0 {
		return Result{}, errors.New("measure: nothing to measure")
	}
	r := runner{cases: cases, options: options, rng: rand.New(rand.NewPCG(options.Seed, 0))}
	settled, err := r.warmUp(ctx)
	if err != nil {
		return Result{}, err
	}
	warmupRounds := len(r.seconds[0])
	r.calibrate()
	r.meter = openMeter(options, len(cases)) // only now: the counter of a device at rest may stand still
	runtime.GC()                             // what warming up left must not be collected on a case's time

	stop := watch(options.Watcher)
	defer stop()
	began := time.Now()
	for !r.enough(time.Since(began)) {
		if err := r.round(ctx); err != nil {
			return Result{}, err
		}
	}
	elapsed := time.Since(began)
	if err := r.meterRounds(ctx); err != nil {
		return Result{}, err
	}
	result := r.result()
	result.WarmupRounds, result.Elapsed = warmupRounds, elapsed
	if !settled {
		result.Warnings = append([]Warning{{Unstable, "", fmt.Sprintf(
			"times still varied by more than %.0f %% after %d rounds of warming up", 100*settledSpread, warmupRounds)}},
			result.Warnings...)
	}
	result.take(stop(), r.meter)
	return result, nil
}

// runner is one measurement under way.
type runner struct {
	cases   []Case
	options Options
	rng     *rand.Rand
	calls   []int       // per sample, by case
	seconds [][]float64 // by case and round
	null    []float64   // seconds of doing nothing, by round
	meter   *meter      // nil: energy is not asked for
}

// round times every case once, in a random order, and doing nothing.
func (r *runner) round(ctx context.Context) error {
	for _, i := range r.rng.Perm(len(r.cases)) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("measure: stopped: %w", err)
		}
		before := r.meter.read()
		seconds, err := sample(r.cases[i].Func, r.calls[i])
		if err != nil {
			return fmt.Errorf("measure: %s: %w", r.cases[i].Name, err)
		}
		r.meter.enter(i, before, seconds, r.calls[i])
		r.seconds[i] = append(r.seconds[i], seconds)
	}
	seconds, err := sample(func() error { return nil }, 1)
	r.null = append(r.null, seconds)
	return err
}

// sample is the mean time of one of several calls, in seconds.
func sample(f func() error, calls int) (float64, error) {
	began := time.Now()
	for range calls {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return time.Since(began).Seconds() / float64(calls), nil
}

const (
	settledRounds = 3    // that must agree for times to have settled
	settledSpread = 0.10 // between the largest and smallest of them
)

// warmUp runs rounds until every case's last three agree, or time is up, and reports
// whether they did.
func (r *runner) warmUp(ctx context.Context) (settled bool, err error) {
	r.calls = slices.Repeat([]int{1}, len(r.cases))
	r.seconds = make([][]float64, len(r.cases))
	began := time.Now()
	for {
		if err := r.round(ctx); err != nil {
			return false, err
		}
		if r.settled() {
			return true, nil
		}
		if time.Since(began) >= r.options.WarmupTime {
			return false, nil
		}
	}
}

func (r *runner) settled() bool {
	for _, s := range r.seconds {
		if len(s) < settledRounds {
			return false
		}
		last := s[len(s)-settledRounds:]
		short := slices.Max(last) < r.options.MinSample.Seconds()/2 // will be averaged anyway
		if slices.Max(last) > slices.Min(last)*(1+settledSpread) && !short {
			return false
		}
	}
	return true
}

// calibrate chooses how many calls make a sample, from the times of warming up, and then
// forgets those times.
func (r *runner) calibrate() {
	for i, s := range r.seconds {
		last := slices.Min(s[max(0, len(s)-settledRounds):])
		if least := r.options.MinSample.Seconds(); last < least {
			r.calls[i] = int(least/max(last, 1e-9)) + 1
		}
		r.seconds[i] = nil
	}
	r.null = nil
}

// enough reports whether the rounds so far, which took elapsed, suffice.
func (r *runner) enough(elapsed time.Duration) bool {
	n := len(r.null)
	switch {
	case n == 0:
		return false
	case elapsed >= r.options.MaxTime || n >= r.options.MaxSamples:
		return true
	case n < r.options.MinSamples || elapsed < r.options.MinTime:
		return false
	}
	for _, s := range r.seconds {
		if !(Median(s).RelativeWidth() <= r.options.Precision) {
			return false
		}
	}
	return true
}

func (r *runner) result() Result {
	result := Result{
		Rounds: len(r.null), NullSeconds: Median(r.null).Value, Seed: r.options.Seed,
	}
	for i, c := range r.cases {
		t := Timing{
			Name: c.Name, Work: c.Work, Calls: r.calls[i], Seconds: r.seconds[i],
			Median:  Median(r.seconds[i]),
			Speedup: Ratio(r.seconds[0], r.seconds[i], r.rng),
		}
		if t.Work == 0 {
			t.Work = 1
		}
		t.Energy = r.meter.energy(i, t.Work)
		result.Timings = append(result.Timings, t)
		result.Warnings = append(result.Warnings, t.doubts(r.options, result.NullSeconds)...)
	}
	return result
}
