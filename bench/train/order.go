package train

import (
	"slices"

	"optin/bench/task"
)

// Data is what a model is trained on. It is read by several workers at once.
type Data interface {
	// Len is the number of examples.
	Len() int
	// Tokens is the length of example i as the model sees it.
	Tokens(i int) int
	// Example is example i as the model takes it.
	Example(i int) (task.Encoded, error)
}

// sortedBatches is how many batches of texts are sorted by length together:
// enough that those of a batch are of like length, few enough that a batch is
// another one in every epoch.
const sortedBatches = 50

// stepsPerEpoch is the number of batches of at most s.Batch examples that n
// examples, at least one, fall into.
func (s *Settings) stepsPerEpoch(n int) int { return 1 + (n-1)/s.Batch }

// batches are the examples of an epoch, shuffled and cut into batches whose
// sizes differ by one at most. Texts of like length come together, and the
// batches in random order: so packed rows are even, and no length comes first.
func (s *Settings) batches(data Data, epoch int, text bool) [][]int {
	rng := stream(s.Seed, drawOrder, uint64(epoch), 0)
	order := rng.Perm(data.Len())
	steps := s.stepsPerEpoch(len(order))
	at := func(batch int) int { return min(batch, steps) * len(order) / steps }
	if text {
		for b := 0; b < steps; b += sortedBatches {
			slices.SortStableFunc(order[at(b):at(b+sortedBatches)], func(i, j int) int {
				return data.Tokens(i) - data.Tokens(j)
			})
		}
	}
	list := make([][]int, steps)
	for b := range list {
		list[b] = order[at(b):at(b+1)]
	}
	if text {
		rng.Shuffle(steps, func(i, j int) { list[i], list[j] = list[j], list[i] })
	}
	return list
}

// A batch is spread over p lanes only where each has leastRows times p: few rows
// starve the kernels, and a lane costs a pass over all gradients.
const leastRows = 32

// cut divides a batch, whose examples have the given numbers of rows, into
// consecutive micro-batches of about equal size, of at most most rows but for
// those of their last examples, and says where each ends. Their number is a multiple of lanes, or of fewer where there are not rows enough, so
// that no lane has more to do than the others.
func cut(rows []int, lanes, most int) (ends []int) {
	total := 0
	for _, n := range rows {
		total += n
	}
	for lanes > 1 && total < lanes*lanes*leastRows {
		lanes /= 2
	}
	parts := lanes * max(1, (total+lanes*most-1)/(lanes*most))
	parts = min(parts, len(rows))
	sum := 0
	for i, n := range rows {
		sum += n
		left := parts - len(ends) - 1
		full := sum*parts >= total*(len(ends)+1) && left > 0
		if full || len(rows)-i-1 == left { // what is left needs an example each
			ends = append(ends, i+1)
		}
	}
	return ends
}
