package prune

import (
	"context"
	"fmt"

	"optin/bench/model"
	"optin/kernels"
)

// Truth measures the loss of removing sets of units, exactly.
type Truth struct {
	dense *prober
	tau   float64
}

// NewTruth runs the samples through the dense model and keeps its trajectory,
// until Close. tau is the temperature of KD.
func NewTruth(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, tau float64) (*Truth, error) {
	if err := checkBatches(m, batches); err != nil {
		return nil, err
	}
	t := &Truth{newProber(dev, m, nil, batches, ProbeOptions{}, nil), tau}
	if err := t.dense.run(ctx); err != nil {
		t.Close()
		return nil, fmt.Errorf("forward pass: %w", err)
	}
	return t, nil
}

// Close frees the trajectory.
func (t *Truth) Close() { t.dense.close() }

// Loss is what removing all that mask removes costs (METHOD section 2, for a set
// of units):
//
//	md = sum over k of |Phi_k Phi_k' - Phi_k(S) Phi_k(S)'|_F^2
//	kd = tau^2 sum of KL(softmax(z/tau) || softmax(z(S)/tau))
//
// where Phi_k(S) is without the units of S in the blocks before k, and in block k
// if it is the last: as for one unit, a block's output counts for what is
// removed before it. For a regression head kd is the squared difference. It runs
// the model without those units, and each block once more with them.
func (t *Truth) Loss(ctx context.Context, mask Mask) (md, kd float64, err error) {
	d := t.dense
	p := newProber(d.dev, d.m, mask, d.batches, d.o, nil)
	defer p.close()
	if err := p.run(ctx); err != nil {
		return 0, 0, fmt.Errorf("true loss: %w", err)
	}
	losses := make([]float64, len(p.own))
	err = d.dev.Each(ctx, len(losses), func(ops kernels.Ops, k int) error {
		if p.counts(k) {
			losses[k] = distance(ops, d.own[k], p.own[k])
		}
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	for _, loss := range losses {
		md += loss
	}
	kd, err = t.logits(ctx, p)
	return md, kd, err
}

// distance is the manifold distillation loss between two outputs of a block.
func distance(ops kernels.Ops, dense, moved tensors) float64 {
	hidden := dense[0].Cols
	zeros := make([]float32, hidden*hidden)
	aa, ae, ee := ops.Upload(hidden, hidden, zeros), ops.Upload(hidden, hidden, zeros), ops.Upload(hidden, hidden, zeros)
	for b, x := range dense {
		mark := ops.Mark()
		phi := ops.NormalizeRows(x)
		e := ops.NormalizedDifference(moved[b], phi)
		ops.GramAdd(aa, phi, phi)
		ops.GramAdd(ae, phi, e)
		ops.GramAdd(ee, e, e)
		ops.Release(mark)
	}
	loss := ops.New(kernels.F64, 1, 1)
	ops.ManifoldLoss(loss, aa, ae, ee)
	return read(ops, loss)
}

// logits is the loss of the logits.
func (t *Truth) logits(ctx context.Context, p *prober) (kd float64, err error) {
	err = p.dev.One(ctx, func(ops kernels.Ops) error {
		loss := ops.New(kernels.F64, 1, 1)
		for b := range p.batches {
			x, base := p.uploadLogits(ops, b), t.dense.uploadLogits(ops, b)
			if p.m.Config().Regression {
				ops.SquaredError(loss, x, base)
			} else {
				ops.KLDivergence(loss, x, base, t.tau)
			}
		}
		kd = read(ops, loss)
		return nil
	})
	if !p.m.Config().Regression {
		kd *= t.tau * t.tau
	}
	return kd, err
}

func read(ops kernels.Ops, scalar *kernels.Tensor) float64 {
	var value [1]float64
	ops.Download(scalar, value[:])
	return value[0]
}

// uploadLogits is the logits of micro-batch b.
func (p *prober) uploadLogits(ops kernels.Ops, b int) *kernels.Tensor {
	values := make([]float32, len(p.logits[b]))
	for i, v := range p.logits[b] {
		values[i] = float32(v)
	}
	return ops.Upload(p.batches[b].Examples(), len(p.m.Config().Labels), values)
}
