package prune

import (
	"slices"

	"optin/bench/model"
	"optin/kernels"
)

// Mask says, per site and unit, what stays.
type Mask [][]bool

// Full is the mask that keeps everything.
func Full(sites []model.Site) Mask {
	m := make(Mask, len(sites))
	for s, site := range sites {
		m[s] = make([]bool, site.Units)
		for u := range m[s] {
			m[s][u] = true
		}
	}
	return m
}

// Kept is how many units stay at each site.
func (m Mask) Kept() []int {
	kept := make([]int, len(m))
	for s := range m {
		for _, on := range m[s] {
			if on {
				kept[s]++
			}
		}
	}
	return kept
}

// upload turns m into what model.Pass takes. A site that keeps all its units
// has no mask.
func (m Mask) upload(ops kernels.Ops) []*kernels.Tensor {
	masks := make([]*kernels.Tensor, len(m))
	for s := range m {
		masks[s] = m.site(ops, s)
	}
	return masks
}

// site is the mask of site s, nil if it keeps all its units or m is nil.
func (m Mask) site(ops kernels.Ops, s int) *kernels.Tensor {
	if m == nil || !slices.Contains(m[s], false) {
		return nil
	}
	row := make([]float32, len(m[s]))
	for u, on := range m[s] {
		if on {
			row[u] = 1
		}
	}
	return ops.Upload(1, len(row), row)
}

// PerLayer spreads a count per site over the layers, 0 where a layer has no
// such site.
func PerLayer(sites []model.Site, layers int, kind model.Kind, perSite []int) []int {
	counts := make([]int, layers)
	for s, site := range sites {
		if site.Kind == kind {
			counts[site.Layer] = perSite[s]
		}
	}
	return counts
}
