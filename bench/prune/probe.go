package prune

import (
	"context"
	"fmt"

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

	// Rows is how many rows of G are kept, for the loss of sets: those of as many
	// whole probes as have no more, but of two at least; 0: none.
	Rows int
	// Whole adds up all examples before a probe squares what it sees: see Probe.
	Whole bool
	// Separate takes MD and KD in passes of their own, for Parts. It costs about
	// two thirds more.
	Separate bool
}

// DefaultProbeOptions is METHOD section 3, by example.
func DefaultProbeOptions() ProbeOptions {
	return ProbeOptions{Probes: 64, Rank: 8, Tau: 4, Lambda: 0.1, Rows: 2048}
}

// pilot is how many probes are taken with the two losses apart, to balance them.
const pilot = 4

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

// Probe estimates the trajectory's loss for all units of m at once (METHOD
// section 3). Every probe is one backward pass with random cotangents: at the
// output X_k of a block, with normalized rows Phi_k, it is
//
//	r^-1/2 (sum of a_i b_i' + b_i a_i') Phi_k,   a_i, b_i in {-1, 1}^N, i = 1 .. r
//
// taken through the derivative of the normalization, and at the logits of an
// example, with p = softmax(z/tau),
//
//	sqrt(lambda f / 2) (u - p sum(u)),   u = sqrt(p) eps,   eps in {-1, 1}^classes
//
// (eps sqrt(lambda f) for a regression head). What enters at the output of block
// k reaches the masks of the blocks before it, and those of its own only if it is
// the last. The gradient to a mask, squared, is on the mean over probes the loss
// of removing its unit, to second order; tau cancels, since
//
//	tau^2 KL(softmax(z/tau) || softmax((z+d)/tau)) = d'(diag(p) - p p')d / 2 + ...
//
// By itself that is a noisy estimate: what a probe sees in one example is noise
// for every other. So gradients are kept apart by example, squared, and added.
// For the logits this estimates the same. Of the manifold's two parts,
// 2 |dPhi Phi'|^2 + 2 tr((Phi' dPhi)^2) to second order, the first is a sum over
// tokens, and of the second, smaller one, the terms between examples go missing.
// In trade, 2 probes of 64 examples rank units as 64 probes do without: the sums
// of squares have 64 times as many terms. With Whole, examples are added first.
//
// f balances KD: it is the ratio of MD to KD, summed over all units, by the first
// 4 probes, which take the two apart, or by all of them with Separate.
//
// Numbers do not depend on the number of workers: every probe's signs are a
// function of the seed and of the token they belong to, and micro-batches are
// added in order.
//
// progress, if not nil, is called with the number of probes just taken. The
// device must have derivatives.
func Probe(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, o ProbeOptions, progress func(probes int)) (*Probes, error) {
	p := &Probes{options: o, Factor: 1}
	return p.take(ctx, dev, m, batches, progress)
}

// Again takes the probes of m whose rows p keeps once more, without what mask
// removes and always of the distance to the dense model (METHOD section 4). p
// must have been taken of the dense model with the same batches.
//
// A probe's residual is what it sees of the change, <V_k, Phi_k(S) Phi_k(S)' -
// Phi_k Phi_k'>, Phi_k(S) being the output of block k without the units of S in
// the blocks before it, and in its own if it is the last. Of the logits, with
// q = softmax(z(S)/tau), it is
//
//	sqrt(lambda f) sqrt(2) tau eps'(sqrt(q) - sqrt(p))
//
// whose derivative is the cotangent above with q for p, and whose square is, on
// the mean, the KL to second order, and never above 4 tau^2.
func (p *Probes) Again(ctx context.Context, dev kernels.Device, m model.Model, mask Mask, batches []*model.Input, progress func(probes int)) (*Probes, error) {
	o := p.options
	if o.Probes = p.kept(); o.Probes == 0 {
		return nil, fmt.Errorf("no rows of the probes were kept")
	}
	again := &Probes{options: o, Factor: p.Factor, At: mask}
	return again.take(ctx, dev, m, batches, progress)
}

func (p *Probes) take(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, progress func(int)) (*Probes, error) {
	if err := p.options.check(); err != nil {
		return nil, err
	}
	if err := checkBatches(m, batches); err != nil {
		return nil, err
	}
	if p.options.Lambda == 0 && !p.options.Separate {
		p.options.NoKD = true // it would be multiplied by 0
	}
	for _, s := range m.Sites() {
		p.units = append(p.units, s.Units)
	}
	before := dev.Tally()
	pr := newProber(dev, m, p.At, batches, p.options, progress)
	defer pr.close()
	if err := pr.dense(ctx); err != nil {
		return nil, err
	}
	if err := p.sweep(ctx, pr); err != nil {
		return nil, err
	}
	if p.At != nil {
		var err error
		if p.Residual, err = pr.residual(ctx, p.kdSize()); err != nil {
			return nil, err
		}
	}
	tally := dev.Tally().Sub(before)
	p.MACs = tally.MACs + tally.LossMACs
	return p, nil
}

// sweep fills G and scores, and Factor unless it is known.
func (p *Probes) sweep(ctx context.Context, pr *prober) error {
	o, dense := p.options, p.At == nil
	p.Rows = pr.rowsPerProbe()
	balanced := dense && o.Balance == BalanceMean && !o.NoMD && !o.NoKD
	apart := 0
	switch {
	case o.Depth > 0 || o.Separate && dense:
		apart = o.Probes
	case balanced:
		apart = min(pilot, o.Probes)
	}
	flows := pr.apart()
	parts, err := pr.sweep(ctx, 0, apart, flows)
	if err != nil {
		return err
	}
	var md, kd harvest
	if !o.NoMD {
		md, parts = parts[0], parts[1:]
	}
	if !o.NoKD {
		kd = parts[0]
	}
	if balanced {
		if sum := total(kd.squares); sum > 0 {
			p.Factor = total(md.squares) / sum
		}
	}
	if o.Separate && dense {
		p.Parts = &Parts{MD: p.bySite(mean(md.squares, o.Probes)), KD: p.bySite(mean(kd.squares, o.Probes))}
	}
	size := p.kdSize()
	rest, err := pr.sweep(ctx, apart, o.Probes, []flow{{md: !o.NoMD, kd: size}})
	if err != nil {
		return err
	}
	p.G = append(together(md.rows, kd.rows, float32(size)), rest[0].rows...)
	p.collect(pr.units(), md.squares, kd.squares, rest[0].squares, size*size)
	return nil
}
