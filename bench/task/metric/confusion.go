package metric

import (
	"math"
	"sort"
)

// confusion counts pairs of a class and the class predicted for it.
type confusion struct {
	cells   map[[2]int]int // (label, predicted) -> examples
	labels  []int          // examples per class
	guesses []int          // predictions per class
	hits    []int          // of them right
	correct int
	n       int

	positive int // the class whose F1 is meant; -1 for the mean over classes
}

func newConfusion(classes int) confusion {
	positive := -1
	if classes == 2 {
		positive = 1
	}
	return confusion{
		positive: positive,
		cells:    map[[2]int]int{}, labels: make([]int, classes), guesses: make([]int, classes), hits: make([]int, classes),
	}
}

func (c *confusion) add(label, guess, times int) {
	c.cells[[2]int{label, guess}] += times
	c.tally(label, guess, times)
}

// tally is add without the cells, which only the jackknife needs.
func (c *confusion) tally(label, guess, times int) {
	c.labels[label] += times
	c.guesses[guess] += times
	c.n += times
	if label == guess {
		c.hits[label] += times
		c.correct += times
	}
}

// reset forgets all examples.
func (c *confusion) reset() {
	clear(c.cells)
	clear(c.labels)
	clear(c.guesses)
	clear(c.hits)
	c.correct, c.n = 0, 0
}

// accuracy is the share of examples that are right.
func (c *confusion) accuracy() float64 { return float64(c.correct) / float64(c.n) }

func (c *confusion) merge(d confusion) {
	for cell, n := range d.cells {
		c.add(cell[0], cell[1], n)
	}
}

// f1 is 2·hits/(labels+guesses) of the positive class, or where
// none is, its mean over the classes that occur as a label or a guess. A class that
// occurs as neither has no F1.
func (c *confusion) f1() float64 {
	if c.positive >= 0 {
		f, _ := c.f1Of(c.positive)
		return f
	}
	sum, classes := 0.0, 0
	for k := range c.labels {
		if f, ok := c.f1Of(k); ok {
			sum += f
			classes++
		}
	}
	if classes == 0 {
		return 0
	}
	return sum / float64(classes)
}

func (c *confusion) f1Of(k int) (float64, bool) {
	d := c.labels[k] + c.guesses[k]
	if d == 0 {
		return 0, false
	}
	return 2 * float64(c.hits[k]) / float64(d), true
}

// matthews is Gorodkin's coefficient for any number of classes; for two it is
// the one of Matthews. 0 where all labels or all guesses are one class.
func (c *confusion) matthews() float64 {
	var cross, labels, guesses float64
	for k := range c.labels {
		l, g := float64(c.labels[k]), float64(c.guesses[k])
		cross += l * g
		labels += l * l
		guesses += g * g
	}
	n := float64(c.n)
	d := math.Sqrt(n*n-labels) * math.Sqrt(n*n-guesses)
	if d == 0 {
		return 0
	}
	return (float64(c.correct)*n - cross) / d
}

// jackknife is the delete-one standard error of a statistic: leaving out one
// example is leaving out one of its cell, so each cell is tried once.
func (c *confusion) jackknife(stat func(*confusion) float64) float64 {
	if c.n < 2 {
		return 0
	}
	cells := make([][2]int, 0, len(c.cells))
	for cell, n := range c.cells {
		if n > 0 {
			cells = append(cells, cell)
		}
	}
	sort.Slice(cells, func(i, j int) bool { // sums in a fixed order
		return cells[i][0] < cells[j][0] || cells[i][0] == cells[j][0] && cells[i][1] < cells[j][1]
	})
	values := make([]float64, len(cells))
	mean := 0.0
	for i, cell := range cells {
		c.add(cell[0], cell[1], -1)
		values[i] = stat(c)
		c.add(cell[0], cell[1], 1)
		mean += float64(c.cells[cell]) * values[i]
	}
	mean /= float64(c.n)
	sum := 0.0
	for i, cell := range cells {
		d := values[i] - mean
		sum += float64(c.cells[cell]) * d * d
	}
	return math.Sqrt(sum * float64(c.n-1) / float64(c.n))
}
