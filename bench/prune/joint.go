package prune

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"gonum.org/v1/gonum/blas/gonum"

	"optin/bench/model"
)

// JointOptions say how the joint search works.
type JointOptions struct {
	// Shrink is tried in full, and the value whose set loses least is taken: the
	// share of the interactions between units that is left out of a price, between
	// 0 (all count) and 1 (none does: additive).
	Shrink []float64
	// Swaps is how many exchanges of removed for kept units may follow; 0: none.
	Swaps int
	// Batch is how many units are removed between two looks at all prices. In
	// between only the cheapest 4*Batch compete, at their true prices. 0: as many
	// as make both cost the same time.
	Batch int

	judge func(Mask) (float64, error) // what sets are compared by; nil: heldOut.Loss
}

// DefaultJointOptions is a grid of shrinkage, and swaps until they stop paying.
func DefaultJointOptions() JointOptions {
	return JointOptions{Shrink: []float64{0, 0.2, 0.4, 0.6, 0.8}, Swaps: 4096}
}

// JointReport says how good a jointly chosen set is, in the unit of the scores.
type JointReport struct {
	Probes   int     // that the set was chosen by
	Shrink   float64 // share of the interactions that was left out
	InSample float64 // loss of the set by the probes that chose it
	HeldOut  float64 // by probes that did not
	Additive float64 // HeldOut of the set that the additive search chooses
	FellBack bool    // the additive set loses less and was taken

	// Of JointSearch: measured on the model without the set.
	True, TrueAdditive float64
}

// Joint chooses what to remove by the loss of the whole set (METHOD section 4).
// With r = r0 + G 1_S for the units S removed so far, removing unit u too costs
//
//	(|g_u|^2 + (1-a) 2 <r, g_u>) / P
//
// by the P probes of search. Units go in the order of this price per cost saved,
// those of negative price first and by the price alone, until the budget is met;
// then units come back into what is left of it, and swaps follow.
//
// Choosing among many units exploits the noise of few probes: the set's loss by
// the same probes is too small. So interactions are shrunk by a, which is chosen
// by the loss on the probes of heldOut, taken at the same mask; and where the
// additive set loses less there, that is the result.
//
// The search begins at the mask at which the probes were taken, and may bring
// back what that has removed. Beyond the dense model there is no additive set.
func Joint(sites []model.Site, search, heldOut *Probes, c Costs, b Budget, o JointOptions) (Mask, JointReport, error) {
	report := JointReport{Probes: search.kept()}
	if err := reachable(sites, c, b); err != nil {
		return nil, report, err
	}
	if len(o.Shrink) == 0 || search.kept() == 0 || heldOut.kept() == 0 {
		return nil, report, fmt.Errorf("joint search: %d values of shrinkage, rows of %d probes to search by and of %d to judge by: none may be 0", len(o.Shrink), search.kept(), heldOut.kept())
	}
	effects, err := search.effects(sites)
	if err != nil {
		return nil, report, err
	}
	candidates := make([]candidateSet, len(o.Shrink))
	var wg sync.WaitGroup
	for i, a := range o.Shrink {
		wg.Go(func() { candidates[i] = candidateSet{effects.search(sites, c, b, a, o), a, false} })
	}
	wg.Wait()
	if search.At == nil {
		mask, err := Additive(sites, search.Scores(), c, b)
		if err != nil {
			return nil, report, err
		}
		report.Additive = heldOut.Loss(mask)
		candidates = append(candidates, candidateSet{mask, 1, true})
	}
	if o.judge == nil {
		o.judge = func(m Mask) (float64, error) { return heldOut.Loss(m), nil }
	}
	best, err := least(candidates, o.judge)
	if err != nil {
		return nil, report, err
	}
	report.Shrink, report.FellBack = best.shrink, best.additive
	report.InSample, report.HeldOut = search.Loss(best.mask), heldOut.Loss(best.mask)
	return best.mask, report, nil
}

// candidateSet is a set that may be chosen.
type candidateSet struct {
	mask     Mask
	shrink   float64
	additive bool
}

// least is the candidate that loses least, of equal ones the first.
func least(candidates []candidateSet, judge func(Mask) (float64, error)) (best candidateSet, err error) {
	lowest := math.Inf(1)
	for _, c := range candidates {
		loss, err := judge(c.mask)
		if err != nil {
			return best, err
		}
		if loss < lowest {
			best, lowest = c, loss
		}
	}
	if best.mask == nil {
		return best, fmt.Errorf("joint search: the loss of every set is not a number")
	}
	return best, nil
}

// reachable refuses a budget that no set meets.
func reachable(sites []model.Site, c Costs, b Budget) error {
	if err := b.check(); err != nil {
		return err
	}
	if least := smallest(sites, c, b); least > b.limit(c) {
		return unreachable(c, b, least)
	}
	return nil
}

// smallest is the least encoder cost that b's minima allow.
func smallest(sites []model.Site, c Costs, b Budget) int64 {
	kept := make([]int, len(sites))
	for s, site := range sites {
		kept[s] = b.least(site)
	}
	return c.Encoder(kept)
}

// effects are the columns of a G, one unit after the other, with what of them
// the search needs again and again.
type effects struct {
	rows    int       // of G
	values  []float32 // [units, rows]
	squares []float64 // [units], |g_u|^2
	start   []float32 // r0
	at      Mask
}

func (p *Probes) effects(sites []model.Site) (*effects, error) {
	n := len(p.G)
	if n == 0 {
		return nil, fmt.Errorf("joint search: no rows of the probes were kept")
	}
	e := &effects{rows: n, start: make([]float32, n), at: p.at(sites)}
	for i, r := range p.Residual {
		e.start[i] = float32(r)
	}
	units := len(p.G[0])
	e.values, e.squares = make([]float32, units*n), make([]float64, units)
	for i, row := range p.G {
		for u, v := range row {
			e.values[u*n+i] = v
			e.squares[u] += float64(v) * float64(v)
		}
	}
	u := 0
	for _, site := range sites {
		for i := range site.Units {
			if math.IsNaN(e.squares[u]) || math.IsInf(e.squares[u], 0) {
				return nil, fmt.Errorf("the probes of unit %d of %v are not finite", i, site)
			}
			u++
		}
	}
	return e, nil
}

// of is what the probes see of removing unit u.
func (e *effects) of(u int) []float32 { return e.values[u*e.rows : (u+1)*e.rows] }

// search removes units until the budget is met.
func (e *effects) search(sites []model.Site, c Costs, b Budget, shrink float64, o JointOptions) Mask {
	s := newRemoval(e, sites, c, b, shrink, o.Batch)
	s.reduce()
	s.fill()
	s.exchange(o.Swaps)
	return s.mask()
}

// dot is the inner product.
func dot(x, y []float32) float32 { return gonum.Implementation{}.Sdot(len(x), x, 1, y, 1) }

// better orders candidates by key, then by unit, so that results do not depend
// on chance.
func better(a, b candidate) int {
	switch {
	case a.key < b.key:
		return -1
	case a.key > b.key:
		return 1
	}
	return a.unit - b.unit
}

// cheapest leaves the n best of list at its front, in order.
func cheapest(list []candidate, n int) []candidate {
	slices.SortFunc(list, better)
	return list[:min(n, len(list))]
}
