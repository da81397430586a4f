package prune

import (
	"math"

	"optin/bench/model"
)

// removal is a set of removed units on its way to a budget.
type removal struct {
	*effects
	sites  []model.Site
	costs  Costs
	budget Budget
	limit  int64
	cross  float64 // share of the interactions that counts
	batch  int

	site     []int // of each unit
	on       []bool
	kept     []int // by site
	cost     int64
	residual []float32 // r
	inner    []float64 // <r, g_u>: true for all units after look, later for those in a pool

	removable, restorable pool
	scratch               []candidate
}

// candidate is a unit with what it is ordered by, least first.
type candidate struct {
	unit int
	key  float64
}

// pool is the units that compete until the next look at all of them: of those
// that are there, or of those that are gone.
type pool struct {
	there   bool
	units   []int
	changes int // since
}

func newRemoval(e *effects, sites []model.Site, c Costs, b Budget, shrink float64, batch int) *removal {
	s := &removal{effects: e, sites: sites, costs: c, budget: b, limit: b.limit(c), cross: 1 - shrink, batch: batch,
		kept: e.at.Kept(), residual: append([]float32(nil), e.start...)}
	for i, site := range e.at {
		for _, on := range site {
			s.site, s.on = append(s.site, i), append(s.on, on)
		}
	}
	if s.batch == 0 {
		s.batch = int(math.Sqrt(float64(len(s.on))) / 2)
	}
	s.batch = max(s.batch, 1)
	s.removable.there = true
	s.cost = c.Encoder(s.kept)
	s.inner = make([]float64, len(s.on))
	return s
}

func (s *removal) mask() Mask {
	mask, u := make(Mask, len(s.sites)), 0
	for i, site := range s.sites {
		mask[i] = s.on[u : u+site.Units : u+site.Units]
		u += site.Units
	}
	return mask
}

// price is what removing unit u adds to the loss, gain what bringing it back
// takes from it, both times the number of probes.
func (s *removal) price(u int) float64 { return s.squares[u] + s.cross*2*s.inner[u] }

func (s *removal) gain(u int) float64 {
	return s.squares[u] + s.cross*2*(s.inner[u]-s.squares[u])
}

// perCost orders by worth for cost; what is worth less than nothing, by worth
// alone.
func perCost(worth float64, cost int64) float64 {
	if worth < 0 {
		return worth
	}
	return worth / float64(max(cost, 1))
}

// canGo says whether the site of a unit that is there may lose one.
func (s *removal) canGo(u int) bool {
	i := s.site[u]
	return s.kept[i] > s.budget.least(s.sites[i])
}

// canReturn says whether a unit that is gone fits into the budget and lowers the
// loss.
func (s *removal) canReturn(u int) bool {
	i := s.site[u]
	return s.cost+s.costs.Saving(i, s.kept[i]+1) <= s.limit && s.gain(u) > 0
}

// room says whether any unit that is gone fits into the budget.
func (s *removal) room() bool {
	for i, n := range s.kept {
		if n < s.sites[i].Units && s.cost+s.costs.Saving(i, n+1) <= s.limit {
			return true
		}
	}
	return false
}

func (s *removal) remove(u int) {
	s.cost -= s.costs.Saving(s.site[u], s.kept[s.site[u]])
	s.kept[s.site[u]]--
	s.on[u] = false
	s.move(u, 1)
}

func (s *removal) restore(u int) {
	s.kept[s.site[u]]++
	s.cost += s.costs.Saving(s.site[u], s.kept[s.site[u]])
	s.on[u] = true
	s.move(u, -1)
}

// move adds unit u to the residual, sign times, and brings the pools up to date.
func (s *removal) move(u int, sign float32) {
	g := s.of(u)
	for i, v := range g {
		s.residual[i] += sign * v
	}
	for _, p := range []*pool{&s.removable, &s.restorable} {
		p.changes++
		for _, v := range p.units {
			s.inner[v] = float64(dot(s.residual, s.of(v)))
		}
	}
}

// look makes p the best of the units that may change, all compared at the
// present residual.
func (s *removal) look(p *pool, may func(u int) bool, key func(u int) float64) {
	s.scratch = s.scratch[:0]
	for u := range s.on {
		if s.on[u] != p.there {
			continue
		}
		s.inner[u] = float64(dot(s.residual, s.of(u)))
		if may(u) {
			s.scratch = append(s.scratch, candidate{u, key(u)})
		}
	}
	p.units, p.changes = p.units[:0], 0
	for _, c := range cheapest(s.scratch, 4*s.batch) {
		p.units = append(p.units, c.unit)
	}
}

// pick is the best of a pool's units that may change, -1 if there is none.
func (s *removal) pick(p *pool, may func(u int) bool, key func(u int) float64) int {
	if p.changes >= s.batch {
		s.look(p, may, key)
	}
	for range 2 {
		best := candidate{-1, math.Inf(1)}
		for _, u := range p.units {
			if s.on[u] != p.there || !may(u) {
				continue
			}
			if c := (candidate{u, key(u)}); best.unit < 0 || better(c, best) < 0 {
				best = c
			}
		}
		if best.unit >= 0 {
			return best.unit
		}
		s.look(p, may, key)
	}
	return -1
}

// nextOut is the unit to remove next.
func (s *removal) nextOut() int {
	return s.pick(&s.removable, s.canGo, func(u int) float64 {
		i := s.site[u]
		return perCost(s.price(u), s.costs.Saving(i, s.kept[i]))
	})
}

// nextIn is the unit to bring back next, of those that may.
func (s *removal) nextIn(may func(u int) bool) int {
	return s.pick(&s.restorable, may, func(u int) float64 {
		i := s.site[u]
		return -perCost(s.gain(u), s.costs.Saving(i, s.kept[i]+1))
	})
}

// reduce removes units until the budget is met. It can be: Joint has checked.
func (s *removal) reduce() {
	for s.cost > s.limit {
		s.remove(s.nextOut())
	}
}

// fill brings units back while one that lowers the loss fits.
func (s *removal) fill() {
	for s.room() {
		u := s.nextIn(s.canReturn)
		if u < 0 {
			return
		}
		s.restore(u)
	}
}
