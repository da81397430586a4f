package roofline

import (
	"context"
	"fmt"

	"optin/kernels"
)

// Rates are what a device reached with all of its workers at once, a second.
type Rates struct {
	Bytes float64 // read and written by a copy within its memory
	Plain float64 // operations of a product of activations (MatMul)
	Dense float64 // operations of a product with weights (Linear), at the device's precision
}

// Floor is the least seconds that a launch takes at these rates, and whether arithmetic limits
// it. Sums in float64 are taken at the rate of float32, which is no less a floor.
func (r Rates) Floor(l Launch) (seconds float64, arithmetic bool) {
	rate := r.Plain
	if l.Unit == Dense {
		rate = r.Dense
	}
	return floor(l.Bytes-l.Fused, l.Operations, r.Bytes, rate)
}

// String is for people.
func (r Rates) String() string {
	return fmt.Sprintf("a copy moves %.3g GB/s; a product with weights reaches %.4g GFLOP/s, one of activations %.4g",
		r.Bytes/1e9, r.Dense/1e9, r.Plain/1e9)
}

// best has the higher of each.
func (r Rates) best(s Rates) Rates {
	return Rates{max(r.Bytes, s.Bytes), max(r.Plain, s.Plain), max(r.Dense, s.Dense)}
}

// rates measures the device.
func (b *Bench) rates(ctx context.Context) (Rates, error) {
	var r Rates
	bytes := b.Options.CopyBytes / int64(b.Device.Workers())
	const cols = 1024
	rows := int(max(1, bytes/(4*cols)))
	took, err := b.time(ctx, Case{"Copy", shape(rows, cols), func(in *inputs) call {
		src, dst := in.real(rows, cols), in.real(rows, cols) // both written, so that both are there
		return func(ops kernels.Backward) *kernels.Tensor { ops.Copy(dst, src); return dst }
	}}, 1)
	if err != nil {
		return r, err
	}
	r.Bytes = 8 * float64(b.Device.Workers()) * float64(rows) * cols / took.seconds.Value
	if r.Dense, err = b.product(ctx, func(n int) Case {
		return Shape{Sequences: 1, Length: n}.linear("", n, n, func(*inputs) kernels.Epilogue { return kernels.Epilogue{} })
	}); err != nil {
		return r, err
	}
	r.Plain, err = b.product(ctx, func(n int) Case {
		return binary("MatMul", n, n, n, n, func(ops kernels.Backward, x, y *kernels.Tensor) *kernels.Tensor {
			return ops.MatMul(x, y, false, false)
		})
	})
	return r, err
}

// product is the best rate of larger and larger square products.
func (b *Bench) product(ctx context.Context, of func(n int) Case) (best float64, err error) {
	for n := b.Options.LeastProduct; n <= b.Options.MostProduct; n *= 2 {
		took, err := b.time(ctx, of(n), 1)
		if err != nil {
			return 0, err
		}
		best = max(best, 2*float64(b.Device.Workers())*float64(n)*float64(n)*float64(n)/took.seconds.Value)
		if took.seconds.Value > largeProduct {
			break
		}
	}
	return best, nil
}

// largeProduct is how long a product takes, in seconds, that needs no larger one beside it.
const largeProduct = 0.02
