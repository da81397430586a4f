package prune

import (
	"context"
	"fmt"
	"math"

	"optin/bench/model"
	"optin/kernels"
)

// SurgeonSearch chooses a mask by Survey, spending the budget on units where their
// curves lose most, in steps: costs fall by the same factor in each, and between two steps the units that are left are
// refitted (least squares, with batches) and surveyed anew, because what the
// dense model says of a loss is worth less the more of it has gone. first are
// the curves of m with batches, and o is how their probes were taken.
//
// progress, if not nil, is called with the number of steps just done.
func SurgeonSearch(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, o ProbeOptions, first []Curve, c Costs, b Budget, steps int, progress func(steps int)) (Mask, error) {
	if steps < 1 {
		return nil, fmt.Errorf("search.steps = %d: must be at least 1", steps)
	}
	if err := reachable(m.Sites(), c, b); err != nil {
		return nil, err
	}
	dense, factor := float64(c.Dense()), math.Pow(float64(b.limit(c))/float64(c.Dense()), 1/float64(steps))
	mask, curves := Full(m.Sites()), first
	for i := range steps {
		limit := b.limit(c)
		if i < steps-1 {
			limit = max(limit, int64(dense*math.Pow(factor, float64(i+1))))
		}
		if i > 0 {
			var err error
			if curves, err = resurvey(ctx, dev, m, mask, batches, o, b); err != nil {
				return nil, fmt.Errorf("step %d of %d: %w", i+1, steps, err)
			}
		}
		mask = spend(mask, curves, c, limit)
		if progress != nil {
			progress(1)
		}
	}
	return mask, nil
}

// resurvey refits what mask keeps of m and surveys that: a curve for every site of
// m, whose order counts the units that are left.
func resurvey(ctx context.Context, dev kernels.Device, m model.Model, mask Mask, batches []*model.Input, o ProbeOptions, b Budget) ([]Curve, error) {
	full, _, err := Rebuild(ctx, dev, m, mask, batches, DefaultRebuildOptions(), nil)
	if err != nil {
		return nil, err
	}
	small, err := Compact(full, mask)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, made := range []model.Model{full, small} {
			for _, w := range made.Weights() {
				dev.Forget(w)
			}
		}
	}()
	found, err := survey(ctx, dev, small, batches, o, b)
	if err != nil {
		return nil, err
	}
	var curves []Curve
	for _, left := range mask.Kept() {
		if left == 0 { // the small model has no such site
			curves = append(curves, Curve{Loss: []float64{0}})
			continue
		}
		curves, found = append(curves, found[0]), found[1:]
	}
	return curves, nil
}

// survey is Survey by probes that nobody else needs: as few are taken as say how KD
// is balanced.
func survey(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, o ProbeOptions, b Budget) ([]Curve, error) {
	few := o
	few.Rows = 0
	if !o.Separate {
		few.Probes = min(pilot, o.Probes)
	}
	p, err := Probe(ctx, dev, m, batches, few, nil)
	if err != nil {
		return nil, err
	}
	p.options.Probes = o.Probes
	return p.Survey(ctx, dev, m, batches, b, nil)
}
