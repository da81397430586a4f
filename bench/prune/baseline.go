package prune

import (
	"context"
	"math"
	"math/rand/v2"

	"optin/bench/model"
	"optin/kernels"
)

// Magnitude scores a unit by the Euclidean length of all weights that it owns:
// rows of its producers, columns of its consumer.
func Magnitude(m model.Model) ([][]float64, error) {
	var scores [][]float64
	for _, site := range m.Sites() {
		squares := make([]float64, site.Units)
		for _, name := range site.Producers {
			p := m.Params().Get(name)
			if err := addSquares(squares, p, func(row, _ int) int { return row / site.Width }); err != nil {
				return nil, err
			}
		}
		p := m.Params().Get(site.Consumer)
		if err := addSquares(squares, p, func(_, col int) int { return col / site.Width }); err != nil {
			return nil, err
		}
		scores = append(scores, roots(squares))
	}
	return scores, nil
}

func addSquares(dst []float64, p *model.Param, unit func(row, col int) int) error {
	values := make([]float32, elements(p.Shape))
	if err := p.Read(values); err != nil {
		return err
	}
	cols := elements(p.Shape[1:])
	for i, v := range values {
		dst[unit(i/cols, i%cols)] += float64(v) * float64(v)
	}
	return nil
}

func roots(squares []float64) []float64 {
	for i, v := range squares {
		squares[i] = math.Sqrt(v)
	}
	return squares
}

// ActivationNorm scores a unit by what it can put into its site's sum: the
// length of its values over all calibration tokens times the length of the
// consumer's column, squares added over the columns of a head (after Wanda: Sun
// et al., ICLR 2024, there per weight).
func ActivationNorm(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input) ([][]float64, error) {
	if err := checkBatches(m, batches); err != nil {
		return nil, err
	}
	energy, err := valueSquares(ctx, dev, m, batches)
	if err != nil {
		return nil, err
	}
	var scores [][]float64
	for s, site := range m.Sites() {
		columns := make([]float64, site.Units*site.Width)
		p := m.Params().Get(site.Consumer)
		if err := addSquares(columns, p, func(_, col int) int { return col }); err != nil {
			return nil, err
		}
		squares := make([]float64, site.Units)
		for c, v := range columns {
			squares[c/site.Width] += v * energy[s][c]
		}
		scores = append(scores, roots(squares))
	}
	return scores, nil
}

// valueSquares is the sum of squares over all tokens of each column of every
// site's values. Micro-batches are added in order, whatever worker ran them.
func valueSquares(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input) ([][]float64, error) {
	sites := m.Sites()
	perBatch := make([][][]float64, len(batches))
	err := dev.Each(ctx, len(batches), func(ops kernels.Ops, b int) error {
		p := model.NewPass(ops, batches[b])
		x := m.Embed(p, batches[b])
		perBatch[b] = make([][]float64, len(sites))
		next := 0
		for l := range m.Config().Layers {
			for ; next < len(sites) && sites[next].Layer == l; next++ {
				mark := ops.Mark()
				perBatch[b][next] = columnSquares(ops, m.Capture(p, next, x).Values)
				ops.Release(mark)
			}
			x, _ = m.Block(p, l, x)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	total := perBatch[0]
	for _, batch := range perBatch[1:] {
		for s := range total {
			for c := range total[s] {
				total[s][c] += batch[s][c]
			}
		}
	}
	return total, nil
}

func columnSquares(ops kernels.Ops, t *kernels.Tensor) []float64 {
	values := make([]float64, t.Len())
	ops.Download(t, values)
	sums := make([]float64, t.Cols)
	for i, v := range values {
		sums[i%t.Cols] += v * v
	}
	return sums
}

// Even brings the scores of heads and of neurons to the same mean per unit of
// cost. The baselines measure no loss, so a head's score says nothing beside a
// neuron's; left as they are, the search would remove one kind almost whole
// before it touches the other.
func Even(sites []model.Site, scores [][]float64, c Costs) [][]float64 {
	var score, cost [2]float64
	for s, site := range sites {
		for _, v := range scores[s] {
			score[site.Kind] += v
		}
		cost[site.Kind] += float64(c.all(s))
	}
	even := make([][]float64, len(scores))
	for s, site := range sites {
		factor := 1.0
		if score[site.Kind] > 0 {
			factor = cost[site.Kind] / score[site.Kind]
		}
		for _, v := range scores[s] {
			even[s] = append(even[s], factor*v)
		}
	}
	return even
}

// Random scores uniformly.
func Random(m model.Model, seed int64) [][]float64 {
	rng := rand.New(rand.NewPCG(uint64(seed), 0x6f7074696e))
	var scores [][]float64
	for _, site := range m.Sites() {
		list := make([]float64, site.Units)
		for u := range list {
			list[u] = rng.Float64()
		}
		scores = append(scores, list)
	}
	return scores
}
