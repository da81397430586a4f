package prune

import (
	"fmt"
	"math"
	"slices"
)

// Gradients are the derivatives of every calibration example's loss with
// respect to all mask variables, at the dense model.
type Gradients struct {
	Offsets []int     // by site, the column of its first unit; last, the number of columns
	Values  []float32 // [examples, columns]
}

// Examples is the number of rows.
func (g *Gradients) Examples() int { return len(g.Values) / g.columns() }

func (g *Gradients) columns() int { return g.Offsets[len(g.Offsets)-1] }

// Sites is the number of sites.
func (g *Gradients) Sites() int { return len(g.Offsets) - 1 }

// Site is the gradient of example e with respect to the units of site s, a part
// of Values.
func (g *Gradients) Site(e, s int) []float32 {
	row := e * g.columns()
	return g.Values[row+g.Offsets[s] : row+g.Offsets[s+1]]
}

// Grouped is the means over consecutive groups of size examples, of which the
// last may be smaller: the gradients of batches. It is g itself for a size of 0
// or 1.
//
// REF: PTF's released code squares the gradients of its batches' mean losses
// where the Fisher information has those of examples. Switch: size = 32.
func (g *Gradients) Grouped(size int) *Gradients {
	if size <= 1 {
		return g
	}
	columns, examples := g.columns(), g.Examples()
	out := &Gradients{Offsets: g.Offsets}
	sum := make([]float64, columns)
	for from := 0; from < examples; from += size {
		to := min(from+size, examples)
		clear(sum)
		g.add(sum, from, to)
		for _, v := range sum {
			out.Values = append(out.Values, float32(v/float64(to-from)))
		}
	}
	return out
}

// add adds rows from to to-1, in order.
func (g *Gradients) add(dst []float64, from, to int) {
	columns := g.columns()
	for e := from; e < to; e++ {
		for i, v := range g.Values[e*columns : (e+1)*columns] {
			dst[i] += float64(v)
		}
	}
}

// split cuts a row into sites.
func (g *Gradients) split(row []float64) [][]float64 {
	sites := make([][]float64, g.Sites())
	for s := range sites {
		sites[s] = slices.Clone(row[g.Offsets[s]:g.Offsets[s+1]])
	}
	return sites
}

// check refuses gradients that would turn every score into NaN.
func (g *Gradients) check() error {
	for i, v := range g.Values {
		if v-v != 0 {
			return fmt.Errorf("the loss of example %d has a gradient of %v: the model's values overflow on it; check its weights", i/g.columns(), v)
		}
	}
	return nil
}

// Fisher is the diagonal of the Fisher information of the mask variables: the
// mean over examples of the squared gradient (Kwon et al., "A Fast Post-Training
// Pruning Framework for Transformers", NeurIPS 2022, section 3.2: half of it is
// to second order what removing the unit adds to the loss). perBatch is
// [Gradients.Grouped]'s size.
func Fisher(g *Gradients, perBatch int) [][]float64 {
	g = g.Grouped(perBatch)
	scores, columns := make([]float64, g.columns()), g.columns()
	for i, v := range g.Values {
		scores[i%columns] += float64(v) * float64(v)
	}
	for i := range scores {
		scores[i] /= float64(g.Examples())
	}
	return g.split(scores)
}

// Taylor is the size of the first-order change of the mean loss when a unit
// goes, |mean over examples of the gradient|: a unit's mask falls from 1 to 0
// (after Molchanov et al., "Pruning Convolutional Neural Networks for Resource
// Efficient Inference", ICLR 2017, who sum the same term over the positions of
// a feature map before they take its size).
func Taylor(g *Gradients) [][]float64 {
	scores := make([]float64, g.columns())
	g.add(scores, 0, g.Examples())
	for i, v := range scores {
		scores[i] = math.Abs(v) / float64(g.Examples())
	}
	return g.split(scores)
}
