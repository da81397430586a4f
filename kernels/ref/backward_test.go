package ref_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"optin/kernels"
)

func inf(sign int) float64 { return math.Inf(sign) }

// normal makes a tensor of normal values in full double precision, which no
// upload could.
func normal(ops kernels.Ops, g *rand.Rand, rows, cols int) *kernels.Tensor {
	t := ops.New(kernels.F32, rows, cols)
	for i := range t.F64 {
		t.F64[i] = g.NormFloat64()
	}
	return t
}

// arguments are those of c, and a gradient to its result that stacks parts.
func (c call) arguments(ops kernels.Backward, g *rand.Rand, parts int) (dy *kernels.Tensor, args []*kernels.Tensor) {
	for _, shape := range c.args {
		args = append(args, normal(ops, g, shape[0], shape[1]))
	}
	y := c.apply(ops, args)
	dy = ops.New(y.Type, parts*y.Rows, y.Cols)
	for i := range dy.F64 {
		dy.F64[i] = g.NormFloat64()
	}
	return dy, args
}

func eachCall(t *testing.T, f func(t *testing.T, ops kernels.Backward, c call, g *rand.Rand)) {
	for i, c := range calls() {
		t.Run(c.name, func(t *testing.T) {
			with(t, func(ops kernels.Ops) { f(t, ops.(kernels.Backward), c, rand.New(rand.NewPCG(1, uint64(i)))) })
		})
	}
}

// TestDerivativesAreCentralDifferences moves every element of every argument.
func TestDerivativesAreCentralDifferences(t *testing.T) {
	eachCall(t, func(t *testing.T, ops kernels.Backward, c call, g *rand.Rand) {
		dy, args := c.arguments(ops, g, 1)
		loss := func() float64 {
			sum := 0.0
			for i, v := range c.apply(ops, args).F64 {
				sum += dy.F64[i] * v
			}
			return sum
		}
		for i, gradient := range c.derive(ops, dy, args) {
			want := differences(args[i].F64, loss)
			if worst := farthest(gradient.F64, want); !(worst <= 1e-6) {
				t.Errorf("argument %d: off by %.2g of its largest element\ngot  %v\nwant %v", i, worst, gradient.F64, want)
			}
		}
	})
}

// differences are the central differences of f by each of x.
func differences(x []float64, f func() float64) []float64 {
	const step = 1e-5
	slopes := make([]float64, len(x))
	for i, v := range x {
		x[i] = v + step
		above := f()
		x[i] = v - step
		slopes[i] = (above - f()) / (2 * step)
		x[i] = v
	}
	return slopes
}

// farthest is the largest difference in relation to the largest of want; NaN
// where there is one, and infinite where there is nothing to see.
func farthest(got, want []float64) float64 {
	var worst, size float64
	for i, w := range want {
		worst, size = max(worst, math.Abs(got[i]-w)), max(size, math.Abs(w))
	}
	if len(got) != len(want) || size == 0 {
		return math.Inf(1)
	}
	return worst / size
}

// TestStacksAreTheirParts: each part of a stack gives the bits that it gives
// alone, sums take all parts, and the derivative is linear in dy.
func TestStacksAreTheirParts(t *testing.T) {
	const parts = 3
	eachCall(t, func(t *testing.T, ops kernels.Backward, c call, g *rand.Rand) {
		dy, args := c.arguments(ops, g, parts)
		n := dy.Rows / parts
		for i := range n * dy.Cols { // the last part is 2 times the first less 3 times the second
			dy.F64[2*n*dy.Cols+i] = 2*dy.F64[i] - 3*dy.F64[n*dy.Cols+i]
		}
		var alone [parts][]*kernels.Tensor
		for p := range parts {
			part := dy.Slice(p*n, (p+1)*n)
			alone[p] = c.derive(ops, &part, args)
		}
		for i, all := range c.derive(ops, dy, args) {
			if all.Rows == args[i].Rows {
				checkSum(t, fmt.Sprintf("sum to argument %d", i), all.F64, alone[0][i].F64, alone[1][i].F64, alone[2][i].F64)
				continue
			}
			for p := range parts {
				checkBits(t, fmt.Sprintf("part %d to argument %d", p, i), part(all, p, parts), alone[p][i].F64)
			}
		}
		for i := range args {
			combined := make([]float64, len(alone[2][i].F64))
			for j := range combined {
				combined[j] = 2*alone[0][i].F64[j] - 3*alone[1][i].F64[j]
			}
			if worst := farthest(alone[2][i].F64, combined); !(worst <= 1e-12) {
				t.Errorf("argument %d: the derivative is off linear by %.2g", i, worst)
			}
		}
	})
}

func part(t *kernels.Tensor, p, parts int) []float64 {
	n := len(t.F64) / parts
	return t.F64[p*n : (p+1)*n]
}

func checkBits(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if math.Float64bits(got[i]) != math.Float64bits(w) {
			t.Errorf("%s: element %d is %v, alone %v", what, i, got[i], w)
			return
		}
	}
}

func checkSum(t *testing.T, what string, got []float64, parts ...[]float64) {
	t.Helper()
	sum := make([]float64, len(parts[0]))
	for _, p := range parts {
		for i, v := range p {
			sum[i] += v
		}
	}
	if worst := farthest(got, sum); !(worst <= 1e-12) {
		t.Errorf("%s: off by %.2g of its largest element", what, worst)
	}
}

// TestMatMul compares every combination of transposes with Linear.
func TestMatMul(t *testing.T) {
	with(t, func(o kernels.Ops) {
		ops := o.(kernels.Backward)
		g := rand.New(rand.NewPCG(2, 3))
		a, b := normal(ops, g, 4, 3), normal(ops, g, 5, 3) // a b' is Linear
		want := ops.Linear(a, live(b), kernels.Epilogue{}).F64
		at, bt := ops.Unpack(live(a), true), ops.Unpack(live(b), true)
		for _, got := range []*kernels.Tensor{
			ops.MatMul(a, b, false, true), ops.MatMul(at, b, true, true), ops.MatMul(a, bt, false, false), ops.MatMul(at, bt, true, false),
		} {
			if worst := farthest(got.F64, want); got.Rows != 4 || got.Cols != 5 || !(worst <= 1e-14) {
				t.Errorf("%v, off by %v", got, worst)
			}
		}
	})
}

func TestElements(t *testing.T) {
	with(t, func(o kernels.Ops) {
		ops := o.(kernels.Backward)
		x := ops.Upload(4, 2, []float32{1, 2, 3, 4, 5, 6, 7, 8})
		same(t, ops, "rows repeat", ops.Multiply(x, ops.Upload(2, 2, []float32{1, 10, 100, 0})), 1, 20, 300, 0, 5, 60, 700, 0)
		same(t, ops, "a column does", ops.Multiply(x, ops.Upload(2, 1, []float32{2, -1})), 2, 4, -3, -4, 10, 12, -7, -8)
		same(t, ops, "Scale", ops.Scale(x, -0.5), -0.5, -1, -1.5, -2, -2.5, -3, -3.5, -4)
		norm := ops.New(kernels.F64, 1, 1)
		ops.SquaredNorm(norm, x)
		ops.SquaredNorm(norm, ops.Upload(1, 1, []float32{-6}))
		same(t, ops, "SquaredNorm", norm, 240)
		same(t, ops, "ReLU at its kink", ops.Derivative(ops.Upload(1, 3, []float32{-1, 0, 2}), kernels.ReLU), 0, 0, 1)
		zero := ops.Upload(1, 2, []float32{0, 0})
		same(t, ops, "NormalizeRows of a zero row", ops.NormalizeRowsBackward(ops.Upload(1, 2, []float32{1, 2}), zero), 0, 0)
	})
}

// TestUnitSums has two variants of two sequences, and two units of two columns.
func TestUnitSums(t *testing.T) {
	with(t, func(o kernels.Ops) {
		ops := o.(kernels.Backward)
		ones := make([]float32, 24)
		y := make([]float32, 24)
		for i := range y {
			ones[i], y[i] = 1, float32(i)
		}
		ty, tx := ops.Upload(6, 4, y), ops.Upload(6, 4, ones)
		for _, dtype := range []kernels.DType{kernels.F32, kernels.F64} {
			segments := summed(ops, &kernels.Tensor{Rows: 2, Cols: 2, Type: dtype}, func(dst *kernels.Tensor) {
				ops.UnitSums(dst, tx, ty, kernels.NewSequences(1, 2))
			})
			same(t, ops, "by sequence", segments, 0+1+12+13, 2+3+14+15, 4+5+8+9+16+17+20+21, 6+7+10+11+18+19+22+23)
			all := summed(ops, &kernels.Tensor{Rows: 1, Cols: 1, Type: dtype}, func(dst *kernels.Tensor) { ops.UnitSums(dst, tx, ty, nil) })
			same(t, ops, "all", all, 276)
		}
	})
}

// TestAdamW takes two steps with numbers that are easy to follow.
func TestAdamW(t *testing.T) {
	with(t, func(o kernels.Ops) {
		ops := o.(kernels.Backward)
		w, m, v := ops.Upload(1, 1, []float32{1}), ops.Upload(1, 1, []float32{0}), ops.Upload(1, 1, []float32{0})
		step := kernels.AdamWStep{Rate: 0.5, Beta1: 0.5, Beta2: 0.75, Eps: 1, Decay: 0.25, Gradient: 0.5, Step: 1}
		ops.AdamW(w, m, v, ops.Upload(1, 1, []float32{4}), step)
		same(t, ops, "m", m, 1)
		same(t, ops, "v", v, 1)
		first := 1 - 0.5*(2.0/(2+1)+0.25) // m/(1-1/2) over sqrt(v/(1-3/4)) + 1
		same(t, ops, "w", w, first)
		step.Step = 2
		ops.AdamW(w, m, v, ops.Upload(1, 1, []float32{-8}), step)
		same(t, ops, "m", m, 0.5-2)
		same(t, ops, "v", v, 0.75+4)
		same(t, ops, "w", w, first-0.5*(-1.5/0.75/(math.Sqrt(4.75/(1-0.5625))+1)+0.25*first))
	})
}

// TestLiveWeightsAreReadWhereTheyLive changes a weight without a Touch.
func TestLiveWeightsAreReadWhereTheyLive(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		values := ops.Upload(1, 1, []float32{3})
		w := live(values)
		same(t, ops, "before", ops.Unpack(w, false), 3)
		ops.Copy(values, ops.Upload(1, 1, []float32{4}))
		same(t, ops, "after", ops.Unpack(w, false), 4)
	})
}
