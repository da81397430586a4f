//go:build cgo

package cpu

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"optin/kernels"
)

func TestTeamSize(t *testing.T) {
	d := open(t, Options{Threads: 3})
	defer d.Close()
	err := d.Each(context.Background(), 30, func(kernels.Ops, int) error {
		if n := teamSize(); n != 1 {
			t.Errorf("a worker's team has %d members", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.One(context.Background(), func(kernels.Ops) error {
		if n := teamSize(); n != 3 {
			t.Errorf("the wide worker's team has %d members, want 3", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// everyOp runs a block and all other ops once, on sequences of several lengths.
func everyOp(o kernels.Ops, b *block, s *kernels.Sequences, in *inputs) {
	x := o.Embed(in.ids, in.table, nil)
	y := b.forward(o, x, s, nil)
	phi := o.NormalizeRows(y)
	y = o.MaskUnits(o.Add(o.Activate(y, kernels.GELUTanh), x), in.mask)
	e := o.NormalizedDifference(y, phi)
	o.GramAdd(in.aa, phi, phi)
	o.GramAdd(in.ae, phi, e)
	o.GramAdd(in.ee, e, e)
	o.ManifoldLoss(in.loss, in.aa, in.ae, in.ee)
	o.ManifoldLossRows(in.loss, phi, e)
	o.KLDivergence(in.loss, y, phi, 4)
	o.SquaredError(in.loss, y, phi)
	o.RemoveUnits(y, x, o.Unpack(b.query.weight, true), in.unit, 1)
	o.Softmax(o.Gather(o.Concat(y, o.Repeat(x, 2)), in.ids, 3*s.Rows()))
	o.ScatterMean(x, in.ids, in.table.Rows)
	o.Gather(x, o.TopK(in.scores, s, s), s.Rows())
	o.ScatterMean(x, o.Match(x, s, s, 1), s.Rows())
	mark := o.Mark()
	o.Linear(y, b.up.weight, kernels.Epilogue{Bias: b.up.bias, Act: kernels.ReLU})
	o.Linear(y, b.query.weight, kernels.Epilogue{Residual: x, Mask: in.mask})
	o.Release(mark)
}

// everyGradient runs all methods of Backward once, on weights that live.
func everyGradient(o kernels.Backward, packed *kernels.Weight, s *kernels.Sequences, in *inputs) {
	x := o.Embed(in.ids, in.table, nil)
	dy := o.Repeat(x, 2)
	q := o.Linear(x, in.live, kernels.Epilogue{Bias: in.vector, Act: kernels.GELU, Residual: x})
	y := o.MatMul(o.LinearBackward(dy, packed), dy, true, false)
	o.AttentionBackward(dy, q, x, x, kernels.AttentionSpec{Heads: 4, Scale: 0.125, Q: s, K: s})
	o.LinearBackward(o.Multiply(dy, o.Derivative(o.Scale(q, 2), kernels.GELU)), in.live)
	o.LayerNormBackward(dy, x, q, in.vector, 1e-12)
	o.LayerNormWeights(in.vector.Live(), nil, dy, x, q, 1e-12)
	o.SoftmaxBackward(dy, o.Softmax(x))
	o.NormalizeRowsBackward(dy, x)
	o.SumRows(in.vector.Live(), dy)
	o.UnitSums(in.vector.Live(), dy, x, nil)
	o.UnitSums(in.loss, dy, x, nil)
	o.ScatterAdd(q, dy, in.ids, s.Rows())
	o.ScatterMeanBackward(dy, in.ids, s.Rows())
	o.RemoveUnitsBackward(dy, x, in.ae, in.unit, 1)
	o.PatchifyBackward(x, kernels.PatchSpec{Channels: 4, Height: 8, Width: 8, Patch: 4})
	o.KLDivergenceBackward(in.loss, x, q, 2)
	o.SquaredErrorBackward(in.loss, x, q)
	o.ManifoldLossBackward(in.loss, in.aa, in.ae, in.ee)
	o.ManifoldLossRowsBackward(in.loss, x, q)
	o.AdamW(in.aa, in.ae, in.ee, y, kernels.AdamWStep{Step: 1})
	o.SquaredNorm(in.loss, x)
}

type inputs struct {
	ids, mask, unit  *kernels.Tensor
	aa, ae, ee, loss *kernels.Tensor
	scores           *kernels.Tensor
	table            *kernels.Weight
	live, vector     *kernels.Weight
}

func newInputs(o kernels.Ops, rows, width int) *inputs {
	in := &inputs{table: randomBlock(width, 1, rows).up.weight} // [rows, width]
	ids, mask := make([]int32, rows), make([]float32, width)
	for i := range ids {
		ids[i] = int32(i * 7 % rows)
	}
	for i := range mask {
		mask[i] = float32(i % 2)
	}
	in.ids, in.mask = o.UploadInts(ids), o.Upload(1, width, mask)
	in.unit = o.UploadInts([]int32{3})
	in.scores = o.Upload(rows, 1, make([]float32, rows))
	zero := make([]float32, width*width)
	in.aa, in.ae, in.ee = o.Upload(width, width, zero), o.Upload(width, width, zero), o.Upload(width, width, zero)
	in.loss = o.New(kernels.F64, 1, 1)
	in.live = kernels.LiveWeight("live", o.Upload(width, width, zero))
	in.vector = kernels.LiveWeight("vector", o.Upload(1, width, zero[:width]))
	return in
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	d := open(t, Options{Threads: 1})
	defer d.Close()
	b := randomBlock(64, 4, 256)
	s := kernels.NewSequences(20, 7, 33)
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		in := newInputs(o, s.Rows(), 64)
		run := func() {
			mark := o.Mark()
			everyOp(o, b, s, in)
			everyGradient(o.(kernels.Backward), b.query.weight, s, in)
			o.Release(mark)
		}
		run()
		run() // which buffers are idle differs from the first time
		arena, packed := d.ArenaBytes(), d.PeakBytes()
		if allocs := testing.AllocsPerRun(10, run); allocs != 0 {
			t.Errorf("%v Go allocations per run", allocs)
		}
		if now := d.ArenaBytes(); now != arena {
			t.Errorf("the arena grew from %d to %d bytes", arena, now)
		}
		if now := d.PeakBytes(); now != packed {
			t.Errorf("memory grew from %d to %d bytes", packed, now)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMemoryIsAccountedFor(t *testing.T) {
	d := open(t, Options{Threads: 2})
	b := randomBlock(64, 4, 256)
	s := kernels.NewSequences(16, 16)
	x, err := d.Alloc(kernels.F32, 32, 64)
	if err != nil {
		t.Fatal(err)
	}
	clear(x.F32)
	err = d.Each(context.Background(), 4, func(o kernels.Ops, _ int) error {
		b.forward(o, x, s, nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	weights := int64(4 * 64 * (4*64 + 2*256)) // without biases
	if got := d.PeakBytes(); got < weights+d.ArenaBytes()+4*32*64 {
		t.Errorf("PeakBytes = %d, weights alone take %d and arenas %d", got, weights, d.ArenaBytes())
	}
	d.Free(x)
	d.Forget(b.up.weight)
	before := d.PeakBytes()
	d.ResetPeak()
	if after := d.PeakBytes(); after > before-4*64*256-4*32*64 {
		t.Errorf("PeakBytes is %d after freeing a weight, was %d", after, before)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if n := d.bytes.Load(); n != 0 {
		t.Errorf("%d bytes left after Close", n)
	}
}

func TestKeptTensorsSurviveRelease(t *testing.T) {
	d := open(t, Options{Threads: 1, Guard: true})
	defer d.Close()
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		old := noise(o, 2, 3)
		outer := o.Mark()
		mark := o.Mark()
		a, b, c := noise(o, 4, 5), noise(o, 4, 5), noise(o, 4, 5)
		want := b.F32[19]
		o.Release(mark, b, old, nil)
		if b.F32[19] != want {
			t.Errorf("a kept tensor was %v, is %v", want, b.F32[19])
		}
		for _, gone := range []*kernels.Tensor{a, c} {
			if !math.IsNaN(float64(gone.F32[0])) {
				t.Error("a released tensor was not poisoned")
			}
		}
		if again := o.New(kernels.F32, 4, 5); again != c {
			t.Error("the tensor released last was not the one reused first")
		}
		o.Release(outer)
		if !math.IsNaN(float64(b.F32[0])) {
			t.Error("a kept tensor survived the release of an older mark")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoMemory(t *testing.T) {
	d := open(t, Options{Threads: 1})
	defer d.Close()
	for _, shape := range [][2]int{{1 << 40, 1 << 10}, {1 << 62, 1 << 62}, {math.MaxInt, 1}} {
		err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
			o.New(kernels.F32, shape[0], shape[1])
			return nil
		})
		if err == nil || !strings.HasPrefix(err.Error(), "cpu: ") {
			t.Errorf("New %v: error %v", shape, err)
		}
		if _, err := d.Alloc(kernels.F64, shape[0], shape[1]); err == nil {
			t.Errorf("Alloc %v worked", shape)
		}
	}
}

// TestLimitOfMemory takes all that a device may take, in every way there is. What was refused
// is not accounted for, and idle buffers make room.
func TestLimitOfMemory(t *testing.T) {
	const limit = 1 << 20
	d := open(t, Options{Threads: 1, Memory: limit})
	defer d.Close()
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, kernels.ErrOutOfMemory) {
			t.Errorf("%s: error %v", what, err)
		}
		if n := d.bytes.Load(); n > limit {
			t.Errorf("%s: %d bytes of %d are taken", what, n, limit)
		}
	}
	each := func(f func(o kernels.Ops)) error {
		return d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error { f(o); return nil })
	}
	_, err := d.Alloc(kernels.F32, limit/4, 1)
	refused("Alloc", err)
	refused("New", each(func(o kernels.Ops) { o.New(kernels.F64, limit/8+1, 1) }))
	w := kernels.WeightOf("w", 1024, 512, make([]float32, 1024*512))
	refused("a packed weight", each(func(o kernels.Ops) { o.Linear(o.Upload(1, 512, make([]float32, 512)), w, kernels.Epilogue{}) }))
	refused("a plain weight", each(func(o kernels.Ops) { o.Embed(o.UploadInts([]int32{0}), w, nil) }))
	if err := each(func(o kernels.Ops) {
		mark := o.Mark()
		o.New(kernels.F32, limit/8, 1)
		o.Release(mark)
		o.New(kernels.F32, limit/5, 1) // of another class, and more than is left beside the idle buffer
	}); err != nil {
		t.Errorf("beside an idle buffer: %v", err)
	}
}

func TestUnreadableWeight(t *testing.T) {
	d := open(t, Options{Threads: 1})
	defer d.Close()
	broken := kernels.NewWeight("h.0.mlp", 3, 4, func([]float32) error { return context.DeadlineExceeded })
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		o.Linear(noise(o, 2, 4), broken, kernels.Epilogue{})
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "h.0.mlp") {
		t.Errorf("an unreadable weight: error %v", err)
	}
}

func TestManyShapesKeepFewPrimitives(t *testing.T) {
	d := open(t, Options{Threads: 1})
	defer d.Close()
	w := randomBlock(8, 1, 8).query
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		for rows := 1; rows <= rowBlock*(maxLinears+5); rows += rowBlock {
			mark := o.Mark()
			w.of(o, o.New(kernels.F32, rows, 8), kernels.Identity)
			o.Release(mark)
		}
		if n := len(o.(*ops).linears.forms); n != maxLinears {
			t.Errorf("%d primitives are kept, want %d", n, maxLinears)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDescribe(t *testing.T) {
	d := open(t, Options{Threads: 2, ISA: "plain"})
	defer d.Close()
	for _, want := range []string{"plain", "oneDNN", "threads 2"} {
		if !strings.Contains(d.Describe(), want) {
			t.Errorf("Describe is %q, without %q", d.Describe(), want)
		}
	}
}

// A peak does not hold what earlier work has left idle.
func TestResetPeakForgetsIdleBuffers(t *testing.T) {
	d := open(t, Options{Threads: 2})
	defer d.Close()
	work := func(rows int) int64 {
		d.ResetPeak()
		err := d.Each(context.Background(), 8, func(o kernels.Ops, _ int) error {
			o.Activate(o.Upload(rows, 64, make([]float32, 64*rows)), kernels.GELU)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return d.PeakBytes()
	}
	small := work(16)
	large := work(4096)
	if again := work(16); again > 2*small || large < 10*small {
		t.Errorf("peaks %d, %d, then %d bytes", small, large, again)
	}
}
