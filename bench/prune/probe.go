package prune

import (
	"context"
	"fmt"
	"math"
	"slices"

	"optin/bench/model"
	"optin/kernels"
)

// ProbeOptions say how the trajectory is estimated.
type ProbeOptions struct {
	Probes  int     // backward passes
	Rank    int     // of a probe of the manifold distillation
	Seed    int64   // of their signs
	Tau     float64 // KL temperature, above 0
	Lambda  float64 // weight of KD
	Balance Balance // BalanceMean or BalanceNone
	NoMD    bool    // leave a part out
	NoKD    bool
	Depth   int // how many later blocks count; 0: all
	// Separate takes MD and KD in passes of their own, for Parts. It costs about
	// two thirds more.
	Separate bool
}

// DefaultProbeOptions is METHOD section 3.
func DefaultProbeOptions() ProbeOptions {
	return ProbeOptions{Probes: 64, Rank: 8, Tau: 4, Lambda: 0.1}
}

// pilot is how many probes are taken with the two losses apart, to balance them.
const pilot = 8

func (o ProbeOptions) check() error {
	switch {
	case o.Probes < 1:
		return fmt.Errorf("score.probes = %d: must be at least 1", o.Probes)
	case o.Rank < 1 || o.Rank > 32:
		return fmt.Errorf("rank of a probe = %d: must be 1 to 32", o.Rank)
	case !(o.Tau > 0):
		return fmt.Errorf("score.tau = %v: must be above 0", o.Tau)
	case !(o.Lambda >= 0):
		return fmt.Errorf("score.lambda = %v: must be at least 0", o.Lambda)
	case o.Balance > BalanceNone:
		return fmt.Errorf("probes can balance KD by its mean or not at all: the reference code's factors need exact scores")
	case o.NoMD && (o.NoKD || o.Lambda == 0):
		return fmt.Errorf("probes of neither loss")
	}
	return nil
}

// Probes are what random projections of the trajectory see of removing units.
// The square of an entry of G is, on the mean over probes, the loss of removing
// that unit alone, to second order; that of the sum of some, of removing them
// together (METHOD section 3).
type Probes struct {
	G [][]float32 // [probes][units], units in the order of sites

	// Residual is what the probes see of the units that At has removed, exactly;
	// nil where there are none. Entries of G are then those of the pruned model: of
	// removing a unit that it has, and of one that it has not, the opposite of
	// bringing it back.
	Residual []float64
	At       Mask // nil: everything is there

	Factor float64 // that brings KD to the size of MD, before Lambda
	Parts  *Parts  // with Separate: the two losses of every unit by themselves
	MACs   int64   // executed, those of losses included

	options ProbeOptions
	units   []int // by site
	origin  *origin
}

// Len is the number of probes.
func (p *Probes) Len() int { return len(p.G) }

// Split divides probes, the first n and the others: those that a set is chosen
// by, and those that it is judged by. The parts share p's memory.
func (p *Probes) Split(n int) (first, others *Probes) {
	a, b := *p, *p
	a.G, b.G = p.G[:n], p.G[n:]
	if p.Residual != nil {
		a.Residual, b.Residual = p.Residual[:n], p.Residual[n:]
	}
	a.Parts, b.Parts = nil, nil // they are means over all
	return &a, &b
}

// Scores is the estimated loss of removing each unit alone: the mean square of
// its column, by site.
func (p *Probes) Scores() [][]float64 { return p.meanSquares(p.G) }

func (p *Probes) meanSquares(rows [][]float32) [][]float64 {
	scores := make([][]float64, len(p.units))
	from := 0
	for s, n := range p.units {
		scores[s] = make([]float64, n)
		for _, row := range rows {
			for u, v := range row[from : from+n] {
				scores[s][u] += float64(v) * float64(v) / float64(len(rows))
			}
		}
		from += n
	}
	return scores
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

// Loss is the estimated loss of the model that keeps what mask keeps,
//
//	|Residual + G (1_S - 1_At)|^2 / P
//
// for the set S of units that mask removes.
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
	return sum / float64(len(p.G))
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

// Probe estimates the trajectory's loss for all units of m at once (METHOD
// section 3). Every probe is one backward pass with a random cotangent, for a
// block output X_k with normalized rows Phi_k
//
//	r^-1/2 (sum of a_i b_i' + b_i a_i') Phi_k,   a_i, b_i in {-1, 1}^N, i = 1 .. r
//
// through the derivative of the normalization, and for the logits of an example,
// with p = softmax(z/tau),
//
//	sqrt(lambda f / 2) (u - p sum(u)),   u = sqrt(p) eps,   eps in {-1, 1}^classes
//
// (eps sqrt(lambda f) for a regression head). What enters at the output of block
// k reaches the masks of the blocks before it, and those of its own only if it is
// the last.
//
// The half is that of the KL's second order: tau^2 KL(softmax(z/tau) ||
// softmax((z+d)/tau)) = d'(diag(p) - p p')d / 2, tau cancels. f balances KD: it is
// the ratio of the sums of MD and KD over all units, from the first 8 probes,
// which take the two apart, and from all of them with Separate.
//
// Numbers do not depend on the number of workers: every probe's signs are a
// function of the seed and of the token they belong to, micro-batches are added
// in order.
//
// progress, if not nil, is called with the number of probes just taken.
func Probe(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, o ProbeOptions, progress func(probes int)) (*Probes, error) {
	p := &Probes{options: o, Factor: 1}
	return p.take(ctx, dev, m, nil, batches, progress)
}

// Again takes the same probes of m without what mask removes, always of the
// distance to the dense model (METHOD section 4). p must have been taken on the
// dense model with the same batches.
//
// The residual of a probe is what its cotangent's matrix V_k sees of the change,
// <V_k, Phi_k(S) Phi_k(S)' - Phi_k Phi_k'>, Phi_k(S) being the output of block k
// without the units of S in the blocks before it, and in its own if it is the
// last. For the logits, with q = softmax(z(S)/tau), it is
//
//	sqrt(lambda f) sqrt(2) tau eps'(sqrt(q) - sqrt(p))
//
// whose derivative is the cotangent above with q for p, and whose square is, on
// the mean, the KL to second order, and never beyond 4 tau^2.
func (p *Probes) Again(ctx context.Context, dev kernels.Device, m model.Model, mask Mask, batches []*model.Input, progress func(probes int)) (*Probes, error) {
	again := &Probes{options: p.options, Factor: p.Factor, At: mask, origin: p.origin}
	return again.take(ctx, dev, m, mask, batches, progress)
}

func (p *Probes) take(ctx context.Context, dev kernels.Device, m model.Model, mask Mask, batches []*model.Input, progress func(int)) (*Probes, error) {
	if err := p.options.check(); err != nil {
		return nil, err
	}
	if p.options.Lambda == 0 && !p.options.Separate {
		p.options.NoKD = true // it would be multiplied by 0
	}
	if err := checkBatches(m, batches); err != nil {
		return nil, err
	}
	for _, s := range m.Sites() {
		p.units = append(p.units, s.Units)
	}
	before := dev.Tally()
	pr := newProber(dev, m, mask, batches, p.options, progress)
	defer pr.close()
	if err := pr.dense(ctx); err != nil {
		return nil, err
	}
	if err := p.pull(ctx, pr); err != nil {
		return nil, err
	}
	if mask == nil {
		p.origin = pr.origin
	} else {
		p.Residual = pr.origin.since(p.origin, p.options.Probes, p.options.Tau, p.kdSize())
	}
	tally := dev.Tally().Sub(before)
	p.MACs = tally.MACs + tally.LossMACs
	return p, nil
}

// pull fills G, and Factor unless it is known.
func (p *Probes) pull(ctx context.Context, pr *prober) error {
	o, dense := p.options, p.At == nil
	balanced := dense && o.Balance == BalanceMean && !o.NoMD && !o.NoKD
	apart := 0
	switch {
	case o.Depth > 0 || o.Separate && dense:
		apart = o.Probes
	case balanced:
		apart = min(pilot, o.Probes)
	}
	md, kd, err := pr.apart(ctx, apart)
	if err != nil {
		return err
	}
	if balanced {
		if sum := total(p.meanSquares(kd)); sum > 0 {
			p.Factor = total(p.meanSquares(md)) / sum
		}
	}
	if o.Separate && dense {
		p.Parts = &Parts{MD: p.meanSquares(md), KD: p.meanSquares(kd)}
	}
	for i := range apart {
		p.G = append(p.G, together(md, kd, i, float32(p.kdSize())))
	}
	rest, err := pr.sweep(ctx, apart, o.Probes, []flow{{md: !o.NoMD, kd: p.kdSize()}})
	p.G = append(p.G, rest[0]...)
	return err
}

// kdSize is what a probe of the logits is multiplied by.
func (p *Probes) kdSize() float64 {
	if p.options.NoKD {
		return 0
	}
	return math.Sqrt(p.options.Lambda * p.Factor)
}

// together is row i of md + size kd, either of which may be nil.
func together(md, kd [][]float32, i int, size float32) []float32 {
	if md == nil {
		row := make([]float32, len(kd[i]))
		for u, v := range kd[i] {
			row[u] = size * v
		}
		return row
	}
	row := slices.Clone(md[i])
	if kd != nil {
		for u, v := range kd[i] {
			row[u] += size * v
		}
	}
	return row
}
