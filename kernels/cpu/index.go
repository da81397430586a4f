//go:build cgo

package cpu

// #include "kernels.h"
import "C"

import "optin/kernels"

// row is row r of t.
func row(t *kernels.Tensor, r int) []float32 { return t.F32[r*t.Cols : (r+1)*t.Cols] }

func (o *ops) Embed(ids *kernels.Tensor, table *kernels.Weight, add *kernels.Tensor) *kernels.Tensor {
	kernels.CheckEmbed(ids, table, add)
	kernels.CheckIndices("Embed", ids.I32, 0, table.Rows)
	y := o.real(ids.Rows, table.Cols)
	C.optin_cpu_embed_f32(o.isa, floats(y), o.plain(table), ints(ids), floats(add), C.size_t(y.Rows), C.size_t(y.Cols))
	return y
}

func (o *ops) Patchify(images *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	kernels.CheckPatchify(images, s)
	y := o.real(images.Rows*s.Patches(), s.Channels*s.Patch*s.Patch)
	dst := y.F32 // shrinks from the front
	for b := range images.Rows {
		image := row(images, b)
		eachPatchLine(s, func(at int) {
			copy(dst[:s.Patch], image[at:])
			dst = dst[s.Patch:]
		})
	}
	return y
}

// eachPatchLine calls f with where in an image each line of its patches begins, in
// the order of patches.
func eachPatchLine(s kernels.PatchSpec, f func(at int)) {
	down, across := s.Height/s.Patch, s.Width/s.Patch
	for py := range down {
		for px := range across {
			for line := range s.Channels * s.Patch {
				channel, dy := line/s.Patch, line%s.Patch
				f((channel*s.Height+py*s.Patch+dy)*s.Width + px*s.Patch)
			}
		}
	}
}

func (o *ops) Gather(x, idx *kernels.Tensor, span int) *kernels.Tensor {
	variants := kernels.CheckGather(x, idx, span)
	kernels.CheckIndices("Gather", idx.I32, 0, span)
	y := o.New(x.Type, variants*idx.Rows, x.Cols)
	for v := range variants {
		from, to := v*span, v*idx.Rows
		for r, i := range idx.I32 {
			if x.Type == kernels.F64 {
				copy(y.F64[(to+r)*y.Cols:], x.F64[(from+int(i))*x.Cols:][:x.Cols])
			} else {
				copy(row(y, to+r), row(x, from+int(i)))
			}
		}
	}
	return y
}

func (o *ops) ScatterMean(x, idx *kernels.Tensor, rows int) *kernels.Tensor {
	kernels.CheckScatterMean(x, idx, rows)
	kernels.CheckIndices("ScatterMean", idx.I32, 0, rows)
	y := o.real(rows, x.Cols)
	mark := o.Mark()
	count := o.New(kernels.I32, rows, 1)
	C.optin_cpu_scatter_mean_f32(o.isa, floats(y), ints(count), floats(x), ints(idx),
		C.size_t(x.Rows), C.size_t(rows), C.size_t(x.Cols))
	o.Release(mark)
	return y
}

func (o *ops) Concat(x, y *kernels.Tensor) *kernels.Tensor {
	kernels.CheckConcat(x, y)
	z := o.real(x.Rows+y.Rows, x.Cols)
	copy(z.F32, x.F32)
	copy(z.F32[len(x.F32):], y.F32)
	return z
}

func (o *ops) Repeat(x *kernels.Tensor, variants int) *kernels.Tensor {
	kernels.CheckRepeat(x, variants)
	y := o.real(variants*x.Rows, x.Cols)
	for v := range variants {
		copy(y.F32[v*len(x.F32):], x.F32)
	}
	return y
}
