package kerneltest_test

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"optin/kernels"
	"optin/kernels/kerneltest"
)

// derived is plain for an Ops that has derivatives.
type derived struct{ kernels.Backward }

// backwards makes a mutant of a derivative from what wraps one.
func backwards(name, op string, wrap func(d derived) kernels.Ops) mutant {
	return mutant{name, op, func(ops kernels.Ops) kernels.Ops { return wrap(derived{ops.(kernels.Backward)}) }}
}

// TestBackwardIsCovered: every derivative has a program and a mutant.
func TestBackwardIsCovered(t *testing.T) {
	var programs, mutants []string
	for _, p := range kerneltest.Programs(true) {
		programs = append(programs, p.Op)
	}
	for _, some := range [][]mutant{backwardMutants(), backwardNormMutants(), backwardAttentionMutants(), backwardScoreMutants()} {
		for _, m := range some {
			mutants = append(mutants, m.op)
		}
	}
	for i := range reflect.TypeFor[kernels.Backward]().NumMethod() {
		name := reflect.TypeFor[kernels.Backward]().Method(i).Name
		if _, forward := reflect.TypeFor[kernels.Ops]().MethodByName(name); forward {
			continue
		}
		if !slices.Contains(programs, name) || !(kerneltest.Program{Op: name}).NeedsBackward() {
			t.Errorf("%s has no programs", name)
		}
		if !slices.Contains(mutants, name) {
			t.Errorf("%s has no mutant", name)
		}
	}
}

// TestBackwardIsOptional: a device without derivatives passes without them.
func TestBackwardIsOptional(t *testing.T) {
	dev := bend(t, func(ops kernels.Ops) kernels.Ops { return plain{ops} })
	results, err := kerneltest.Check(dev, kerneltest.Options{Seed: 1, Quick: true, Ops: []string{"MatMul", "Scale", "Softmax", "Weight"}})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, r := range results {
		seen[r.Op] = true
		if !r.OK {
			t.Error(r)
		}
	}
	if !seen["Softmax"] || seen["MatMul"] || seen["Scale"] {
		t.Errorf("ran %v", seen)
	}
}

func backwardMutants() []mutant {
	seen := make(map[*kernels.Weight]*kernels.Weight)
	return []mutant{
		backwards("MatMul takes b as it is", "MatMul", func(d derived) kernels.Ops { return &untransposedB{d} }),
		backwards("Multiply repeats rows in blocks", "Multiply", func(d derived) kernels.Ops { return &blockFactors{d} }),
		backwards("Scale rounds its factor to bfloat16", "Scale", func(d derived) kernels.Ops { return &coarseScale{d} }),
		backwards("SumRows overwrites", "SumRows", func(d derived) kernels.Ops { return &sumOverwrites{d} }),
		backwards("ScatterAdd lets the last row win", "ScatterAdd", func(d derived) kernels.Ops { return &lastRowWins{d} }),
		backwards("ScatterAdd takes the first of a stack", "ScatterAdd", func(d derived) kernels.Ops { return &firstScattered{d} }),
		backwards("UnitSums ignores segments after the first", "UnitSums", func(d derived) kernels.Ops { return &firstSegment{d} }),
		backwards("UnitSums takes the first of a stack", "UnitSums", func(d derived) kernels.Ops { return &firstSums{d} }),
		backwards("LinearBackward takes a square weight transposed", "LinearBackward", func(d derived) kernels.Ops { return &squareTransposed{d} }),
		backwards("LinearBackward reads a live weight once", "Weight", func(d derived) kernels.Ops { return &staleBackward{d, seen} }),
		backwards("LinearBackward counts nothing", "LinearBackward", func(d derived) kernels.Ops { return &uncounted{d} }),
		backwards("AdamW with coupled decay", "AdamW", func(d derived) kernels.Ops { return &coupledDecay{d} }),
		backwards("AdamW without bias correction", "AdamW", func(d derived) kernels.Ops {
			return &stepChanged{d, func(s *kernels.AdamWStep) { s.Step = 1 << 20 }}
		}),
		backwards("AdamW ignores the gradient's factor", "AdamW", func(d derived) kernels.Ops {
			return &stepChanged{d, func(s *kernels.AdamWStep) { s.Gradient = 1 }}
		}),
		backwards("AdamW with 1 - beta in float32", "AdamW", func(d derived) kernels.Ops {
			return &stepChanged{d, func(s *kernels.AdamWStep) { s.Beta2 = 1 - float64(1-float32(s.Beta2)) }}
		}),
		backwards("SquaredNorm in float32", "SquaredNorm", func(d derived) kernels.Ops { return &coarseNorm{d} }),
	}
}

type untransposedB struct{ derived }

func (m *untransposedB) MatMul(a, b *kernels.Tensor, ta, tb bool) *kernels.Tensor {
	return m.Backward.MatMul(a, b, ta, tb && b.Rows != b.Cols)
}

type blockFactors struct{ derived }

func (m *blockFactors) Multiply(x, y *kernels.Tensor) *kernels.Tensor {
	z := m.Backward.Multiply(x, y)
	if y.Cols == x.Cols {
		for i := range at(z) {
			row := i / x.Cols / (x.Rows / y.Rows)
			at(z)[i] = at(x)[i] * at(y)[row*y.Cols+i%x.Cols]
		}
	}
	return z
}

type coarseScale struct{ derived }

func (m *coarseScale) Scale(x *kernels.Tensor, c float64) *kernels.Tensor {
	return m.Backward.Scale(x, float64(math.Float32frombits(math.Float32bits(float32(c))&^0xffff)))
}

type sumOverwrites struct{ derived }

func (m *sumOverwrites) SumRows(dst, x *kernels.Tensor) {
	clear(at(dst))
	m.Backward.SumRows(dst, x)
}

type lastRowWins struct{ derived }

func (m *lastRowWins) ScatterAdd(dst, x, idx *kernels.Tensor, span int) {
	before := slices.Clone(at(dst))
	for r := range x.Rows {
		row := x.Slice(r, r+1)
		one := m.UploadInts(idx.I32[r%idx.Rows : r%idx.Rows+1])
		variant := r / idx.Rows % (dst.Rows / span)
		target := dst.Slice(variant*span, (variant+1)*span)
		into := int(one.I32[0]) * dst.Cols
		copy(at(&target)[into:into+dst.Cols], before[variant*span*dst.Cols+into:])
		m.Backward.ScatterAdd(&target, &row, one, span)
	}
}

type firstScattered struct{ derived }

func (m *firstScattered) ScatterAdd(dst, x, idx *kernels.Tensor, span int) {
	first := x.Slice(0, min(x.Rows, dst.Rows/span*idx.Rows))
	m.Backward.ScatterAdd(dst, &first, idx, span)
}

type firstSegment struct{ derived }

func (m *firstSegment) UnitSums(dst, x, y *kernels.Tensor, seg *kernels.Sequences) {
	if seg == nil || seg.Count() < 2 || x.Cols == 1 { // one column: how scalars are made
		m.Backward.UnitSums(dst, x, y, seg)
		return
	}
	first := dst.Slice(0, 1)
	m.Backward.UnitSums(&first, x, y, kernels.NewSequences(seg.Rows()))
}

type firstSums struct{ derived }

func (m *firstSums) UnitSums(dst, x, y *kernels.Tensor, seg *kernels.Sequences) {
	first := x.Slice(0, y.Rows)
	m.Backward.UnitSums(dst, &first, y, seg)
}

type squareTransposed struct{ derived }

func (m *squareTransposed) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
	if w.Rows == w.Cols {
		return m.MatMul(dy, m.Unpack(w, true), false, false)
	}
	return m.Backward.LinearBackward(dy, w)
}

// staleBackward reads a weight as it was when it was first seen.
type staleBackward struct {
	derived
	seen map[*kernels.Weight]*kernels.Weight
}

func (m *staleBackward) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
	if m.seen[w] == nil {
		values, err := w.Values()
		if err != nil {
			kernels.Fail(err)
		}
		m.seen[w] = kernels.WeightOf(w.Name, w.Rows, w.Cols, values)
	}
	return m.Backward.LinearBackward(dy, m.seen[w])
}

// uncounted computes the product as sums of rows, which nothing counts.
type uncounted struct{ derived }

func (m *uncounted) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
	weight := m.Unpack(w, false)
	dx := m.New(kernels.F32, dy.Rows, w.Cols)
	for r := range dy.Rows {
		for c := range w.Cols {
			sum := 0.0
			for k := range w.Rows {
				sum += at(dy)[r*dy.Cols+k] * at(weight)[k*w.Cols+c]
			}
			at(dx)[r*w.Cols+c] = sum
		}
	}
	return dx
}

// coupledDecay adds the decay to the gradient, as Adam with L2 does.
type coupledDecay struct{ derived }

func (m *coupledDecay) AdamW(w, mean, v, g *kernels.Tensor, s kernels.AdamWStep) {
	g = m.Add(m.Backward.Scale(g, s.Gradient), m.Backward.Scale(w, s.Decay))
	s.Decay, s.Gradient = 0, 1
	m.Backward.AdamW(w, mean, v, g, s)
}

type stepChanged struct {
	derived
	change func(s *kernels.AdamWStep)
}

func (m *stepChanged) AdamW(w, mean, v, g *kernels.Tensor, s kernels.AdamWStep) {
	m.change(&s)
	m.Backward.AdamW(w, mean, v, g, s)
}

type coarseNorm struct{ derived }

func (m *coarseNorm) SquaredNorm(dst, x *kernels.Tensor) {
	var sum float32
	for _, v := range at(x) {
		sum += float32(v) * float32(v) * (1 + 1e-5)
	}
	at(dst)[0] += float64(sum)
}
