package prune

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"optin/bench/model"
)

// layers are sites of made-up layers, with what a unit of each costs.
func layers(n, heads, neurons int) ([]model.Site, Costs) {
	var sites []model.Site
	var c Costs
	for l := range n {
		sites = append(sites, model.Site{Layer: l, Kind: model.Heads, Units: heads, Width: 4}, model.Site{Layer: l, Kind: model.Neurons, Units: neurons, Width: 1})
		c.Unit, c.units = append(c.Unit, 9, 2), append(c.units, heads, neurons)
	}
	return sites, c
}

// noise are probes whose columns are independent, with the given number of rows.
func noise(sites []model.Site, rows int, seed uint64) *Probes {
	p := &Probes{Rows: 1, Factor: 1}
	units := 0
	for _, s := range sites {
		p.units, units = append(p.units, s.Units), units+s.Units
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	for range rows {
		row := make([]float32, units)
		for u := range row {
			row[u] = float32(rng.NormFloat64() * (1 + float64(u%7)))
		}
		p.G = append(p.G, row)
	}
	p.options.Probes = rows
	return p
}

// mixed are probes of units that share a few directions, so that most of what
// one does another undoes or does again.
func mixed(sites []model.Site, rows, directions int, seed, noiseSeed uint64) *Probes {
	p, through := noise(sites, rows, noiseSeed), rand.New(rand.NewPCG(seed, 2))
	units := len(p.G[0])
	mix := make([][]float32, directions)
	for d := range mix {
		mix[d] = make([]float32, units)
		for u := range mix[d] {
			mix[d][u] = float32(through.NormFloat64())
		}
	}
	rng := rand.New(rand.NewPCG(noiseSeed, 3))
	for _, row := range p.G {
		for u := range row {
			row[u] *= 0.02
		}
		for _, m := range mix {
			f := float32(rng.NormFloat64())
			for u := range row {
				row[u] += f * m[u]
			}
		}
	}
	return p
}

func TestJointSeesInteractions(t *testing.T) {
	sites, c := layers(3, 4, 60)
	for seed := range uint64(3) {
		search, heldOut, fresh := mixed(sites, 200, 6, seed, 10), mixed(sites, 50, 6, seed, 11), mixed(sites, 400, 6, seed, 12)
		b := Budget{Keep: 0.5, MinHeads: 1, MinNeurons: 1}
		mask, report, err := Joint(sites, search, heldOut, c, b, DefaultJointOptions())
		if err != nil {
			t.Fatal(err)
		}
		additive, err := Additive(sites, search.Scores(), c, b)
		if err != nil {
			t.Fatal(err)
		}
		if joint, alone := fresh.Loss(mask), fresh.Loss(additive); !(joint < alone/20) || report.FellBack {
			t.Errorf("joint loses %g, additive %g (fell back: %t)", joint, alone, report.FellBack)
		}
		if report.HeldOut != heldOut.Loss(mask) || report.InSample != search.Loss(mask) || report.Additive != heldOut.Loss(additive) || report.Probes != 200 {
			t.Errorf("report %+v is of another set", report)
		}
	}
}

// Where units do not interact and probes are few, interactions are noise: they
// are left out, and little is lost against the additive set.
func TestJointShrinksNoise(t *testing.T) {
	sites, c := layers(3, 4, 60)
	search, heldOut, fresh := noise(sites, 12, 20), noise(sites, 40, 21), noise(sites, 400, 22)
	b := Budget{Keep: 0.5, MinHeads: 1, MinNeurons: 1}
	o := DefaultJointOptions()
	mask, report, err := Joint(sites, search, heldOut, c, b, o)
	if err != nil {
		t.Fatal(err)
	}
	additive, err := Additive(sites, search.Scores(), c, b)
	if err != nil {
		t.Fatal(err)
	}
	o.Shrink = []float64{0}
	greedy, greedyReport, err := Joint(sites, search, heldOut, c, b, o)
	if err != nil {
		t.Fatal(err)
	}
	if !(report.Shrink >= 0.6) || !(fresh.Loss(mask) < 1.1*fresh.Loss(additive)) {
		t.Errorf("shrink %v, loss %g, additive %g", report.Shrink, fresh.Loss(mask), fresh.Loss(additive))
	}
	if !greedyReport.FellBack || fmt.Sprint(greedy) != fmt.Sprint(additive) {
		t.Errorf("unshrunk: %+v, the additive set is better", greedyReport)
	}
}

// Against all subsets of few units.
func TestJointIsNearTheBestSet(t *testing.T) {
	sites, c := layers(2, 2, 4)
	exact, ratio := 0, 1.0
	for seed := range uint64(20) {
		p := mixed(sites, 40, 8, seed, seed)
		b := Budget{Keep: 0.55, MinHeads: 1, MinNeurons: 1}
		o := JointOptions{Shrink: []float64{0}, Swaps: 100}
		mask, _, err := Joint(sites, p, p, c, b, o)
		if err != nil {
			t.Fatal(err)
		}
		best := math.Inf(1)
		for bits := range 1 << 12 {
			other, u := none(sites), 0
			for s := range other {
				for i := range other[s] {
					other[s][i] = bits>>u&1 == 1
					u++
				}
			}
			if kept := other.Kept(); c.Encoder(kept) <= b.limit(c) && slices.Min(kept) >= 1 {
				best = min(best, p.Loss(other))
			}
		}
		got := p.Loss(mask)
		if got <= best*(1+1e-5) {
			exact++
		}
		ratio *= math.Pow(got/best, 1./20)
	}
	if exact < 8 || !(ratio < 1.5) {
		t.Errorf("%d of 20 sets are the best, want 8; they lose %.2f times as much as these, want less than 1.5", exact, ratio)
	}
}

func TestJointKeepsWithinTheBudget(t *testing.T) {
	sites, c := layers(4, 6, 50)
	for seed := range uint64(12) {
		p := mixed(sites, 30, 5, seed, seed)
		b := Budget{Keep: 0.25 + 0.06*float64(seed), MinHeads: int(seed % 3), MinNeurons: int(seed % 5)}
		if seed%2 == 1 { // a table with steps of four
			c.Table = nil
			for s, site := range sites {
				c.Table = append(c.Table, nil)
				for n := range site.Units + 1 {
					c.Table[s] = append(c.Table[s], c.Unit[s]*int64((n+3)/4*4))
				}
			}
		}
		mask, _, err := Joint(sites, p, p, c, b, JointOptions{Shrink: []float64{0.1}, Swaps: 50})
		if err != nil {
			t.Fatal(err)
		}
		kept := mask.Kept()
		left := b.limit(c) - c.Encoder(kept)
		if left < 0 {
			t.Errorf("seed %d: %d above the limit", seed, -left)
		}
		for s, site := range sites {
			if kept[s] < b.least(site) {
				t.Errorf("seed %d: %v keeps %d", seed, site, kept[s])
			}
			if kept[s] == site.Units || c.Saving(s, kept[s]+1) > left {
				continue
			}
			for u, on := range mask[s] { // it would fit
				if with := slices.Clone(mask); !on {
					with[s] = slices.Clone(mask[s])
					with[s][u] = true
					if p.Loss(with) < 0.8*p.Loss(mask) {
						t.Errorf("seed %d: unit %d of %v would fit and lower the loss to %g of %g", seed, u, site, p.Loss(with), p.Loss(mask))
					}
				}
			}
		}
	}
	for _, b := range []Budget{{Keep: 0}, {Keep: 1.5}, {Keep: 0.01, MinHeads: 1}} {
		if _, _, err := Joint(sites, noise(sites, 2, 1), noise(sites, 2, 1), c, b, DefaultJointOptions()); err == nil || !strings.Contains(err.Error(), "search.keep") {
			t.Errorf("keep %v: %v", b.Keep, err)
		}
	}
}

// A search that begins at a pruned model counts its residual, and can bring
// back what has been removed.
func TestJointGoesOnFromAMask(t *testing.T) {
	sites, c := layers(2, 2, 20)
	p := mixed(sites, 60, 3, 1, 1)
	at := Full(sites)
	at[1][3], at[1][4] = false, false
	dense := *p
	p.At, p.Residual = at, make([]float64, len(p.G))
	for i, row := range p.G {
		p.Residual[i] = float64(row[2+3]) + float64(row[2+4])
	}
	b := Budget{Keep: 0.6, MinHeads: 1, MinNeurons: 1}
	o := JointOptions{Shrink: []float64{0}, Swaps: 200}
	mask, report, err := Joint(sites, p, p, c, b, o)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "loss from there and from the dense model", p.Loss(mask), dense.Loss(mask), 1e-5, 0)
	if report.FellBack || report.Additive != 0 {
		t.Errorf("%+v: there is no additive set beyond the dense model", report)
	}
	p.Residual = make([]float64, len(p.G)) // nothing lost so far, and 3 and 4 as good as all others
	for i, row := range p.G {
		row[2+3], row[2+4] = 1000*row[2+3], 1000*row[2+4]
		p.Residual[i] = float64(row[2+3]) + float64(row[2+4])
	}
	if mask, _, err = Joint(sites, p, p, c, b, o); err != nil {
		t.Fatal(err)
	}
	if !mask[1][3] || !mask[1][4] {
		t.Error("what should not have been removed does not come back")
	}
}

func TestSwapsPay(t *testing.T) {
	sites, c := layers(3, 4, 60)
	p := mixed(sites, 100, 10, 4, 4)
	b := Budget{Keep: 0.5, MinHeads: 1, MinNeurons: 1}
	loss := func(swaps int) float64 {
		mask, _, err := Joint(sites, p, p, c, b, JointOptions{Shrink: []float64{0}, Swaps: swaps})
		if err != nil {
			t.Fatal(err)
		}
		return p.Loss(mask)
	}
	if with, without := loss(1000), loss(0); !(with < 0.9*without) {
		t.Errorf("swaps lower the loss to %g from %g", with, without)
	}
}
