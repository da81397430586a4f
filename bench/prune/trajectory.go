package prune

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"optin/bench/model"
	"optin/kernels"
)

// Trajectory masks every unit of m alone, runs the calibration batches on from
// its layer, and measures how far the hidden states of the later blocks and the
// logits have moved (paper section 3; METHOD section 2). It is exact: nothing
// is sampled, and a unit that contributes nothing scores exactly 0.
//
// What makes it affordable: below the unit's layer nothing changes, so the
// dense input of every block is kept; the unit's share is taken from its site's
// sum instead of computing the layer again; V variants run as one batch where
// the calibration set is small; and the loss is had from D x D Gram matrices.
// Each variant goes through the network block by block, so that a worker holds
// the hidden state of one variant, one micro-batch of activations, and two Gram
// matrices.
//
// Where it fails, the parts of the sites that it has finished are returned beside
// the error, for Options.Known.
//
// progress, if not nil, is called with the number of units just scored.
func Trajectory(ctx context.Context, dev kernels.Device, m model.Model, batches []*model.Input, o Options, progress func(units int)) (*Parts, error) {
	if err := checkBatches(m, batches); err != nil {
		return nil, err
	}
	s := &scorer{dev: dev, m: m, batches: batches, o: o, groups: group(batches, o.Group), progress: progress}
	var err error
	if s.entering, err = s.groups.choose(o); err != nil {
		return nil, err
	}
	defer s.close()
	return s.run(ctx)
}

// scorer is the state shared by the workers; they only read it.
type scorer struct {
	dev      kernels.Device
	m        model.Model
	batches  []*model.Input
	o        Options
	groups   grouping
	entering []int // by group, the rows that enter its Gram

	variants int
	hidden   []tensors // input of block k; [layers]: output of the last
	tapped   []tensors // what is tapped of block k; aliases hidden[k+1] for TapBlock
	logits   tensors
	aa       []tensors // Gram of the dense trajectory, by block and group; nil where rows are cheaper
	zero     *kernels.Tensor

	progress func(int)

	mu         sync.Mutex
	workspaces map[kernels.Ops]*workspace
}

func (s *scorer) run(ctx context.Context) (*Parts, error) {
	parts := &Parts{}
	if s.o.Known != nil {
		*parts = *s.o.Known
	}
	if err := s.dense(ctx); err != nil {
		return parts, fmt.Errorf("dense pass: %w", err)
	}
	earlier := s.hidden
	if s.o.LastHead {
		masked, err := s.lastHeadsMasked(ctx)
		if err != nil {
			return parts, err
		}
		defer func() { free(s.dev, masked...) }()
		earlier = masked
	}
	for i, site := range s.m.Sites() {
		if i < len(parts.MD) {
			continue
		}
		input := s.hidden[site.Layer]
		if site.Kind == model.Heads {
			input = earlier[site.Layer]
		}
		md, kd, err := s.site(ctx, i, input)
		if err != nil {
			return parts, fmt.Errorf("%v: %w", site, err)
		}
		parts.MD, parts.KD = append(parts.MD, md), append(parts.KD, kd)
	}
	return parts, nil
}

// alloc makes one tensor per micro-batch, with a row per packed row of all
// variants.
func (s *scorer) alloc(cols int) (tensors, error) {
	list := make(tensors, len(s.batches))
	for b, in := range s.batches {
		t, err := s.dev.Alloc(kernels.F32, s.variants*in.Seq.Rows(), cols)
		if err != nil {
			free(s.dev, list)
			return nil, err
		}
		list[b] = t
	}
	return list, nil
}

// dense runs the calibration set through the whole model and keeps what the
// variants are compared with. Where a variant batch holds V > 1 variants the
// dense pass does too, so that both have the same shapes and round alike.
func (s *scorer) dense(ctx context.Context) error {
	c := s.m.Config()
	s.variants = 1
	if len(s.batches) == 1 {
		s.variants = max(1, min(s.rows()/s.batches[0].Seq.Rows(), s.mostUnits()))
	}
	for range c.Layers + 1 {
		list, err := s.alloc(c.Hidden)
		if err != nil {
			return err
		}
		s.hidden = append(s.hidden, list)
	}
	s.tapped = s.hidden[1:]
	if s.o.Tap != model.TapBlock {
		s.tapped = nil
		for range c.Layers {
			list, err := s.alloc(c.Hidden)
			if err != nil {
				return err
			}
			s.tapped = append(s.tapped, list)
		}
	}
	for _, in := range s.batches {
		t, err := s.dev.Alloc(kernels.F32, s.variants*in.Seq.Count(), len(c.Labels))
		if err != nil {
			return err
		}
		s.logits = append(s.logits, t)
	}
	err := s.dev.Each(ctx, len(s.batches), func(ops kernels.Ops, b int) error {
		p := s.pass(ops, b)
		x := ops.Repeat(s.m.Embed(p, s.batches[b]), s.variants)
		ops.Copy(s.hidden[0][b], x)
		for l := range c.Layers {
			inner := ops.Mark()
			out, tapped := s.m.Block(p, l, s.hidden[l][b])
			ops.Copy(s.hidden[l+1][b], out)
			if s.o.Tap != model.TapBlock {
				ops.Copy(s.tapped[l][b], tapped)
			}
			ops.Release(inner)
		}
		ops.Copy(s.logits[b], s.m.Head(p, s.hidden[c.Layers][b]))
		return nil
	})
	if err != nil || s.o.NoMD {
		return err
	}
	return s.denseGrams(ctx)
}

// mostUnits is the number of units of the largest site: more variants than that
// would have nothing to do.
func (s *scorer) mostUnits() int {
	most := 0
	for i := range s.m.Sites() {
		most = max(most, len(s.chosen(i)))
	}
	return most
}

func (s *scorer) pass(ops kernels.Ops, b int) *model.Pass {
	p := model.NewPass(ops, s.batches[b])
	p.Tap = s.o.Tap
	return p
}

func (s *scorer) rows() int {
	if s.o.Rows > 0 {
		return s.o.Rows
	}
	return MicroRows
}

// lastHeadsMasked is the input of every block when the last head of every
// earlier one is masked.
//
// REF: the released code never resets a layer's row of the head mask.
// Switch: Options.LastHead.
func (s *scorer) lastHeadsMasked(ctx context.Context) ([]tensors, error) {
	masked := []tensors{}
	sites := s.m.Sites()
	for range s.hidden {
		list, err := s.alloc(s.m.Config().Hidden)
		if err != nil {
			free(s.dev, masked...)
			return nil, err
		}
		masked = append(masked, list)
	}
	err := s.dev.Each(ctx, len(s.batches), func(ops kernels.Ops, b int) error {
		mask := Full(sites)
		for i, site := range sites {
			if site.Kind == model.Heads {
				mask[i][site.Units-1] = false
			}
		}
		p := s.pass(ops, b)
		p.Masks = mask.upload(ops)
		for i, t := range p.Masks {
			if t != nil {
				p.Masks[i] = ops.Repeat(t, s.variants)
			}
		}
		ops.Copy(masked[0][b], s.hidden[0][b])
		for l := range s.m.Config().Layers {
			inner := ops.Mark()
			out, _ := s.m.Block(p, l, masked[l][b])
			ops.Copy(masked[l+1][b], out)
			ops.Release(inner)
		}
		return nil
	})
	if err != nil {
		free(s.dev, masked...)
		return nil, err
	}
	return masked, nil
}

// site scores the units of site i, whose block has the given input.
func (s *scorer) site(ctx context.Context, i int, input tensors) (md, kd []float64, err error) {
	md, kd = unknown(s.m.Sites()[i].Units), unknown(s.m.Sites()[i].Units)
	units := s.chosen(i)
	if len(units) == 0 {
		return md, kd, ctx.Err()
	}
	c, err := s.capture(ctx, i, input)
	defer c.free(s.dev)
	if err != nil {
		return nil, nil, err
	}
	c.units = units
	jobs := (len(units) + s.variants - 1) / s.variants
	err = s.dev.Each(ctx, jobs, func(ops kernels.Ops, job int) error {
		from := job * s.variants
		to := min(from+s.variants, len(units))
		w := s.workspace(ops)
		w.score(i, c, from, w.scored[0][:to-from], w.scored[1][:to-from])
		for v, u := range units[from:to] {
			md[u], kd[u] = w.scored[0][v], w.scored[1][v]
		}
		if s.progress != nil {
			s.progress(to - from)
		}
		return nil
	})
	return md, kd, err
}

// chosen is the units of site i that are scored.
func (s *scorer) chosen(i int) []int32 {
	site := s.m.Sites()[i]
	var units []int32
	if s.o.Only != nil {
		for _, u := range s.o.Only[i] {
			units = append(units, int32(u))
		}
		return units
	}
	n := site.Units
	if s.o.Units != nil {
		n = min(n, s.o.Units(site))
	}
	for u := range n {
		units = append(units, int32(u))
	}
	return units
}

// unknown is the parts of n units that are not scored.
func unknown(n int) []float64 { return slices.Repeat([]float64{math.NaN()}, n) }

// captured is what removing units of one site needs, by micro-batch.
type captured struct {
	values, sum tensors
	residual    tensors // nil where it is in sum already
	consumer    *kernels.Tensor
	units       []int32 // those that are scored
}

func (c *captured) free(dev kernels.Device) {
	free(dev, c.values, c.sum, c.residual, tensors{c.consumer})
}

// capture is what scoring the units of site i needs, or as much of it as there was
// memory for.
func (s *scorer) capture(ctx context.Context, i int, input tensors) (*captured, error) {
	site, hidden := s.m.Sites()[i], s.m.Config().Hidden
	c := &captured{residual: make(tensors, len(s.batches))}
	var err error
	if c.values, err = s.alloc(site.Units * site.Width); err != nil {
		return c, err
	}
	if c.sum, err = s.alloc(hidden); err != nil {
		return c, err
	}
	if c.consumer, err = s.dev.Alloc(kernels.F32, site.Units*site.Width, hidden); err != nil {
		return c, err
	}
	err = s.dev.Each(ctx, len(s.batches), func(ops kernels.Ops, b int) error {
		got := s.m.Capture(s.pass(ops, b), i, input[b])
		ops.Copy(c.values[b], got.Values)
		ops.Copy(c.sum[b], got.Sum)
		if got.Residual != nil {
			t, err := s.dev.Alloc(kernels.F32, got.Residual.Rows, hidden)
			if err != nil {
				return err
			}
			c.residual[b] = t
			ops.Copy(t, got.Residual)
		}
		if b == 0 {
			ops.Copy(c.consumer, ops.Unpack(s.m.Consumer(i), true))
		}
		return nil
	})
	return c, err
}

func (s *scorer) close() {
	free(s.dev, s.hidden...)
	if s.o.Tap != model.TapBlock {
		free(s.dev, s.tapped...)
	}
	free(s.dev, s.logits, tensors{s.zero})
	free(s.dev, s.aa...)
}
