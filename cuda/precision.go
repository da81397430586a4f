//go:build cuda

package cuda

import (
	"fmt"
	"slices"

	"optin/kernels"
)

func (p Precision) check() error {
	if p == "" || slices.Contains(Precisions(), p) {
		return nil
	}
	return fmt.Errorf("cuda: precision %q: want float32, tf32, bf16 or fp16", string(p))
}

// format is a precision below float32, as the kernels of tensor cores know it.
type format struct {
	small, large string // Linear by tiles of smallTile and largeTile
	round        string // rounds a matrix to it, for Linear
	bytes        int    // of an element
}

// formatOf is nil for float32.
func formatOf(p Precision) *format {
	switch p {
	case TF32:
		return &format{"optin_linear_tf32_64", "optin_linear_tf32_128", "optin_round_tf32", 4}
	case BF16:
		return &format{"optin_linear_bf16_64", "optin_linear_bf16_128", "optin_round_bf16", 2}
	case FP16:
		return &format{"optin_linear_f16_64", "optin_linear_f16_128", "optin_round_f16", 2}
	}
	return nil
}

// What the kernels of Linear are made for.
const (
	stepBytes = 64 // of which rows of rounded matrices have a whole number

	smallTile, largeTile     = 64, 128
	smallShared, largeShared = 40960, 81920 // bytes of shared memory
	tileThreads              = 128
)

// steps are those of a row of so many columns.
func (f *format) steps(cols int) int { return ceil(cols*f.bytes, stepBytes) }

// tiling is how a product is cut into blocks.
type tiling struct {
	side  int // of a tile of the result
	tiles int
	parts int // of the sums that make the result
}

const (
	leastPart = 8  // steps: a block takes four to get under way
	leastGain = 20 // steps that take about as long as a pass that adds parts
)

// cut gives large tiles where each multiprocessor gets one, small ones elsewhere. Where some
// still get none, the sums are cut into as many parts as give each two blocks, if that
// shortens the way of a block by more than it costs.
func cut(rows, cols, steps, multiprocessors int) tiling {
	tiles := func(side int) int { return ceil(rows, side) * ceil(cols, side) }
	if n := tiles(largeTile); n >= multiprocessors {
		return tiling{largeTile, n, 1}
	}
	t := tiling{smallTile, tiles(smallTile), 1}
	if t.tiles >= multiprocessors {
		return t
	}
	share := max(ceil(steps, 2*multiprocessors/t.tiles), leastPart)
	if steps-share >= leastGain {
		t.parts = ceil(steps, share)
	}
	return t
}

// fused is Linear on tensor cores: x is rounded, and one pass multiplies and applies the
// epilogue, or leaves that to another pass, which adds its parts of the sums.
func (o *ops) fused(y, x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) {
	mark := o.Mark()
	steps := o.dev.format.steps(x.Cols)
	rounded := o.floats(x.Rows, steps*stepBytes/4)
	o.round(address(rounded), x)
	multiply := func(t tiling, dst *kernels.Tensor, e kernels.Epilogue) {
		name, shared := o.dev.format.small, smallShared
		if t.side == largeTile {
			name, shared = o.dev.format.large, largeShared
		}
		span, width := units(y, e.Mask)
		o.launchWith(shared, name, size{x: t.tiles, y: t.parts}, size{x: tileThreads}, address(dst), address(rounded), o.rounded(w), address(o.plain(e.Bias)),
			address(e.Mask), address(e.Residual), number(y.Rows), number(steps), number(y.Cols), number(int(e.Act)), number(span), number(width))
	}
	if t := cut(y.Rows, y.Cols, steps, o.gpu.multiprocessors); t.parts == 1 {
		multiply(t, y, e)
	} else {
		parts := o.floats(t.parts*y.Rows, y.Cols)
		multiply(t, parts, kernels.Epilogue{})
		span, width := units(y, e.Mask)
		o.table("optin_linear_sum", y.Rows, y.Cols, address(y), address(parts), address(o.plain(e.Bias)), address(e.Mask), address(e.Residual),
			number(y.Rows), number(y.Cols), number(int(e.Act)), number(span), number(width), number(t.parts))
	}
	o.Release(mark)
}

// rounded is where w lies in the device's format. What training changes is rounded at each
// call, into memory of the arena.
func (o *ops) rounded(w *kernels.Weight) uint64 {
	floats := o.dev.format.steps(w.Cols) * stepBytes / 4 // of a row
	if live := w.Live(); live != nil {
		scratch := o.floats(w.Rows, floats)
		o.round(address(scratch), live)
		return address(scratch)
	}
	packed, err := w.Packed(&o.gpu.roundedForm, func() (any, func(), error) {
		return o.pack(w, 4*w.Rows*floats, func(b *buffer, values []float32) error {
			mark := o.Mark()
			o.round(uint64(b.base), o.Upload(w.Rows, w.Cols, values))
			o.Release(mark)
			return nil
		})
	})
	if err != nil {
		kernels.Fail(err)
	}
	return uint64(packed.(*buffer).base)
}

// round writes x in the device's format to dst, its rows filled up with zeros to whole steps.
func (o *ops) round(dst uint64, x *kernels.Tensor) {
	stride := o.dev.format.steps(x.Cols) * stepBytes / o.dev.format.bytes
	o.moves(o.dev.format.round, x.Rows, stride, dst, address(x), number(x.Rows), number(x.Cols), number(stride))
}
