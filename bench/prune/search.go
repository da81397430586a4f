package prune

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"optin/bench/model"
)

// Budget is how much may stay.
type Budget struct {
	Keep       float64 // share of the cost that may stay, 0 < Keep <= 1
	WholeModel bool    // of the whole model's cost; otherwise of the encoder's
	MinHeads   int     // per layer
	MinNeurons int     // per layer
}

func (b Budget) check() error {
	if !(b.Keep > 0 && b.Keep <= 1) {
		return fmt.Errorf("search.keep = %v: must be above 0 and at most 1", b.Keep)
	}
	return nil
}

// least is the number of units that site may not lose.
func (b Budget) least(site model.Site) int {
	if site.Kind == model.Heads {
		return min(b.MinHeads, site.Units)
	}
	return min(b.MinNeurons, site.Units)
}

// limit is the encoder cost that b allows.
func (b Budget) limit(c Costs) int64 {
	if b.WholeModel {
		return int64(math.Floor(b.Keep*float64(c.Total())+1e-6)) - c.Outside
	}
	return int64(math.Floor(b.Keep*float64(c.Dense()) + 1e-6))
}

// unit is a unit of some site with its score.
type unit struct {
	site, index int
	score       float64
}

// Additive keeps the units with the largest total score that the budget
// allows, a removed set costing the sum of its scores (OPTIN, and the search of
// PTF: Kwon et al., NeurIPS 2022, algorithm 1): for every number of heads it
// keeps the best heads and fills the rest of the budget with the best neurons.
// Ties go to the earlier layer and unit.
//
// Costs per unit must be the same for all heads, and for all neurons; the mask
// is then the best there is. Under costs by a table every set is charged what
// the table says of it, but not every set is tried: heads are taken in the
// order of their scores, and so is every neuron that still fits. That some
// units are cheaper than others with the same score goes unused (what the first
// unit of a site costs above the later ones, a site that is cheaper than
// another, the way to the end of a step): PTFLatency tries to drop whole sites.
func Additive(sites []model.Site, scores [][]float64, c Costs, b Budget) (Mask, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	heads, err := rank(sites, scores, c, model.Heads, b)
	if err != nil {
		return nil, err
	}
	neurons, err := rank(sites, scores, c, model.Neurons, b)
	if err != nil {
		return nil, err
	}
	empty := c.Encoder(make([]int, len(sites)))
	left := b.limit(c) - empty
	best, chosen := math.Inf(-1), -1
	for h := heads.least; h <= len(heads.order) && heads.costs[h]+neurons.costs[neurons.least] <= left; h++ {
		if total := heads.sums[h] + neurons.fill(c, left-heads.costs[h], nil); total > best {
			best, chosen = total, h
		}
	}
	if chosen < 0 {
		return nil, unreachable(c, b, empty+heads.costs[heads.least]+neurons.costs[neurons.least])
	}
	mask := none(sites)
	for _, u := range heads.order[:chosen] {
		mask[u.site][u.index] = true
	}
	neurons.fill(c, left-heads.costs[chosen], mask)
	return mask, nil
}

// none is the mask that keeps nothing.
func none(sites []model.Site) Mask {
	mask := make(Mask, len(sites))
	for s, site := range sites {
		mask[s] = make([]bool, site.Units)
	}
	return mask
}

func unreachable(c Costs, b Budget, least int64) error {
	return fmt.Errorf("search.keep = %v of the %s cannot be met: with min_heads = %d and min_neurons = %d per layer the smallest is %s",
		b.Keep, c.Resource, b.MinHeads, b.MinNeurons, upTo(b.share(c, least)))
}

// share is what an encoder cost is of that which b.Keep is a share of.
func (b Budget) share(c Costs, encoder int64) float64 {
	if b.WholeModel {
		return float64(encoder+c.Outside) / float64(c.Total())
	}
	return float64(encoder) / float64(c.Dense())
}

// upTo rounds up, so that the printed budget can be met.
func upTo(share float64) string { return fmt.Sprintf("%.4f", math.Ceil(share*1e4)/1e4) }

// ranking is the units of one kind, best first, after those that a layer may
// not lose.
type ranking struct {
	order []unit
	least int
	sums  []float64 // sums[n]: score of the first n
	costs []int64   // costs[n]: what they cost beside empty sites
	kept  []int     // by site, for fill
}

// fill takes units in order, each that still fits, and returns their score. The
// least ones must fit. It enters them into mask, unless that is nil.
func (r *ranking) fill(c Costs, left int64, mask Mask) (score float64) {
	clear(r.kept)
	for _, u := range r.order {
		price := c.Saving(u.site, r.kept[u.site]+1)
		if price > left {
			continue
		}
		r.kept[u.site]++
		left -= price
		score += u.score
		if mask != nil {
			mask[u.site][u.index] = true
		}
	}
	return score
}

func rank(sites []model.Site, scores [][]float64, c Costs, kind model.Kind, b Budget) (ranking, error) {
	r := ranking{kept: make([]int, len(sites))}
	if err := even(sites, c, kind); err != nil {
		return r, err
	}
	var rest []unit
	for s, site := range sites {
		if site.Kind != kind {
			continue
		}
		units, err := bestFirst(s, site, scores[s])
		if err != nil {
			return r, err
		}
		forced := b.least(site)
		r.order = append(r.order, units[:forced]...)
		rest = append(rest, units[forced:]...)
	}
	r.least = len(r.order)
	best(rest)
	r.order = append(r.order, rest...)
	r.sums, r.costs = make([]float64, len(r.order)+1), make([]int64, len(r.order)+1)
	for i, u := range r.order {
		r.kept[u.site]++
		r.sums[i+1] = r.sums[i] + u.score
		r.costs[i+1] = r.costs[i] + c.Saving(u.site, r.kept[u.site])
	}
	return r, nil
}

// bestFirst is the units of site s, ordered by their scores.
func bestFirst(s int, site model.Site, scores []float64) ([]unit, error) {
	units := make([]unit, site.Units)
	for u := range units {
		if math.IsNaN(scores[u]) {
			return nil, fmt.Errorf("the score of unit %d of %v is not a number", u, site)
		}
		units[u] = unit{s, u, scores[u]}
	}
	best(units)
	return units, nil
}

// even refuses units of one kind with different costs, unless a table says what
// they are.
func even(sites []model.Site, c Costs, kind model.Kind) error {
	if c.Table != nil {
		return nil
	}
	first := -1
	for s, site := range sites {
		if site.Kind != kind {
			continue
		}
		if first < 0 {
			first = s
		}
		if c.Unit[s] != c.Unit[first] {
			return fmt.Errorf("additive search: %s of %v cost %d %s, others %d: layers of different width are not supported", kind, site, c.Unit[s], c.Resource, c.Unit[first])
		}
	}
	return nil
}

func best(units []unit) {
	sort.SliceStable(units, func(i, j int) bool { return units[i].score > units[j].score })
}

// Flat says how little scores vary: the median over sites of the ratio of the
// interquartile range to the median score. Below 0.01 a ranking is hardly
// better than chance.
func Flat(scores [][]float64) float64 {
	var ratios []float64
	for _, site := range scores {
		if len(site) < 4 {
			continue
		}
		v := slices.Sorted(slices.Values(site))
		spread := v[len(v)*3/4] - v[len(v)/4]
		ratios = append(ratios, spread/math.Max(math.Abs(v[len(v)/2]), math.SmallestNonzeroFloat64))
	}
	if len(ratios) == 0 {
		return math.Inf(1)
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}
