package kerneltest

import (
	"context"
	"errors"
	"math"
	"sync"

	"optin/kernels"
)

// memoryProperties are about arenas, tensors of devices and weights.
func memoryProperties() []property {
	return []property{
		{"Memory", "release-keeps", releaseKeeps},
		{"Memory", "release-reuses", releaseReuses},
		{"Memory", "new-f64-is-0", newIsZero},
		{"Memory", "ints-survive", intsSurvive},
		{"Memory", "alloc-is-shared", allocShared},
		{"Memory", "peak-is-counted", peakCounted},
		{"Weight", "touch-and-forget", touchAndForget},
		{"Weight", "live-weights-are-read", liveWeights},
		{"Weight", "error-is-returned", loadError},
	}
}

// releaseKeeps keeps some tensors through nested releases and overwrites what
// the others left.
func releaseKeeps(e *env, r *Result) {
	g := e.gen(r)
	x, y := g.normal(9, 17, 1), g.normal(3, 5, 1)
	lost := false
	keep := func(ops kernels.Ops) *kernels.Tensor {
		old := y.on(ops)
		outer := ops.Mark()
		x.on(ops)
		first := x.on(ops)
		inner := ops.Mark()
		x.on(ops)
		second := ops.Activate(first, kernels.Identity)
		third := x.on(ops)
		x.on(ops)
		ops.Release(inner, second, nil, third, old)
		soil(ops)
		ops.Release(outer, third, first)
		soil(ops)
		lost = values(ops, old)[0] != y.at(0, 0)
		return ops.Concat(first, third)
	}
	e.equal(r, "kept tensors", keep, func(ops kernels.Ops) *kernels.Tensor { return ops.Concat(x.on(ops), x.on(ops)) }, nil)
	if lost {
		r.fail("a tensor that is older than the mark is lost")
	}
}

// releaseReuses runs the same work again and again: after the first rounds the
// arenas do not grow.
func releaseReuses(e *env, r *Result) {
	arena, ok := e.dev.(interface{ ArenaBytes() int64 })
	if !ok {
		return
	}
	x := e.gen(r).normal(50, 33, 1)
	work := func(rounds int) int64 {
		// Every worker takes one piece: each waits until all have begun.
		var begun sync.WaitGroup
		begun.Add(e.dev.Workers())
		err := e.dev.Each(context.Background(), e.dev.Workers(), func(ops kernels.Ops, _ int) error {
			begun.Done()
			begun.Wait()
			for range rounds {
				m := ops.Mark()
				kept := ops.Activate(x.on(ops), kernels.GELU)
				for range 5 {
					inner := ops.Mark()
					old := kept
					kept = ops.Add(ops.Softmax(kept), old)
					ops.Release(inner, kept)
				}
				ops.Release(m)
			}
			return nil
		})
		if err != nil {
			r.fail("%v", err)
		}
		return arena.ArenaBytes()
	}
	before := work(8)
	if after := work(64); after > before {
		r.fail("the arenas grew from %d to %d bytes", before, after)
	}
}

func newIsZero(e *env, r *Result) {
	e.zero(r, "New", func(ops kernels.Ops) *kernels.Tensor { return ops.New(kernels.F64, 5, 3) })
	t, err := e.dev.Alloc(kernels.F64, 7, 2)
	if err != nil {
		r.fail("Alloc: %v", err)
		return
	}
	defer e.dev.Free(t)
	e.zero(r, "Alloc", func(kernels.Ops) *kernels.Tensor { return t })
}

func intsSurvive(e *env, r *Result) {
	ints := []int32{0, 1, -1, math.MaxInt32, math.MinInt32, 1<<24 + 1}
	got, err := narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor {
		copied := ops.New(kernels.I32, len(ints), 1)
		ops.Copy(copied, ops.UploadInts(ints))
		return copied
	})
	if err != nil {
		r.fail("%v", err)
		return
	}
	want := make([]float64, len(ints))
	for i, v := range ints {
		want[i] = float64(v)
	}
	r.compare("ints", got, want, bound{}, nil)
}

// allocShared lets every piece of work write its rows of one tensor of the
// device, which then outlives them.
func allocShared(e *env, r *Result) {
	const pieces, rows, cols = 16, 3, 17
	x := e.gen(r).normal(pieces*rows, cols, 1)
	shared, err := e.dev.Alloc(kernels.F32, pieces*rows, cols)
	if err != nil {
		r.fail("%v", err)
		return
	}
	defer e.dev.Free(shared)
	err = e.dev.Each(context.Background(), pieces, func(ops kernels.Ops, i int) error {
		dst, src := shared.Slice(i*rows, (i+1)*rows), x.on(ops).Slice(i*rows, (i+1)*rows)
		ops.Copy(&dst, &src)
		return nil
	})
	if err != nil {
		r.fail("%v", err)
		return
	}
	e.equal(r, "shared tensor", func(kernels.Ops) *kernels.Tensor { return shared }, x.on, nil)
}

func peakCounted(e *env, r *Result) {
	const rows, cols = 512, 1024
	if _, err := narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor {
		ops.New(kernels.F32, rows, cols)
		return ops.New(kernels.F64, 1, 1)
	}); err != nil {
		r.fail("%v", err)
	}
	if peak := e.dev.PeakBytes(); peak < 4*rows*cols {
		r.fail("peak of %d bytes with %d in one tensor", peak, 4*rows*cols)
	}
}

// touchAndForget changes a weight's values: seen after Touch or Forget.
func touchAndForget(e *env, r *Result) {
	g := e.gen(r)
	defer g.forget(e.dev)
	source, x := g.normal(9, 17, 1), g.normal(4, 17, 1)
	w := g.weight(source)
	check := func(what string, change func()) {
		copy(source.v, g.normal(9, 17, 1).v)
		change()
		fresh := g.weight(&matrix{9, 17, append([]float32(nil), source.v...)})
		product := func(w *kernels.Weight) func(ops kernels.Ops) *kernels.Tensor {
			return func(ops kernels.Ops) *kernels.Tensor { return ops.Linear(x.on(ops), w, kernels.Epilogue{}) }
		}
		e.equal(r, what+", product", product(w), product(fresh), nil)
		unpacked := func(w *kernels.Weight) func(ops kernels.Ops) *kernels.Tensor {
			return func(ops kernels.Ops) *kernels.Tensor { return ops.Unpack(w, true) }
		}
		e.equal(r, what+", unpacked", unpacked(w), unpacked(fresh), nil)
	}
	check("new", func() {})
	check("touched", w.Touch)
	check("forgotten", func() {
		e.dev.Forget(w)
		e.dev.Forget(w) // twice does no harm
	})
}

// loadError has a weight that cannot be read: an error, after which the device
// works on.
func loadError(e *env, r *Result) {
	unreadable := errors.New("the disk is gone")
	w := kernels.NewWeight("lost", 2, 3, func([]float32) error { return unreadable })
	x := e.gen(r).normal(4, 3, 1)
	run := func(ops kernels.Ops) *kernels.Tensor { return ops.Linear(x.on(ops), w, kernels.Epilogue{}) }
	if _, err := narrow(e.dev, run); !errors.Is(err, unreadable) {
		r.fail("a worker gives %v", err)
	}
	if _, err := wide(e.dev, run); !errors.Is(err, unreadable) {
		r.fail("the wide worker gives %v", err)
	}
	e.equal(r, "afterwards", x.on, x.on, nil)
}
