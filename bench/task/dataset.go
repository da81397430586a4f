package task

import (
	"fmt"
	"math/rand/v2"
)

// Dataset is one split of a task. It is safe for concurrent use.
type Dataset struct {
	Task  string
	Split string
	Notes []string // what a reader of the figures should know: rows left out

	// Files stands for the contents of files that are read when an example is
	// asked for: names, sizes and times. Empty where all is in memory.
	Files string

	n       int
	example func(int) (Example, error)
}

// Len is the number of examples.
func (d *Dataset) Len() int { return d.n }

// Example returns example i. Pictures in files are decoded here, so a corrupt
// one is an error here, which names the file.
func (d *Dataset) Example(i int) (Example, error) {
	if i < 0 || i >= d.n {
		return Example{}, fmt.Errorf("task %s: no example %d: the %s split has %d", d.Task, i, d.Split, d.n)
	}
	return d.example(i)
}

// Sample returns n examples drawn without replacement, in the order drawn; all
// of them, shuffled, where there are not so many. Equal seeds draw the same.
func (d *Dataset) Sample(n int, seed uint64) *Dataset {
	order := rand.New(rand.NewPCG(seed, 0)).Perm(d.n)
	return d.Select(order[:min(max(n, 0), d.n)])
}

// Spread returns n examples at even distances, or all where there are not so
// many. The first n would not do where a data set is sorted by label.
func (d *Dataset) Spread(n int) *Dataset {
	n = min(max(n, 0), d.n)
	index := make([]int, n)
	for i := range index {
		index[i] = i * d.n / n
	}
	return d.Select(index)
}

// Select returns the examples at the given places, in that order.
func (d *Dataset) Select(index []int) *Dataset {
	s := *d
	s.n = len(index)
	s.example = func(i int) (Example, error) { return d.Example(index[i]) }
	return &s
}

// memory returns a data set of examples that are already in memory.
func memory(examples []Example) *Dataset {
	return &Dataset{n: len(examples), example: func(i int) (Example, error) { return examples[i], nil }}
}
