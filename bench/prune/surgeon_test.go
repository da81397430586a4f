package prune

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestOperate compares the losses along a curve with what least squares leaves
// when the consumer is refitted from scratch on the units that stay.
func TestOperate(t *testing.T) {
	for _, width := range []int{1, 3} {
		const units, hidden, tokens = 5, 4, 200
		n := units * width
		rng := rand.New(rand.NewPCG(1, uint64(width)))
		values := normal(rng, tokens, n)
		mix := normal(rng, n, n) // so that units can stand in for each other
		values.Mul(values, mix)
		consumer := normal(rng, hidden, n)
		root := normal(rng, hidden, hidden)
		s := Statistics{Width: width, Values: gramOf(values, tokens), Curvature: gramOf(root, 1), Consumer: consumer}
		curve, err := Operate(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(curve.Order) != units-1 || len(curve.Loss) != units {
			t.Fatalf("a curve of %d removals and %d losses", len(curve.Order), len(curve.Loss))
		}
		for k := range curve.Loss {
			want := refitLoss(s, curve.Order[:k])
			if math.Abs(curve.Loss[k]-want) > 1e-9*(1+want) {
				t.Errorf("width %d, %d gone: loss %g, least squares leaves %g", width, k, curve.Loss[k], want)
			}
		}
	}
}

// refitLoss is the least of tr((W-W') Curvature (W-W')' H) over consumers W' that
// do not read the units gone.
func refitLoss(s Statistics, gone []int) float64 {
	n := s.Values.SymmetricDim()
	h := mat.NewSymDense(n, nil)
	h.CopySym(s.Values)
	for i := range n {
		h.SetSym(i, i, h.At(i, i)+damping*mat.Trace(s.Values)/float64(n))
	}
	var in, out []int
	for c := range n {
		if slices.Contains(gone, c/s.Width) {
			out = append(out, c)
		} else {
			in = append(in, c)
		}
	}
	if len(out) == 0 {
		return 0
	}
	// What is left of the values gone after regression on those that stay.
	pick := func(rows, cols []int) *mat.Dense {
		m := mat.NewDense(len(rows), len(cols), nil)
		for i, r := range rows {
			for j, c := range cols {
				m.Set(i, j, h.At(r, c))
			}
		}
		return m
	}
	var solved, explained, left, bent, loss mat.Dense
	if err := solved.Solve(pick(in, in), pick(in, out)); err != nil {
		panic(err)
	}
	explained.Mul(pick(out, in), &solved)
	left.Sub(pick(out, out), &explained)
	w := mat.NewDense(s.Consumer.RawMatrix().Rows, len(out), nil)
	for j, c := range out {
		w.SetCol(j, mat.Col(nil, c, s.Consumer))
	}
	bent.Mul(s.Curvature, w)
	loss.Product(w.T(), &bent, &left)
	return mat.Trace(&loss)
}

func normal(rng *rand.Rand, rows, cols int) *mat.Dense {
	m := mat.NewDense(rows, cols, nil)
	for i := range rows {
		for j := range cols {
			m.Set(i, j, rng.NormFloat64())
		}
	}
	return m
}

// gramOf is x'x over n.
func gramOf(x *mat.Dense, n int) *mat.SymDense {
	_, cols := x.Dims()
	s := mat.NewSymDense(cols, nil)
	s.SymOuterK(1/float64(n), x.T())
	return s
}
