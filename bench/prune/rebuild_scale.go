package prune

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// maxScale is the largest factor of a unit that is believed (PTF's bound).
const maxScale = 10

// scale is a fitter of one factor 1 + d_u per unit, which its rows of w are
// multiplied by; the bias stays. Unit u adds X_u W_u to the sum, so that
//
//	M d = c,  M_uv = <X_u'X_v, W_u W_v'>,  c_u = <X_u'E, W_u>,
//
// with ridge mean(diag(M)) added to M's diagonal. A factor beyond maxScale is an
// error.
func (c *consumer) scale(m *moments, ridge float64) (*change, error) {
	if m.xx == nil {
		return nil, fmt.Errorf("no unit is left to scale")
	}
	normal, rhs := c.perUnit(m)
	d, err := ridged(normal, rhs, ridge)
	if err != nil {
		return nil, err
	}
	return c.scaled(d.RawMatrix().Data, len(m.e))
}

// scaled is the change that multiplies every unit by 1 + d.
func (c *consumer) scaled(d []float64, hidden int) (*change, error) {
	f := &change{dw: mat.DenseCopyOf(c.w), db: make([]float64, hidden)}
	for i := range c.keep {
		factor := d[i/c.width]
		if !(math.Abs(1+factor) <= maxScale) {
			return nil, fmt.Errorf("a unit would be scaled by %.3g, more than %d", 1+factor, maxScale)
		}
		row := f.dw.RawRowView(i)
		for j := range row {
			row[j] *= factor
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
		rhs.Set(u, 0, rhs.At(u, 0)+mat.Dot(m.xe.RowView(i), c.w.RowView(i)))
		for j := range c.keep {
			if v := j / c.width; v >= u {
				normal.SetSym(u, v, normal.At(u, v)+m.xx.At(i, j)*ww.At(i, j))
			}
		}
	}
	return normal, rhs
}
