package prune

import (
	"context"
	"fmt"
	"math"

	"optin/bench/model"
	"optin/kernels"
)

// RebuildMethod says what of a site's consumer is fitted.
type RebuildMethod uint8

const (
	LeastSquares RebuildMethod = iota // its weights and its bias
	Scale                             // one factor per kept unit (PTF's mask tuning)
)

func (m RebuildMethod) String() string { return [...]string{"least-squares", "scale"}[m] }

// RebuildOptions say how Rebuild fits what is left.
type RebuildOptions struct {
	Method  RebuildMethod
	HeldOut float64   // share of the calibration sequences that only judge, above 0 and below 1
	Ridges  []float64 // to choose from, each at least 0, relative to the normal matrix's mean diagonal
	Seed    uint64    // chooses the sequences that judge

	// Inputs fits, with LeastSquares, also what the producers read: they are
	// changed by the linear map that brings it closest to what they read in the
	// dense model.
	Inputs bool

	// Reference scales as PTF's released code does; HeldOut, Ridges and Inputs then
	// have no say.
	Reference bool
}

// DefaultRebuildOptions is least squares, judged on a fifth of the sequences.
func DefaultRebuildOptions() RebuildOptions {
	return RebuildOptions{HeldOut: 0.2, Ridges: []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10}, Inputs: true}
}

func (o RebuildOptions) check() error {
	if o.Reference {
		if o.Method != Scale {
			return fmt.Errorf("rebuild: the reference has no method %v: choose %v", o.Method, Scale)
		}
		return nil
	}
	if !(o.HeldOut > 0 && o.HeldOut < 1) {
		return fmt.Errorf("rebuild: a share of %v of the sequences held out: must be above 0 and below 1", o.HeldOut)
	}
	if len(o.Ridges) == 0 {
		return fmt.Errorf("rebuild: there are no ridges to try")
	}
	for _, r := range o.Ridges {
		if !(r >= 0) || math.IsInf(r, 1) {
			return fmt.Errorf("rebuild: ridge %v: must be a number from 0", r)
		}
	}
	return nil
}

// FitError is the sum of squared errors over a set of tokens before and after a
// fit, relative to the squares of what is to be met.
type FitError struct{ Before, After float64 }

// Fit is what became of one fit.
type Fit struct {
	Ridge    float64  // chosen, relative
	HeadRows bool     // fitted to the tokens alone that the head reads
	HeldOut  FitError // on the sequences that judge, of the fit to the others
	Fitted   FitError // on all sequences, of the fit to all of them
	Rebuilt  bool     // otherwise everything is left as it was
	Reason   string   // why it is
}

// LayerRebuild is what became of one site.
type LayerRebuild struct {
	Site   model.Site
	Kept   int  // units that are left
	Fit         // of the consumer; errors are relative to what the site should add to its residual
	Inputs *Fit // of what the producers read; nil where it was not tried
}

// Rebuild fits what is left of m after mask to what m was, without training:
// site by site from below, it changes the consumer's weights and bias so that,
// over the calibration tokens, the pruned model's sum after the residual is as
// close as it can be to the dense model's, the residual and the values being
// those of the pruned model rebuilt so far. So the errors of earlier layers are
// absorbed (METHOD section 5; the idea of K-prune, Park et al., ICLR 2024, in
// closed form). With V the kept units' values and E the dense sum minus the
// pruned one before the site is changed, the change of weights and bias is
//
//	argmin over dW, db of |E - V dW - db|^2 + ridge mean(diag(V'V)) |dW|^2,
//
// V centred. Before, with Inputs, the producers are changed: with X what they
// read in the pruned model and E the dense model's minus it, they read
// X + X C + c instead, (C, c) being the argmin of the same form.
//
// The ridge, and whether anything is changed at all, is decided on sequences that
// the fit has not seen; then it is fitted to all. In the last block nothing comes
// of tokens that the head does not read: there the others alone judge the sums,
// and may be all that is fitted to.
//
// The result has the shapes of m and zeros in the columns of removed units:
// with mask it is what [Compact] makes smaller. It does not depend on the number
// of workers. progress, if not nil, is called with the number of layers just
// done.
func Rebuild(ctx context.Context, dev kernels.Device, m model.Model, mask Mask, batches []*model.Input, o RebuildOptions, progress func(layers int)) (model.Model, []LayerRebuild, error) {
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	if err := checkBatches(m, batches); err != nil {
		return nil, nil, err
	}
	if err := mask.check(m.Sites()); err != nil {
		return nil, nil, fmt.Errorf("rebuild: %w", err)
	}
	r := &rebuilder{dev: dev, dense: m, current: m, mask: mask, batches: batches, o: o}
	defer r.close()
	report, err := r.run(ctx, progress)
	if err != nil {
		return nil, nil, err
	}
	rebuilt, err := withoutRemoved(r.current, mask)
	return rebuilt, report, err
}

// withoutRemoved is m with zeros in the consumers' columns of removed units,
// also where a site was left as it was.
func withoutRemoved(m model.Model, mask Mask) (model.Model, error) {
	var changed []*model.Param
	for s, site := range m.Sites() {
		if gone := spread(dropped(mask[s]), site.Width); len(gone) > 0 {
			changed = append(changed, zeroColumns(m.Params().Get(site.Consumer), gone))
		}
	}
	return model.New(m.Config(), m.Params().With(changed...))
}

// check refuses the mask of another model.
func (m Mask) check(sites []model.Site) error {
	if len(m) != len(sites) {
		return fmt.Errorf("the mask has %d sites, the model %d", len(m), len(sites))
	}
	for s, site := range sites {
		if len(m[s]) != site.Units {
			return fmt.Errorf("%v: the mask has %d units, the model %d", site, len(m[s]), site.Units)
		}
	}
	return nil
}

// rebuilder walks both models up the layers.
type rebuilder struct {
	dev     kernels.Device
	dense   model.Model
	current model.Model // in dense shapes, rebuilt so far
	mask    Mask
	batches []*model.Input
	tokens  []split // by micro-batch
	read    []split // those of them that the head reads
	o       RebuildOptions
	stopped bool // in reference mode: an earlier site could not be scaled

	denseInput, input tensors // of the present block, by micro-batch
}

func (r *rebuilder) run(ctx context.Context, progress func(int)) (report []LayerRebuild, err error) {
	if err := r.divide(); err != nil {
		return nil, err
	}
	if err := r.embed(ctx); err != nil {
		return nil, err
	}
	next, sites := 0, r.dense.Sites()
	for l := range r.dense.Config().Layers {
		for ; next < len(sites) && sites[next].Layer == l; next++ {
			done, err := r.site(ctx, next)
			if err != nil {
				return nil, fmt.Errorf("rebuild %v: %w", sites[next], err)
			}
			report = append(report, done)
		}
		if err := r.advance(ctx, l); err != nil {
			return nil, fmt.Errorf("rebuild layer %d: %w", l, err)
		}
		if progress != nil {
			progress(1)
		}
	}
	return report, nil
}

// divide says which tokens are fitted to, and which judge.
func (r *rebuilder) divide() error {
	var judges []bool
	if !r.o.Reference {
		var err error
		if judges, err = hold(r.batches, r.o.HeldOut, r.o.Seed); err != nil {
			return err
		}
	}
	r.tokens = tokensOf(r.batches, judges, math.MaxInt)
	r.read = tokensOf(r.batches, judges, r.dense.Config().HeadTokens())
	return nil
}

func (r *rebuilder) embed(ctx context.Context) error {
	for _, in := range r.batches {
		for _, list := range []*tensors{&r.denseInput, &r.input} {
			t, err := r.dev.Alloc(kernels.F32, in.Seq.Rows(), r.dense.Config().Hidden)
			if err != nil {
				return err
			}
			*list = append(*list, t)
		}
	}
	return r.dev.Each(ctx, len(r.batches), func(ops kernels.Ops, b int) error {
		x := r.dense.Embed(model.NewPass(ops, r.batches[b]), r.batches[b])
		ops.Copy(r.denseInput[b], x)
		ops.Copy(r.input[b], x)
		return nil
	})
}

// advance runs block l of both models.
func (r *rebuilder) advance(ctx context.Context, l int) error {
	if l == r.dense.Config().Layers-1 {
		return nil // nobody reads its output
	}
	return r.dev.Each(ctx, len(r.batches), func(ops kernels.Ops, b int) error {
		x, _ := r.dense.Block(model.NewPass(ops, r.batches[b]), l, r.denseInput[b])
		ops.Copy(r.denseInput[b], x)
		x, _ = r.current.Block(r.masked(ops, b), l, r.input[b])
		ops.Copy(r.input[b], x)
		return nil
	})
}

// masked is a pass of the pruned model.
func (r *rebuilder) masked(ops kernels.Ops, b int) *model.Pass {
	p := model.NewPass(ops, r.batches[b])
	p.Masks = r.mask.upload(ops)
	return p
}

// site fits what belongs to site s.
func (r *rebuilder) site(ctx context.Context, s int) (report LayerRebuild, err error) {
	site := r.dense.Sites()[s]
	keep := spread(kept(r.mask[s]), site.Width)
	report = LayerRebuild{Site: site, Kept: len(keep) / site.Width}
	if r.o.Reference {
		report.Fit, err = r.fitReference(ctx, s, keep)
		return report, err
	}
	if r.o.Inputs && r.o.Method == LeastSquares && len(keep) > 0 {
		inputs, err := r.fitInputs(ctx, s)
		if err != nil {
			return report, err
		}
		report.Inputs = &inputs
	}
	report.Fit, err = r.fitConsumer(ctx, s, keep)
	return report, err
}

// replace goes on with other parameters.
func (r *rebuilder) replace(changed ...*model.Param) error {
	m, err := model.New(r.current.Config(), r.current.Params().With(changed...))
	if err != nil {
		return err
	}
	r.forget()
	r.current = m
	return nil
}

// forget frees what the device keeps of the model rebuilt so far.
func (r *rebuilder) forget() {
	if r.current == r.dense {
		return
	}
	for _, w := range r.current.Weights() {
		r.dev.Forget(w)
	}
}

func (r *rebuilder) close() {
	free(r.dev, r.denseInput, r.input)
	r.forget()
}
