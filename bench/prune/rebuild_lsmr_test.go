package prune

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// What SciPy 1.17.1's lsmr makes of scale B'B and scale decay^i cos(i+1), B_ij
// being decay^j sin((i+1)(j+1)), with its defaults: why it stops, and the first
// three values. Where A is ill-conditioned, rounding is soon as large as what is
// left to find, so that two programs agree on less.
func TestLSMRIsSciPys(t *testing.T) {
	for _, c := range []struct {
		n, rows            int
		scale, decay, damp float64
		stop               lsmrStop
		x                  [3]float64
	}{
		{5, 8, 1, 1, 1, 2, [3]float64{0.1406414249, -0.1296125144, -0.2089387118}},
		{5, 8, 1, 1, 0, 1, [3]float64{0.1727428636, -0.174965892, -0.1813372329}},
		{6, 4, 1, 1, 1, 2, [3]float64{-0.05553777586, -0.01987802155, 0.05611129689}},
		{12, 20, 1e4, 0.3, 1, 2, [3]float64{0.04889127457, -0.1254458936, -0.9899490495}},
		{12, 20, 1e8, 0.3, 1, 1, [3]float64{0.05065661345, -0.1326210503, -0.9858317815}},
		{12, 20, 1e4, 0.7, 1, 7, [3]float64{0.0531654768, -0.0603275769, -0.1801105646}},
		{12, 20, 1e6, 0.5, 1, 7, [3]float64{0.05622205099, -0.09036766429, -0.3512747115}},
		{6, 20, 1e9, 0.03, 1, 2, [3]float64{0.05581709262, -1.504560336, -0.000742423737}},
		{4, 20, 1e12, 0.003, 1, 1, [3]float64{0.05581700931, -15.0451943, -0.0006468775828}},
	} {
		b, rhs := mat.NewDense(c.rows, c.n, nil), mat.NewVecDense(c.n, nil)
		for j := range c.n {
			size := math.Pow(c.decay, float64(j))
			rhs.SetVec(j, c.scale*size*math.Cos(float64(j+1)))
			for i := range c.rows {
				b.Set(i, j, size*math.Sin(float64((i+1)*(j+1))))
			}
		}
		var a mat.Dense
		a.Mul(b.T(), b)
		a.Scale(c.scale, &a)
		x, stop := lsmr(&a, rhs, c.damp)
		if stop != c.stop {
			t.Errorf("n = %d, scale %g: stopped because of %d (%v), want %d", c.n, c.scale, stop, stop, c.stop)
		}
		for i, want := range c.x {
			tolerance := 1e-6
			if c.n == 12 {
				tolerance = 2e-2
			}
			if !(math.Abs(x[i]-want) <= tolerance*math.Abs(want)) {
				t.Errorf("n = %d, scale %g: x[%d] = %.10g, want %.10g", c.n, c.scale, i, x[i], want)
			}
		}
	}
	if x, stop := lsmr(mat.NewDense(2, 2, []float64{1, 0, 0, 1}), mat.NewVecDense(2, nil), 1); stop != lsmrZero || x[0] != 0 {
		t.Errorf("of nothing: %v, %v", x, stop)
	}
}
