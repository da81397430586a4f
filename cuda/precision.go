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
	convert      string // rounds a weight; empty: the kernels do, of float32
	bytes        int    // of an element of a weight
}

const smallTile, largeTile = 64, 128

// formatOf is nil for float32.
func formatOf(p Precision) *format {
	switch p {
	case TF32:
		return &format{"optin_linear_tf32_64", "optin_linear_tf32_128", "", 4}
	case BF16:
		return &format{"optin_linear_bf16_64", "optin_linear_bf16_128", "optin_to_bf16", 2}
	case FP16:
		return &format{"optin_linear_f16_64", "optin_linear_f16_128", "optin_to_f16", 2}
	}
	return nil
}

// fused is Linear on tensor cores, with its epilogue, in one pass.
func (o *ops) fused(y, x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) {
	tiles := func(side int) int { return ceil(y.Rows, side) * ceil(y.Cols, side) }
	name, side := o.dev.format.small, smallTile
	if tiles(largeTile) >= 2*o.gpu.multiprocessors {
		name, side = o.dev.format.large, largeTile
	}
	mark := o.Mark()
	span, width := units(y, e.Mask)
	o.launch(name, size{x: tiles(side)}, size{x: 2 * side}, address(y), address(x), o.rounded(w), address(o.plain(e.Bias)),
		address(e.Mask), address(e.Residual), number(x.Rows), number(x.Cols), number(y.Cols), number(int(e.Act)), number(span), number(width))
	o.Release(mark)
}

// rounded is where w lies in the device's format. What training changes is rounded at each
// call, into memory of the arena.
func (o *ops) rounded(w *kernels.Weight) uint64 {
	if o.dev.format.convert == "" {
		return address(o.plain(w))
	}
	if live := w.Live(); live != nil {
		scratch := o.floats(ceil(o.dev.format.bytes*w.Len(), 4), 1)
		o.round(scratch.Device, live)
		return address(scratch)
	}
	packed, err := w.Packed(&o.gpu.roundedForm, func() (any, func(), error) {
		return o.pack(w, o.dev.format.bytes, func(b *buffer, values []float32) error {
			mark := o.Mark()
			o.round(uintptr(b.base), o.Upload(w.Rows, w.Cols, values))
			o.Release(mark)
			return nil
		})
	})
	if err != nil {
		kernels.Fail(err)
	}
	return uint64(packed.(*buffer).base)
}

// round writes x in the device's format to dst.
func (o *ops) round(dst uintptr, x *kernels.Tensor) {
	o.flat(o.dev.format.convert, x.Len(), uint64(dst), address(x), long(x.Len()))
}
