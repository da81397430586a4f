package ref

import (
	"cmp"
	"math"
	"slices"

	"optin/kernels"
)

func (o *ops) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	kernels.CheckTopK(scores, from, to)
	y := o.New(kernels.I32, to.Rows(), 1)
	for b := range from.Count() {
		first := from.Offsets[b]
		best := descending(scores.F64[first:from.Offsets[b+1]])
		for i := range to.Len(b) {
			y.I32[int(to.Offsets[b])+i] = first + best[i]
		}
	}
	return y
}

// descending is the places of values, that of the largest first: equal ones in
// their order, NaN last.
func descending(values []float64) []int32 {
	order := make([]int32, len(values))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(i, j int32) int { return cmp.Compare(values[j], values[i]) })
	return order
}

func (o *ops) Match(x *kernels.Tensor, from, to *kernels.Sequences, keepFirst bool) *kernels.Tensor {
	kernels.CheckMatch(x, from, to, keepFirst)
	o.tally.MACs += kernels.MatchMACs(x, from)
	y := o.New(kernels.I32, from.Rows(), 1)
	for b := range from.Count() {
		tokens := x.Slice(int(from.Offsets[b]), int(from.Offsets[b+1]))
		merged := merge(&tokens, from.Len(b)-to.Len(b), keepFirst)
		for i, place := range merged {
			y.I32[int(from.Offsets[b])+i] = to.Offsets[b] + place
		}
	}
	return y
}

// merge is where each row of x goes when so many of them go into others.
func merge(x *kernels.Tensor, removed int, keepFirst bool) []int32 {
	partner, similarity := make([]int, x.Rows), make([]float64, x.Rows)
	for i := range x.Rows {
		similarity[i] = math.Inf(-1)
		if i%2 == 1 || x.Rows == 1 || i == 0 && keepFirst {
			continue
		}
		partner[i], similarity[i] = 1, -math.MaxFloat32
		for j := 1; j < x.Rows; j += 2 {
			if s := dot(row(x, i), row(x, j)); s > similarity[i] {
				partner[i], similarity[i] = j, s
			}
		}
	}
	gone := descending(similarity)[:removed]
	to := make([]int32, x.Rows)
	next := int32(0)
	for i := range to {
		if !slices.Contains(gone, int32(i)) {
			to[i] = next
			next++
		}
	}
	for _, i := range gone { // their partners are at odd places, and stay
		to[i] = to[partner[i]]
	}
	return to
}
