package prune

import (
	"context"

	"optin/bench/model"
	"optin/kernels"
)

// workspace is what one worker needs to score variants. It is made once per
// worker; scoring a variant then allocates nothing.
type workspace struct {
	s      *scorer
	ops    kernels.Ops
	passes []*model.Pass     // by micro-batch
	x      []*kernels.Tensor // hidden state of the variants, by micro-batch
	md, kd *kernels.Tensor   // [V*groups, 1], [V, 1]
	ae, ee *kernels.Tensor
	units  []int32
	host   []float64
	scored [2][]float64 // md and kd of the variants

	// Views live here so that passing their address does not allocate.
	dense, moved, dst kernels.Tensor
}

func (s *scorer) workspace(ops kernels.Ops) *workspace {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.workspaces[ops]; ok {
		return w
	}
	w := &workspace{s: s, ops: ops, x: make([]*kernels.Tensor, len(s.batches)),
		host:   make([]float64, s.variants*len(s.groups.rows)),
		scored: [2][]float64{make([]float64, s.variants), make([]float64, s.variants)}}
	for _, in := range s.batches {
		w.passes = append(w.passes, &model.Pass{Ops: ops, Seq: in.Seq, Tap: s.o.Tap})
	}
	if s.workspaces == nil {
		s.workspaces = make(map[kernels.Ops]*workspace)
	}
	s.workspaces[ops] = w
	return w
}

// score removes units number first, first+1, ... of those of c, one per variant,
// and writes what each of them moves to md and kd, which have one entry per unit.
// Variants that are left over remove nothing.
func (w *workspace) score(site int, c *captured, first int, md, kd []float64) {
	s, ops := w.s, w.ops
	layers, layer := s.m.Config().Layers, s.m.Sites()[site].Layer
	w.begin(c.units[first : first+len(md)])
	w.md = ops.New(kernels.F64, s.variants*len(s.groups.rows), 1)
	w.kd = ops.New(kernels.F64, s.variants, 1)
	w.ae, w.ee = w.gram(), w.gram()
	units := ops.UploadInts(w.units)

	width := s.m.Sites()[site].Width
	for b := range s.batches {
		w.x[b] = ops.New(kernels.F32, c.sum[b].Rows, c.sum[b].Cols)
		mark := ops.Mark()
		sum := ops.RemoveUnits(c.sum[b], c.values[b], c.consumer, units, width)
		w.step(layer, b, layer == layers-1, func() (out, tapped *kernels.Tensor) {
			return s.m.Finish(w.passes[b], site, sum, c.residual[b])
		})
		ops.Release(mark)
	}
	for k := layer + 1; k < layers; k++ {
		counts := s.o.Depth == 0 || k <= layer+s.o.Depth
		if !counts && s.o.NoKD {
			break
		}
		for b := range s.batches {
			mark := ops.Mark()
			w.step(k, b, counts, func() (out, tapped *kernels.Tensor) {
				return s.m.Block(w.passes[b], k, w.x[b])
			})
			ops.Release(mark)
		}
	}
	w.compareLogits()
	w.read(md, kd)
}

func (w *workspace) begin(units []int32) {
	for b, in := range w.s.batches {
		w.passes[b].Begin(in)
	}
	w.units = append(w.units[:0], units...)
	for len(w.units) < w.s.variants {
		w.units = append(w.units, -1)
	}
}

func (w *workspace) gram() *kernels.Tensor {
	if w.s.zero == nil {
		return nil // no group is large enough for one
	}
	return w.ops.New(kernels.F32, w.s.zero.Rows, w.s.zero.Cols)
}

// step runs one block on micro-batch b, keeps its output, and adds to the
// manifold distillation loss where the block counts.
func (w *workspace) step(k, b int, counts bool, run func() (out, tapped *kernels.Tensor)) {
	out, tapped := run()
	w.ops.Copy(w.x[b], out)
	if !counts || w.s.o.NoMD {
		return
	}
	phi := w.ops.NormalizeRows(w.s.tapped[k][b])
	e := w.ops.NormalizedDifference(tapped, phi)
	w.compare(k, b, phi, e)
}

// compare adds the rows of micro-batch b to the Gram matrices of their groups,
// and closes the groups that end in it.
func (w *workspace) compare(k, b int, phi, e *kernels.Tensor) {
	n := phi.Rows / w.s.variants
	groups := len(w.s.groups.rows)
	for v := range w.s.variants {
		for _, seg := range w.s.groups.segments[b] {
			mark := w.ops.Mark()
			a, d := w.rows(seg, v*n, phi, &w.dense), w.rows(seg, v*n, e, &w.moved)
			w.dst = w.md.Slice(v*groups+seg.group, v*groups+seg.group+1)
			if w.s.byRows(seg.group) {
				w.ops.ManifoldLossRows(&w.dst, a, d)
			} else {
				if seg.first {
					w.ops.Copy(w.ae, w.s.zero)
					w.ops.Copy(w.ee, w.s.zero)
				}
				w.ops.GramAdd(w.ae, a, d)
				w.ops.GramAdd(w.ee, d, d)
				if seg.last {
					w.ops.ManifoldLoss(&w.dst, w.s.aa[k][seg.group], w.ae, w.ee)
				}
			}
			w.ops.Release(mark)
		}
	}
}

// rows is the part of t that enters the Gram: a segment of the variant that
// begins at row base, or the chosen tokens of it.
func (w *workspace) rows(seg segment, base int, t, view *kernels.Tensor) *kernels.Tensor {
	*view = t.Slice(base+seg.from, base+seg.to)
	if seg.chosen == nil {
		return view
	}
	return w.ops.Gather(view, w.ops.UploadInts(seg.chosen), view.Rows)
}

// compareLogits adds the distance of the logits.
func (w *workspace) compareLogits() {
	s := w.s
	if s.o.NoKD {
		return
	}
	tau := s.o.Tau
	if s.o.RawLogits {
		tau = 1
	}
	for b := range s.batches {
		mark := w.ops.Mark()
		logits := s.m.Head(w.passes[b], w.x[b])
		n := logits.Rows / s.variants
		for v := range s.variants {
			w.dst = w.kd.Slice(v, v+1)
			w.moved, w.dense = logits.Slice(v*n, (v+1)*n), s.logits[b].Slice(v*n, (v+1)*n)
			if s.m.Config().Regression {
				w.ops.SquaredError(&w.dst, &w.moved, &w.dense)
			} else {
				w.ops.KLDivergence(&w.dst, &w.moved, &w.dense, tau)
			}
		}
		w.ops.Release(mark)
	}
}

func (w *workspace) read(md, kd []float64) {
	groups := len(w.s.groups.rows)
	w.ops.Download(w.md, w.host[:w.s.variants*groups])
	for i := range md {
		md[i] = 0
		for g, n := range w.s.entering {
			loss := w.host[i*groups+g]
			if w.s.o.MeanOfGram {
				loss /= float64(n) * float64(n)
			}
			md[i] += loss
		}
	}
	factor := w.s.o.Tau * w.s.o.Tau
	if w.s.m.Config().Regression {
		factor = 1
	}
	w.ops.Download(w.kd, w.host[:w.s.variants])
	for i := range kd {
		kd[i] = factor * w.host[i]
	}
}

// denseGrams makes A'A of the dense trajectory, by block and group.
func (s *scorer) denseGrams(ctx context.Context) error {
	hidden := s.m.Config().Hidden
	needed := false
	for g := range s.groups.rows {
		needed = needed || !s.byRows(g)
	}
	if !needed {
		return nil
	}
	zero, err := s.dev.Alloc(kernels.F32, hidden, hidden)
	if err != nil {
		return err
	}
	s.zero = zero
	for range s.tapped {
		grams := make(tensors, len(s.groups.rows))
		s.aa = append(s.aa, grams)
		for g := range grams {
			if s.byRows(g) {
				continue
			}
			if grams[g], err = s.dev.Alloc(kernels.F32, hidden, hidden); err != nil {
				return err
			}
		}
	}
	err = s.dev.One(ctx, func(ops kernels.Ops) error {
		ops.Copy(zero, ops.Upload(hidden, hidden, make([]float32, hidden*hidden)))
		return nil
	})
	if err != nil {
		return err
	}
	return s.dev.Each(ctx, len(s.tapped), func(ops kernels.Ops, k int) error {
		w := &workspace{s: s, ops: ops}
		for _, aa := range s.aa[k] {
			if aa != nil {
				ops.Copy(aa, zero)
			}
		}
		for b, list := range s.groups.segments {
			mark := ops.Mark()
			phi := ops.NormalizeRows(s.tapped[k][b])
			for _, seg := range list {
				if aa := s.aa[k][seg.group]; aa != nil {
					a := w.rows(seg, 0, phi, &w.dense)
					ops.GramAdd(aa, a, a)
				}
			}
			ops.Release(mark)
		}
		return nil
	})
}

// byRows says whether a group's loss is taken from its N x N products, which
// are fewer than the D x D ones and need all of its rows at once.
func (s *scorer) byRows(g int) bool {
	return s.groups.whole[g] && s.entering[g] < s.m.Config().Hidden
}
