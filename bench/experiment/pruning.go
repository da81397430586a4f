package experiment

import (
	"context"
	"fmt"
	"slices"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
)

// pruning is a run's way from scores to a smaller model. Models are built when
// they are first needed: where all that is asked of them is stored, never.
type pruning struct {
	e      *engine
	r      Run
	g      *ground
	mask   prune.Mask
	facts  []string // what the smaller model depends on beside the plan
	stages []record.Stage

	full  model.Model // the dense model with rebuilt weights, in its own shapes
	small model.Model
}

// prune scores, searches and rebuilds for a run, and enters into out what came
// of it.
func (e *engine) prune(ctx context.Context, r Run, g *ground, out *record.Run) (*pruning, error) {
	p := &pruning{e: e, r: r, g: g}
	scores, st, err := e.score(ctx, r, g)
	if err != nil {
		return nil, err
	}
	p.stages = append(p.stages, st)
	if scores.PeakBytes > 0 {
		out.Memory = &record.Memory{ScoringBytes: &scores.PeakBytes}
	}
	found, st, err := timed(e, r, StepSearch, e.searchFacts(r, g), func() (found, error) { return e.search(ctx, r, g, scores) })
	if err != nil {
		return nil, err
	}
	p.mask, p.stages = found.Mask, append(p.stages, st)
	// A search by time does not find the same mask again.
	mask, err := digest(p.mask)
	if err != nil {
		return nil, err
	}
	p.facts = append(slices.Clone(g.facts), mask)
	out.Joint, out.Latency = found.Joint, found.Latency
	describeMask(out, g.subject, r, g.calibration, p.mask)
	if r.Rebuild.Method == NoRebuild {
		p.full = g.subject.Model
		return p, nil
	}
	c, err := g.subject.calibrateOnce(r.Rebuild.Samples, r.Rebuild.Seed, false, 0)
	if err != nil {
		return nil, fmt.Errorf("examples to rebuild with: %w", err)
	}
	p.facts = append(p.facts, c.Digest)
	sites, st, err := timed(e, r, StepRebuild, p.facts, func() ([]record.RebuiltSite, error) { return p.rebuild(ctx) })
	if err != nil {
		return nil, err
	}
	out.Rebuilt, p.stages = sites, append(p.stages, st)
	return p, nil
}

// rebuild makes p.full.
func (p *pruning) rebuild(ctx context.Context) ([]record.RebuiltSite, error) {
	s, rb := p.g.subject, p.r.Rebuild
	c, err := s.calibrateOnce(rb.Samples, rb.Seed, false, 0)
	if err != nil {
		return nil, err
	}
	return fitting(p.e, s, func() ([]record.RebuiltSite, error) {
		bar := p.e.host.Progress.Stage("rebuild "+s.Name, s.Model.Config().Layers)
		defer bar.Done()
		full, sites, err := prune.Rebuild(ctx, p.e.host.Device, s.Model, p.mask, c.Batches, rb.options(), bar.Add)
		if err != nil {
			return nil, err
		}
		p.full = full
		return describeRebuild(sites, rb.Released), nil
	})
}

// options is how weights are fitted.
func (r Rebuild) options() prune.RebuildOptions {
	o := prune.DefaultRebuildOptions()
	o.Seed = r.Seed
	if r.Method == ScaleUnits {
		o.Method, o.Reference = prune.Scale, r.Released
	}
	return o
}

// masked is the model in its own shapes whose masked form is the smaller model.
func (p *pruning) masked(ctx context.Context) (model.Model, error) {
	if p.full == nil {
		if _, err := p.rebuild(ctx); err != nil {
			return nil, err
		}
	}
	return p.full, nil
}

// compacted is the smaller model.
func (p *pruning) compacted(ctx context.Context) (model.Model, error) {
	if p.small != nil {
		return p.small, nil
	}
	full, err := p.masked(ctx)
	if err != nil {
		return nil, err
	}
	p.small, err = prune.Compact(full, p.mask)
	return p.small, err
}

// verify is the proof that the smaller model is the masked one.
func (p *pruning) verify(ctx context.Context) (prune.Verification, error) {
	full, err := p.masked(ctx)
	if err != nil {
		return prune.Verification{}, err
	}
	small, err := p.compacted(ctx)
	if err != nil {
		return prune.Verification{}, err
	}
	return p.compare(ctx, full, small)
}

// compare proves that small is full without what the mask removes, in float64
// where float32 leaves a doubt.
func (p *pruning) compare(ctx context.Context, full, small model.Model) (prune.Verification, error) {
	host := p.e.host
	v, err := fitting(p.e, p.g.subject, func() (prune.Verification, error) {
		return prune.Verify(ctx, host.Device, full, small, p.mask, p.g.calibration.Batches)
	})
	if err != nil || v.Difference <= prune.Tolerance || host.Exact == nil {
		return v, err
	}
	exact, err := host.Exact()
	if err != nil {
		return v, err
	}
	defer exact.Close()
	return v, v.Confirm(ctx, exact, full, small, p.mask, p.g.calibration.Batches[0])
}

// evaluate is what the smaller model reaches.
func (p *pruning) evaluate(ctx context.Context) (*Evaluation, error) {
	small, err := p.compacted(ctx)
	if err != nil {
		return nil, err
	}
	p.e.host.forget(p.g.subject.Model) // the small model's memory is to be its own
	p.e.host.forget(p.full)
	evaluated, err := fitting(p.e, p.g.subject, func() (*Evaluation, error) {
		return p.g.feed.Evaluate(ctx, p.e.host.runner(), small, nil)
	})
	if err != nil {
		return nil, err
	}
	evaluated.Fault = evaluated.audit(small)
	return evaluated, nil
}

// close frees what the device keeps of the models.
func (p *pruning) close() {
	if p.full != nil && p.full != p.g.subject.Model {
		p.e.host.forget(p.full)
	}
	if p.small != nil {
		p.e.host.forget(p.small)
	}
}
