package prune

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"optin/bench/model"
	"optin/kernels"
)

// SampleExact scores all heads exactly, and the given number of neurons drawn at
// random from all layers: what estimated scores are checked by. The parts of all
// other units are NaN. progress, if not nil, is called with the number of units
// just scored.
func SampleExact(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, o Options, neurons int, seed int64, progress func(units int)) (*Parts, error) {
	if neurons < 0 {
		return nil, fmt.Errorf("score.check = %d: must be at least 0", neurons)
	}
	o.Only = sample(m.Sites(), neurons, seed)
	return Trajectory(ctx, dev, m, batches, o, progress)
}

// sample is all heads and some neurons, ascending.
func sample(sites []model.Site, neurons int, seed int64) [][]int {
	chosen := make([][]int, len(sites))
	var all []unit
	for s, site := range sites {
		for u := range site.Units {
			if site.Kind == model.Heads {
				chosen[s] = append(chosen[s], u)
			} else {
				all = append(all, unit{site: s, index: u})
			}
		}
	}
	order := rand.New(rand.NewPCG(uint64(seed), 0x73616d706c65)).Perm(len(all))
	for _, i := range order[:min(neurons, len(all))] {
		chosen[all[i].site] = append(chosen[all[i].site], all[i].index)
	}
	for _, list := range chosen {
		slices.Sort(list)
	}
	return chosen
}

// Known is the exact scores of one kind of unit where there are any, and the
// estimated ones elsewhere.
func Known(sites []model.Site, exact, estimated [][]float64, kind model.Kind) [][]float64 {
	known := make([][]float64, len(estimated))
	for s, site := range sites {
		known[s] = slices.Clone(estimated[s])
		if site.Kind != kind {
			continue
		}
		for u, v := range exact[s] {
			if v == v { // a number
				known[s][u] = v
			}
		}
	}
	return known
}
