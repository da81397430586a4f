package measure

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// busy is a case that takes the given times of a made-up clock, in turn, then the last.
func busy(name string, times ...time.Duration) Case {
	i := 0
	return Case{Name: name, Work: 8, Func: func() error {
		time.Sleep(times[min(i, len(times)-1)])
		i++
		return nil
	}}
}

// interleave measures on a made-up clock.
func interleave(t *testing.T, options Options, cases ...Case) Result {
	t.Helper()
	var result Result
	synctest.Test(t, func(t *testing.T) {
		var err error
		if result, err = Interleave(t.Context(), cases, options); err != nil {
			t.Fatal(err)
		}
	})
	return result
}

func kinds(warnings []Warning) []string {
	var out []string
	for _, w := range warnings {
		out = append(out, w.Kind)
	}
	return out
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Abs(b) }

func TestInterleave(t *testing.T) {
	r := interleave(t, DefaultOptions(), busy("dense", 90*time.Millisecond), busy("pruned", 50*time.Millisecond))
	if len(r.Warnings) != 0 {
		t.Errorf("warnings %v", r.Warnings)
	}
	// Nothing varies: three rounds settle, ten suffice and last over a second.
	if r.WarmupRounds != 3 || r.Rounds != 10 || r.Elapsed != 1400*time.Millisecond {
		t.Errorf("%d + %d rounds in %v, want 3 + 10 in 1.4s", r.WarmupRounds, r.Rounds, r.Elapsed)
	}
	dense, pruned := r.Timings[0], r.Timings[1]
	if !near(dense.Median.Value, 0.09) || !near(pruned.Median.Value, 0.05) || pruned.Calls != 1 {
		t.Errorf("medians %v and %v", dense.Median, pruned.Median)
	}
	if !near(pruned.Speedup.Value, 1.8) || !near(pruned.Speedup.Low, 1.8) || dense.Speedup.Value != 1 {
		t.Errorf("speed-ups %v and %v, want 1 and 1.8", dense.Speedup, pruned.Speedup)
	}
	if got := pruned.Throughput(); !near(got.Value, 160) {
		t.Errorf("throughput %v, want 160 items/s", got)
	}
	if got := pruned.Latency(0.99); !near(got, 0.05) {
		t.Errorf("latency %v s, want 0.05", got)
	}
}

func TestInterleaveRepeatsFastCalls(t *testing.T) {
	r := interleave(t, DefaultOptions(), busy("fast", 3*time.Microsecond))
	if got := r.Timings[0]; got.Calls != 334 || !near(got.Median.Value, 3e-6) {
		t.Errorf("%d calls per sample, median %v; want 334 and 3 µs", got.Calls, got.Median)
	}
}

func TestInterleaveWarmsUp(t *testing.T) {
	r := interleave(t, DefaultOptions(), busy("cold", 4*time.Second, 400*time.Millisecond, 100*time.Millisecond))
	if r.WarmupRounds != 5 || !near(r.Timings[0].Median.High, 0.1) || len(r.Warnings) != 0 {
		t.Errorf("%d rounds of warming up, median %v, warnings %v; want 5, 0.1 and none",
			r.WarmupRounds, r.Timings[0].Median, r.Warnings)
	}
}

func TestInterleaveWarns(t *testing.T) {
	second := time.Second
	noise := []time.Duration{second, 2 * second, second, 3 * second, 2 * second, second, 2 * second, 3 * second}
	noise = slices.Repeat(noise, 20)
	steps := slices.Concat(slices.Repeat([]time.Duration{second}, 3+10), slices.Repeat([]time.Duration{2 * second}, 30))
	for _, c := range []struct {
		name   string
		times  []time.Duration
		change func(*Options)
		want   []string
	}{
		{"noise", noise, func(*Options) {}, []string{Unstable, Noisy}},
		{"slow", []time.Duration{20 * second}, func(*Options) {}, []string{Unstable, TooFew}},
		{"drift", steps, func(o *Options) { o.Precision, o.MaxTime = -1, 30*second }, []string{Noisy, Drift}},
		{"hot", []time.Duration{second}, func(o *Options) { o.Watcher = &hotDevice{} }, []string{Throttled}},
	} {
		options := DefaultOptions()
		c.change(&options)
		r := interleave(t, options, busy(c.name, c.times...))
		if got := kinds(r.Warnings); !slices.Equal(got, c.want) {
			t.Errorf("%s: warnings %v, want %v", c.name, r.Warnings, c.want)
		}
	}
}

func TestOverheadWarning(t *testing.T) {
	timing := Timing{Name: "x", Calls: 2, Seconds: []float64{1e-6}, Median: Estimate{1e-6, 1e-6, 1e-6, 0}}
	if got := timing.doubts(Options{}, 1e-7); len(got) != 1 || got[0].String() != "x: overhead: timing itself takes 5.0 % of it" {
		t.Errorf("warnings %v", got)
	}
}

// TestInterleaveOrder: the order within rounds varies, and one seed repeats it.
func TestInterleaveOrder(t *testing.T) {
	order := func(seed uint64) string {
		var ran []byte
		note := func(name byte) Case {
			return Case{Name: string(name), Func: func() error {
				ran = append(ran, name)
				time.Sleep(time.Second)
				return nil
			}}
		}
		options := DefaultOptions()
		options.Seed = seed
		interleave(t, options, note('a'), note('b'), note('c'))
		return string(ran)
	}
	first := order(1)
	if order(1) != first {
		t.Error("one seed gave two orders")
	}
	if order(2) == first {
		t.Error("two seeds gave one order")
	}
	rounds := map[string]bool{}
	for round := range slices.Chunk([]byte(first), 3) {
		rounds[string(round)] = true
		if slices.Sort(round); string(round) != "abc" {
			t.Errorf("a round ran %s", round)
		}
	}
	if len(rounds) < 3 {
		t.Errorf("only %d of 6 orders occurred", len(rounds))
	}
}

func TestInterleaveStops(t *testing.T) {
	broken := errors.New("broken")
	_, err := Interleave(t.Context(), []Case{{Name: "x", Func: func() error { return broken }}}, DefaultOptions())
	if !errors.Is(err, broken) || err.Error() != "measure: x: broken" {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Interleave(ctx, []Case{{Name: "x", Func: func() error { cancel(); return nil }}}, DefaultOptions())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
	if _, err = Interleave(t.Context(), nil, DefaultOptions()); err == nil {
		t.Error("nothing to measure was accepted")
	}
}

// TestInterleaveNull runs on the real clock: doing nothing must cost next to nothing.
func TestInterleaveNull(t *testing.T) {
	options := DefaultOptions()
	options.MinTime = 0
	r, err := Interleave(t.Context(), []Case{{Name: "null", Func: func() error { return nil }}}, options)
	if err != nil {
		t.Fatal(err)
	}
	if !(r.NullSeconds < 1e-4) || !(r.Timings[0].Median.Value < 1e-6) {
		t.Errorf("nothing takes %v s alone and %v s in a loop", r.NullSeconds, r.Timings[0].Median.Value)
	}
}
