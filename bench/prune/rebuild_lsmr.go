package prune

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// lsmrStop is why LSMR stopped, numbered as everywhere.
type lsmrStop int

const (
	lsmrZero       lsmrStop = iota // 0 is a solution
	lsmrSolved                     // A x = b, to the tolerance
	lsmrLeast                      // the least squares, to the tolerance
	lsmrCondition                  // A's condition is beyond the limit
	lsmrIterations lsmrStop = 7    // the limit of iterations
)

// converged is what PTF's released code takes for success.
func (s lsmrStop) converged() bool { return s < lsmrCondition }

func (s lsmrStop) String() string {
	switch s {
	case lsmrZero:
		return "0 is a solution"
	case lsmrSolved, lsmrLeast:
		return "converged"
	case lsmrCondition:
		return fmt.Sprintf("a condition above %g", lsmrConditionLimit)
	default:
		return "too many iterations"
	}
}

// Tolerances and limit that PTF's released code leaves as they are.
const (
	lsmrTolerance      = 1e-6
	lsmrConditionLimit = 1e8
)

// lsmr minimises |A x - b|^2 + damp^2 |x|^2 for a square A by LSMR (Fong and
// Saunders, "LSMR: An iterative algorithm for sparse least-squares problems",
// SIAM J. Sci. Comput. 33, 2011), in at most as many iterations as A has rows.
// Names are the paper's.
func lsmr(a *mat.Dense, b *mat.VecDense, damp float64) ([]float64, lsmrStop) {
	n := b.Len()
	x := mat.NewVecDense(n, nil)
	s := newBidiagonal(a, b)
	if s.alpha*s.beta == 0 {
		return x.RawVector().Data, lsmrZero
	}
	normB := s.beta
	h, hbar := mat.VecDenseCopyOf(s.v), mat.NewVecDense(n, nil)
	alphabar, zetabar := s.alpha, s.alpha*s.beta
	rho, rhobar, cbar, sbar, zeta := 1.0, 1.0, 1.0, 0.0, 0.0
	r := residual{betadd: s.beta, rhod: 1}
	c := condition{square: s.alpha * s.alpha, least: math.Inf(1)}
	for range n {
		s.next()
		chat, shat, alphahat := rotation(alphabar, damp)
		rhoOld := rho
		var cs, sn float64
		cs, sn, rho = rotation(alphahat, s.beta)
		thetanew := sn * s.alpha
		alphabar = cs * s.alpha

		rhobarOld, zetaOld, thetabar := rhobar, zeta, sbar*rho
		rhotemp := cbar * rho
		cbar, sbar, rhobar = rotation(rhotemp, thetanew)
		zeta = cbar * zetabar
		zetabar *= -sbar

		hbar.AddScaledVec(h, -thetabar*rho/(rhoOld*rhobarOld), hbar)
		x.AddScaledVec(x, zeta/(rho*rhobar), hbar)
		h.AddScaledVec(s.v, -thetanew/rho, h)

		normR := r.next(chat, shat, cs, sn, thetabar, rhobar, zetaOld, zeta)
		normA, cond := c.next(s.alpha, s.beta, rhobarOld, rhotemp)
		normX := mat.Norm(x, 2)
		switch {
		case normR <= lsmrTolerance*(normB+normA*normX):
			return x.RawVector().Data, lsmrSolved
		case math.Abs(zetabar) <= lsmrTolerance*normA*normR:
			return x.RawVector().Data, lsmrLeast
		case cond >= lsmrConditionLimit:
			return x.RawVector().Data, lsmrCondition
		}
	}
	return x.RawVector().Data, lsmrIterations
}

// rotation is the plane rotation that turns (a, b) into (r, 0).
func rotation(a, b float64) (c, s, r float64) {
	r = math.Hypot(a, b)
	if r == 0 {
		return 1, 0, 0
	}
	return a / r, b / r, r
}

// bidiagonal is Golub and Kahan's process: beta u = A v - alpha u, then
// alpha v = A'u - beta v.
type bidiagonal struct {
	a           *mat.Dense
	u, v        *mat.VecDense
	alpha, beta float64
}

func newBidiagonal(a *mat.Dense, b *mat.VecDense) *bidiagonal {
	s := &bidiagonal{a: a, u: mat.VecDenseCopyOf(b), v: mat.NewVecDense(b.Len(), nil)}
	s.beta = normalize(s.u)
	s.v.MulVec(a.T(), s.u)
	s.alpha = normalize(s.v)
	return s
}

func (s *bidiagonal) next() {
	var product mat.VecDense
	product.MulVec(s.a, s.v)
	s.u.AddScaledVec(&product, -s.alpha, s.u)
	if s.beta = normalize(s.u); s.beta == 0 {
		return
	}
	product.MulVec(s.a.T(), s.u)
	s.v.AddScaledVec(&product, -s.beta, s.v)
	s.alpha = normalize(s.v)
}

// normalize divides x by its length, and returns that.
func normalize(x *mat.VecDense) float64 {
	length := mat.Norm(x, 2)
	if length > 0 {
		x.ScaleVec(1/length, x)
	}
	return length
}

// residual estimates |b - A x|, damping included.
type residual struct{ betadd, betad, rhod, tautilde, thetatilde, d float64 }

func (r *residual) next(chat, shat, c, s, thetabar, rhobar, zetaOld, zeta float64) float64 {
	betaacute, betacheck := chat*r.betadd, -shat*r.betadd
	betahat := c * betaacute
	r.betadd = -s * betaacute
	thetatildeOld := r.thetatilde
	ctilde, stilde, rhotilde := rotation(r.rhod, thetabar)
	r.thetatilde = stilde * rhobar
	r.rhod = ctilde * rhobar
	r.betad = -stilde*r.betad + ctilde*betahat
	r.tautilde = (zetaOld - thetatildeOld*r.tautilde) / rhotilde
	taud := (zeta - r.thetatilde*r.tautilde) / r.rhod
	r.d += betacheck * betacheck
	return math.Sqrt(r.d + (r.betad-taud)*(r.betad-taud) + r.betadd*r.betadd)
}

// condition estimates |A| and A's condition.
type condition struct {
	square      float64 // of |A|
	most, least float64 // of the rhobar so far
	begun       bool
}

func (c *condition) next(alpha, beta, rhobarOld, rhotemp float64) (norm, cond float64) {
	c.square += beta * beta
	norm = math.Sqrt(c.square)
	c.square += alpha * alpha
	c.most = max(c.most, rhobarOld)
	if c.begun {
		c.least = min(c.least, rhobarOld)
	}
	c.begun = true
	return norm, max(c.most, rhotemp) / min(c.least, rhotemp)
}
