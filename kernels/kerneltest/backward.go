package kerneltest

import (
	"context"
	"math"
	"reflect"

	"optin/kernels"
)

// The programs of kernels.Backward run on devices that implement it. Gradients
// are inputs like others; most programs stack one to three of them.

// backwardPrograms are the programs of all methods of kernels.Backward.
func backwardPrograms() []Program {
	var all []Program
	for _, some := range [][]Program{
		productBackwardPrograms(), sumPrograms(), normBackwardPrograms(), attentionBackwardPrograms(),
		rowBackwardPrograms(), lossBackwardPrograms(), optimizerPrograms(), nanBackwardPrograms(), goldenPrograms(),
	} {
		all = append(all, some...)
	}
	return all
}

// NeedsBackward says whether a device must implement kernels.Backward to run p.
func (p Program) NeedsBackward() bool { return needsBackward(p.Op) }

// needsBackward: op is a method of Backward alone.
func needsBackward(op string) bool {
	_, all := reflect.TypeFor[kernels.Backward]().MethodByName(op)
	_, forward := reflect.TypeFor[kernels.Ops]().MethodByName(op)
	return all && !forward
}

// differentiable says whether the workers of dev implement kernels.Backward.
func differentiable(dev kernels.Device) (yes bool, err error) {
	err = dev.One(context.Background(), func(ops kernels.Ops) error {
		_, yes = ops.(kernels.Backward)
		return nil
	})
	return yes, err
}

// derivatives is the Backward of ops, which may be watched.
func derivatives(ops kernels.Ops) kernels.Backward {
	if w, ok := ops.(*watch); ok {
		ops = w.Ops
	}
	return ops.(kernels.Backward)
}

// fresh is a tensor with the values of m that an op may change.
func (m *matrix) fresh(ops kernels.Ops) *kernels.Tensor {
	t := ops.New(kernels.F32, m.rows, m.cols)
	ops.Copy(t, m.on(ops))
	return t
}

// scalars are the values of m [n, 1] in a tensor of type F64, where no upload
// goes: each is the sum of its products by 1.
func (m *matrix) scalars(ops kernels.Ops) *kernels.Tensor {
	dst := ops.New(kernels.F64, m.rows, 1)
	lengths := make([]int, m.rows)
	for i := range lengths {
		lengths[i] = 1
	}
	derivatives(ops).UnitSums(dst, m.on(ops), ones(m.rows, 1).on(ops), kernels.NewSequences(lengths...))
	return dst
}

// stacked concatenates the results of an op, or what it has changed.
func stacked(ops kernels.Ops, first *kernels.Tensor, more ...*kernels.Tensor) *kernels.Tensor {
	for _, t := range more {
		first = ops.Concat(first, t)
	}
	return first
}

// positive is the body of a call that is a sum of products of its arguments,
// all of one sign if they are: its scale is the call of their sizes.
func positive(terms int, call func(ops kernels.Ops, m []*matrix) *kernels.Tensor, m ...*matrix) body {
	sizes := make([]*matrix, len(m))
	for i := range m {
		sizes[i] = m[i].abs()
	}
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor { return call(ops, m) },
		scale: func(ref kernels.Ops) []float64 {
			scale := values(ref, call(ref, sizes))
			for i, v := range scale {
				scale[i] = math.Abs(v)
			}
			return scale
		},
		terms: terms,
	}
}
