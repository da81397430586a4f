package metric

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Accumulator collects predictions. It is not safe for concurrent use; give
// each worker one and merge them.
type Accumulator struct {
	names   []string
	classes int // 0 for a regression
	counts  confusion
	labels  []int // of each example, in order of arrival
	guesses []int
	got     []float64 // regression: predictions and targets, in order of arrival
	want    []float64
}

// New returns an accumulator of the named metrics. classes is the number of
// logits in a row, 0 for a regression.
func New(names []string, classes int) (*Accumulator, error) {
	regression := classes == 0
	known := Known(regression)
	for _, n := range names {
		if !slices.Contains(known, n) {
			kind := "classes"
			if regression {
				kind = "a regression"
			}
			return nil, fmt.Errorf("unknown metric %q: for %s there are %s", n, kind, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no metric named: there are %s", strings.Join(known, ", "))
	}
	return &Accumulator{names: slices.Clone(names), classes: classes, counts: newConfusion(classes)}, nil
}

// SetPositive names the class whose F1 is meant. Without it that is class 1 of
// two, and the mean over the classes where there are more.
func (a *Accumulator) SetPositive(class int) { a.counts.positive = class }

// Add takes the logits of one example and its class. The class predicted is
// the first of the largest logits.
func (a *Accumulator) Add(logits []float32, label int) error {
	if len(logits) != a.classes || a.classes == 0 {
		return fmt.Errorf("metric: %d logits, want %d", len(logits), a.classes)
	}
	if label < 0 || label >= a.classes {
		return fmt.Errorf("metric: label %d is not one of %d classes", label, a.classes)
	}
	best := 0
	for i, v := range logits {
		if v != v {
			return fmt.Errorf("metric: logit %d is not a number: the model's values overflow on these examples; check its weights", i)
		}
		if v > logits[best] {
			best = i
		}
	}
	a.counts.add(label, best, 1)
	a.labels, a.guesses = append(a.labels, label), append(a.guesses, best)
	return nil
}

// AddValue takes the output of a regression for one example and its target.
func (a *Accumulator) AddValue(got, want float64) error {
	if a.classes != 0 {
		return fmt.Errorf("metric: a value for a task with %d classes", a.classes)
	}
	if math.IsNaN(got) || math.IsInf(got, 0) || math.IsNaN(want) || math.IsInf(want, 0) {
		return fmt.Errorf("metric: prediction %g or target %g is not finite", got, want)
	}
	a.got = append(a.got, got)
	a.want = append(a.want, want)
	return nil
}

// Merge adds what another accumulator of the same metrics has collected.
func (a *Accumulator) Merge(b *Accumulator) {
	a.counts.merge(b.counts)
	a.labels, a.guesses = append(a.labels, b.labels...), append(a.guesses, b.guesses...)
	a.got = append(a.got, b.got...)
	a.want = append(a.want, b.want...)
}

// N is the number of examples so far.
func (a *Accumulator) N() int {
	if a.classes == 0 {
		return len(a.got)
	}
	return a.counts.n
}

// Results returns the metrics in the order they were named.
func (a *Accumulator) Results() []Result {
	out := make([]Result, len(a.names))
	for i, name := range a.names {
		out[i] = Result{Name: name, N: a.N()}
		out[i].Value, out[i].StdErr = a.figure(name)
	}
	return out
}

func (a *Accumulator) figure(name string) (value, stdErr float64) {
	if a.N() == 0 {
		return 0, 0
	}
	switch name {
	case Accuracy:
		p := a.counts.accuracy()
		return p, math.Sqrt(p * (1 - p) / float64(a.counts.n))
	case F1:
		return a.counts.f1(), a.counts.jackknife((*confusion).f1)
	case Matthews:
		return a.counts.matthews(), a.counts.jackknife((*confusion).matthews)
	case Pearson:
		return pearson(a.got, a.want)
	case Spearman:
		return spearman(a.got, a.want)
	}
	panic("metric: " + name)
}
