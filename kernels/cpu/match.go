//go:build cgo

package cpu

// #include "kernels.h"
// #include "onednn.h"
import "C"

import (
	"cmp"
	"math"
	"slices"

	"optin/kernels"
)

func (o *ops) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	variants := kernels.CheckTopK(scores, from, to)
	y := o.New(kernels.I32, variants*to.Rows(), 1)
	mark := o.Mark()
	order := o.New(kernels.I32, from.Max, 1)
	for v := range variants {
		for b := range from.Count() {
			first, best := v*from.Rows()+int(from.Offsets[b]), y.I32[v*to.Rows()+int(to.Offsets[b]):][:to.Len(b)]
			places := descending(order.I32, scores.F32[first:first+from.Len(b)])
			for i := range best {
				best[i] = int32(first) + places[i]
			}
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

// Match needs time for the products, mostly: a matrix of them for each sequence.
func (o *ops) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	variants := kernels.CheckMatch(x, from, to, keep)
	o.tally.MACs += kernels.MatchMACs(x, from, keep)
	y := o.New(kernels.I32, x.Rows, 1)
	mark := o.Mark()
	m := matching{
		products:   o.real(kernels.MatchSides(from.Max, keep)).F32,
		similarity: o.real(from.Max, 1).F32,
		partner:    o.New(kernels.I32, from.Max, 1).I32,
		order:      o.New(kernels.I32, from.Max, 1).I32,
	}
	for v := range variants {
		for b := range from.Count() {
			first, n := v*from.Rows()+int(from.Offsets[b]), from.Len(b)
			m.match(x, first, n, keep)
			gone := descending(m.order, m.similarity[:n])[:n-to.Len(b)]
			merge(y.I32[first:first+n], v*to.Rows()+int(to.Offsets[b]), gone, m.partner)
		}
	}
	o.Release(mark)
	return y
}

// matching is the work space of Match, for one sequence at a time.
type matching struct {
	products   []float32 // of the tokens that may go into others with those that may take them in
	similarity []float32 // of each token and its partner, noSimilarity where it has none
	partner    []int32   // by place in the sequence
	order      []int32
}

// noSimilarity is that of a token without a partner.
var noSimilarity = float32(math.Inf(-1))

// match finds the partners of n rows of x from first on.
func (m *matching) match(x *kernels.Tensor, first, n, keep int) {
	for i := range m.similarity[:n] {
		m.similarity[i] = noSimilarity
	}
	moving, taking := kernels.MatchSides(n, keep)
	if moving == 0 {
		return
	}
	even, odd := keep+keep%2, keep|1 // the first places of either
	products := m.products[:moving*taking]
	if x.Cols == 0 {
		clear(products)
	} else {
		stride := C.int64_t(2 * x.Cols)
		must(C.optin_cpu_gemm_f32((*C.float)(&products[0]), at(x, first+even, 0), at(x, first+odd, 0), C.optin_cpu_gemm{
			tb: 1, M: C.int64_t(moving), N: C.int64_t(taking), K: C.int64_t(x.Cols), lda: stride, ldb: stride, ldc: C.int64_t(taking)}))
	}
	for i := range moving {
		best, most := 0, float32(-math.MaxFloat32)
		for j, v := range products[i*taking : (i+1)*taking] {
			if v > most {
				best, most = j, v
			}
		}
		m.partner[even+2*i], m.similarity[even+2*i] = int32(odd+2*best), most
	}
}

// merge writes to dst where the rows of a sequence go: those that are gone to their
// partners, which stay, and the others, in their order, to rows from first on.
func merge(dst []int32, first int, gone, partner []int32) {
	clear(dst)
	for _, i := range gone {
		dst[i] = -1
	}
	next := int32(first)
	for i, v := range dst {
		if v == 0 {
			dst[i] = next
			next++
		}
	}
	for _, i := range gone {
		dst[i] = dst[partner[i]]
	}
}
