package ref

import "optin/kernels"

// row is row r of t.
func row(t *kernels.Tensor, r int) []float64 { return t.F64[r*t.Cols : (r+1)*t.Cols] }

func (o *ops) Embed(ids *kernels.Tensor, table *kernels.Weight, add *kernels.Tensor) *kernels.Tensor {
	kernels.CheckEmbed(ids, table, add)
	kernels.CheckIndices("Embed", ids.I32, 0, table.Rows)
	values := o.dev.values(table)
	y := o.real(ids.Rows, table.Cols)
	for r, id := range ids.I32 {
		copy(row(y, r), values[int(id)*table.Cols:])
	}
	if add != nil {
		for i, v := range add.F64 {
			y.F64[i] += v
		}
	}
	return y
}

func (o *ops) Patchify(images *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	kernels.CheckPatchify(images, s)
	y := o.real(images.Rows*s.Patches(), s.Channels*s.Patch*s.Patch)
	eachPixel(images.Rows, s, func(patched, pixel int) { y.F64[patched] = images.F64[pixel] })
	return y
}

// eachPixel calls f with where each value is among the patches and where it is
// in the images.
func eachPixel(images int, s kernels.PatchSpec, f func(patched, pixel int)) {
	down, across := s.Height/s.Patch, s.Width/s.Patch
	i := 0 // runs through the patches in order
	for b := range images {
		for py := range down {
			for px := range across {
				for ch := range s.Channels {
					for dy := range s.Patch {
						for dx := range s.Patch {
							h, w := py*s.Patch+dy, px*s.Patch+dx
							f(i, ((b*s.Channels+ch)*s.Height+h)*s.Width+w)
							i++
						}
					}
				}
			}
		}
	}
}

func (o *ops) Unpack(w *kernels.Weight, transpose bool) *kernels.Tensor {
	kernels.CheckUnpack(w)
	values := o.dev.values(w)
	if !transpose {
		y := o.real(w.Rows, w.Cols)
		copy(y.F64, values)
		return y
	}
	y := o.real(w.Cols, w.Rows)
	for r := range w.Rows {
		for c := range w.Cols {
			y.F64[c*w.Rows+r] = values[r*w.Cols+c]
		}
	}
	return y
}

func (o *ops) Gather(x, idx *kernels.Tensor, span int) *kernels.Tensor {
	variants := kernels.CheckGather(x, idx, span)
	kernels.CheckIndices("Gather", idx.I32, 0, span)
	y := o.real(variants*idx.Rows, x.Cols)
	for v := range variants {
		for r, i := range idx.I32 {
			copy(row(y, v*idx.Rows+r), row(x, v*span+int(i)))
		}
	}
	return y
}

func (o *ops) ScatterMean(x, idx *kernels.Tensor, rows int) *kernels.Tensor {
	kernels.CheckScatterMean(x, idx, rows)
	kernels.CheckIndices("ScatterMean", idx.I32, 0, rows)
	y := o.real(rows, x.Cols)
	clear(y.F64)
	count := make([]float64, rows)
	for r, i := range idx.I32 {
		count[i]++
		for c, v := range row(x, r) {
			row(y, int(i))[c] += v
		}
	}
	for i, n := range count {
		for c := range y.Cols {
			if n > 0 {
				row(y, i)[c] /= n
			}
		}
	}
	return y
}

func (o *ops) Concat(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckConcat(x, y)
	z := o.real(x.Rows+y.Rows, x.Cols)
	copy(z.F64, x.F64)
	copy(z.F64[len(x.F64):], y.F64)
	return z
}

func (o *ops) Repeat(x *kernels.Tensor, variants int) *kernels.Tensor {
	kernels.CheckRepeat(x, variants)
	y := o.real(variants*x.Rows, x.Cols)
	for v := range variants {
		copy(y.F64[v*len(x.F64):], x.F64)
	}
	return y
}
