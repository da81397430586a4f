package prune

import (
	"math"
	"slices"

	"optin/bench/model"
)

// Spend chooses how many units every site loses, where curves say in what order
// and at what loss, so that the sum of losses is least within the budget: by
// Lagrange's multiplier (a loss of at most lambda per cost saved), which is
// exact on the curves' convex hulls, then by giving back single units as long as
// the budget has room.
func Spend(sites []model.Site, curves []Curve, c Costs, b Budget) (Mask, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	mask := spend(Full(sites), curves, c, b.limit(c))
	if least := c.Encoder(mask.Kept()); least > b.limit(c) {
		return nil, unreachable(c, b, least)
	}
	return mask, nil
}

// spend goes on from a mask: orders of the curves count the units that it keeps.
// Where limit cannot be met, all goes that may.
func spend(from Mask, curves []Curve, c Costs, limit int64) Mask {
	units := from.Kept()
	s := &spending{curves: curves, need: c.Encoder(units) - limit}
	for i, curve := range curves {
		saved := []int64{0}
		for k := range curve.Order {
			saved = append(saved, saved[k]+c.Saving(i, units[i]-k))
		}
		s.saved = append(s.saved, saved)
	}
	mask := make(Mask, len(from))
	for i, k := range s.giveBack(s.cheapest()) {
		mask[i] = slices.Clone(from[i])
		left := indices(from[i], true)
		for _, u := range curves[i].Order[:k] {
			mask[i][left[u]] = false
		}
	}
	return mask
}

// spending is a budget being met. A choice is the number of units gone per site.
type spending struct {
	curves []Curve
	saved  [][]int64 // by site, after k units have gone
	need   int64     // that must be saved
}

func (s *spending) everything() []int {
	var gone []int
	for _, c := range s.curves {
		gone = append(gone, len(c.Order))
	}
	return gone
}

func (s *spending) total(gone []int) int64 {
	var sum int64
	for i, k := range gone {
		sum += s.saved[i][k]
	}
	return sum
}

// cheapest is the choice at the smallest multiplier that saves enough.
func (s *spending) cheapest() []int {
	if s.need <= 0 {
		return make([]int, len(s.curves))
	}
	best := s.everything()
	low, high := 0.0, 1.0
	for s.total(s.at(high)) < s.need && high < math.MaxFloat64/4 {
		low, high = high, 4*high
	}
	for range 200 {
		middle := (low + high) / 2
		if gone := s.at(middle); s.total(gone) >= s.need {
			best, high = gone, middle
		} else {
			low = middle
		}
	}
	return best
}

// at is the choice that minimises loss less lambda times what is saved; of equal
// ones that which saves most.
func (s *spending) at(lambda float64) []int {
	var gone []int
	for i, c := range s.curves {
		best, least := 0, math.Inf(1)
		for k, loss := range c.Loss {
			if v := loss - lambda*float64(s.saved[i][k]); v <= least {
				best, least = k, v
			}
		}
		gone = append(gone, best)
	}
	return gone
}

// giveBack restores units, each time the one that lowers the loss most per cost,
// while enough stays saved.
func (s *spending) giveBack(gone []int) []int {
	spare := s.total(gone) - s.need
	for {
		site, best := -1, 0.0
		for i, k := range gone {
			if k == 0 {
				continue
			}
			cost := s.saved[i][k] - s.saved[i][k-1]
			gain := s.curves[i].Loss[k] - s.curves[i].Loss[k-1]
			if cost > spare || cost <= 0 {
				continue
			}
			if rate := gain / float64(cost); site < 0 || rate > best {
				site, best = i, rate
			}
		}
		if site < 0 {
			return gone
		}
		spare -= s.saved[site][gone[site]] - s.saved[site][gone[site]-1]
		gone[site]--
	}
}
