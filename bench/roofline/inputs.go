package roofline

import (
	"context"
	"math/rand/v2"

	"optin/kernels"
)

// inputs makes what an op works on: tensors that every worker of a device may use, and
// weights. Its methods fail as ops do (kernels.Fail).
type inputs struct {
	dev     kernels.Device
	values  []float32 // that tensors are filled with, over and over
	made    int       // values handed out, so that no two tensors are alike
	bytes   int64     // of all that was made
	tensors []*kernels.Tensor
	weights []*kernels.Weight
}

// period of the values: a prime, so that rows differ.
const period = 65521

func newInputs(dev kernels.Device) *inputs {
	in := &inputs{dev: dev, values: make([]float32, period)}
	rng := rand.New(rand.NewPCG(1, 0))
	for i := range in.values {
		in.values[i] = 2*rng.Float32() - 1
	}
	return in
}

// free gives everything back.
func (in *inputs) free() {
	for _, t := range in.tensors {
		in.dev.Free(t)
	}
	for _, w := range in.weights {
		in.dev.Forget(w)
	}
	in.tensors, in.weights = nil, nil
}

// fill writes the next values.
func (in *inputs) fill(dst []float32) {
	for done := 0; done < len(dst); {
		n := copy(dst[done:], in.values[in.made%period:])
		done, in.made = done+n, in.made+n
	}
}

// alloc is a new tensor whose values do not matter, or are 0 (F64).
func (in *inputs) alloc(t kernels.DType, rows, cols int) *kernels.Tensor {
	x, err := in.dev.Alloc(t, rows, cols)
	if err != nil {
		kernels.Fail(err)
	}
	in.tensors = append(in.tensors, x)
	in.bytes += size(x)
	return x
}

// set runs f on a worker.
func (in *inputs) set(f func(ops kernels.Backward)) {
	err := in.dev.One(context.Background(), func(ops kernels.Ops) error { f(ops.(kernels.Backward)); return nil })
	if err != nil {
		kernels.Fail(err)
	}
}

// real is a tensor of values between -1 and 1.
func (in *inputs) real(rows, cols int) *kernels.Tensor {
	x := in.alloc(kernels.F32, rows, cols)
	values := make([]float32, rows*cols)
	in.fill(values)
	in.set(func(ops kernels.Backward) { ops.Copy(x, ops.Upload(rows, cols, values)) })
	return x
}

// ints are n integers below most, spread as a permutation spreads them where n is most.
func (in *inputs) ints(n, most int) *kernels.Tensor {
	x := in.alloc(kernels.I32, n, 1)
	order := rand.New(rand.NewPCG(2, uint64(n))).Perm(most)
	values := make([]int32, n)
	for i := range values {
		values[i] = int32(order[i%most])
	}
	in.set(func(ops kernels.Backward) { ops.Copy(x, ops.UploadInts(values)) })
	return x
}

// losses are n numbers of type F64 that are not 0.
func (in *inputs) losses(n int) *kernels.Tensor {
	x, y := in.real(n, 4), in.real(1, 4)
	d := in.alloc(kernels.F64, n, 1)
	in.set(func(ops kernels.Backward) { ops.SquaredError(d, x, y) })
	return d
}

// weight has values between -1 and 1, read anew where they are packed.
func (in *inputs) weight(rows, cols int) *kernels.Weight {
	from := in.made
	in.made += rows * cols
	w := kernels.NewWeight("roofline", rows, cols, func(dst []float32) error {
		again := inputs{values: in.values, made: from}
		again.fill(dst)
		return nil
	})
	in.weights = append(in.weights, w)
	in.bytes += weigh(w)
	return w
}
