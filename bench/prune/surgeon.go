package prune

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Curve is the order in which a site loses its units, and what each loss costs
// when the units that stay are refitted at once.
type Curve struct {
	Order []int     // units, first to go first; all but the last Least
	Loss  []float64 // Loss[k]: after the first k of them have gone; Loss[0] = 0
}

// Statistics are what the surgeon knows of a site.
type Statistics struct {
	Width     int           // columns of the consumer per unit
	Values    *mat.SymDense // mean over tokens of v v', v the values the consumer reads [units*width]
	Curvature *mat.SymDense // sum over tokens of half the second derivative of the loss by the site's sum [hidden, hidden]
	Consumer  *mat.Dense    // [hidden, units*width]
}

// damping is added to the diagonal of Values, as a share of its mean: what keeps
// directions that calibration has not seen from being refitted.
const damping = 1e-3

// Operate removes units one by one, each time the one whose loss is least when
// the consumer is refitted on the units that stay: the optimal brain surgeon
// (Hassibi and Stork, NeurIPS 1992) on whole columns, with a curvature that is
// the Kronecker product of Values and Curvature (as in van der Ouderaa et al.,
// The LLM Surgeon, ICLR 2024). For columns u of the consumer W and H the damped
// Values, removal and refit change W by -W_u ((H^-1)_uu)^-1 (H^-1)_u and cost
//
//	tr( ((H^-1)_uu)^-1 W_u' Curvature W_u )
//
// both exact for the quadratic loss, and so is their repetition. It stops when
// least units are left.
func Operate(s Statistics, least int) (Curve, error) {
	o, err := newOperation(s)
	if err != nil {
		return Curve{}, err
	}
	c := Curve{Loss: []float64{0}}
	total := 0.0
	for range len(o.gone) - least {
		u, price := o.cheapest()
		if u < 0 {
			return c, fmt.Errorf("surgeon: the statistics of a site are not finite")
		}
		o.remove(u)
		total += price
		c.Order, c.Loss = append(c.Order, u), append(c.Loss, total)
	}
	return c, nil
}

// operation is the state of a site under Operate. Only the upper triangles of
// the matrices are kept up to date.
type operation struct {
	width   int
	gone    []bool
	inverse blas64.Symmetric // of the damped Values of what is left
	spread  blas64.Symmetric // W' Curvature W for the refitted consumer W

	row, push []float64 // scratch: width rows
}

func newOperation(s Statistics) (*operation, error) {
	n := s.Values.SymmetricDim()
	h := mat.NewSymDense(n, nil)
	h.CopySym(s.Values)
	mean := mat.Trace(h) / float64(n)
	if !(mean > 0) || math.IsInf(mean, 0) {
		mean = 1 // nothing is ever active: any order will do
	}
	for i := range n {
		h.SetSym(i, i, h.At(i, i)+damping*mean)
	}
	var factor mat.Cholesky
	if !factor.Factorize(h) {
		return nil, fmt.Errorf("surgeon: the second moments of a site's values are not positive definite")
	}
	inverse := mat.NewSymDense(n, nil)
	if err := factor.InverseTo(inverse); err != nil {
		return nil, fmt.Errorf("surgeon: %w", err)
	}
	var bent, spread mat.Dense
	bent.Mul(s.Curvature, s.Consumer)
	spread.Mul(s.Consumer.T(), &bent)
	upper := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			upper.SetSym(i, j, (spread.At(i, j)+spread.At(j, i))/2)
		}
	}
	return &operation{
		width: s.Width, gone: make([]bool, n/s.Width),
		inverse: inverse.RawSymmetric(), spread: upper.RawSymmetric(),
		row: make([]float64, n), push: make([]float64, n),
	}, nil
}

// cheapest is the unit whose removal costs least, and what it costs; -1 if no
// price is a number.
func (o *operation) cheapest() (unit int, price float64) {
	unit, price = -1, math.Inf(1)
	for u, gone := range o.gone {
		if gone {
			continue
		}
		if p := o.price(u); p < price {
			unit, price = u, p
		}
	}
	return unit, price
}

// price is tr(((H^-1)_uu)^-1 (W' Curvature W)_uu).
func (o *operation) price(u int) float64 {
	at, w := u*o.width, o.width
	if w == 1 {
		return at2(o.spread, at, at) / at2(o.inverse, at, at)
	}
	inner, cross := mat.NewSymDense(w, nil), mat.NewDense(w, w, nil)
	for i := range w {
		for j := range w {
			if j >= i {
				inner.SetSym(i, j, at2(o.inverse, at+i, at+j))
			}
			cross.Set(i, j, at2(o.spread, at+i, at+j))
		}
	}
	var factor mat.Cholesky
	var solved mat.Dense
	if !factor.Factorize(inner) || factor.SolveTo(&solved, cross) != nil {
		return math.NaN()
	}
	return mat.Trace(&solved)
}

// remove takes unit u away. Its columns go one by one, which comes to the same
// as all at once.
func (o *operation) remove(u int) {
	for i := u * o.width; i < (u+1)*o.width; i++ {
		o.removeColumn(i)
	}
	o.gone[u] = true
}

// removeColumn refits for the loss of column i:
//
//	c = (H^-1)_i / (H^-1)_ii,  W -= W_i c',  H^-1 -= (H^-1)_ii c c'
func (o *operation) removeColumn(i int) {
	n := len(o.row)
	pivot := at2(o.inverse, i, i)
	column(o.row, o.inverse, i)
	c := blas64.Vector{N: n, Data: o.row, Inc: 1}
	blas64.Scal(1/pivot, c)
	corner := at2(o.spread, i, i)
	column(o.push, o.spread, i)
	p := blas64.Vector{N: n, Data: o.push, Inc: 1}
	blas64.Axpy(-corner/2, c, p)
	blas64.Syr2(-1, p, c, o.spread)
	blas64.Syr(-pivot, c, o.inverse)
	// What has gone is to be exactly nothing, and to divide nothing by zero.
	for j := range n {
		set2(o.spread, i, j, 0)
		set2(o.inverse, i, j, 0)
	}
}

// at2 is element i, j of a matrix of which the upper triangle is kept.
func at2(s blas64.Symmetric, i, j int) float64 {
	if i > j {
		i, j = j, i
	}
	return s.Data[i*s.Stride+j]
}

func set2(s blas64.Symmetric, i, j int, v float64) {
	if i > j {
		i, j = j, i
	}
	s.Data[i*s.Stride+j] = v
}

// column copies column i of s to dst.
func column(dst []float64, s blas64.Symmetric, i int) {
	if s.Uplo != blas.Upper {
		panic("prune: a symmetric matrix whose lower triangle is kept")
	}
	for j := range i {
		dst[j] = s.Data[j*s.Stride+i]
	}
	copy(dst[i:], s.Data[i*s.Stride+i:i*s.Stride+s.N])
}
