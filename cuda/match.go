//go:build cuda

package cuda

import "optin/kernels"

const (
	matchTile  = 64  // tokens of a sequence to a block of the match
	orderBlock = 256 // threads, each with a row
)

func (o *ops) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	kernels.CheckTopK(scores, from, to)
	y := o.New(kernels.I32, to.Rows(), 1)
	o.order(nil, y, scores, from, to)
	o.spans(y, from.Rows())
	return y
}

// order writes the place of each row in the descending order of its sequence's scores, and
// the rows that come first; either may be nil.
func (o *ops) order(place, best, scores *kernels.Tensor, from, to *kernels.Sequences) {
	o.launch("optin_top_k_f32", size{x: ceil(from.Max, orderBlock), y: from.Count()}, size{x: orderBlock},
		address(place), address(best), address(scores), o.offsetsOf(from), o.offsetsOf(to))
}

// spans notes that the integers of y, which the device has made, are from 0 to below rows.
func (o *ops) spans(y *kernels.Tensor, rows int) {
	if y.Len() > 0 {
		o.dev.ranges.set(y.Device, span{uintptr(4 * y.Len()), 0, int32(rows - 1)})
	}
}

func (o *ops) Match(x *kernels.Tensor, from, to *kernels.Sequences, keepFirst bool) *kernels.Tensor {
	kernels.CheckMatch(x, from, to, keepFirst)
	o.tally.MACs += kernels.MatchMACs(x, from)
	y := o.New(kernels.I32, from.Rows(), 1)
	mark := o.Mark()
	similarity := o.floats(from.Rows(), 1)
	partner, place := o.floats(from.Rows(), 1), o.floats(from.Rows(), 1) // integers, that no other op sees
	protect := 0
	if keepFirst {
		protect = 1
	}
	o.launch("optin_match_f32", size{x: ceil(from.Max, matchTile), y: from.Count()}, size{x: 256},
		address(similarity), address(partner), address(x), o.offsetsOf(from), number(x.Cols), number(protect))
	o.order(place, nil, similarity, from, nil)
	o.launch("optin_merge_i32", size{x: from.Count()}, size{x: 256},
		address(y), address(place), address(partner), o.offsetsOf(from), o.offsetsOf(to))
	o.Release(mark)
	o.spans(y, to.Rows())
	return y
}
