//go:build cgo

package cpu

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"optin/kernels"
)

// BenchmarkPeak is what everything else is compared with.
func BenchmarkPeak(b *testing.B) {
	best := 0.0
	for b.Loop() {
		gflops, err := MeasurePeak(0)
		if err != nil {
			b.Fatal(err)
		}
		best = max(best, gflops)
	}
	b.ReportMetric(best, "GFLOP/s")
}

// onWorker runs body on one worker and reports the rate of its best run, work
// being what one run does. The best one, because other programs run here too.
func onWorker(b *testing.B, work float64, unit string, prepare func(o kernels.Ops) (body func())) {
	d := open(b, Options{Threads: 1})
	defer d.Close()
	best := time.Duration(math.MaxInt64)
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		body := prepare(o)
		run := func() {
			mark := o.Mark()
			body()
			o.Release(mark)
		}
		run()
		for b.Loop() {
			start := time.Now()
			run()
			best = min(best, time.Since(start))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(work/float64(best.Nanoseconds()), unit)
}

func BenchmarkLinear(b *testing.B) {
	for _, s := range []struct {
		rows, in, out int
		act           kernels.Activation
		residual      bool
	}{
		{512, 768, 768, kernels.Identity, false},
		{512, 768, 768, kernels.Identity, true},
		{512, 768, 3072, kernels.Identity, false},
		{512, 768, 3072, kernels.GELU, false},
		{512, 768, 3072, kernels.GELUTanh, false},
		{512, 768, 3072, kernels.GELUQuick, false},
		{512, 3072, 768, kernels.Identity, false},
		{256, 768, 3072, kernels.Identity, false},
		{512, 128, 128, kernels.Identity, false},
		{512, 128, 512, kernels.GELU, false},
		{512, 512, 128, kernels.Identity, false},
	} {
		b.Run(fmt.Sprintf("rows=%d/in=%d/out=%d/act=%v/residual=%v", s.rows, s.in, s.out, s.act, s.residual), func(b *testing.B) {
			w := kernels.WeightOf("w", s.out, s.in, make([]float32, s.out*s.in))
			bias := kernels.WeightOf("b", 1, s.out, make([]float32, s.out))
			onWorker(b, 2*float64(s.rows)*float64(s.in)*float64(s.out), "GFLOP/s", func(o kernels.Ops) func() {
				x := noise(o, s.rows, s.in)
				e := kernels.Epilogue{Bias: bias, Act: s.act}
				if s.residual {
					e.Residual = noise(o, s.rows, s.out)
				}
				return func() { o.Linear(x, w, e) }
			})
		})
	}
}

func BenchmarkAttention(b *testing.B) {
	for _, s := range []struct{ batch, length, heads, width int }{
		{4, 128, 12, 64}, {8, 64, 12, 64}, {13, 40, 12, 64}, {25, 20, 12, 64}, {3, 197, 12, 64},
		{10, 50, 4, 32}, {10, 50, 8, 16},
	} {
		b.Run(fmt.Sprintf("batch=%d/len=%d/heads=%d/width=%d", s.batch, s.length, s.heads, s.width), func(b *testing.B) {
			lengths := make([]int, s.batch)
			for i := range lengths {
				lengths[i] = s.length
			}
			seq := kernels.NewSequences(lengths...)
			flops := 4 * float64(s.batch) * float64(s.length) * float64(s.length) * float64(s.heads*s.width)
			onWorker(b, flops, "GFLOP/s", func(o kernels.Ops) func() {
				q, k, v := noise(o, seq.Rows(), s.heads*s.width), noise(o, seq.Rows(), s.heads*s.width), noise(o, seq.Rows(), s.heads*s.width)
				spec := kernels.AttentionSpec{Heads: s.heads, Scale: 0.125, Q: seq, K: seq}
				return func() { o.Attention(q, k, v, spec) }
			})
		})
	}
}

// BenchmarkGramAdd has the shapes of scoring: of a and e, and of e with itself.
func BenchmarkGramAdd(b *testing.B) {
	for _, s := range []struct {
		rows, width int
		same        bool
	}{{430, 768, false}, {430, 768, true}, {512, 128, false}, {512, 128, true}} {
		b.Run(fmt.Sprintf("rows=%d/width=%d/same=%v", s.rows, s.width, s.same), func(b *testing.B) {
			onWorker(b, 2*float64(s.rows)*float64(s.width)*float64(s.width), "GFLOP/s", func(o kernels.Ops) func() {
				gram, a := noise(o, s.width, s.width), noise(o, s.rows, s.width)
				e := a
				if !s.same {
					e = noise(o, s.rows, s.width)
				}
				return func() { o.GramAdd(gram, a, e) }
			})
		})
	}
}

// BenchmarkElements has the ops that make no products, at 10^9 elements (of the
// result, or of the matrices summed) per second.
func BenchmarkElements(b *testing.B) {
	const rows, width = 512, 768
	gamma := kernels.WeightOf("gamma", 1, width, make([]float32, width))
	wide := randomBlock(width, 12, 4*width).up.weight
	for _, c := range []struct {
		name     string
		elements int
		body     func(o kernels.Ops, x, y, square *kernels.Tensor) func()
	}{
		{"LayerNorm", rows * width, func(o kernels.Ops, x, y, _ *kernels.Tensor) func() {
			return func() { o.LayerNorm(x, y, gamma, gamma, 1e-12) }
		}},
		{"GELU", rows * width, func(o kernels.Ops, x, _, _ *kernels.Tensor) func() {
			return func() { o.Activate(x, kernels.GELU) }
		}},
		{"GELUTanh", rows * width, func(o kernels.Ops, x, _, _ *kernels.Tensor) func() {
			return func() { o.Activate(x, kernels.GELUTanh) }
		}},
		{"GELUQuick", rows * width, func(o kernels.Ops, x, _, _ *kernels.Tensor) func() {
			return func() { o.Activate(x, kernels.GELUQuick) }
		}},
		{"Tanh", rows * width, func(o kernels.Ops, x, _, _ *kernels.Tensor) func() {
			return func() { o.Activate(x, kernels.Tanh) }
		}},
		{"Softmax", rows * width, func(o kernels.Ops, x, _, _ *kernels.Tensor) func() {
			return func() { o.Softmax(x) }
		}},
		{"Add", rows * width, func(o kernels.Ops, x, y, _ *kernels.Tensor) func() {
			return func() { o.Add(x, y) }
		}},
		{"MaskUnits", rows * width, func(o kernels.Ops, x, y, _ *kernels.Tensor) func() {
			mask := y.Slice(0, 1)
			return func() { o.MaskUnits(x, &mask) }
		}},
		{"RemoveUnits", rows * width, func(o kernels.Ops, x, y, square *kernels.Tensor) func() {
			unit := o.UploadInts([]int32{5})
			return func() { o.RemoveUnits(x, y, square, unit, 1) }
		}},
		{"RemoveHeads", rows * width, func(o kernels.Ops, x, y, square *kernels.Tensor) func() {
			unit := o.UploadInts([]int32{5})
			return func() { o.RemoveUnits(x, y, square, unit, 64) }
		}},
		{"NormalizedDifference", rows * width, func(o kernels.Ops, x, y, _ *kernels.Tensor) func() {
			return func() { o.NormalizedDifference(x, y) }
		}},
		{"ManifoldLoss", width * width, func(o kernels.Ops, _, _, square *kernels.Tensor) func() {
			loss := o.New(kernels.F64, 1, 1)
			return func() { o.ManifoldLoss(loss, square, square, square) }
		}},
		{"KLDivergence", rows * width, func(o kernels.Ops, x, y, _ *kernels.Tensor) func() {
			loss := o.New(kernels.F64, 1, 1)
			return func() { o.KLDivergence(loss, x, y, 4) }
		}},
		{"Unpack", 4 * width * width, func(o kernels.Ops, _, _, _ *kernels.Tensor) func() {
			return func() { o.Unpack(wide, true) }
		}},
	} {
		b.Run("op="+c.name, func(b *testing.B) {
			onWorker(b, float64(c.elements), "Gelement/s", func(o kernels.Ops) func() {
				return c.body(o, noise(o, rows, width), noise(o, rows, width), noise(o, width, width))
			})
		})
	}
}

// BenchmarkBlock runs blocks of BERT-base on 512 rows per worker, interleaved
// with the peak product, and reports the share of the peak's rate that the best
// of each reached.
func BenchmarkBlock(b *testing.B) {
	workers := runtime.NumCPU()
	d := open(b, Options{Threads: workers})
	defer d.Close()
	layers := make([]*block, 4)
	for i := range layers {
		layers[i] = randomBlock(768, 12, 3072)
	}
	s := kernels.NewSequences(128, 128, 128, 128)
	x, err := d.Alloc(kernels.F32, s.Rows(), 768)
	if err != nil {
		b.Fatal(err)
	}
	clear(x.F32)
	forward := func() time.Duration {
		start := time.Now()
		err := d.Each(context.Background(), 2*workers, func(o kernels.Ops, _ int) error {
			y := x
			for _, l := range layers {
				mark := o.Mark()
				y = l.forward(o, y, s, nil)
				o.Release(mark, y)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	forward()
	flops := 2 * float64(2*workers*len(layers)) * float64(layers[0].macs(s))
	peak, best := 0.0, 0.0
	for b.Loop() {
		gflops, err := MeasurePeak(workers)
		if err != nil {
			b.Fatal(err)
		}
		peak = max(peak, gflops)
		for range 3 {
			best = max(best, flops/forward().Seconds()/1e9)
		}
	}
	b.ReportMetric(best, "GFLOP/s")
	b.ReportMetric(peak, "peak-GFLOP/s")
	b.ReportMetric(100*best/peak, "%peak")
}
