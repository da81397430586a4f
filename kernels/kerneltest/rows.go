package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// rowPrograms are those of the ops that move rows: Embed, Patchify, Unpack,
// Gather, ScatterMean, Concat and Repeat.
func rowPrograms() []Program {
	programs := []Program{
		patchify(1, kernels.PatchSpec{Channels: 1, Height: 1, Width: 1, Patch: 1}),
		patchify(2, kernels.PatchSpec{Channels: 3, Height: 8, Width: 12, Patch: 4}),
		patchify(3, kernels.PatchSpec{Channels: 1, Height: 28, Width: 28, Patch: 7}),
		patchify(1, kernels.PatchSpec{Channels: 3, Height: 10, Width: 5, Patch: 5}),
		patchify(2, kernels.PatchSpec{Channels: 4, Height: 6, Width: 6, Patch: 1}),
		patchify(5, kernels.PatchSpec{Channels: 2, Height: 48, Width: 32, Patch: 16}),
	}
	for _, n := range oddSizes() {
		programs = append(programs,
			embed(n, 11, 6, false), embed(6, 11, n, true),
			unpack(n, 9, false), unpack(n, 9, true), unpack(9, n, true),
			gather(n, 3, 1, 5), gather(8, n, 3, 11), scatter(n, 5, 7), scatter(40, n, 9),
			concat(n, 3, 5), concat(4, 5, n), repeat(n, 3, 2), repeat(3, n, 5))
	}
	return append(programs, embed(1, 1, 1, true), unpack(65, 130, true), scatter(5, 3, 1), repeat(4, 4, 1))
}

func embed(rows, vocabulary, cols int, added bool) Program {
	shape := fmt.Sprintf("rows=%d vocabulary=%d cols=%d add=%t", rows, vocabulary, cols, added)
	return Program{"Embed", shape, func(g *gen) body {
		ids, table := g.ints(rows, 0, vocabulary), g.normal(vocabulary, cols, 1)
		ids[0], ids[rows-1] = 0, int32(vocabulary-1)
		var sum *matrix
		if added {
			sum = g.normal(rows, cols, 1)
		}
		w, size := g.weight(table), g.weight(table.abs())
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor { return ops.Embed(ops.UploadInts(ids), w, sum.on(ops)) },
			scale: func(ref kernels.Ops) []float64 {
				return values(ref, ref.Embed(ref.UploadInts(ids), size, sum.abs().on(ref)))
			},
		}
	}}
}

func patchify(batch int, s kernels.PatchSpec) Program {
	shape := fmt.Sprintf("batch=%d channels=%d height=%d width=%d patch=%d", batch, s.Channels, s.Height, s.Width, s.Patch)
	return Program{"Patchify", shape, func(g *gen) body {
		x := g.normal(batch, s.Channels*s.Height*s.Width, 1)
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.Patchify(x.on(ops), s) }}
	}}
}

func unpack(rows, cols int, transpose bool) Program {
	return Program{"Unpack", fmt.Sprintf("rows=%d cols=%d transpose=%t", rows, cols, transpose), func(g *gen) body {
		w := g.weight(g.normal(rows, cols, 1))
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.Unpack(w, transpose) }}
	}}
}

func gather(span, cols, variants, n int) Program {
	shape := fmt.Sprintf("span=%d cols=%d variants=%d rows=%d", span, cols, variants, n)
	return Program{"Gather", shape, func(g *gen) body {
		x, idx := g.normal(variants*span, cols, 1), g.ints(n, 0, span)
		return body{run: func(ops kernels.Ops) *kernels.Tensor {
			return ops.Gather(x.on(ops), ops.UploadInts(idx), span)
		}}
	}}
}

func scatter(rows, cols, into int) Program {
	return Program{"ScatterMean", fmt.Sprintf("rows=%d cols=%d into=%d", rows, cols, into), func(g *gen) body {
		x, idx := g.normal(rows, cols, 1), g.ints(rows, 0, into)
		if into > 2 { // an empty row, between others
			for i := range idx {
				if idx[i] == 1 {
					idx[i] = 2
				}
			}
		}
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor {
				return ops.ScatterMean(x.on(ops), ops.UploadInts(idx), into)
			},
			scale: func(ref kernels.Ops) []float64 {
				return values(ref, ref.ScatterMean(x.abs().on(ref), ref.UploadInts(idx), into))
			},
			terms: int(math.Ceil(float64(rows) / float64(into))),
		}
	}}
}

func concat(rows, more, cols int) Program {
	return Program{"Concat", fmt.Sprintf("rows=%d,%d cols=%d", rows, more, cols), func(g *gen) body {
		x, y := g.normal(rows, cols, 1), g.normal(more, cols, 1)
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.Concat(x.on(ops), y.on(ops)) }}
	}}
}

func repeat(rows, cols, variants int) Program {
	return Program{"Repeat", fmt.Sprintf("rows=%d cols=%d variants=%d", rows, cols, variants), func(g *gen) body {
		x := g.normal(rows, cols, 1)
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.Repeat(x.on(ops), variants) }}
	}}
}
