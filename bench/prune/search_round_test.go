package prune

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"optin/bench/model"
)

func TestRoundedNeurons(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	sites := siteStack(4, 3, 50) // 50 is no multiple of 8, but all of a layer
	p := published{Layers: 4, Heads: 3, Neurons: 50, HeadSize: 8, Hidden: 32, Tokens: 20}
	for trial := range 60 {
		costs := p.macs()
		if trial%2 == 1 {
			tables, err := Tabulated(Latency, sites, stairs(rng, sites), 10, 5)
			if err != nil {
				t.Fatal(err)
			}
			costs = tables
		}
		scores := randomScores(rng, sites)
		b := Budget{Keep: 0.4 + 0.6*rng.Float64(), MinHeads: 1, MinNeurons: rng.IntN(12)}
		mask, err := Additive(sites, scores, costs, b)
		if err != nil {
			t.Fatal(err)
		}
		before := mask.Kept()
		got, err := RoundNeurons(sites, scores, mask, 8, costs, b)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(mask.Kept(), before) {
			t.Error("the mask that was given has changed")
		}
		left := b.limit(costs) - costs.Encoder(got.Kept())
		if left < 0 {
			t.Errorf("%d over the budget", -left)
		}
		for s, site := range sites {
			n := got.Kept()[s]
			if site.Kind == model.Heads {
				if !slices.Equal(got[s], mask[s]) {
					t.Errorf("%v changed", site)
				}
				continue
			}
			if n%8 != 0 && n != site.Units || n < b.least(site) {
				t.Errorf("%v keeps %d, at least %d wanted", site, n, b.least(site))
			}
			if more := min(n+8, site.Units); n < site.Units && costs.site(s, more)-costs.site(s, n) <= left {
				t.Errorf("%v keeps %d: %d more fit into what is left", site, n, more-n)
			}
			// The best stay: Additive's masks keep a layer's best, so must these.
			for u, on := range got[s] {
				for v, other := range got[s] {
					if on && !other && scores[s][v] > scores[s][u] {
						t.Errorf("%v keeps unit %d and not %d, which scores more", site, u, v)
					}
				}
			}
		}
	}
}

// What rounding saves goes where it brings most, and not back where it came from.
func TestRoundingSpendsWhatItSaves(t *testing.T) {
	sites := []model.Site{{Kind: model.Neurons, Units: 8}, {Layer: 1, Kind: model.Neurons, Units: 8}}
	costs := Costs{Unit: []int64{1, 1}, units: []int{8, 8}}
	scores := [][]float64{{9, 9, 9, 9, 9, 1, 1, 1}, {9, 9, 9, 8, 8, 8, 8, 0}}
	mask := Mask{{true, true, true, true, true, true, false, false}, {true, true, true, false, false, false, false, false}}
	got, err := RoundNeurons(sites, scores, mask, 4, costs, Budget{Keep: 9.0 / 16})
	if err != nil {
		t.Fatal(err)
	}
	if kept := got.Kept(); !slices.Equal(kept, []int{4, 4}) {
		t.Errorf("keeps %v, want 4 and 4", kept)
	}
	// A minimum that rounds up to more than there is to spend.
	_, err = RoundNeurons(sites, scores, mask, 4, costs, Budget{Keep: 7.0 / 16, MinNeurons: 1})
	if err == nil {
		t.Fatal("8 of 16 neurons fit into a budget of 7")
	}
	for _, words := range []string{"search.neuron_multiple = 4", "the heads that the search chose", "the smallest is 0.5000", "choose a smaller multiple"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("got %v, want %s", err, words)
		}
	}
	// A minimum that rounds up takes from others.
	one := Mask{{true, true, true, true, true, true, true, true}, {true, false, false, false, false, false, false, false}}
	if got, err = RoundNeurons(sites, scores, one, 4, costs, Budget{Keep: 9.0 / 16, MinNeurons: 1}); err != nil {
		t.Fatal(err)
	}
	if kept := got.Kept(); !slices.Equal(kept, []int{4, 4}) {
		t.Errorf("keeps %v, want 4 and 4", kept)
	}
	// Of two that could give, the one whose units score less.
	three := append(sites, model.Site{Layer: 2, Kind: model.Neurons, Units: 4})
	costs3 := Costs{Unit: []int64{1, 1, 1}, units: []int{8, 8, 4}}
	full := Mask{slices.Repeat([]bool{true}, 8), slices.Repeat([]bool{true}, 8), {true, false, false, false}}
	for cheap, want := range [][]int{{4, 8, 4}, {8, 4, 4}} {
		values := [][]float64{slices.Repeat([]float64{5}, 8), slices.Repeat([]float64{5}, 8), {9, 9, 9, 9}}
		values[cheap] = slices.Repeat([]float64{4}, 8)
		if got, err = RoundNeurons(three, values, full, 4, costs3, Budget{Keep: 17.0 / 20, MinNeurons: 1}); err != nil {
			t.Fatal(err)
		}
		if kept := got.Kept(); !slices.Equal(kept, want) {
			t.Errorf("keeps %v, want %v", kept, want)
		}
	}
	if _, err := RoundNeurons(sites, scores, mask, 0, costs, Budget{Keep: 1}); err == nil {
		t.Error("a multiple of 0 is accepted")
	}
	if same, err := RoundNeurons(sites, scores, mask, 1, costs, Budget{Keep: 1}); err != nil || !slices.Equal(same.Kept(), mask.Kept()) {
		t.Errorf("multiples of 1: %v, %v", same.Kept(), err)
	}
}
