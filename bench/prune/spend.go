package prune

import (
	"math"
	"slices"
)

// spend chooses how many of the units that a mask keeps every site loses, where
// curves of these units say in what order and at what loss, so that the sum of
// losses is least within the limit: by Lagrange's multiplier (a loss of at most
// lambda per cost saved), which is exact on the curves' convex hulls, then by giving
// back single units as long as the limit has room. Where it cannot be met, all goes
// that may.
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

// giveBack restores units while enough stays saved: what costs nothing, then each
// time the one that lowers the loss most per cost.
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
			if cost > spare {
				continue
			}
			rate := math.Inf(1)
			if cost > 0 {
				rate = gain / float64(cost)
			}
			if site < 0 || rate > best {
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
