package prune

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/mat"
)

// change is what a fit adds to a linear map: w + dw, b + db. dw is nil where
// there is nothing to fit by.
type change struct {
	dw *mat.Dense
	db []float64
}

// fitter finds the change that explains the errors best.
type fitter func(m *moments, ridge float64) (*change, error)

// errIndefinite is what rounding, or values that never vary, make of a normal
// matrix without enough ridge.
var errIndefinite = errors.New("the normal equations have no positive definite matrix")

// leastSquares minimises |E - X dW - db|^2 + ridge mean(diag(C)) |dW|^2, C being
// X'X of the centred columns. The bias bears no ridge, which leaves
//
//	(C + lambda I) dW = X'E - x e'/n,   db = (e - dW'x)/n.
func leastSquares(m *moments, ridge float64) (*change, error) {
	f := &change{db: make([]float64, len(m.e))}
	for i, e := range m.e {
		f.db[i] = e / m.count
	}
	if m.xx == nil {
		return f, nil
	}
	k := len(m.x)
	var rhs mat.Dense
	rhs.Outer(-1/m.count, mat.NewVecDense(k, m.x), mat.NewVecDense(len(m.e), m.e))
	rhs.Add(&rhs, m.xe)
	var err error
	if f.dw, err = ridged(centred(m), &rhs, ridge); err != nil {
		return nil, err
	}
	var shift mat.VecDense
	shift.MulVec(f.dw.T(), mat.NewVecDense(k, m.x))
	for i := range f.db {
		f.db[i] -= shift.AtVec(i) / m.count
	}
	return f, nil
}

// throughOrigin is leastSquares without a bias, and without centring.
func throughOrigin(m *moments, ridge float64) (*change, error) {
	bare := *m
	bare.x, bare.e = make([]float64, len(m.x)), make([]float64, len(m.e))
	return leastSquares(&bare, ridge)
}

// centred is X'X - x x'/n.
func centred(m *moments) *mat.SymDense {
	k := len(m.x)
	c := mat.NewSymDense(k, nil)
	for i := range k {
		for j := i; j < k; j++ {
			c.SetSym(i, j, (m.xx.At(i, j)+m.xx.At(j, i))/2-m.x[i]*m.x[j]/m.count)
		}
	}
	return c
}

// ridged is (c + lambda I)^-1 rhs for lambda = ridge mean(diag(c)). It changes c.
func ridged(c *mat.SymDense, rhs *mat.Dense, ridge float64) (*mat.Dense, error) {
	n := c.SymmetricDim()
	lambda := ridge * mat.Trace(c) / float64(n)
	for i := range n {
		c.SetSym(i, i, c.At(i, i)+lambda)
	}
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

// loss is |E - X dW - db|^2 over the tokens of m.
func (f *change) loss(m *moments) float64 {
	loss := m.ee
	for i, d := range f.db {
		loss += d * (m.count*d - 2*m.e[i])
	}
	if f.dw == nil {
		return loss
	}
	// |X dW|^2 - 2 <X dW, E - db> = <dW, X'X dW - 2 (X'E - x db')>
	var xxdw mat.Dense
	xxdw.Mul(m.xx, f.dw)
	for i, x := range m.x {
		dw, row, xe := f.dw.RawRowView(i), xxdw.RawRowView(i), m.xe.RawRowView(i)
		for j, w := range dw {
			loss += w * (row[j] - 2*(xe[j]-x*f.db[j]))
		}
	}
	return loss
}

// trial is one way to fit, and what came of it.
type trial struct {
	choice int // of tokens
	ridge  float64
	loss   float64 // on the tokens that judge; NaN without a solution
	err    error   // why there is none
}

// choose fits to every choice of tokens with several ridges, takes what does best on
// those that judge, and fits so again to all sequences. Where everything is better
// left as it is, it returns nil and says why in the report.
func (r *rebuilder) choose(ev *evidence, fit fitter) (*change, Fit) {
	judge := ev.judge()
	judging := ev.judging[judge]
	all := ev.fitted[judge].plus(judging)
	report := Fit{HeldOut: judging.unchanged(), Fitted: all.unchanged()}
	if all.ee == 0 {
		report.Reason = "there is no error to absorb"
		return nil, report
	}
	trials := r.try(ev, fit)
	won := winner(trials)
	if !(won.loss < judging.ee) {
		report.Reason = won.fault(judging.ee)
		return nil, report
	}
	f, err := fit(ev.fitted[won.choice].plus(ev.judging[won.choice]), won.ridge)
	if err != nil {
		report.Reason = fmt.Sprintf("fitted to all sequences with ridge %g: %v", won.ridge, err)
		return nil, report
	}
	report.Rebuilt, report.Ridge, report.HeadRows = true, won.ridge, won.choice > 0
	report.HeldOut.After = won.loss / judging.target
	report.Fitted.After = f.loss(all) / all.target
	return f, report
}

// try fits to every choice of tokens. The held-out error falls with the ridge and
// then rises, so it begins in the middle of the ridges and goes on, two at a time,
// in the direction in which it falls.
func (r *rebuilder) try(ev *evidence, fit fitter) (trials []trial) {
	ridges := slices.Sorted(slices.Values(r.o.Ridges))
	middle := (len(ridges) - 1) / 2
	for choice := range ev.fitted {
		met := r.together(ev, fit, choice, ridges[middle:min(middle+2, len(ridges))])
		best, ahead := winner(met), slices.Clone(ridges[:middle])
		slices.Reverse(ahead)
		if len(met) == 2 && !(met[0].loss <= met[1].loss) {
			ahead = ridges[middle+2:]
		}
		trials = append(trials, met...)
		for pair := range slices.Chunk(ahead, 2) {
			met := r.together(ev, fit, choice, pair)
			trials = append(trials, met...)
			best = winner(append(met, best))
			if best.loss < met[len(met)-1].loss {
				break
			}
		}
	}
	return trials
}

// together fits with some ridges at once.
func (r *rebuilder) together(ev *evidence, fit fitter, choice int, ridges []float64) []trial {
	trials := make([]trial, len(ridges))
	judging := ev.judging[ev.judge()]
	turn := make(chan struct{}, r.dev.Workers())
	var wg sync.WaitGroup
	for i, ridge := range ridges {
		t := &trials[i]
		*t = trial{choice: choice, ridge: ridge, loss: math.NaN()}
		wg.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			f, err := fit(ev.fitted[t.choice], t.ridge)
			if t.err = err; err == nil {
				t.loss = f.loss(judging)
			}
		})
	}
	wg.Wait()
	return trials
}

// winner is the trial of the least loss; those without one come last.
func winner(trials []trial) trial {
	won := trials[0]
	for _, t := range trials {
		if t.loss < won.loss || math.IsNaN(won.loss) {
			won = t
		}
	}
	return won
}

// fault is what is wrong with the best of all trials.
func (t trial) fault(before float64) string {
	if t.err != nil {
		return fmt.Sprintf("ridge %g: %v", t.ridge, t.err)
	}
	return fmt.Sprintf("the held-out error would not fall: at best %.6g times what it is", t.loss/before)
}

// unchanged is the error of what is left as it was.
func (m *moments) unchanged() FitError {
	if m.ee == 0 {
		return FitError{} // also where it is relative to nothing
	}
	return FitError{m.ee / m.target, m.ee / m.target}
}
