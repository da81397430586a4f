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
// PTF: Kwon et al., NeurIPS 2022): for every number of heads it keeps the best
// heads and fills the rest of the budget with the best neurons. All heads must
// cost the same, and all neurons; ties go to the earlier layer and unit.
func Additive(sites []model.Site, scores [][]float64, c Costs, b Budget) (Mask, error) {
	if !(b.Keep > 0 && b.Keep <= 1) {
		return nil, fmt.Errorf("search.keep = %v: must be above 0 and at most 1", b.Keep)
	}
	heads, err := rank(sites, scores, c, model.Heads, b.MinHeads)
	if err != nil {
		return nil, err
	}
	neurons, err := rank(sites, scores, c, model.Neurons, b.MinNeurons)
	if err != nil {
		return nil, err
	}
	limit := b.limit(c)
	best, bestHeads, bestNeurons := math.Inf(-1), -1, -1
	for h := heads.least; h <= len(heads.order); h++ {
		left := limit - c.Fixed - int64(h)*heads.cost
		if left < int64(neurons.least)*neurons.cost {
			break
		}
		n := len(neurons.order)
		if neurons.cost > 0 {
			n = int(min(int64(n), left/neurons.cost))
		}
		if total := heads.sums[h] + neurons.sums[n]; total > best {
			best, bestHeads, bestNeurons = total, h, n
		}
	}
	if bestHeads < 0 {
		least := c.Fixed + int64(heads.least)*heads.cost + int64(neurons.least)*neurons.cost
		return nil, unreachable(c, b, least)
	}
	mask := make(Mask, len(sites))
	for s, site := range sites {
		mask[s] = make([]bool, site.Units)
	}
	for _, u := range append(heads.order[:bestHeads:bestHeads], neurons.order[:bestNeurons]...) {
		mask[u.site][u.index] = true
	}
	return mask, nil
}

func unreachable(c Costs, b Budget, least int64) error {
	share := float64(least) / float64(c.Dense())
	if b.WholeModel {
		share = float64(least+c.Outside) / float64(c.Total())
	}
	return fmt.Errorf("search.keep = %v of the %s cannot be met: with min_heads = %d and min_neurons = %d per layer the smallest is %s",
		b.Keep, c.Resource, b.MinHeads, b.MinNeurons, upTo(share))
}

// upTo rounds up, so that the printed budget can be met.
func upTo(share float64) string { return fmt.Sprintf("%.4f", math.Ceil(share*1e4)/1e4) }

// ranking is the units of one kind, best first, after those that a layer may
// not lose.
type ranking struct {
	order []unit
	sums  []float64 // sums[n]: score of the first n
	least int
	cost  int64
}

func rank(sites []model.Site, scores [][]float64, c Costs, kind model.Kind, minimum int) (ranking, error) {
	r := ranking{cost: -1}
	var rest []unit
	for s, site := range sites {
		if site.Kind != kind {
			continue
		}
		if r.cost >= 0 && r.cost != c.Unit[s] {
			return r, fmt.Errorf("additive search: %s of %v cost %d %s, others %d: layers of different width are not supported", kind, site, c.Unit[s], c.Resource, r.cost)
		}
		r.cost = c.Unit[s]
		units := make([]unit, site.Units)
		for u := range units {
			if math.IsNaN(scores[s][u]) {
				return r, fmt.Errorf("the score of unit %d of %v is not a number", u, site)
			}
			units[u] = unit{s, u, scores[s][u]}
		}
		best(units)
		forced := min(minimum, site.Units)
		r.order = append(r.order, units[:forced]...)
		rest = append(rest, units[forced:]...)
	}
	r.cost = max(r.cost, 0)
	r.least = len(r.order)
	best(rest)
	r.order = append(r.order, rest...)
	r.sums = make([]float64, len(r.order)+1)
	for i, u := range r.order {
		r.sums[i+1] = r.sums[i] + u.score
	}
	return r, nil
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
