package prune

import (
	"math/bits"
	"math/rand/v2"
	"testing"
)

// removalLoss is |sum over removed units of the gradients|^2, plainly.
func removalLoss(g *Gradients, s int, keep []bool) (total float64) {
	for e := range g.Examples() {
		sum := 0.0
		for u, v := range g.Site(e, s) {
			if !keep[u] {
				sum += float64(v)
			}
		}
		total += sum * sum
	}
	return total
}

func randomGradients(rng *rand.Rand, examples int, units ...int) *Gradients {
	g := &Gradients{Offsets: []int{0}}
	for _, n := range units {
		g.Offsets = append(g.Offsets, g.columns()+n)
	}
	for range examples * g.columns() {
		g.Values = append(g.Values, float32(rng.NormFloat64()))
	}
	return g
}

// leastLoss is the smallest loss with as many units kept, by trying all sets.
func leastLoss(g *Gradients, s int, keep []bool) float64 {
	best, n := removalLoss(g, s, keep), len(keep)
	trial := make([]bool, n)
	for set := range uint(1) << n {
		if bits.OnesCount(set) != len(kept(keep)) {
			continue
		}
		for u := range trial {
			trial[u] = set>>u&1 == 1
		}
		best = min(best, removalLoss(g, s, trial))
	}
	return best
}

func TestRearrangement(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	reached, fell, trials := 0, 0, 40
	for range trials {
		g := randomGradients(rng, 5, 9, 3)
		mask := Mask{make([]bool, 9), make([]bool, 3)}
		for s := range mask {
			for i, u := range rng.Perm(len(mask[s])) {
				mask[s][u] = i%2 == 0
			}
		}
		once, often := Rearrange(mask, g, 1), Rearrange(mask, g, 100)
		for s := range mask {
			if len(kept(often[s])) != len(kept(mask[s])) {
				t.Fatalf("keeps %d units, kept %d", len(kept(often[s])), len(kept(mask[s])))
			}
			before, first, after := removalLoss(g, s, mask[s]), removalLoss(g, s, once[s]), removalLoss(g, s, often[s])
			if after > first || first > before {
				t.Errorf("the loss rises: %g, after a pass %g, after all %g", before, first, after)
			}
			if after < before {
				fell++
			}
			// No single exchange may lower it further.
			for _, u := range kept(often[s]) {
				for _, r := range dropped(often[s]) {
					often[s][u], often[s][r] = false, true
					if got := removalLoss(g, s, often[s]); got < after*(1-1e-9) {
						t.Errorf("exchanging %d and %d lowers the loss from %g to %g", u, r, after, got)
					}
					often[s][u], often[s][r] = true, false
				}
			}
		}
		if removalLoss(g, 0, often[0]) <= 1.2*leastLoss(g, 0, mask[0]) {
			reached++
		}
	}
	if fell < trials || reached < trials/2 {
		t.Errorf("of %d trials %d sites improved and %d came within a fifth of the best set", trials, fell, reached)
	}
}

// What is removed already, or equal, stays: exchanges must lower the loss.
func TestRearrangementLeavesTies(t *testing.T) {
	g := &Gradients{Offsets: []int{0, 4}, Values: []float32{0, 0, 1, 1}}
	mask := Mask{{true, false, true, true}}
	if got := Rearrange(mask, g, 5); got[0][0] != true || got[0][1] != false {
		t.Errorf("exchanged two units without effect: %v", got)
	}
	for _, same := range []Mask{{{true, true, true, true}}, {{false, false, false, false}}} {
		if got := Rearrange(same, g, 5); len(kept(got[0])) != len(kept(same[0])) {
			t.Errorf("%v became %v", same, got)
		}
	}
}
