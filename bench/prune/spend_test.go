package prune

import (
	"math"
	"math/rand/v2"
	"testing"

	"optin/bench/model"
)

// spent is three small sites with convex curves.
func spent(seed uint64) ([]model.Site, []Curve, Costs) {
	rng := rand.New(rand.NewPCG(seed, 0))
	sites := []model.Site{{Kind: model.Heads, Units: 3}, {Kind: model.Neurons, Units: 6}, {Layer: 1, Kind: model.Neurons, Units: 5}}
	c := Costs{Unit: []int64{7, 2, 2}, Fixed: 1}
	var curves []Curve
	for _, s := range sites {
		c.units = append(c.units, s.Units)
		curve := Curve{Loss: []float64{0}}
		step := 0.0
		for u := range s.Units - 1 {
			step += rng.Float64()
			curve.Order = append(curve.Order, u)
			curve.Loss = append(curve.Loss, curve.Loss[u]+step)
		}
		curves = append(curves, curve)
	}
	return sites, curves, c
}

// TestSpend compares with all choices there are: the budget is kept, no unit
// more could come back, and the loss is never more than what a single unit of
// the dearest kind may cost above the best.
func TestSpend(t *testing.T) {
	exact := 0
	for seed := range uint64(20) {
		sites, curves, c := spent(seed)
		for _, keep := range []float64{1, 0.9, 0.7, 0.55} {
			b := Budget{Keep: keep}
			kept := spend(Full(sites), curves, c, b.limit(c)).Kept()
			if c.Encoder(kept) > b.limit(c) {
				t.Fatalf("seed %d keep %v: costs %d of %d", seed, keep, c.Encoder(kept), b.limit(c))
			}
			loss := 0.0
			for s, n := range kept {
				loss += curves[s].Loss[sites[s].Units-n]
				if n < sites[s].Units && c.Encoder(kept)+c.Unit[s] <= b.limit(c) {
					t.Errorf("seed %d keep %v: a unit of %v would still fit", seed, keep, sites[s])
				}
			}
			best := bestSpending(sites, curves, c, b.limit(c))
			if loss < best-1e-12 {
				t.Fatalf("seed %d keep %v: loss %v below the least, %v", seed, keep, loss, best)
			}
			if loss <= best+1e-12 {
				exact++
			}
		}
	}
	if exact < 60 {
		t.Errorf("the best choice was found in %d of 80 cases, want at least 60", exact)
	}
}

func bestSpending(sites []model.Site, curves []Curve, c Costs, limit int64) float64 {
	best := math.Inf(1)
	for i, x := range curves[0].Loss {
		for j, y := range curves[1].Loss {
			for k, z := range curves[2].Loss {
				kept := []int{sites[0].Units - i, sites[1].Units - j, sites[2].Units - k}
				if c.Encoder(kept) <= limit {
					best = min(best, x+y+z)
				}
			}
		}
	}
	return best
}

// TestSpendTakesWhatIsFree: under a table with steps, units that cost nothing come
// back with the one before them.
func TestSpendTakesWhatIsFree(t *testing.T) {
	sites := []model.Site{{Kind: model.Neurons, Units: 4}}
	c, err := Tabulated(Latency, sites, [][]int64{{0, 10, 10, 20, 20}}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	curves := []Curve{{Order: []int{0, 1, 2, 3}, Loss: []float64{0, 1, 2, 3, 4}}}
	for limit, want := range map[int64]int{9: 0, 10: 2, 19: 2, 20: 4} {
		if got := spend(Full(sites), curves, c, limit).Kept()[0]; got != want {
			t.Errorf("limit %d: %d units stay, want %d", limit, got, want)
		}
	}
	// Both go where the multiplier says so, and both come back.
	curves[0].Loss = []float64{0, 0, 0, 0, 1}
	if got := spend(Full(sites), curves, c, 25).Kept()[0]; got != 4 {
		t.Errorf("no need to save: %d units stay", got)
	}
	curves = []Curve{{Order: []int{0, 1, 2, 3}, Loss: []float64{0, 5, 6, 6, 6.5}}}
	if got := spend(Full(sites), curves, c, 15).Kept()[0]; got != 2 {
		t.Errorf("limit 15: %d units stay, want 2", got)
	}
}

// TestSpendUnreachable: all goes that may.
func TestSpendUnreachable(t *testing.T) {
	sites, curves, c := spent(1)
	for s, n := range spend(Full(sites), curves, c, 0).Kept() {
		if n != 1 {
			t.Errorf("%v keeps %d units", sites[s], n)
		}
	}
}
