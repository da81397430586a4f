package prune

import (
	"fmt"
	"math"
	"slices"

	"optin/bench/model"
)

// RoundNeurons changes how many neurons layers keep to multiples of multiple,
// which kernels prefer, or to all that a layer has. Counts are rounded down, up
// only where a minimum asks for it; what that saves is then spent, one multiple
// after the other, where it brings most score per cost. The result keeps within
// the budget; where rounding up left it, multiples go from where they cost least
// score. Within a layer the neurons with the best scores stay, those that mask
// keeps before others. Heads stay as they are.
func RoundNeurons(sites []model.Site, scores [][]float64, mask Mask, multiple int, c Costs, b Budget) (Mask, error) {
	if multiple < 1 {
		return nil, fmt.Errorf("search.neuron_multiple = %d: must be at least 1", multiple)
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	if multiple == 1 {
		return mask, nil
	}
	r := rounding{costs: c, multiple: multiple, kept: mask.Kept()}
	for s, site := range sites {
		if site.Kind != model.Neurons {
			continue
		}
		l := newRoundedSite(s, site, scores[s], mask[s], b.least(site))
		r.sites = append(r.sites, l)
		r.kept[s] = l.start(multiple, r.kept[s])
	}
	limit := b.limit(c)
	for c.Encoder(r.kept) > limit {
		if !r.shrink() {
			return nil, fmt.Errorf("search.keep = %v of the %s cannot be met with search.neuron_multiple = %d: beside the heads that the search chose, and with min_neurons = %d per layer, the smallest is %s; choose a smaller multiple or a larger budget",
				b.Keep, c.Resource, multiple, b.MinNeurons, upTo(b.share(c, c.Encoder(r.kept))))
		}
	}
	for r.grow(limit - c.Encoder(r.kept)) {
	}
	out := slices.Clone(mask)
	for _, l := range r.sites {
		out[l.site] = make([]bool, len(mask[l.site]))
		for _, u := range l.order[:r.kept[l.site]] {
			out[l.site][u.index] = true
		}
	}
	return out, nil
}

// rounding is the state of RoundNeurons.
type rounding struct {
	costs    Costs
	multiple int
	sites    []roundedSite
	kept     []int // by site
}

// roundedSite is a layer's neurons in the order in which they stay.
type roundedSite struct {
	site  int
	least int
	order []unit
	sums  []float64 // sums[n]: score of the first n
}

func newRoundedSite(s int, site model.Site, scores []float64, keep []bool, least int) roundedSite {
	l := roundedSite{site: s, least: least, sums: []float64{0}}
	for _, wanted := range []bool{true, false} {
		var part []unit
		for u, on := range keep {
			if on == wanted {
				part = append(part, unit{s, u, scores[u]})
			}
		}
		best(part)
		l.order = append(l.order, part...)
	}
	for i, u := range l.order {
		l.sums = append(l.sums, l.sums[i]+u.score)
	}
	return l
}

// start is n rounded down, or up to the minimum.
func (l *roundedSite) start(multiple, n int) int {
	if n < len(l.order) {
		n -= n % multiple
	}
	for n < l.least {
		n = l.above(multiple, n)
	}
	return n
}

// above and below are the next counts, if there are any.
func (l *roundedSite) above(multiple, n int) int { return min(n+multiple, len(l.order)) }
func (l *roundedSite) below(multiple, n int) int { return (n - 1) / multiple * multiple }

// shrink takes one multiple where it costs least score, and says whether there
// was any left to take.
func (r *rounding) shrink() bool {
	chosen, count, least := -1, 0, math.Inf(1)
	for _, l := range r.sites {
		n := r.kept[l.site]
		to := l.below(r.multiple, n)
		if n == 0 || to < l.least {
			continue
		}
		saved := r.costs.site(l.site, n) - r.costs.site(l.site, to)
		if rate := scoreRate(l.sums[n]-l.sums[to], saved); rate < least {
			chosen, count, least = l.site, to, rate
		}
	}
	if chosen < 0 {
		return false
	}
	r.kept[chosen] = count
	return true
}

// grow adds one multiple, of those that left pays for, where it brings most
// score, and says whether it did.
func (r *rounding) grow(left int64) bool {
	chosen, count, most := -1, 0, 0.0
	for _, l := range r.sites {
		n := r.kept[l.site]
		to := l.above(r.multiple, n)
		price := r.costs.site(l.site, to) - r.costs.site(l.site, n)
		if to == n || price > left {
			continue
		}
		if rate := scoreRate(l.sums[to]-l.sums[n], price); rate > most {
			chosen, count, most = l.site, to, rate
		}
	}
	if chosen < 0 {
		return false
	}
	r.kept[chosen] = count
	return true
}

// scoreRate is score per cost; what is for nothing is worth more than anything
// that is not, and less than nothing if its score is negative.
func scoreRate(score float64, cost int64) float64 {
	if cost == 0 {
		return score * math.MaxFloat64
	}
	return score / float64(cost)
}
