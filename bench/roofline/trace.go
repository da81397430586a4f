package roofline

import (
	"context"

	"optin/kernels"
	"optin/kernels/count"
)

// Tracer is a counting device that also books what every op must move and compute.
type Tracer struct {
	*count.Device
	book func(op string, l Launch)
}

// NewTracer makes a tracer that calls book for every launch. It has one worker, so book needs
// no lock.
func NewTracer(book func(op string, l Launch)) *Tracer { return &Tracer{count.New(), book} }

// Each is kernels.Device.Each with ops that book.
func (d *Tracer) Each(ctx context.Context, n int, f func(kernels.Ops, int) error) error {
	return d.Device.Each(ctx, n, func(ops kernels.Ops, i int) error { return f(d.wrap(ops), i) })
}

// One is kernels.Device.One with ops that book.
func (d *Tracer) One(ctx context.Context, f func(kernels.Ops) error) error {
	return d.Device.One(ctx, func(ops kernels.Ops) error { return f(d.wrap(ops)) })
}

func (d *Tracer) wrap(ops kernels.Ops) kernels.Ops {
	return &traced{ops.(kernels.Backward), d.book}
}

// traced books a launch for each call. A call's bytes are those of its arguments and of its
// result, once each, and twice those of what it adds to; masks and tables of ids included.
// Operations are those of the Tally: element-wise work hides behind its memory traffic,
// since the chips have ten to twenty float32 operations for each byte. Copies between host
// and device, which run beside the kernels, are not booked.
type traced struct {
	kernels.Backward
	enter func(op string, l Launch)
}

// size is the bytes of tensors, those that are nil having none.
func size(tensors ...*kernels.Tensor) int64 {
	var sum int64
	for _, t := range tensors {
		switch {
		case t == nil:
		case t.Type == kernels.F64:
			sum += 8 * int64(t.Len())
		default:
			sum += 4 * int64(t.Len())
		}
	}
	return sum
}

// weigh is the bytes of weights.
func weigh(weights ...*kernels.Weight) int64 {
	var sum int64
	for _, w := range weights {
		if w != nil {
			sum += 4 * int64(w.Len())
		}
	}
	return sum
}

// moved books a launch without products that reads in and writes y, which it returns.
func (t *traced) moved(op string, y *kernels.Tensor, in ...*kernels.Tensor) *kernels.Tensor {
	t.enter(op, Launch{Bytes: size(y) + size(in...)})
	return y
}

// added books a launch without products that reads in and adds to dst.
func (t *traced) added(op string, dst *kernels.Tensor, in ...*kernels.Tensor) {
	t.enter(op, Launch{Bytes: 2*size(dst) + size(in...)})
}

// counted runs call and books its products, on u, with the bytes that it returns, those of
// dense weights among them.
func (t *traced) counted(op string, u Unit, call func() int64, dense ...*kernels.Weight) {
	before := t.Tally()
	bytes := call()
	ran := t.Tally().Sub(before)
	t.enter(op, Launch{Unit: u, Bytes: bytes, Operations: 2 * (ran.MACs + ran.LossMACs), Weights: weigh(dense...)})
}

// Linear is two launches, as the float32 path has it: the product by cuBLAS, and a kernel
// that reads and writes it again where there is an epilogue. On tensor cores they are one; a
// pass before it, which rounds x, and one behind it, which adds parts of its sums, are what an
// implementation costs beyond the least.
func (t *traced) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) (y *kernels.Tensor) {
	t.counted("Linear", Dense, func() int64 {
		y = t.Backward.Linear(x, w, e)
		return size(x, y) + weigh(w)
	}, w)
	if e != (kernels.Epilogue{}) {
		again := 2 * size(y)
		t.enter("Linear epilogue", Launch{Bytes: again + size(e.Mask, e.Residual) + weigh(e.Bias), Fused: again})
	}
	return y
}

func (t *traced) LayerNorm(x, residual *kernels.Tensor, gamma, beta *kernels.Weight, eps float64) *kernels.Tensor {
	y := t.Backward.LayerNorm(x, residual, gamma, beta, eps)
	t.enter("LayerNorm", Launch{Bytes: size(x, residual, y) + weigh(gamma, beta)})
	return y
}

func (t *traced) Attention(q, k, v *kernels.Tensor, s kernels.AttentionSpec) (y *kernels.Tensor) {
	t.counted("Attention", Plain, func() int64 {
		y = t.Backward.Attention(q, k, v, s)
		return size(q, k, v, y, s.HeadMask, s.Bias, s.KeyBias)
	})
	return y
}

func (t *traced) Activate(x *kernels.Tensor, act kernels.Activation) *kernels.Tensor {
	return t.moved("Activate", t.Backward.Activate(x, act), x)
}

func (t *traced) Add(x, y *kernels.Tensor) *kernels.Tensor {
	return t.moved("Add", t.Backward.Add(x, y), x, y)
}

func (t *traced) MaskUnits(x, mask *kernels.Tensor) *kernels.Tensor {
	return t.moved("MaskUnits", t.Backward.MaskUnits(x, mask), x, mask)
}

func (t *traced) Softmax(x *kernels.Tensor) *kernels.Tensor {
	return t.moved("Softmax", t.Backward.Softmax(x), x)
}

// Embed reads the rows that it looks up, which are as large as what it gives.
func (t *traced) Embed(ids *kernels.Tensor, table *kernels.Weight, add *kernels.Tensor) *kernels.Tensor {
	y := t.Backward.Embed(ids, table, add)
	return t.moved("Embed", y, y, ids, add)
}

func (t *traced) Patchify(images *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	return t.moved("Patchify", t.Backward.Patchify(images, s), images)
}

func (t *traced) Unpack(w *kernels.Weight, transpose bool) *kernels.Tensor {
	y := t.Backward.Unpack(w, transpose)
	return t.moved("Unpack", y, y)
}

func (t *traced) Gather(x, idx *kernels.Tensor, span int) *kernels.Tensor {
	y := t.Backward.Gather(x, idx, span)
	return t.moved("Gather", y, y, idx)
}

func (t *traced) ScatterMean(x, idx *kernels.Tensor, rows int) *kernels.Tensor {
	return t.moved("ScatterMean", t.Backward.ScatterMean(x, idx, rows), x, idx)
}

func (t *traced) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	return t.moved("TopK", t.Backward.TopK(scores, from, to), scores)
}

func (t *traced) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) (y *kernels.Tensor) {
	t.counted("Match", Plain, func() int64 {
		y = t.Backward.Match(x, from, to, keep)
		return size(x, y)
	})
	return y
}

func (t *traced) Concat(x, y *kernels.Tensor) *kernels.Tensor {
	return t.moved("Concat", t.Backward.Concat(x, y), x, y)
}

func (t *traced) Repeat(x *kernels.Tensor, variants int) *kernels.Tensor {
	return t.moved("Repeat", t.Backward.Repeat(x, variants), x)
}

func (t *traced) Copy(dst, src *kernels.Tensor) {
	t.Backward.Copy(dst, src)
	t.moved("Copy", dst, src)
}

// RemoveUnits reads one unit of each variant's values, not all of them.
func (t *traced) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) (y *kernels.Tensor) {
	t.counted("RemoveUnits", Plain, func() int64 {
		y = t.Backward.RemoveUnits(sum, values, consumer, units, width)
		column := 4 * int64(width)
		return size(sum, y, units) + column*int64(values.Rows) + column*int64(consumer.Cols)*int64(units.Rows)
	})
	return y
}

func (t *traced) NormalizeRows(x *kernels.Tensor) *kernels.Tensor {
	return t.moved("NormalizeRows", t.Backward.NormalizeRows(x), x)
}

func (t *traced) NormalizedDifference(x, phi *kernels.Tensor) *kernels.Tensor {
	return t.moved("NormalizedDifference", t.Backward.NormalizedDifference(x, phi), x, phi)
}

func (t *traced) GramAdd(gram, a, b *kernels.Tensor) {
	t.counted("GramAdd", Plain, func() int64 {
		t.Backward.GramAdd(gram, a, b)
		return 2*size(gram) + size(a, b)
	})
}

func (t *traced) ManifoldLoss(dst, aa, ae, ee *kernels.Tensor) {
	t.counted("ManifoldLoss", Double, func() int64 {
		t.Backward.ManifoldLoss(dst, aa, ae, ee)
		return 2*size(dst) + size(aa, ae, ee)
	})
}

func (t *traced) ManifoldLossRows(dst, a, e *kernels.Tensor) {
	t.counted("ManifoldLossRows", Plain, func() int64 {
		t.Backward.ManifoldLossRows(dst, a, e)
		return 2*size(dst) + size(a, e)
	})
}

func (t *traced) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	t.Backward.KLDivergence(dst, x, base, tau)
	t.added("KLDivergence", dst, x, base)
}

func (t *traced) SquaredError(dst, x, base *kernels.Tensor) {
	t.Backward.SquaredError(dst, x, base)
	t.added("SquaredError", dst, x, base)
}
