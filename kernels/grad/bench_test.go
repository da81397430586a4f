package grad_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"optin/kernels"
	"optin/kernels/grad"
)

// The shape of a block of BERT-base on 8 texts of 40 tokens.
const (
	texts, tokens   = 8, 40
	hidden, neurons = 768, 3072
	heads           = 12
)

// postNorm is the weights of a block.
type postNorm struct {
	q, k, v, o, up, down, gamma, beta, bias, long *kernels.Weight
}

func randomBlock() postNorm {
	draw := rand.New(rand.NewPCG(1, 1))
	matrix := func(name string, rows, cols int, size float64) *kernels.Weight {
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(size * draw.NormFloat64())
		}
		return kernels.WeightOf(name, rows, cols, values)
	}
	square := func(name string) *kernels.Weight { return matrix(name, hidden, hidden, 0.02) }
	return postNorm{
		q: square("q"), k: square("k"), v: square("v"), o: square("o"),
		up: matrix("up", neurons, hidden, 0.02), down: matrix("down", hidden, neurons, 0.02),
		gamma: matrix("gamma", 1, hidden, 1), beta: matrix("beta", 1, hidden, 1), bias: matrix("bias", 1, hidden, 0.02),
		long: matrix("long", 1, neurons, 0.02),
	}
}

// run is the block; masks may be nil.
func (b *postNorm) run(ops kernels.Ops, x *kernels.Tensor, seq *kernels.Sequences, headMask, neuronMask *kernels.Tensor) *kernels.Tensor {
	linear := func(x *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
		return ops.Linear(x, w, kernels.Epilogue{Bias: b.bias})
	}
	context := ops.Attention(linear(x, b.q), linear(x, b.k), linear(x, b.v),
		kernels.AttentionSpec{Heads: heads, Scale: 0.125, Q: seq, K: seq, HeadMask: headMask})
	h := ops.LayerNorm(linear(context, b.o), x, b.gamma, b.beta, 1e-12)
	active := ops.Linear(h, b.up, kernels.Epilogue{Bias: b.long, Act: kernels.GELU, Mask: neuronMask})
	return ops.LayerNorm(linear(active, b.down), h, b.gamma, b.beta, 1e-12)
}

// measured is a block with all that passes over it take and give.
type measured struct {
	postNorm
	ops        kernels.Ops
	tape       *grad.Tape
	seq        *kernels.Sequences
	x, one     *kernels.Tensor // input, and a gradient to the output
	two        *kernels.Tensor // two of them
	into       *kernels.Tensor
	heads, ffn grad.MaskSum
	sums       map[*kernels.Weight]*kernels.Tensor

	y *kernels.Tensor // on the tape
}

func newMeasured(ops kernels.Ops) *measured {
	m := &measured{postNorm: randomBlock(), ops: ops, tape: newTape(ops),
		seq: kernels.NewSequences(slices.Repeat([]int{tokens}, texts)...)}
	draw := rand.New(rand.NewPCG(2, 2))
	normal := func(rows int) *kernels.Tensor {
		values := make([]float32, rows*hidden)
		for i := range values {
			values[i] = float32(draw.NormFloat64())
		}
		return ops.Upload(rows, hidden, values)
	}
	m.x, m.one, m.two = normal(m.seq.Rows()), normal(m.seq.Rows()), normal(2*m.seq.Rows())
	m.into = ops.New(kernels.F32, m.x.Rows, m.x.Cols)
	m.heads.Dst, m.ffn.Dst = ops.New(kernels.F64, 1, heads), ops.New(kernels.F64, 1, neurons)
	m.sums = map[*kernels.Weight]*kernels.Tensor{}
	for _, w := range []*kernels.Weight{m.q, m.k, m.v, m.o, m.up, m.down, m.gamma, m.beta, m.bias, m.long} {
		m.sums[w] = ops.Upload(w.Rows, w.Cols, make([]float32, w.Len()))
	}
	return m
}

func (m *measured) forward() {
	mark := m.ops.Mark()
	m.run(m.ops, m.x, m.seq, nil, nil)
	m.ops.Release(mark)
}

func (m *measured) record() {
	m.tape.Reset()
	m.heads.Mask, m.ffn.Mask = m.tape.Mask(heads), m.tape.Mask(neurons)
	m.y = m.run(m.tape, m.x, m.seq, m.heads.Mask, m.ffn.Mask)
}

// pull takes a gradient to the input and either the masks or the weights.
func (m *measured) pull(gradient *kernels.Tensor, weights bool) {
	p := grad.Pull{Results: tensors{m.y}, Gradients: tensors{gradient}, Inputs: tensors{m.x}, Into: tensors{m.into}}
	if weights {
		p.Weights = func(w *kernels.Weight) *kernels.Tensor { return m.sums[w] }
	} else {
		p.Masks = []grad.MaskSum{m.heads, m.ffn}
	}
	m.tape.Pull(p)
}

// BenchmarkBlock runs the passes over a block in turn and reports each one's
// median time relative to that of the forward on the bare device: recording, a
// Pull to input and masks, the same with the two stacked gradients of an
// estimate, and a Pull to input and all weights.
func BenchmarkBlock(b *testing.B) {
	onCPU(b, func(ops kernels.Ops) {
		m := newMeasured(ops)
		passes := []struct {
			name string
			run  func()
		}{
			{"forward", m.forward},
			{"record", m.record},
			{"pull", func() { m.pull(m.one, false) }},
			{"stacked", func() { m.pull(m.two, false) }},
			{"weights", func() { m.pull(m.one, true) }},
		}
		times := make([][]time.Duration, len(passes))
		for b.Loop() {
			for i, pass := range passes {
				start := time.Now()
				pass.run()
				times[i] = append(times[i], time.Since(start))
			}
		}
		forward := median(times[0])
		for i, pass := range passes[1:] {
			b.ReportMetric(float64(median(times[i+1]))/float64(forward), pass.name+"/forward")
		}
		b.ReportMetric(forward.Seconds()*1e3, "forward-ms")
	})
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}
