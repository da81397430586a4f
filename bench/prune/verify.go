package prune

import (
	"context"
	"fmt"
	"math"

	"optin/bench/model"
	"optin/kernels"
)

// Verification is the proof that the compacted model is the masked one, and
// that it costs what was counted.
type Verification struct {
	Difference   float64 // largest difference of logits over the largest logit
	Sequences    int
	CountedMACs  int64 // of the compacted model on these sequences
	ExecutedMACs int64
}

// Tolerance is the largest Difference that passes.
const Tolerance = 1e-5

// Err is nil if v passes.
func (v Verification) Err() error {
	if !(v.Difference <= Tolerance) {
		return fmt.Errorf("verify: the logits of the compacted and the masked model differ by %.2g of the largest, want at most %.0e", v.Difference, Tolerance)
	}
	if v.CountedMACs != v.ExecutedMACs {
		return fmt.Errorf("verify: counted %d MACs, executed %d", v.CountedMACs, v.ExecutedMACs)
	}
	return nil
}

// Verify runs the same batches through dense with mask and through compact. It
// must have the device to itself, since it reads its tally.
func Verify(ctx context.Context, dev kernels.Device, dense, compact model.Model, mask Mask, batches []*model.Input) (Verification, error) {
	masked, err := Logits(ctx, dev, dense, mask, batches)
	if err != nil {
		return Verification{}, err
	}
	before := dev.Tally()
	small, err := Logits(ctx, dev, compact, nil, batches)
	if err != nil {
		return Verification{}, err
	}
	lengths := LengthsOf(batches...)
	v := Verification{
		Sequences:    int(lengths.Sequences),
		ExecutedMACs: dev.Tally().Sub(before).MACs,
		CountedMACs:  CountMACs(compact, lengths).Total(),
	}
	var worst, largest float64
	for b := range masked {
		for i, want := range masked[b] {
			if d := math.Abs(small[b][i] - want); !(d <= worst) {
				worst = d
			}
			largest = max(largest, math.Abs(want))
		}
	}
	if worst > 0 || math.IsNaN(worst) {
		v.Difference = worst / largest
	}
	return v, nil
}

// Logits runs batches through m and returns the logits of each, row-major. mask
// may be nil.
func Logits(ctx context.Context, dev kernels.Device, m model.Model, mask Mask, batches []*model.Input) ([][]float64, error) {
	if err := checkBatches(m, batches); err != nil {
		return nil, err
	}
	out := make([][]float64, len(batches))
	err := dev.Each(ctx, len(batches), func(ops kernels.Ops, b int) error {
		p := model.NewPass(ops, batches[b])
		if mask != nil {
			p.Masks = mask.upload(ops)
		}
		logits := model.Forward(m, p, batches[b])
		out[b] = make([]float64, logits.Len())
		ops.Download(logits, out[b])
		return nil
	})
	return out, err
}
