package measure

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

const (
	badNoSamples = "measure: no samples"
	badPairs     = "measure: samples are not pairs: lengths differ"
)

// confidence is that of every interval here, where there are samples enough.
const confidence = 0.95

// resamples is the number of bootstrap resamples: enough for the ends of a 95 % interval
// to move by about a twentieth of its width from one seed to another.
const resamples = 2000

// Estimate is a value with an interval that holds the true one with the given confidence.
type Estimate struct {
	Value      float64 `json:"value"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"` // 0 to 1; under 0.95 with too few samples
}

// RelativeWidth is half the width of the interval over the value: 0.01 means ± 1 %.
func (e Estimate) RelativeWidth() float64 {
	return (e.High - e.Low) / 2 / math.Abs(e.Value)
}

// String prints the value and its interval with four digits, as "1.833 (1.79 to 1.87)".
func (e Estimate) String() string {
	return fmt.Sprintf("%.4g (%.4g to %.4g)", e.Value, e.Low, e.High)
}

// inverse is the estimate of scale over the quantity.
func (e Estimate) inverse(scale float64) Estimate {
	return Estimate{scale / e.Value, scale / e.High, scale / e.Low, e.Confidence}
}

// Median returns the median of samples and an interval between two of them.
//
// The number of samples below the true median is binomial with probability ½ whatever the
// distribution, so the interval from the l-th smallest to the l-th largest sample misses it
// with probability 2·P(Bin(n, ½) < l). The l taken is the largest for which that is at most
// 5 %. With fewer than 6 samples none is: the interval is then from the smallest to the
// largest, and Confidence says what that is worth. It panics without samples.
func Median(samples []float64) Estimate {
	n := len(samples)
	if n == 0 {
		panic(badNoSamples)
	}
	sorted := slices.Sorted(slices.Values(samples))
	below := distuv.Binomial{N: float64(n), P: 0.5}
	l := 1
	for l+1 <= n/2 && 2*below.CDF(float64(l)) <= 1-confidence {
		l++
	}
	return Estimate{
		Value:      median(sorted),
		Low:        sorted[l-1],
		High:       sorted[n-l],
		Confidence: max(0, 1-2*below.CDF(float64(l-1))),
	}
}

// median is that of a sorted slice.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Ratio returns median(a) / median(b) where a[i] and b[i] belong together, because they
// were measured in the same round. The interval is the percentile bootstrap's over pairs:
// 2000 times, as many pairs as there are are drawn with replacement, and the interval
// spans the middle 95 % of the ratios. rng decides the draws. It panics without samples
// and if the lengths differ.
func Ratio(a, b []float64, rng *rand.Rand) Estimate {
	n := len(a)
	if n == 0 {
		panic(badNoSamples)
	}
	if n != len(b) {
		panic(badPairs)
	}
	ratio := func(a, b []float64) float64 {
		slices.Sort(a)
		slices.Sort(b)
		return median(a) / median(b)
	}
	x, y := slices.Clone(a), slices.Clone(b)
	e := Estimate{Value: ratio(x, y), Confidence: confidence}

	drawn := make([]float64, resamples)
	for i := range drawn {
		for j := range n {
			k := rng.IntN(n)
			x[j], y[j] = a[k], b[k]
		}
		drawn[i] = ratio(x, y)
	}
	slices.Sort(drawn)
	tail := (1 - confidence) / 2
	e.Low = stat.Quantile(tail, stat.Empirical, drawn, nil)
	e.High = stat.Quantile(1-tail, stat.Empirical, drawn, nil)
	return e
}

// Percentile returns the sample that share p (0 to 1) of the samples do not exceed: 0.99
// for the latency that one call in a hundred exceeds. It panics without samples.
func Percentile(samples []float64, p float64) float64 {
	if len(samples) == 0 {
		panic(badNoSamples)
	}
	return stat.Quantile(p, stat.Empirical, slices.Sorted(slices.Values(samples)), nil)
}

// Rounded is a time of so many seconds, to three digits or so, for people.
func Rounded(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	unit := time.Duration(1)
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit)
}
