package prune

import (
	"cmp"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// Rearrange exchanges removed for kept units within each site, so that removing
// a site's units together costs less:
//
//	1/2 m' F m,  F = sum over examples of g g'
//
// for m the indicator of the removed units and F the site's block of the Fisher
// information, interactions included (Kwon et al., NeurIPS 2022, section 3.3).
// How many units a site keeps, and so what the mask costs, stays.
//
// A pass takes the kept units, the one of least Fisher information first, and
// exchanges each for the removed unit for which that lowers the loss most, if
// any. 1 pass is what PTF does; at most the given number are made, ending
// early when a pass changes nothing, for no single exchange then lowers the
// loss. Each exchange that is weighed costs a few operations per removed unit
// of the site, after F has been computed in (units^2 examples) operations and
// 8 units^2 bytes.
//
// Gradients of batches (see [Gradients.Grouped]) rearrange as PTF's released
// code does.
func Rearrange(mask Mask, g *Gradients, passes int) Mask {
	out := make(Mask, len(mask))
	for s := range mask {
		out[s] = slices.Clone(mask[s])
		if len(dropped(mask[s])) == 0 || len(kept(mask[s])) == 0 {
			continue
		}
		e := newExchange(out[s], g.block(s))
		for range passes {
			if !e.pass() {
				break
			}
		}
	}
	return out
}

// block is the site's block of the Fisher information, row-major.
func (g *Gradients) block(s int) blas64.General {
	n, examples := g.Offsets[s+1]-g.Offsets[s], g.Examples()
	x := blas64.General{Rows: examples, Cols: n, Stride: n, Data: make([]float64, examples*n)}
	for e := range examples {
		for i, v := range g.Site(e, s) {
			x.Data[e*n+i] = float64(v)
		}
	}
	f := blas64.General{Rows: n, Cols: n, Stride: n, Data: make([]float64, n*n)}
	blas64.Gemm(blas.Trans, blas.NoTrans, 1, x, x, 0, f)
	return f
}

// exchange is the search within one site.
type exchange struct {
	keep    []bool
	fisher  blas64.General
	own     []float64 // diagonal of fisher
	removed []int     // units
	pull    []float64 // F m, by unit
}

func newExchange(keep []bool, fisher blas64.General) *exchange {
	e := &exchange{keep: keep, fisher: fisher, removed: dropped(keep), pull: make([]float64, len(keep))}
	for u := range keep {
		e.own = append(e.own, e.row(u)[u])
	}
	return e
}

func (e *exchange) row(u int) []float64 { return e.fisher.Data[u*e.fisher.Stride:][:e.fisher.Cols] }

// pass tries to exchange every kept unit once and reports whether any was.
func (e *exchange) pass() (changed bool) {
	clear(e.pull) // anew, so that rounding does not add up over passes
	for _, r := range e.removed {
		e.add(r, 1)
	}
	candidates := kept(e.keep)
	slices.SortStableFunc(candidates, func(a, b int) int { return cmp.Compare(e.own[a], e.own[b]) })
	for _, u := range candidates {
		changed = e.try(u) || changed
	}
	return changed
}

// try removes kept unit u for the removed one that is best kept instead. With r
// back and u gone the loss changes, but for a constant factor, by
//
//	F_uu + F_rr + 2 (F m)_u - 2 (F m)_r - 2 F_ur
//
// which is weighed against 0, changing nothing.
func (e *exchange) try(u int) bool {
	row := e.row(u)
	best, at := 0.0, -1
	for i, r := range e.removed {
		if change := e.own[u] + e.own[r] + 2*(e.pull[u]-e.pull[r]-row[r]); change < best {
			best, at = change, i
		}
	}
	if at < 0 {
		return false
	}
	r := e.removed[at]
	e.removed[at] = u
	e.keep[u], e.keep[r] = false, true
	e.add(u, 1)
	e.add(r, -1)
	return true
}

// add enters unit u into F m with the given sign.
func (e *exchange) add(u int, sign float64) {
	for i, v := range e.row(u) {
		e.pull[i] += sign * v
	}
}
