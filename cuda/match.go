//go:build cuda

package cuda

import "optin/kernels"

const (
	matchTile  = 64  // tokens of a sequence to a block of the match
	matchBlock = 256 // threads, of all its kernels
)

func (o *ops) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	variants := kernels.CheckTopK(scores, from, to)
	y := o.New(kernels.I32, variants*to.Rows(), 1)
	if variants > 0 {
		o.order(nil, y, scores, variants, from, to)
		o.spans(y, scores.Rows)
	}
	return y
}

// order writes the place of each row in the descending order of its sequence's scores, and
// the rows that come first; either may be nil, and to with best.
func (o *ops) order(place, best, scores *kernels.Tensor, variants int, from, to *kernels.Sequences) {
	o.launch("optin_top_k_f32", size{x: ceil(from.Max, matchBlock), y: variants * from.Count()}, size{x: matchBlock},
		address(place), address(best), address(scores), o.offsetsOf(from), o.offsetsOf(to), number(from.Count()))
}

// spans notes that the integers of y, which the device makes, are from 0 to below rows.
func (o *ops) spans(y *kernels.Tensor, rows int) {
	o.dev.ranges.set(y.Device, span{uintptr(4 * y.Len()), 0, int32(rows - 1)})
}

func (o *ops) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	variants := kernels.CheckMatch(x, from, to, keep)
	o.tally.MACs += kernels.MatchMACs(x, from, keep)
	y := o.New(kernels.I32, x.Rows, 1)
	if variants == 0 {
		return y
	}
	mark := o.Mark()
	similarity := o.floats(x.Rows, 1)
	partner, place := o.floats(x.Rows, 1), o.floats(x.Rows, 1) // integers, that no other op sees
	count := number(from.Count())
	o.launch("optin_match_f32", size{x: ceil(from.Max, matchTile), y: variants * from.Count()}, size{x: matchBlock},
		address(similarity), address(partner), address(x), o.offsetsOf(from), count, number(x.Cols), number(keep))
	o.order(place, nil, similarity, variants, from, nil)
	o.launch("optin_merge_i32", size{x: variants * from.Count()}, size{x: matchBlock},
		address(y), address(place), address(partner), o.offsetsOf(from), o.offsetsOf(to), count)
	o.Release(mark)
	o.spans(y, variants*to.Rows())
	return y
}
