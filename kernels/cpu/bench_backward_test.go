//go:build cgo && linux

package cpu

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"optin/kernels"
	"optin/kernels/grad"
)

// beside runs forward and backward in turns on one worker and reports the rate of
// the best run of backward, work being what it does, and how many times the best
// run of forward it took. Both are the thread's own time: other programs run here
// too.
func beside(b *testing.B, work float64, unit string, prepare func(o kernels.Backward) (forward, backward func())) {
	d := open(b, Options{Threads: 1})
	defer d.Close()
	var best [2]time.Duration
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		forward, backward := prepare(o.(kernels.Backward))
		turn := func() (times [2]time.Duration) {
			for i, body := range [...]func(){forward, backward} {
				mark, start := o.Mark(), threadTime(b)
				body()
				times[i] = threadTime(b) - start
				o.Release(mark)
			}
			return times
		}
		turn() // packs
		best = turn()
		for b.Loop() {
			for i, t := range turn() {
				best[i] = min(best[i], t)
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(work/float64(best[1].Nanoseconds()), unit)
	b.ReportMetric(best[1].Seconds()/best[0].Seconds(), "x-forward")
}

// threadTime is how long the calling thread has run.
func threadTime(b *testing.B) time.Duration {
	const clock = 3 // CLOCK_THREAD_CPUTIME_ID
	var now syscall.Timespec
	if _, _, e := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&now)), 0); e != 0 {
		b.Fatal(e)
	}
	return time.Duration(now.Nano())
}

// BenchmarkLinearBackward has the gradient to x, or that to w, beside a Linear of
// packed weights.
func BenchmarkLinearBackward(b *testing.B) {
	for _, s := range [][3]int{
		{512, 768, 768}, {512, 768, 3072}, {512, 3072, 768}, {512, 384, 384}, {512, 384, 1536}, {512, 1536, 384},
		{512, 128, 128}, {512, 128, 512}, {512, 512, 128},
	} {
		rows, in, out := s[0], s[1], s[2]
		for _, what := range []string{"x", "x-live", "w", "forward-live"} {
			b.Run(fmt.Sprintf("rows=%d/in=%d/out=%d/to=%s", rows, in, out, what), func(b *testing.B) {
				packed := kernels.WeightOf("w", out, in, make([]float32, out*in))
				bias := kernels.WeightOf("b", 1, out, make([]float32, out))
				beside(b, 2*float64(rows)*float64(in)*float64(out), "GFLOP/s", func(o kernels.Backward) (forward, backward func()) {
					x, dy := noise(o, rows, in), noise(o, rows, out)
					live := kernels.LiveWeight("live", noise(o, out, in))
					liveBias := kernels.LiveWeight("live", noise(o, 1, out))
					forward = func() { o.Linear(x, packed, kernels.Epilogue{Bias: bias}) }
					switch what {
					case "x":
						return forward, func() { o.LinearBackward(dy, packed) }
					case "x-live":
						return forward, func() { o.LinearBackward(dy, live) }
					case "forward-live":
						return forward, func() { o.Linear(x, live, kernels.Epilogue{Bias: liveBias}) }
					}
					return forward, func() { o.GramAdd(live.Live(), dy, x) }
				})
			})
		}
	}
}

func BenchmarkAttentionBackward(b *testing.B) {
	for _, s := range []struct{ batch, length, heads, width int }{
		{64, 8, 12, 64}, {25, 20, 12, 64}, {13, 40, 12, 64}, {8, 64, 12, 64}, {4, 128, 12, 64}, {3, 197, 12, 64}, {1, 512, 12, 64},
		{13, 40, 12, 32}, {13, 40, 4, 32}, {8, 64, 4, 32},
	} {
		b.Run(fmt.Sprintf("batch=%d/len=%d/heads=%d/width=%d", s.batch, s.length, s.heads, s.width), func(b *testing.B) {
			lengths := make([]int, s.batch)
			for i := range lengths {
				lengths[i] = s.length
			}
			seq := kernels.NewSequences(lengths...)
			flops := 10 * float64(s.batch) * float64(s.length) * float64(s.length) * float64(s.heads*s.width)
			beside(b, flops, "GFLOP/s", func(o kernels.Backward) (forward, backward func()) {
				n, c := seq.Rows(), s.heads*s.width
				q, k, v, dy := noise(o, n, c), noise(o, n, c), noise(o, n, c), noise(o, n, c)
				spec := kernels.AttentionSpec{Heads: s.heads, Scale: 0.125, Q: seq, K: seq}
				return func() { o.Attention(q, k, v, spec) }, func() { o.AttentionBackward(dy, q, k, v, spec) }
			})
		})
	}
}

// BenchmarkElementsBackward has the other gradients on 512 rows, at 10^9 elements
// per second, beside the ops that they are of or, where those are none, an Add of
// as many elements.
func BenchmarkElementsBackward(b *testing.B) {
	type ops = kernels.Backward
	const rows = 512
	gamma := kernels.WeightOf("gamma", 1, 768, make([]float32, 768))
	for _, c := range []struct {
		name    string
		width   int
		prepare func(o ops, x, y *kernels.Tensor) (forward, backward func())
	}{
		{"LayerNorm", 768, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			return func() { o.LayerNorm(x, y, gamma, gamma, 1e-12) }, func() { o.LayerNormBackward(y, x, y, gamma, 1e-12) }
		}},
		{"LayerNormWeights", 768, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			sum := noise(o, 1, 768)
			return func() { o.LayerNorm(x, y, gamma, gamma, 1e-12) }, func() { o.LayerNormWeights(sum, sum, y, x, y, 1e-12) }
		}},
		{"GELU", 3072, func(o ops, x, _ *kernels.Tensor) (forward, backward func()) {
			return func() { o.Activate(x, kernels.GELU) }, func() { o.Derivative(x, kernels.GELU) }
		}},
		{"GELUTanh", 3072, func(o ops, x, _ *kernels.Tensor) (forward, backward func()) {
			return func() { o.Activate(x, kernels.GELUTanh) }, func() { o.Derivative(x, kernels.GELUTanh) }
		}},
		{"GELUQuick", 3072, func(o ops, x, _ *kernels.Tensor) (forward, backward func()) {
			return func() { o.Activate(x, kernels.GELUQuick) }, func() { o.Derivative(x, kernels.GELUQuick) }
		}},
		{"Tanh", 768, func(o ops, x, _ *kernels.Tensor) (forward, backward func()) {
			return func() { o.Activate(x, kernels.Tanh) }, func() { o.Derivative(x, kernels.Tanh) }
		}},
		{"Multiply", 3072, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			return func() { o.Add(x, y) }, func() { o.Multiply(x, y) }
		}},
		{"SumRows", 3072, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			sum := noise(o, 1, 3072)
			return func() { o.Add(x, y) }, func() { o.SumRows(sum, x) }
		}},
		{"NeuronSums", 3072, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			sum := noise(o, 1, 3072)
			return func() { o.Add(x, y) }, func() { o.UnitSums(sum, x, y, nil) }
		}},
		{"HeadSums", 768, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			sum := noise(o, 1, 12)
			return func() { o.Add(x, y) }, func() { o.UnitSums(sum, x, y, nil) }
		}},
		{"Softmax", 768, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			return func() { o.Softmax(x) }, func() { o.SoftmaxBackward(x, y) }
		}},
		{"NormalizeRows", 768, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			return func() { o.NormalizeRows(x) }, func() { o.NormalizeRowsBackward(y, x) }
		}},
		{"ScatterAdd", 768, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			idx := make([]int32, rows)
			for i := range idx {
				idx[i] = int32(i * 7 % rows)
			}
			ids := o.UploadInts(idx)
			return func() { o.Gather(x, ids, rows) }, func() { o.ScatterAdd(x, y, ids, rows) }
		}},
		{"AdamW", 3072, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			w, m, v := noise(o, rows, 3072), o.Scale(x, 0), o.Scale(x, 0)
			step := kernels.AdamWStep{Rate: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01, Gradient: 1, Step: 1}
			return func() { o.Add(x, y) }, func() { o.AdamW(w, m, v, x, step) }
		}},
		{"SquaredNorm", 3072, func(o ops, x, y *kernels.Tensor) (forward, backward func()) {
			sum := o.New(kernels.F64, 1, 1)
			return func() { o.Add(x, y) }, func() { o.SquaredNorm(sum, x) }
		}},
	} {
		b.Run("op="+c.name, func(b *testing.B) {
			beside(b, rows*float64(c.width), "Gelement/s", func(o ops) (forward, backward func()) {
				return c.prepare(o, noise(o, rows, c.width), noise(o, rows, c.width))
			})
		})
	}
}

// BenchmarkBlockBackward pulls a gradient back through a recorded block, beside the
// forward of the same block that is not recorded, and of which the weights are
// packed, on 512 rows in sequences of 40.
func BenchmarkBlockBackward(b *testing.B) {
	for _, s := range []struct{ width, heads, hidden int }{{768, 12, 3072}, {384, 12, 1536}, {128, 4, 512}} {
		for _, what := range []string{"record", "x", "weights", "train"} {
			b.Run(fmt.Sprintf("width=%d/%s", s.width, what), func(b *testing.B) { benchBlock(b, randomBlock(s.width, s.heads, s.hidden), what) })
		}
	}
}

func benchBlock(b *testing.B, l *block, what string) {
	lengths := make([]int, 12)
	for i := range lengths {
		lengths[i] = 40
	}
	seq := kernels.NewSequences(append(lengths, 32)...)
	flops := 2 * float64(l.macs(seq)) * map[string]float64{"record": 1, "x": 1, "weights": 2, "train": 3}[what]
	beside(b, flops, "GFLOP/s", func(o kernels.Backward) (forward, backward func()) {
		x, dy, dx := noise(o, seq.Rows(), l.width), noise(o, seq.Rows(), l.width), o.New(kernels.F32, seq.Rows(), l.width)
		recorded := l
		if what == "train" || what == "record" {
			recorded = l.alive(o)
		}
		sums := make(map[*kernels.Weight]*kernels.Tensor)
		for _, w := range recorded.weights() {
			sums[w] = o.Upload(w.Rows, w.Cols, make([]float32, w.Len()))
		}
		tape, err := grad.New(o)
		if err != nil {
			b.Fatal(err)
		}
		p := grad.Pull{Gradients: []*kernels.Tensor{dy}, Inputs: []*kernels.Tensor{x}, Into: []*kernels.Tensor{dx}, Results: make([]*kernels.Tensor, 1)}
		if what == "weights" || what == "train" {
			p.Weights = func(w *kernels.Weight) *kernels.Tensor { return sums[w] }
		}
		p.Results[0] = recorded.forward(tape, x, seq, nil)
		forward = func() { l.forward(o, x, seq, nil) }
		switch what {
		case "record":
			return forward, func() { tape.Reset(); recorded.forward(tape, x, seq, nil) }
		case "train":
			return forward, func() { tape.Reset(); p.Results[0] = recorded.forward(tape, x, seq, nil); tape.Pull(p) }
		}
		return forward, func() { tape.Pull(p) }
	})
}
