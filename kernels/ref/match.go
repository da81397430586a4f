package ref

import (
	"cmp"
	"math"
	"slices"

	"optin/kernels"
)

func (o *ops) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	variants := kernels.CheckTopK(scores, from, to)
	y := o.New(kernels.I32, variants*to.Rows(), 1)
	for v := range variants {
		for b := range from.Count() {
			first, best := v*from.Rows()+int(from.Offsets[b]), y.I32[v*to.Rows()+int(to.Offsets[b]):][:to.Len(b)]
			for i, place := range descending(scores.F64[first : first+from.Len(b)])[:to.Len(b)] {
				best[i] = int32(first + place)
			}
		}
	}
	return y
}

// descending is the places of values, that of the largest first: equal ones in
// their order, NaN last.
func descending(values []float64) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(values[j], values[i]) })
	return order
}

func (o *ops) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	variants := kernels.CheckMatch(x, from, to, keep)
	o.tally.MACs += kernels.MatchMACs(x, from, keep)
	y := o.New(kernels.I32, x.Rows, 1)
	for v := range variants {
		for b := range from.Count() {
			first, merged := v*from.Rows()+int(from.Offsets[b]), v*to.Rows()+int(to.Offsets[b])
			tokens := x.Slice(first, first+from.Len(b))
			for i, place := range merge(&tokens, from.Len(b)-to.Len(b), keep) {
				y.I32[first+i] = int32(merged + place)
			}
		}
	}
	return y
}

// merge is where each row of x goes when so many of them go into others.
func merge(x *kernels.Tensor, removed, keep int) []int {
	partner, similarity := make([]int, x.Rows), make([]float64, x.Rows)
	for i := range x.Rows {
		similarity[i] = math.Inf(-1)
		if i%2 == 1 || i < keep || keep|1 >= x.Rows {
			continue
		}
		partner[i], similarity[i] = keep|1, -math.MaxFloat32
		for j := keep | 1; j < x.Rows; j += 2 {
			if s := dot(row(x, i), row(x, j)); s > similarity[i] {
				partner[i], similarity[i] = j, s
			}
		}
	}
	gone := descending(similarity)[:removed]
	to := make([]int, x.Rows)
	next := 0
	for i := range to {
		if !slices.Contains(gone, i) {
			to[i] = next
			next++
		}
	}
	for _, i := range gone { // their partners are at odd places, and stay
		to[i] = to[partner[i]]
	}
	return to
}
