package prune

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"gonum.org/v1/gonum/mat"
)

// fit is a change of a consumer: w + dw, b + db. dw is nil where nothing is left
// to weigh.
type fit struct {
	dw *mat.Dense
	db []float64
}

// errIndefinite is what rounding, or values that never vary, make of a normal
// matrix without enough ridge.
var errIndefinite = errors.New("the normal equations have no positive definite matrix")

// leastSquares minimises |E - V dW - db|^2 + ridge mean(diag(C)) |dW|^2, C being
// V'V of the centred values. The bias bears no ridge, which leaves
//
//	(C + lambda I) dW = V'E - v e'/n,   db = (e - dW'v)/n.
func leastSquares(m *moments, ridge float64) (*fit, error) {
	n := float64(m.rows)
	f := &fit{db: make([]float64, len(m.e))}
	for i, e := range m.e {
		f.db[i] = e / n
	}
	if m.vv == nil {
		return f, nil
	}
	k := len(m.v)
	c, trace := mat.NewSymDense(k, nil), 0.0
	for i := range k {
		for j := i; j < k; j++ {
			c.SetSym(i, j, (m.vv.At(i, j)+m.vv.At(j, i))/2-m.v[i]*m.v[j]/n)
		}
		trace += c.At(i, i)
	}
	addDiagonal(c, ridge*trace/float64(k))
	var rhs mat.Dense
	rhs.Outer(-1/n, mat.NewVecDense(k, m.v), mat.NewVecDense(len(m.e), m.e))
	rhs.Add(&rhs, m.ve)
	var err error
	if f.dw, err = solve(c, &rhs); err != nil {
		return nil, err
	}
	var shift mat.VecDense
	shift.MulVec(f.dw.T(), mat.NewVecDense(k, m.v))
	for i := range f.db {
		f.db[i] -= shift.AtVec(i) / n
	}
	return f, nil
}

func addDiagonal(c *mat.SymDense, value float64) {
	for i := range c.SymmetricDim() {
		c.SetSym(i, i, c.At(i, i)+value)
	}
}

// solve is c^-1 rhs.
func solve(c *mat.SymDense, rhs *mat.Dense) (*mat.Dense, error) {
	var cholesky mat.Cholesky
	if !cholesky.Factorize(c) {
		return nil, errIndefinite
	}
	x := &mat.Dense{}
	if err := cholesky.SolveTo(x, rhs); err != nil {
		return nil, fmt.Errorf("%w to work with: %v", errIndefinite, err)
	}
	return x, nil
}

// loss is |E - V dW - db|^2 over the tokens of m.
func (f *fit) loss(m *moments) float64 {
	loss := m.ee
	for i, d := range f.db {
		loss += d * (float64(m.rows)*d - 2*m.e[i])
	}
	if f.dw == nil {
		return loss
	}
	// |V dW|^2 - 2 <V dW, E - db> = <dW, V'V dW - 2 (V'E - v db')>
	var x mat.Dense
	x.Mul(m.vv, f.dw)
	for i, v := range m.v {
		dw, row, ve := f.dw.RawRowView(i), x.RawRowView(i), m.ve.RawRowView(i)
		for j, w := range dw {
			loss += w * (row[j] - 2*(ve[j]-v*f.db[j]))
		}
	}
	return loss
}

// choose fits the consumer with every ridge, takes the one that does best on the
// tokens that judge, and fits again to all of them. It returns nil, and says why
// in report, where the site is better left as it is.
func choose(c *consumer, fitted, judging *moments, o RebuildOptions, workers int, report *LayerRebuild) *fit {
	method := o.Method.fitter(c)
	losses, err := tryAll(method, fitted, judging, o.Ridges, workers)
	best := -1
	for i, loss := range losses {
		if loss < judging.ee && (best < 0 || loss < losses[best]) {
			best = i
		}
	}
	report.HeldOut = judging.unchanged()
	before, target := judging.ee, judging.target
	fitted.add(judging)
	report.Fitted = fitted.unchanged()
	if best < 0 {
		report.Reason = notBetter(losses, err, before)
		return nil
	}
	f, err := method(fitted, o.Ridges[best])
	if err != nil {
		report.Reason = fmt.Sprintf("fitted to all tokens with ridge %g: %v", o.Ridges[best], err)
		return nil
	}
	report.Rebuilt, report.Ridge = true, o.Ridges[best]
	report.HeldOut.After = losses[best] / target
	report.Fitted.After = f.loss(fitted) / fitted.target
	return f
}

// tryAll is the loss on the tokens that judge of the fit with every ridge; NaN
// where there is no solution, and an error that says why for one of them.
func tryAll(method func(*moments, float64) (*fit, error), fitted, judging *moments, ridges []float64, workers int) ([]float64, error) {
	losses, errs := make([]float64, len(ridges)), make([]error, len(ridges))
	var wg sync.WaitGroup
	turn := make(chan struct{}, workers)
	for i, ridge := range ridges {
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			losses[i] = math.NaN()
			f, err := method(fitted, ridge)
			if err != nil {
				errs[i] = fmt.Errorf("ridge %g: %w", ridge, err)
				return
			}
			losses[i] = f.loss(judging)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return losses, err
		}
	}
	return losses, nil
}

func notBetter(losses []float64, err error, before float64) string {
	if before == 0 {
		return "there is no error to absorb"
	}
	least := math.Inf(1)
	for _, loss := range losses {
		if loss < least { // not where it is NaN
			least = loss
		}
	}
	if math.IsInf(least, 1) {
		return err.Error()
	}
	return fmt.Sprintf("the held-out error would not fall: at best %.6g times what it is", least/before)
}

// unchanged is the error of a site that is left as it is.
func (m *moments) unchanged() FitError {
	if m.ee == 0 {
		return FitError{} // also where nothing should be added
	}
	return FitError{m.ee / m.target, m.ee / m.target}
}
