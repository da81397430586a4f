package prune

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// maxScale is the largest factor of a unit that is believed (PTF's bound).
const maxScale = 10

// fitter is how a method fits a consumer.
func (m RebuildMethod) fitter(c *consumer) func(*moments, float64) (*fit, error) {
	if m == Scale {
		return c.scale
	}
	return leastSquares
}

// scale fits one factor 1 + x_u per unit, which its rows of w are multiplied by;
// the bias stays. Unit u adds V_u W_u to the sum, so that
//
//	M x = c,  M_uv = <V_u'V_v, W_u W_v'>,  c_u = <V_u'E, W_u>,
//
// with ridge mean(diag M) added to M's diagonal. A factor beyond maxScale is an
// error.
func (c *consumer) scale(m *moments, ridge float64) (*fit, error) {
	f := &fit{db: make([]float64, len(m.e))}
	if m.vv == nil {
		return f, nil
	}
	normal, rhs := c.perUnit(m)
	units := len(c.keep) / c.width
	addDiagonal(normal, ridge*mat.Trace(normal)/float64(units))
	x, err := solve(normal, rhs)
	if err != nil {
		return nil, err
	}
	f.dw = mat.DenseCopyOf(c.w)
	for i := range c.keep {
		factor := x.At(i/c.width, 0)
		if !(math.Abs(1+factor) <= maxScale) {
			return nil, fmt.Errorf("a unit would be scaled by %.3g, more than %d", 1+factor, maxScale)
		}
		row := f.dw.RawRowView(i)
		for d := range row {
			row[d] *= factor
		}
	}
	return f, nil
}

// perUnit is M and c of the units.
func (c *consumer) perUnit(m *moments) (normal *mat.SymDense, rhs *mat.Dense) {
	units := len(c.keep) / c.width
	normal, rhs = mat.NewSymDense(units, nil), mat.NewDense(units, 1, nil)
	var ww mat.Dense
	ww.Mul(c.w, c.w.T())
	for i := range c.keep {
		u := i / c.width
		rhs.Set(u, 0, rhs.At(u, 0)+mat.Dot(m.ve.RowView(i), c.w.RowView(i)))
		for j := range c.keep {
			if v := j / c.width; v >= u {
				normal.SetSym(u, v, normal.At(u, v)+m.vv.At(i, j)*ww.At(i, j))
			}
		}
	}
	return normal, rhs
}
