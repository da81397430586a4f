package prune

import (
	"context"
	"fmt"
	"math"

	"optin/bench/model"
	"optin/kernels"
)

// chosenBy is the share of the probes that a set is chosen by; the others judge
// it.
const chosenBy = 0.75

// JointSearch is Joint in steps (METHOD section 4): each prunes to an
// intermediate budget, the costs falling by the same factor, then takes the same
// probes of what is left, against the dense model always, so that the next one
// starts from the residual that is really there. first are probes of the dense
// model m with batches. With one step it is Joint.
//
// The report is the last step's, and the true loss of the set it came to.
// progress, if not nil, is called with the number of steps just done.
func JointSearch(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, first *Probes, c Costs, b Budget, o JointOptions, steps int, progress func(steps int)) (Mask, JointReport, error) {
	if steps < 1 {
		return nil, JointReport{}, fmt.Errorf("search.steps = %d: must be at least 1", steps)
	}
	var mask Mask
	var report JointReport
	p := first
	for i := range steps {
		part := b
		part.Keep = math.Pow(b.Keep, float64(i+1)/float64(steps))
		search, heldOut := p.Split(int(math.Ceil(chosenBy * float64(p.Len()))))
		var err error
		if mask, report, err = Joint(m.Sites(), search, heldOut, c, part, o); err != nil {
			return nil, report, err
		}
		if i+1 < steps {
			if p, err = first.Again(ctx, dev, m, mask, batches, nil); err != nil {
				return nil, report, err
			}
		}
		if progress != nil {
			progress(1)
		}
	}
	truth, err := NewTruth(ctx, dev, m, batches, first.options.Tau)
	if err != nil {
		return nil, report, err
	}
	defer truth.Close()
	md, kd, err := truth.Loss(ctx, mask)
	if err != nil {
		return nil, report, err
	}
	report.True = first.weigh(md, kd)
	return mask, report, nil
}
