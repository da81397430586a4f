package prune

import (
	"context"
	"fmt"
	"math"

	"optin/bench/model"
	"optin/kernels"
)

// judging is one of how many kept probes does not choose the set but judges it.
const judging = 4

// JointSearch is Joint in steps (METHOD section 4), with the loss of every
// candidate measured on the model without it, which costs little beside probes
// and has no noise. Each step prunes to an intermediate budget, costs falling by
// the same factor, then takes the probes again of what is left, against the dense
// model always: the next one starts from the residual that is really there.
// first are probes of the dense model m with batches, whose rows were kept.
//
// The report is of the last step. Where the additive set loses less than what the
// steps came to, that is the result.
//
// progress, if not nil, is called with the number of steps just done.
func JointSearch(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, first *Probes, c Costs, b Budget, o JointOptions, steps int, progress func(steps int)) (Mask, JointReport, error) {
	if steps < 1 {
		return nil, JointReport{}, fmt.Errorf("search.steps = %d: must be at least 1", steps)
	}
	if err := reachable(m.Sites(), c, b); err != nil {
		return nil, JointReport{}, err
	}
	if first.kept() < 2 {
		return nil, JointReport{}, fmt.Errorf("joint search: rows of %d probes were kept, and it needs 2 at least, one to search by and one to judge by: take more probes (score.probes)", first.kept())
	}
	truth, err := NewTruth(ctx, dev, m, batches, first.options.Tau)
	if err != nil {
		return nil, JointReport{}, err
	}
	defer truth.Close()
	o.judge = func(mask Mask) (float64, error) {
		md, kd, err := truth.Loss(ctx, mask)
		return first.weigh(md, kd), err
	}
	s := stepping{first: first, sites: m.Sites(), costs: c, budget: b, options: o, steps: steps}
	for i := range steps {
		probes := first
		if i > 0 {
			if probes, err = first.Again(ctx, dev, m, s.mask, batches, nil); err != nil {
				return nil, s.report, err
			}
		}
		if err := s.step(i, probes); err != nil {
			return nil, s.report, err
		}
		if progress != nil {
			progress(1)
		}
	}
	return s.finish()
}

// stepping is a joint search on its way.
type stepping struct {
	first   *Probes
	sites   []model.Site
	costs   Costs
	budget  Budget
	options JointOptions
	steps   int

	mask   Mask
	report JointReport
}

// step is step i from 0, by probes of what the one before has left.
func (s *stepping) step(i int, probes *Probes) (err error) {
	b := s.budget
	if i+1 < s.steps { // falls to the limit by the same factor in every step
		share := float64(b.limit(s.costs)) / float64(s.costs.Dense())
		b.WholeModel, b.Keep = false, math.Pow(share, float64(i+1)/float64(s.steps))
	}
	search, heldOut := divide(probes)
	s.mask, s.report, err = Joint(s.sites, search, heldOut, s.costs, b, s.options)
	return err
}

// divide splits probes into those that choose and those that judge.
func divide(p *Probes) (search, heldOut *Probes) {
	return p.Split(p.kept() - max(1, p.kept()/judging))
}

// finish sets what the steps came to beside the additive set.
func (s *stepping) finish() (Mask, JointReport, error) {
	search, heldOut := divide(s.first)
	additive, err := Additive(s.sites, search.Scores(), s.costs, s.budget)
	if err != nil {
		return nil, s.report, err
	}
	if s.report.True, err = s.options.judge(s.mask); err != nil {
		return nil, s.report, err
	}
	if s.report.TrueAdditive, err = s.options.judge(additive); err != nil {
		return nil, s.report, err
	}
	s.report.Additive = heldOut.Loss(additive)
	if s.report.TrueAdditive < s.report.True {
		s.mask, s.report.True, s.report.FellBack, s.report.Shrink = additive, s.report.TrueAdditive, true, 1
		s.report.InSample, s.report.HeldOut = search.Loss(additive), s.report.Additive
	}
	return s.mask, s.report, nil
}
