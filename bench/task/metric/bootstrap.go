package metric

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Resamples is how often [PairedBootstrap] draws: enough for the ends of its
// interval to move by about a twentieth of its width from seed to seed.
const Resamples = 2000

// Difference is how much better one model is than another by a metric.
type Difference struct {
	Metric    string
	Value     float64 // the first model's figure less the second's, on all examples
	Low, High float64 // hold the true difference with a confidence of 95 %
	N         int     // examples
}

// String writes the difference in points of percent, as tables do.
func (d Difference) String() string {
	return fmt.Sprintf("%s %+.2f (%+.2f to %+.2f) %% (n = %d)", d.Metric, 100*d.Value, 100*d.Low, 100*d.High, d.N)
}

// Reversed is the difference as [PairedBootstrap] finds it, to the bit, with the two
// models' predictions exchanged.
func (d Difference) Reversed() Difference {
	d.Value, d.Low, d.High = 0-d.Value, 0-d.High, 0-d.Low // 0 - 0 is 0, where -0 is not
	return d
}

// PairedBootstrap compares two models' predictions of the same examples by a
// metric. The interval is the percentile bootstrap's (Efron and Tibshirani,
// 1993): [Resamples] times, as many examples as there are are drawn with
// replacement, each with both its predictions, so what makes an example hard
// for both cancels. The interval spans the middle 95 % of the differences. The
// same seed gives the same interval. Predictions of different examples, and a
// metric that they do not have, are errors.
func PairedBootstrap(name string, first, second Predictions, seed uint64) (Difference, error) {
	if err := first.pairs(second); err != nil {
		return Difference{}, err
	}
	if known := Known(first.Classes == 0); !slices.Contains(known, name) {
		return Difference{}, fmt.Errorf("metric: %q is none of %s, which these predictions have", name, strings.Join(known, ", "))
	}
	n := first.N()
	var s sample
	if first.Classes == 0 {
		s = newPaired(name, first, second)
	} else {
		s = newTally(name, first, second)
	}
	for i := range n {
		s.draw(i)
	}
	d := Difference{Metric: name, Value: s.difference(), N: n}

	rng := rand.New(rand.NewPCG(seed, 0))
	drawn := make([]float64, Resamples)
	for k := range drawn {
		s.clear()
		for range n {
			s.draw(rng.IntN(n))
		}
		drawn[k] = s.difference()
	}
	slices.Sort(drawn)
	const tail = Resamples / 40 // 2.5 %
	d.Low, d.High = drawn[tail], drawn[Resamples-1-tail]
	return d, nil
}

// sample is a draw of examples with replacement.
type sample interface {
	clear()
	draw(example int)
	difference() float64 // of the two models' figures
}

// tally draws classified examples. Examples of the same label and predictions
// are one cell: the figures depend on their number alone.
type tally struct {
	figure func(*confusion) float64
	cellOf []int        // by example
	cells  [][3]int     // label, first's guess, second's guess
	counts []int        // by cell
	made   [2]confusion // scratch
}

func newTally(name string, first, second Predictions) *tally {
	t := &tally{figure: (*confusion).accuracy, cellOf: make([]int, first.N())}
	switch name {
	case F1:
		t.figure = (*confusion).f1
	case Matthews:
		t.figure = (*confusion).matthews
	}
	index := map[[3]int]int{}
	for i, label := range first.Labels {
		cell := [3]int{label, first.Guesses[i], second.Guesses[i]}
		at, ok := index[cell]
		if !ok {
			at = len(t.cells)
			index[cell] = at
			t.cells = append(t.cells, cell)
		}
		t.cellOf[i] = at
	}
	t.counts = make([]int, len(t.cells))
	for i := range t.made {
		t.made[i] = newConfusion(first.Classes)
		t.made[i].positive = first.Positive
	}
	return t
}

func (t *tally) clear()     { clear(t.counts) }
func (t *tally) draw(i int) { t.counts[t.cellOf[i]]++ }

func (t *tally) difference() float64 {
	var figures [2]float64
	for m := range figures {
		c := &t.made[m]
		c.reset()
		for i, cell := range t.cells {
			c.tally(cell[0], cell[1+m], t.counts[i])
		}
		figures[m] = t.figure(c)
	}
	return figures[0] - figures[1]
}

// paired draws predicted numbers.
type paired struct {
	targets []float64 // about their mean
	values  [2][]float64
	counts  []float64 // how often each example was drawn

	byRank  bool
	orders  [3][]int     // for Spearman: the examples sorted by targets, by either's values
	ranking [3][]float64 // scratch: ranks in the sample
}

func newPaired(name string, first, second Predictions) *paired {
	p := &paired{
		targets: centred(first.Targets), values: [2][]float64{centred(first.Values), centred(second.Values)},
		counts: make([]float64, first.N()), byRank: name == Spearman,
	}
	if p.byRank {
		for i, x := range [][]float64{p.targets, p.values[0], p.values[1]} {
			p.orders[i], p.ranking[i] = sorted(x), make([]float64, len(x))
		}
	}
	return p
}

// centred subtracts the mean, which correlation does not see and rounding does.
func centred(x []float64) []float64 {
	about := mean(x)
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v - about
	}
	return out
}

func (p *paired) clear()     { clear(p.counts) }
func (p *paired) draw(i int) { p.counts[i]++ }

func (p *paired) difference() float64 {
	if !p.byRank {
		return p.correlation(p.targets, p.values[0]) - p.correlation(p.targets, p.values[1])
	}
	for i, x := range [][]float64{p.targets, p.values[0], p.values[1]} {
		p.rank(p.ranking[i], x, p.orders[i])
	}
	return p.correlation(p.ranking[0], p.ranking[1]) - p.correlation(p.ranking[0], p.ranking[2])
}

func (p *paired) correlation(x, y []float64) float64 {
	var m moments
	for i, n := range p.counts {
		m.add(x[i], y[i], n)
	}
	return m.correlation()
}

// rank writes the ranks that x has in the sample, about their middle; values
// that are equal, or drawn more than once, share the mean of their ranks.
func (p *paired) rank(dst, x []float64, order []int) {
	middle, below := float64(len(x)+1)/2, 0.0
	for i := 0; i < len(order); {
		j, many := i, 0.0
		for ; j < len(order) && x[order[j]] == x[order[i]]; j++ {
			many += p.counts[order[j]]
		}
		for _, k := range order[i:j] {
			dst[k] = below + (many+1)/2 - middle
		}
		below += many
		i = j
	}
}
