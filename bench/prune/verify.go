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
	Exact        *float64 `json:",omitempty"` // Difference in float64, see Confirm; nil where it was not needed
	CountedMACs  int64    // of the compacted model on these sequences
	ExecutedMACs int64
}

// Tolerance is the largest Difference that passes by itself, ExactTolerance the
// largest Exact where it does not.
const (
	Tolerance      = 1e-5
	ExactTolerance = 1e-9
)

// Err is nil if v passes.
func (v Verification) Err() error {
	switch {
	case v.Difference <= Tolerance, v.Exact != nil && *v.Exact <= ExactTolerance:
	case v.Exact != nil:
		return fmt.Errorf("verify: the logits of the compacted and the masked model differ by %.2g of the largest, and by %.2g in float64: want at most %.0e", v.Difference, *v.Exact, ExactTolerance)
	default:
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
	v.Difference = furthest(masked, small)
	return v, nil
}

// furthest is the largest difference over the largest value of want.
func furthest(want, got [][]float64) float64 {
	var worst, largest float64
	for b := range want {
		for i, w := range want[b] {
			worst = max(worst, math.Abs(got[b][i]-w)) // NaN if one is
			largest = max(largest, math.Abs(w))
		}
	}
	if worst == 0 {
		return 0
	}
	return worst / largest
}

// exactRows is about how many tokens are enough for Confirm: a wrong model differs
// on every one.
const exactRows = 256

// Confirm settles a Difference above Tolerance. Refitted weights may be large and
// nearly cancel, so that float32 rounds the two models' logits apart; exact, a
// device that computes in float64, tells that from a model that is another one.
func (v *Verification) Confirm(ctx context.Context, exact kernels.Device, dense, compact model.Model, mask Mask, in *model.Input) error {
	defer func() {
		for _, m := range []model.Model{dense, compact} {
			for _, w := range m.Weights() {
				exact.Forget(w)
			}
		}
	}()
	few := []*model.Input{in.First(max(1, min(in.Examples(), exactRows*in.Examples()/in.Seq.Rows())))}
	masked, err := Logits(ctx, exact, dense, mask, few)
	if err != nil {
		return err
	}
	small, err := Logits(ctx, exact, compact, nil, few)
	if err != nil {
		return err
	}
	difference := furthest(masked, small)
	v.Exact = &difference
	return nil
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
