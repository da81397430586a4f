//go:build cgo

package cpu

import (
	"cmp"
	"math"
	"slices"

	"optin/kernels"
)

func (o *ops) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	kernels.CheckTopK(scores, from, to)
	y := o.New(kernels.I32, to.Rows(), 1)
	mark := o.Mark()
	order := o.New(kernels.I32, from.Max, 1)
	for b := range from.Count() {
		first := from.Offsets[b]
		best := descending(order.I32, scores.F32[first:from.Offsets[b+1]])
		for i, place := range best[:to.Len(b)] {
			y.I32[int(to.Offsets[b])+i] = first + place
		}
	}
	o.Release(mark)
	return y
}

// descending writes to order, and returns of it, the places of values, that of the
// largest first: equal ones in their order, NaN last.
func descending(order []int32, values []float32) []int32 {
	order = order[:len(values)]
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
	mark := o.Mark()
	order, partner, similarity := o.New(kernels.I32, from.Max, 1), o.New(kernels.I32, from.Max, 1), o.real(from.Max, 1)
	for b := range from.Count() {
		tokens := x.Slice(int(from.Offsets[b]), int(from.Offsets[b+1]))
		match(partner.I32, similarity.F32, &tokens, keepFirst)
		gone := descending(order.I32, similarity.F32[:tokens.Rows])[:from.Len(b)-to.Len(b)]
		merge(y.I32[from.Offsets[b]:from.Offsets[b+1]], to.Offsets[b], gone, partner.I32)
	}
	o.Release(mark)
	return y
}

// match writes for each row of x which other one is most similar to it, and how much.
func match(partner []int32, similarity []float32, x *kernels.Tensor, keepFirst bool) {
	for i := range x.Rows {
		similarity[i] = float32(math.Inf(-1))
		if i%2 == 1 || x.Rows == 1 || i == 0 && keepFirst {
			continue
		}
		partner[i], similarity[i] = 1, -math.MaxFloat32
		for j := 1; j < x.Rows; j += 2 {
			other, sum := row(x, j), 0.0
			for c, v := range row(x, i) {
				sum += float64(v) * float64(other[c])
			}
			if s := float32(sum); s > similarity[i] {
				partner[i], similarity[i] = int32(j), s
			}
		}
	}
}

// merge writes to dst where the rows of a sequence go: those that are gone to their
// partners, which stay, and the others, in their order, to rows from first on.
func merge(dst []int32, first int32, gone, partner []int32) {
	clear(dst)
	for _, i := range gone {
		dst[i] = -1
	}
	for i, v := range dst {
		if v == 0 {
			dst[i] = first
			first++
		}
	}
	for _, i := range gone {
		dst[i] = dst[partner[i]]
	}
}
