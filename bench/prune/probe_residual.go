package prune

import (
	"context"
	"math"

	"optin/kernels"
)

// residual is what the probes that are kept see of what p's mask has removed, by
// row of G. For an example with rows i of block k, and E = Phi(S) - Phi, it is
//
//	sum of e_i . ((V + V') (Phi + E/2))_i
//
// which adds up to <V, Phi(S) Phi(S)' - Phi Phi'> over all of them, and what the
// probe sees of the example's logits. kd is the size of the latter.
func (p *prober) residual(ctx context.Context, kd float64) ([]float64, error) {
	dense := newProber(p.dev, p.m, nil, p.batches, p.o, nil)
	defer dense.close()
	if err := dense.dense(ctx); err != nil {
		return nil, err
	}
	perExample := make([]float64, p.o.Probes*p.examples())
	err := p.dev.Each(ctx, len(p.batches), func(ops kernels.Ops, b int) error {
		w, err := p.sweeper(ops)
		if err != nil {
			return err
		}
		if !p.o.NoMD {
			w.moved(dense, b, perExample)
		}
		p.logitsMoved(dense, b, kd, perExample)
		return nil
	})
	if err != nil || !p.o.Whole {
		return perExample, err
	}
	whole := make([]float64, p.o.Probes)
	for i, v := range perExample {
		whole[i/p.examples()] += v
	}
	return whole, nil
}

// moved adds what the probes see of the blocks' outputs in micro-batch b.
func (w *sweeper) moved(dense *prober, b int, residual []float64) {
	p, in := w.p, w.p.batches[b]
	sums := w.ops.New(kernels.F64, p.o.Probes*in.Examples(), 1)
	for k := range p.own {
		if !p.counts(k) {
			continue
		}
		mark := w.ops.Mark()
		e := w.ops.NormalizedDifference(p.own[k][b], w.ops.NormalizeRows(dense.own[k][b]))
		middle := w.ops.Scale(w.ops.Add(p.grams[k], dense.grams[k]), 0.5)
		for i := range p.o.Probes {
			inner := w.ops.Mark()
			w.view = sums.Slice(i*in.Examples(), (i+1)*in.Examples())
			w.ops.UnitSums(&w.view, w.cotangent(b, k, i, middle), e, in.Seq)
			w.ops.Release(inner)
		}
		w.ops.Release(mark)
	}
	values := make([]float64, sums.Len())
	w.ops.Download(sums, values)
	for i, v := range values {
		residual[i/in.Examples()*p.examples()+p.firstExample[b]+i%in.Examples()] += v
	}
}

// logitsMoved adds kd times what the probes see of the logits of micro-batch b:
//
//	sqrt(2) tau eps'(sqrt(q) - sqrt(p)),   p = softmax(z/tau),   q = softmax(z(S)/tau)
//
// or, of a regression head, eps'(z(S) - z).
func (p *prober) logitsMoved(dense *prober, b int, kd float64, residual []float64) {
	if kd == 0 {
		return
	}
	c := p.m.Config()
	n := len(c.Labels)
	before, after, eps := make([]float64, n), make([]float64, n), make([]float64, n)
	for e := range p.batches[b].Examples() {
		example := p.firstExample[b] + e
		was, is := dense.logits[b][e*n:(e+1)*n], p.logits[b][e*n:(e+1)*n]
		if !c.Regression {
			was, is = roots(softmax(before, was, p.o.Tau)), roots(softmax(after, is, p.o.Tau))
		}
		for i := range p.o.Probes {
			p.signs.logits(eps, i, example)
			size := kd
			if !c.Regression {
				size *= math.Sqrt2 * p.o.Tau
			}
			for class, sign := range eps {
				residual[i*p.examples()+example] += size * sign * (is[class] - was[class])
			}
		}
	}
}

// softmax writes softmax(x/tau) to dst, which it returns.
func softmax(dst, x []float64, tau float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, v)
	}
	for i, v := range x {
		dst[i] = math.Exp((v - top) / tau)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
	return dst
}

// softener makes cotangents of logits on one worker.
type softener struct {
	eps, p []float64 // of one example
	values []float32 // of a micro-batch
}

func newSoftener(classes int) softener {
	return softener{eps: make([]float64, classes), p: make([]float64, classes)}
}

// cotangent is what a probe enters at the logits of micro-batch b:
//
//	size sqrt(1/2) (u - p sum(u)),   u = sqrt(p) eps,   p = softmax(z/tau)
//
// or size eps for a regression head. It is valid until the next call.
func (s *softener) cotangent(p *prober, b, probe int, size float64) []float32 {
	s.values = s.values[:0]
	for e := range p.batches[b].Examples() {
		p.signs.logits(s.eps, probe, p.firstExample[b]+e)
		if p.m.Config().Regression {
			for _, sign := range s.eps {
				s.values = append(s.values, float32(size*sign))
			}
			continue
		}
		n, sum := len(s.eps), 0.0
		softmax(s.p, p.logits[b][e*n:(e+1)*n], p.o.Tau)
		for c, v := range s.p {
			s.eps[c] *= math.Sqrt(v)
			sum += s.eps[c]
		}
		for c, u := range s.eps {
			s.values = append(s.values, float32(size*math.Sqrt(0.5)*(u-s.p[c]*sum)))
		}
	}
	return s.values
}
