package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// twoModels predicts n examples twice: both are right often, on much the same
// examples, the first more so. classes 0 is a regression, with ties.
func twoModels(n, classes int) (first, second Predictions) {
	rng := rand.New(rand.NewPCG(11, 12))
	first = Predictions{Classes: classes, Positive: -1}
	if classes == 2 {
		first.Positive = 1
	}
	second = first
	for range n {
		if classes == 0 {
			target := math.Round(rng.NormFloat64()*4) / 4
			shared := target + 0.5*rng.NormFloat64()
			first.Targets = append(first.Targets, target)
			first.Values = append(first.Values, math.Round(8*(shared+0.1*rng.NormFloat64()))/8)
			second.Values = append(second.Values, shared+0.3*rng.NormFloat64())
			continue
		}
		label := min(rng.IntN(classes+1), classes-1)
		guess := label
		if rng.Float64() < 0.2 {
			guess = rng.IntN(classes)
		}
		other := guess
		if rng.Float64() < 0.1 {
			other = rng.IntN(classes)
		}
		first.Labels, first.Guesses, second.Guesses = append(first.Labels, label), append(first.Guesses, guess), append(second.Guesses, other)
	}
	second.Labels, second.Targets = first.Labels, first.Targets
	return first, second
}

// figureOf computes a metric of some of the examples through an Accumulator.
func figureOf(t *testing.T, name string, p Predictions, examples []int) float64 {
	t.Helper()
	a, err := New([]string{name}, p.Classes)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range examples {
		if p.Classes > 0 {
			classify(t, a, p.Labels[i], p.Guesses[i])
		} else if err := a.AddValue(p.Values[i], p.Targets[i]); err != nil {
			t.Fatal(err)
		}
	}
	return a.Results()[0].Value
}

// TestPairedBootstrap draws the same samples and evaluates each from scratch.
func TestPairedBootstrap(t *testing.T) {
	const n, seed = 90, 5
	for _, c := range []struct {
		name    string
		classes int
	}{{Accuracy, 3}, {F1, 2}, {F1, 4}, {Matthews, 2}, {Matthews, 3}, {Pearson, 0}, {Spearman, 0}} {
		t.Run(fmt.Sprintf("metric=%s/classes=%d", c.name, c.classes), func(t *testing.T) {
			first, second := twoModels(n, c.classes)
			got, err := PairedBootstrap(c.name, first, second, seed)
			if err != nil {
				t.Fatal(err)
			}
			difference := func(examples []int) float64 {
				return figureOf(t, c.name, first, examples) - figureOf(t, c.name, second, examples)
			}
			all := make([]int, n)
			for i := range all {
				all[i] = i
			}
			rng := rand.New(rand.NewPCG(seed, 0))
			var drawn []float64
			for range 2000 {
				var examples []int
				for range n {
					examples = append(examples, rng.IntN(n))
				}
				drawn = append(drawn, difference(examples))
			}
			slices.Sort(drawn)
			near(t, "difference", got.Value, difference(all), 1e-12)
			near(t, "low", got.Low, drawn[50], 1e-12)
			near(t, "high", got.High, drawn[1949], 1e-12)
			if got.N != n || got.Metric != c.name || !(got.Low < got.Value && got.Value < got.High) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestPairedWidth compares the interval of accuracy with the normal one of
// McNemar's counts, and shows that equal models do not differ at all.
func TestPairedWidth(t *testing.T) {
	const n = 4000
	first, second := twoModels(n, 2)
	var only [2]float64 // right by one model alone
	for i, label := range first.Labels {
		if a, b := first.Guesses[i] == label, second.Guesses[i] == label; a && !b {
			only[0]++
		} else if b && !a {
			only[1]++
		}
	}
	d, err := PairedBootstrap(Accuracy, first, second, 1)
	if err != nil {
		t.Fatal(err)
	}
	value := (only[0] - only[1]) / n
	half := 1.96 * math.Sqrt(((only[0]+only[1])/n-value*value)/n)
	near(t, "difference", d.Value, value, 1e-12)
	near(t, "half the width", (d.High-d.Low)/2, half, 0.08*half)
	for _, name := range Known(false) {
		if d, _ := PairedBootstrap(name, first, first, 1); d.Low != 0 || d.Value != 0 || d.High != 0 {
			t.Errorf("a model against itself: %v", d)
		}
	}
}

// TestReversed exchanges the models: the difference is the same, to the bit, turned
// around.
func TestReversed(t *testing.T) {
	for _, classes := range []int{0, 2, 3} {
		first, second := twoModels(60, classes)
		for _, name := range Known(classes == 0) {
			if name == F1 && classes == 3 {
				continue // of two classes
			}
			for _, its := range []Predictions{second, first} {
				a, err := PairedBootstrap(name, first, its, 7)
				if err != nil {
					t.Fatal(err)
				}
				b, err := PairedBootstrap(name, its, first, 7)
				if err != nil {
					t.Fatal(err)
				}
				if got := b.Reversed(); got != a || math.Signbit(got.Value) != math.Signbit(a.Value) || math.Signbit(got.Low) != math.Signbit(a.Low) || math.Signbit(got.High) != math.Signbit(a.High) {
					t.Errorf("%d classes: %v, reversed %v", classes, a, got)
				}
			}
		}
	}
}

// TestPredictions are what was added, also after a merge.
func TestPredictions(t *testing.T) {
	a, _ := New([]string{Accuracy}, 3)
	b, _ := New([]string{Accuracy}, 3)
	classify(t, a, 0, 2)
	classify(t, b, 1, 1)
	a.Merge(b)
	a.SetPositive(2)
	p := a.Predictions()
	if !slices.Equal(p.Labels, []int{0, 1}) || !slices.Equal(p.Guesses, []int{2, 1}) || p.N() != 2 || p.Classes != 3 || p.Positive != 2 {
		t.Errorf("%+v", p)
	}
	r, _ := New([]string{Pearson}, 0)
	if err := r.AddValue(0.5, 2); err != nil {
		t.Fatal(err)
	}
	if p := r.Predictions(); p.N() != 1 || p.Values[0] != 0.5 || p.Targets[0] != 2 || p.Classes != 0 {
		t.Errorf("%+v", p)
	}
}

func TestNoPairs(t *testing.T) {
	first, second := twoModels(10, 2)
	shuffled := second
	shuffled.Labels = slices.Clone(second.Labels)
	slices.Reverse(shuffled.Labels)
	shuffled.Labels[0] = 1 - first.Labels[0]
	short, _ := twoModels(9, 2)
	three, _ := twoModels(10, 3)
	regression, _ := twoModels(10, 0)
	for _, c := range []struct {
		metric string
		second Predictions
		want   string
	}{
		{Accuracy, short, "10 and of 9 examples"},
		{Accuracy, shuffled, "different examples"},
		{Accuracy, three, "2 and of 3 classes"},
		{Accuracy, regression, "2 and of 0 classes"},
		{Pearson, second, `"pearson" is none of accuracy`},
	} {
		if _, err := PairedBootstrap(c.metric, first, c.second, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	if _, err := PairedBootstrap(Accuracy, Predictions{Classes: 2}, Predictions{Classes: 2}, 1); err == nil {
		t.Error("nothing was compared with nothing")
	}
}

func BenchmarkPairedBootstrap(b *testing.B) {
	for _, c := range []struct {
		name    string
		classes int
	}{{Accuracy, 10}, {Matthews, 2}, {Pearson, 0}, {Spearman, 0}} {
		first, second := twoModels(10_000, c.classes)
		b.Run("metric="+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := PairedBootstrap(c.name, first, second, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
