package ref

import "optin/kernels"

func (o *ops) SumRows(dst, x *kernels.Tensor) {
	kernels.CheckSumRows(dst, x)
	for r := range x.Rows {
		addTo(row(dst, r%dst.Rows), row(x, r))
	}
}

// addTo adds x to dst, element by element.
func addTo(dst, x []float64) {
	for c, v := range x {
		dst[c] += v
	}
}

func (o *ops) ScatterAdd(dst, x, idx *kernels.Tensor, span int) {
	variants := kernels.CheckScatterAdd(dst, x, idx, span)
	kernels.CheckIndices("ScatterAdd", idx.I32, 0, span)
	for r := range x.Rows {
		variant, at := r/idx.Rows%variants, int(idx.I32[r%idx.Rows])
		addTo(row(dst, variant*span+at), row(x, r))
	}
}

func (o *ops) UnitSums(dst, x, y *kernels.Tensor, seg *kernels.Sequences) {
	kernels.CheckUnitSums(dst, x, y, seg)
	if x.Len() == 0 {
		return
	}
	if seg == nil {
		seg = kernels.NewSequences(y.Rows)
	}
	width := x.Cols / dst.Cols
	for b := range seg.Count() {
		for r := range x.Rows {
			if at := int32(r % seg.Rows()); at < seg.Offsets[b] || at >= seg.Offsets[b+1] {
				continue
			}
			for c, v := range row(x, r) {
				row(dst, b)[c/width] += v * row(y, r%y.Rows)[c]
			}
		}
	}
}

func (o *ops) ScatterMeanBackward(dy, idx *kernels.Tensor, rows int) *kernels.Tensor {
	stack := kernels.CheckScatterMeanBackward(dy, idx, rows)
	kernels.CheckIndices("ScatterMeanBackward", idx.I32, 0, rows)
	count := make([]float64, rows)
	for _, i := range idx.I32 {
		count[i]++
	}
	dx := o.real(stack*idx.Rows, dy.Cols)
	for r := range dx.Rows {
		part, i := r/idx.Rows, int(idx.I32[r%idx.Rows])
		for c, g := range row(dy, part*rows+i) {
			row(dx, r)[c] = g / count[i]
		}
	}
	return dx
}

func (o *ops) PatchifyBackward(dy *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	images := kernels.CheckPatchifyBackward(dy, s)
	dx := o.real(images, s.Channels*s.Height*s.Width)
	eachPixel(images, s, func(patched, pixel int) { dx.F64[pixel] = dy.F64[patched] })
	return dx
}
