package grad_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"optin/kernels"
	"optin/kernels/grad"
	"optin/kernels/ref"
)

// The tests compare with central differences on ref, whose storage is float64.
// Four points leave an error of step^4 of the fifth derivative and of 1e-11 from
// rounding. Most values are of size 1; a model with embeddings of size 0.002 is
// why two points do not do.
const (
	step      = 1e-5
	tolerance = 1e-7
)

// on runs f on a worker of ref.
func on(t *testing.T, f func(s *source, ops kernels.Ops)) {
	t.Helper()
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	s := newSource(t, dev)
	if err := dev.One(context.Background(), func(ops kernels.Ops) error { f(s, ops); return nil }); err != nil {
		t.Fatal(err)
	}
}

// newTape may be called on a worker, where a test cannot stop.
func newTape(ops kernels.Ops) *grad.Tape {
	tape, err := grad.New(ops)
	if err != nil {
		panic(err)
	}
	return tape
}

// source draws tensors and weights of ref.
type source struct {
	t    *testing.T
	dev  kernels.Device
	rand *rand.Rand
}

func newSource(t *testing.T, dev kernels.Device) *source {
	return &source{t, dev, rand.New(rand.NewPCG(1, 2))}
}

// tensor draws a tensor that outlives every scope.
func (s *source) tensor(rows, cols int) *kernels.Tensor {
	x, err := s.dev.Alloc(kernels.F32, rows, cols)
	if err != nil {
		panic(err)
	}
	for i := range x.F64 {
		x.F64[i] = s.rand.NormFloat64()
	}
	return x
}

func (s *source) zeros(rows, cols int) *kernels.Tensor {
	x := s.tensor(rows, cols)
	clear(x.F64)
	return x
}

// weight draws a weight that follows its tensor.
func (s *source) weight(name string, rows, cols int) *kernels.Weight {
	return kernels.LiveWeight(name, s.tensor(rows, cols))
}

// cotangent draws a gradient to y, on parts stacked parts.
func (s *source) cotangent(y *kernels.Tensor, parts int) *kernels.Tensor {
	c := s.tensor(parts*y.Rows, y.Cols)
	c.Type = y.Type
	return c
}

// along is the sum of the products of elements.
func along(x, y *kernels.Tensor) float64 {
	sum := 0.0
	for i, v := range x.F64 {
		sum += v * y.F64[i]
	}
	return sum
}

// slope is the derivative of f as x moves in a direction.
func slope(x, direction *kernels.Tensor, f func() float64) float64 {
	at := append([]float64(nil), x.F64...)
	move := func(by float64) float64 {
		for i, d := range direction.F64 {
			x.F64[i] = at[i] + by*d
		}
		return f()
	}
	near, far := move(step)-move(-step), move(2*step)-move(-2*step)
	copy(x.F64, at)
	return (8*near - far) / (12 * step)
}

// pull is the gradients to masks, and those to inputs and weights.
func (s *source) pull(tape *grad.Tape, d drawn, masks tensors, y, c *kernels.Tensor) (sums, all tensors) {
	var asked []grad.MaskSum
	for _, m := range masks {
		sums = append(sums, s.zeros(1, m.Cols))
		asked = append(asked, grad.MaskSum{Mask: m, Dst: sums[len(sums)-1]})
	}
	weights := map[*kernels.Weight]*kernels.Tensor{}
	for _, x := range d.x {
		all = append(all, s.tensor(x.Rows, x.Cols))
	}
	for _, w := range d.w {
		weights[w] = s.zeros(w.Rows, w.Cols)
		all = append(all, weights[w])
	}
	tape.Pull(grad.Pull{Results: tensors{y}, Gradients: tensors{c}, Inputs: d.x, Into: all[:len(d.x)], Masks: asked,
		Weights: func(w *kernels.Weight) *kernels.Tensor { return weights[w] }})
	return sums, all
}

// close says whether got is want, up to the tolerance.
func close(got, want float64) bool {
	return math.Abs(got-want) <= tolerance*max(1, math.Abs(want))
}

// same compares element by element.
func (s *source) same(what string, got, want *kernels.Tensor) {
	s.t.Helper()
	if got.Len() != want.Len() {
		s.t.Errorf("%s is %v, want %v", what, got, want)
		return
	}
	for i, v := range want.F64 {
		if !(math.Abs(got.F64[i]-v) <= 1e-10*max(1, math.Abs(v))) {
			s.t.Errorf("%s[%d] = %v, want %v", what, i, got.F64[i], v)
			return
		}
	}
}
