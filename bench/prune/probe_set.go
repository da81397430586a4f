package prune

import (
	"math"
	"slices"

	"optin/bench/model"
)

// Probes are what random projections of the trajectory see of removing units.
// The squares of a unit's column of G are, summed over a probe's rows, on the
// mean over probes, the loss of removing that unit alone, to second order; those
// of the sum of some columns, of removing these together: with the interactions
// that scores of single units cannot have (METHOD section 3).
type Probes struct {
	G    [][]float32 // [kept probes * Rows][units]: units in the order of sites
	Rows int         // of a probe: one for each example, or 1 if they are added up

	// Residual is what the rows of G see of the units that At has removed, exactly;
	// nil where there are none. Entries of G are then those of the pruned model: of
	// removing a unit that it has, and of one that it has not, the opposite of
	// bringing it back.
	Residual []float64
	At       Mask // nil: everything is there

	Factor float64 // that brings KD to the size of MD, before Lambda
	Parts  *Parts  // with Separate: the two losses of every unit by themselves
	MACs   int64   // executed, those of losses included

	options ProbeOptions
	units   []int     // by site
	scores  []float64 // by unit; nil: from G
}

// Len is the number of probes that scores are estimated from.
func (p *Probes) Len() int { return p.options.Probes }

// kept is the number of probes in G.
func (p *Probes) kept() int { return len(p.G) / max(1, p.Rows) }

// Split divides the probes that are kept, the first n and the others: those that
// a set is chosen by, and those that it is judged by. The parts share p's memory.
func (p *Probes) Split(n int) (first, others *Probes) {
	a, b := *p, *p
	a.options.Probes, b.options.Probes = n, p.kept()-n
	a.G, b.G = p.G[:n*p.Rows], p.G[n*p.Rows:]
	if p.Residual != nil {
		a.Residual, b.Residual = p.Residual[:n*p.Rows], p.Residual[n*p.Rows:]
	}
	a.scores, b.scores = nil, nil // they are means over all
	a.Parts, b.Parts = nil, nil
	return &a, &b
}

// Scores is the estimated loss of removing each unit alone, by site.
func (p *Probes) Scores() [][]float64 {
	scores := p.scores
	if scores == nil {
		scores = make([]float64, len(p.G[0]))
		for _, row := range p.G {
			for u, v := range row {
				scores[u] += float64(v) * float64(v) / float64(p.kept())
			}
		}
	}
	return p.bySite(scores)
}

// collect makes the scores from the squares of probes that took MD and KD apart,
// whose products are noise, and of those that did not.
func (p *Probes) collect(units int, md, kd, both [][]float64, kdWeight float64) {
	p.scores = make([]float64, units)
	for _, part := range []struct {
		squares [][]float64
		weight  float64
	}{{md, 1}, {kd, kdWeight}, {both, 1}} {
		for _, probe := range part.squares {
			for u, v := range probe {
				p.scores[u] += part.weight * v / float64(p.options.Probes)
			}
		}
	}
}

// mean is the sum of rows over n.
func mean(rows [][]float64, n int) []float64 {
	var sum []float64
	for _, row := range rows {
		if sum == nil {
			sum = make([]float64, len(row))
		}
		for i, v := range row {
			sum[i] += v / float64(n)
		}
	}
	return sum
}

// bySite cuts a value for every unit by site; nil are zeros.
func (p *Probes) bySite(values []float64) [][]float64 {
	out, from := make([][]float64, len(p.units)), 0
	for s, n := range p.units {
		out[s] = make([]float64, n)
		if values != nil {
			copy(out[s], values[from:])
		}
		from += n
	}
	return out
}

// Weigh brings exact losses to the scale of p: MD + lambda KD, with the factor
// that balances p's.
func (p *Probes) Weigh(exact *Parts) [][]float64 {
	scores := make([][]float64, len(exact.MD))
	for s := range scores {
		scores[s] = make([]float64, len(exact.MD[s]))
		for u := range scores[s] {
			scores[s][u] = p.weigh(exact.MD[s][u], exact.KD[s][u])
		}
	}
	return scores
}

// weigh is md + lambda kd, balanced, of the losses that count.
func (p *Probes) weigh(md, kd float64) (sum float64) {
	if !p.options.NoMD {
		sum += md
	}
	if !p.options.NoKD {
		sum += p.options.Lambda * p.Factor * kd
	}
	return sum
}

// kdSize is what a probe of the logits is multiplied by.
func (p *Probes) kdSize() float64 {
	if p.options.NoKD {
		return 0
	}
	return math.Sqrt(p.options.Lambda * p.Factor)
}

// Loss is the estimated loss of the model that keeps what mask keeps, for the
// set S of units that it removes
//
//	|Residual + G (1_S - 1_At)|^2 / probes
//
// by the probes that are kept.
func (p *Probes) Loss(mask Mask) float64 {
	signs := p.changes(mask)
	sum := 0.0
	for i, row := range p.G {
		var seen float64
		if p.Residual != nil {
			seen = p.Residual[i]
		}
		for u, sign := range signs {
			seen += sign * float64(row[u])
		}
		sum += seen * seen
	}
	return sum / float64(p.kept())
}

// changes is, by unit, 1 for one that mask removes from p.At, -1 for one that it
// brings back.
func (p *Probes) changes(mask Mask) []float64 {
	var signs []float64
	for s, site := range mask {
		for u, on := range site {
			there := p.At == nil || p.At[s][u]
			switch {
			case there && !on:
				signs = append(signs, 1)
			case on && !there:
				signs = append(signs, -1)
			default:
				signs = append(signs, 0)
			}
		}
	}
	return signs
}

// at is p.At, written out.
func (p *Probes) at(sites []model.Site) Mask {
	if p.At == nil {
		return Full(sites)
	}
	return p.At
}

// together is md + size kd by row, either of which may be nil.
func together(md, kd [][]float32, size float32) [][]float32 {
	if md == nil {
		md = make([][]float32, len(kd))
		for i := range md {
			md[i] = make([]float32, len(kd[i]))
		}
	}
	for i, row := range kd {
		md[i] = slices.Clone(md[i])
		for u, v := range row {
			md[i][u] += size * v
		}
	}
	return md
}
