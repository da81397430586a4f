package prune

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"optin/bench/model"
)

// PTFLatency is PTF's search under a budget of latency (Kwon et al., NeurIPS
// 2022, section 3.2 and its appendix). The table of each kind of site is fitted
// by a constant c up to some number of units and a line of slope a beyond, so
// that a site with any units pays c, with its best ones up to that number for
// nothing, and a for each unit more. For every number of sites of either kind
// that are dropped whole, those whose free units have the least score, it takes
// every number of the best heads beyond the free ones, fills the rest of the
// budget with neurons likewise, and keeps the best total.
//
// Sites of one kind must have the same table. A minimum of units per layer
// rules out dropping. The fit's error is the mask's: what the table says of the
// mask may differ from the budget either way.
//
// REF: released repeats search_latency of PTF's released code: the budget
// shrinks with every pair of numbers tried, so that all but the first few are
// searched with none left; a total leaves out the free units, so that dropping
// a site costs nothing; a dropped site's units score 0 but may be taken; at
// least one head is. The two minima are not asked for.
func PTFLatency(sites []model.Site, scores [][]float64, c Costs, b Budget, released bool) (Mask, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if c.Table == nil {
		return nil, fmt.Errorf("the latency search needs a table of costs, not %s per unit", c.Resource)
	}
	if released {
		b.MinHeads, b.MinNeurons = 0, 0
	}
	heads, err := newStack(sites, scores, c, model.Heads, b.MinHeads)
	if err != nil {
		return nil, err
	}
	neurons, err := newStack(sites, scores, c, model.Neurons, b.MinNeurons)
	if err != nil {
		return nil, err
	}
	left := float64(b.limit(c) - c.Encoder(make([]int, len(sites))))
	units := bestDrop(heads, neurons, left, released)
	if units == nil {
		return nil, fmt.Errorf("search.keep = %v of the %s cannot be met by PTF's search: choose a larger budget, or the additive search", b.Keep, c.Resource)
	}
	mask := none(sites)
	for _, u := range units {
		mask[u.site][u.index] = true
	}
	return mask, nil
}

// bestDrop is the units to keep, nil if no set fits the budget.
func bestDrop(heads, neurons *stack, left float64, released bool) []unit {
	most, first := math.Inf(-1), 0
	if released {
		most, first = 0, 1
	}
	var found struct {
		heads, neurons *remainder
		h, n           int
	}
	budget := left
	allHeads, allNeurons := heads.remainders(released), neurons.remainders(released)
	for k := range len(allHeads) * len(allNeurons) {
		hs, ns := &allHeads[k/len(allNeurons)], &allNeurons[k%len(allNeurons)]
		if !released {
			budget = left
		}
		if budget -= hs.cost + ns.cost; budget < 0 {
			continue
		}
		for h := first; h <= hs.beyond; h++ {
			n := ns.fit(budget-float64(h)*heads.fit.a, neurons.fit.a)
			if n < 0 {
				break
			}
			if total := hs.sums[h] + ns.sums[n]; total > most {
				most = total
				found.heads, found.neurons, found.h, found.n = hs, ns, h, n
			}
		}
	}
	if found.heads == nil {
		return nil
	}
	return append(found.heads.best(found.h), found.neurons.best(found.n)...)
}

// line is a fitted table: c for up to free units, a for each beyond.
type line struct {
	free int
	c, a float64
}

// fitLine tries every number of free units: c is the mean of the costs up to
// there, a the slope through (free, c) that fits the rest by least squares, at
// least 0, and the free number that with the least squared error.
func fitLine(table []int64) line {
	var fit line
	least, sum := math.Inf(1), 0.0
	for free := 1; free < len(table); free++ {
		sum += float64(table[free] - table[0])
		c := sum / float64(free)
		var xy, xx float64
		for n := free + 1; n < len(table); n++ {
			x := float64(n - free)
			xy += x * (float64(table[n]-table[0]) - c)
			xx += x * x
		}
		a := 0.0
		if xx > 0 {
			a = max(0, xy/xx)
		}
		var wrong float64
		for n := 1; n < len(table); n++ {
			d := float64(table[n]-table[0]) - c - a*float64(max(0, n-free))
			wrong += d * d
		}
		if wrong < least {
			least, fit = wrong, line{free, c, a}
		}
	}
	return fit
}

// with is the line when at least so many units are taken with a site.
func (l line) with(units int) line {
	if more := units - l.free; more > 0 {
		return line{units, l.c + float64(more)*l.a, l.a}
	}
	return l
}

// stack is the sites of one kind.
type stack struct {
	fit    line
	sites  [][]unit // each best first; the site whose free units have the least score first
	locked bool     // no site may be dropped
}

func newStack(sites []model.Site, scores [][]float64, c Costs, kind model.Kind, minimum int) (*stack, error) {
	k := &stack{locked: minimum > 0}
	first := -1
	for s, site := range sites {
		if site.Kind != kind || site.Units == 0 {
			continue
		}
		if first < 0 {
			first = s
			k.fit = fitLine(c.Table[s]).with(min(minimum, site.Units))
		}
		if !slices.Equal(c.Table[s], c.Table[first]) {
			return nil, fmt.Errorf("latency search: %v has another table than %v: layers of different width are not supported", site, sites[first])
		}
		units, err := bestFirst(s, site, scores[s])
		if err != nil {
			return nil, err
		}
		k.sites = append(k.sites, units)
	}
	slices.SortStableFunc(k.sites, func(a, b []unit) int { return cmp.Compare(scoreOf(a[:k.fit.free]), scoreOf(b[:k.fit.free])) })
	return k, nil
}

func scoreOf(units []unit) (total float64) {
	for _, u := range units {
		total += u.score
	}
	return total
}

// remainder is what some dropped sites leave.
type remainder struct {
	cost   float64 // of the sites with their free units
	free   []unit
	rest   []unit    // the others, best first
	beyond int       // how many of rest are of sites that are not dropped
	sums   []float64 // sums[n]: score with the first n of rest
}

// best is the units with the first n of the rest.
func (r *remainder) best(n int) []unit { return slices.Concat(r.free, r.rest[:n]) }

// remainders is what every number of dropped sites leaves, from none to all but
// one.
func (k *stack) remainders(released bool) []remainder {
	most := max(0, len(k.sites)-1)
	if k.locked {
		most = 0
	}
	var all []remainder
	for n := range most + 1 {
		all = append(all, k.drop(n, released))
	}
	return all
}

func (k *stack) drop(n int, released bool) remainder {
	r := remainder{cost: float64(len(k.sites)-n) * k.fit.c}
	for i, site := range k.sites {
		rest := site[k.fit.free:]
		switch {
		case i >= n:
			r.free = append(r.free, site[:k.fit.free]...)
			r.rest = append(r.rest, rest...)
			r.beyond += len(rest)
		case released:
			for _, u := range rest {
				r.rest = append(r.rest, unit{u.site, u.index, 0})
			}
		}
	}
	slices.SortStableFunc(r.rest, func(a, b unit) int { return cmp.Compare(a.site, b.site) })
	best(r.rest)
	base := 0.0
	if !released {
		base = scoreOf(r.free)
	}
	r.sums = []float64{base}
	for i, u := range r.rest {
		r.sums = append(r.sums, r.sums[i]+u.score)
	}
	return r
}

// fit is how many units of that price the budget allows, -1 if it is spent.
func (r *remainder) fit(budget, price float64) int {
	switch {
	case budget < 0:
		return -1
	case price == 0:
		return len(r.rest)
	}
	return int(min(float64(len(r.rest)), budget/price))
}
