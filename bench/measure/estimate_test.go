package measure

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestMedianRanks checks the interval against the tables of the sign test: for n samples
// it spans ranks l to n+1-l, with this exact coverage.
func TestMedianRanks(t *testing.T) {
	for _, c := range []struct {
		n        int
		low      float64 // the samples are 1..n, so ranks are values
		coverage float64
	}{
		{1, 1, 0}, // 1 − 2·½
		{2, 1, 0.5},
		{3, 1, 0.75},
		{5, 1, 0.9375},
		{6, 1, 0.96875},
		{8, 1, 0.9921875},
		{9, 2, 0.9609375},
		{10, 2, 0.978515625},
		{12, 3, 0.96142578125},
		{20, 6, 0.9586105346679688},
		{25, 8, 0.9567147493362427},
		{100, 40, 0.9647997997822952},
	} {
		samples := make([]float64, c.n)
		for i, j := range rand.New(rand.NewPCG(1, uint64(c.n))).Perm(c.n) {
			samples[i] = float64(j + 1)
		}
		e := Median(samples)
		want := Estimate{float64(c.n+1) / 2, c.low, float64(c.n) + 1 - c.low, c.coverage}
		if e.Value != want.Value || e.Low != want.Low || e.High != want.High ||
			!(math.Abs(e.Confidence-want.Confidence) <= 1e-12) {
			t.Errorf("n=%d: %+v, want %+v", c.n, e, want)
		}
	}
}

// TestMedianCovers draws from a skewed distribution whose median is known: the interval
// must hold it about as often as it says.
func TestMedianCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 0))
	const trials, n = 4000, 15
	held := 0
	for range trials {
		samples := make([]float64, n)
		for i := range samples {
			samples[i] = rng.ExpFloat64() // median ln 2
		}
		if e := Median(samples); e.Low <= math.Ln2 && math.Ln2 <= e.High {
			held++
		}
	}
	// 15 samples: ranks 4 to 12, coverage 0.9648; four standard errors are 0.012.
	if share := float64(held) / trials; math.Abs(share-0.9648) > 0.012 {
		t.Errorf("intervals held the median in %.4f of trials, want 0.965", share)
	}
}

// TestRatioPairs gives both cases the same large disturbance in each round. Taken as pairs
// their ratio is exact; taken apart it would be uncertain by a factor.
func TestRatioPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 0))
	a, b := make([]float64, 21), make([]float64, 21)
	for i := range a {
		disturbed := 1 + 5*rng.Float64()
		a[i], b[i] = 3*disturbed, 2*disturbed
	}
	e := Ratio(a, b, rng)
	for _, x := range []float64{e.Value, e.Low, e.High} {
		if !(math.Abs(x-1.5) <= 1e-12) {
			t.Errorf("ratio %+v, want 1.5 without spread", e)
		}
	}
}

// TestRatioCovers: the medians of two independent uniforms, 1..3 over 0..2, are 2 and 1.
func TestRatioCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 0))
	const trials, n = 200, 31
	held := 0
	for range trials {
		a, b := make([]float64, n), make([]float64, n)
		for i := range a {
			a[i], b[i] = 1+2*rng.Float64(), 2*rng.Float64()
		}
		if e := Ratio(a, b, rng); e.Low <= 2 && 2 <= e.High {
			held++
		}
	}
	if share := float64(held) / trials; share < 0.90 {
		t.Errorf("intervals held the ratio in %.3f of trials, want about 0.95", share)
	}
}

func TestRatioRepeats(t *testing.T) {
	a, b := []float64{1, 2, 3, 4, 5, 6, 7}, []float64{2, 1, 4, 3, 6, 5, 9}
	if x, y := Ratio(a, b, rand.New(rand.NewPCG(5, 0))), Ratio(a, b, rand.New(rand.NewPCG(5, 0))); x != y {
		t.Errorf("one seed gave %+v and %+v", x, y)
	}
	if a[0] != 1 || b[0] != 2 {
		t.Error("the samples were changed")
	}
}

func TestPercentile(t *testing.T) {
	samples := []float64{40, 10, 30, 20, 50, 60, 70, 80, 90, 100}
	for p, want := range map[float64]float64{0.5: 50, 0.9: 90, 0.99: 100, 1: 100, 0: 10} {
		if got := Percentile(samples, p); got != want {
			t.Errorf("percentile %v is %v, want %v", p, got, want)
		}
	}
}

func TestEstimate(t *testing.T) {
	e := Estimate{2, 1.6, 2.4, 0.95}
	if got := e.RelativeWidth(); !(math.Abs(got-0.2) <= 1e-12) {
		t.Errorf("relative width %v, want 0.2", got)
	}
	if got := (Estimate{4, 2, 8, 0.95}).inverse(16); got != (Estimate{4, 2, 8, 0.95}) {
		t.Errorf("16 over the estimate is %+v", got)
	}
}

func TestPanics(t *testing.T) {
	for want, f := range map[string]func(){
		badNoSamples: func() { Median(nil) },
		badPairs:     func() { Ratio([]float64{1}, []float64{1, 2}, nil) },
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("panic %v, want %q", got, want)
				}
			}()
			f()
		}()
	}
}

func TestRounded(t *testing.T) {
	for seconds, want := range map[float64]string{0.0123456: "12.3ms", 1.23456e-6: "1.23µs", 2: "2s", 0: "0s"} {
		if got := Rounded(seconds).String(); got != want {
			t.Errorf("%v s is %s, want %s", seconds, got, want)
		}
	}
}
