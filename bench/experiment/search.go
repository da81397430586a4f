package experiment

import (
	"context"
	"fmt"
	"math"
	"slices"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
)

// found is what a search came to.
type found struct {
	Mask    prune.Mask
	Joint   *record.Joint   `json:",omitempty"`
	Latency *record.Latency `json:",omitempty"`
}

// budget is what may stay.
func (s Search) budget() prune.Budget {
	return prune.Budget{Keep: s.Keep, WholeModel: s.Total == "model", MinHeads: s.MinHeads, MinNeurons: s.MinNeurons}
}

// lengths are what the search counts costs for: those of the calibration
// examples, or all of the given length.
func (s Search) lengths(c *Calibration) prune.Lengths {
	if s.SeqLen == 0 {
		return c.Lengths
	}
	const sequences = 1000 // so that a fractional length loses nothing
	return prune.Lengths{Sequences: sequences, Tokens: int64(sequences * s.SeqLen), TokenPairs: int64(sequences * s.SeqLen * s.SeqLen)}
}

// costs are those of a constraint that can be counted.
func (s Search) costs(m model.Model, c *Calibration) prune.Costs {
	if s.Constraint == "params" {
		return prune.CountValues(m)
	}
	return prune.CountMACs(m, s.lengths(c))
}

// searchFacts are what a search depends on beside the plan: under a budget of time,
// also on what draws and runs the calls that are timed.
func (e *engine) searchFacts(r Run, g *ground) []string {
	if r.Search.Constraint != Latency {
		return g.facts
	}
	return slices.Concat(g.facts, []string{fmt.Sprint("seed ", e.plan.Seed), fmt.Sprint("workers ", e.host.runner().Workers())}, e.fast)
}

// search finds the mask of a run.
func (e *engine) search(ctx context.Context, r Run, g *ground, scores Scores) (found, error) {
	if r.Search.Constraint == Latency {
		return e.searchLatency(ctx, r, g, scores)
	}
	return e.choose(ctx, r, g, scores, r.Search.costs(g.subject.Model, g.calibration), r.Search.budget())
}

// choose finds a mask under some costs.
func (e *engine) choose(ctx context.Context, r Run, g *ground, scores Scores, costs prune.Costs, b prune.Budget) (out found, err error) {
	sites := g.subject.Model.Sites()
	switch r.Search.Method {
	case Joint:
		out, err = e.searchJointly(ctx, r, g, costs, b)
	case Surgeon:
		out.Mask, err = e.operate(ctx, r, g, costs, b)
	case PTF:
		out.Mask, err = searchPTF(r, sites, scores, costs, b)
	default:
		out.Mask, err = prune.Additive(sites, scores.Values, costs, b)
	}
	if err != nil {
		return out, err
	}
	if r.Search.Method == PTF {
		gradients, err := e.gradients(ctx, g)
		if err != nil {
			return out, err
		}
		out.Mask = prune.Rearrange(out.Mask, gradients.result.Grouped(r.Score.PerBatch), rearrangePasses)
	}
	if r.Search.NeuronMultiple > 1 {
		out.Mask, err = prune.RoundNeurons(sites, scores.Values, out.Mask, r.Search.NeuronMultiple, costs, b)
	}
	return out, err
}

// searchPTF is PTF's search before it rearranges: under costs that are counted it
// is the additive one.
func searchPTF(r Run, sites []model.Site, scores Scores, costs prune.Costs, b prune.Budget) (prune.Mask, error) {
	if r.Search.Constraint == Latency {
		return prune.PTFLatency(sites, scores.Values, costs, b, r.Search.Released)
	}
	return prune.Additive(sites, scores.Values, costs, b)
}

// rearrangePasses bounds the swaps within a layer: PTF goes over its units once.
const rearrangePasses = 1

// gradients are those of every calibration example's loss by every mask, once
// for a calibration set.
func (e *engine) gradients(ctx context.Context, g *ground) (shared[*prune.Gradients], error) {
	key := fmt.Sprint(g.subject.Digest, g.calibration.Digest)
	return sharing(e, g.subject, e.derived, key, func() (*prune.Gradients, error) {
		bar := e.host.Progress.Stage("gradients "+g.subject.Name, g.calibration.Examples)
		defer bar.Done()
		return prune.MaskGradients(ctx, e.host.Device, g.subject.Model, g.calibration.Batches, g.calibration.Targets, bar.Add)
	})
}

// searchJointly removes units by what their whole set loses, and measures what
// the set that it comes to really loses.
func (e *engine) searchJointly(ctx context.Context, r Run, g *ground, costs prune.Costs, b prune.Budget) (found, error) {
	probes, err := e.probes(ctx, r, g)
	if err != nil {
		return found{}, err
	}
	o := prune.DefaultJointOptions()
	if !r.Search.Swaps {
		o.Swaps = 0
	}
	steps := r.Search.steps()
	return fitting(e, g.subject, func() (found, error) {
		bar := e.host.Progress.Stage("search "+g.subject.Name, steps)
		defer bar.Done()
		mask, report, err := prune.JointSearch(ctx, e.host.Device, g.subject.Model, g.calibration.Batches, probes.result, costs, b, o, steps, bar.Add)
		if err != nil {
			return found{}, err
		}
		return found{Mask: mask, Joint: describeJoint(report, steps)}, nil
	})
}

// operate removes units by what is lost when the rest is refitted.
func (e *engine) operate(ctx context.Context, r Run, g *ground, costs prune.Costs, b prune.Budget) (prune.Mask, error) {
	probes, err := e.probes(ctx, r, g)
	if err != nil {
		return nil, err
	}
	m, o := g.subject.Model, r.Score.probeOptions(g.subject.Model.Config())
	key := fmt.Sprint(g.subject.Digest, g.calibration.Digest, o, b.MinHeads, b.MinNeurons)
	curves, err := sharing(e, g.subject, e.curves, key, func() ([]prune.Curve, error) {
		bar := e.host.Progress.Stage("survey "+g.subject.Name, len(m.Sites()))
		defer bar.Done()
		return probes.result.Survey(ctx, e.host.Device, m, g.calibration.Batches, b, bar.Add)
	})
	if err != nil {
		return nil, err
	}
	steps := r.Search.steps()
	return fitting(e, g.subject, func() (prune.Mask, error) {
		bar := e.host.Progress.Stage("search "+g.subject.Name, steps)
		defer bar.Done()
		return prune.SurgeonSearch(ctx, e.host.Device, m, g.calibration.Batches, o, curves.result, costs, b, steps, bar.Add)
	})
}

// steps is in how many stages a search removes its units.
func (s Search) steps() int {
	switch {
	case s.Steps > 0:
		return s.Steps
	case s.Method == Surgeon:
		return max(1, int(math.Ceil(math.Log2(1/s.Keep)-1e-9)))
	}
	return 1
}

func describeJoint(j prune.JointReport, steps int) *record.Joint {
	return &record.Joint{Probes: j.Probes, Steps: steps, Shrink: finite(j.Shrink), InSample: finite(j.InSample),
		HeldOut: finite(j.HeldOut), True: finite(j.True), Additive: finite(j.Additive), FellBack: j.FellBack}
}
