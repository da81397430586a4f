package grad_test

import (
	"context"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/cpu"
	"optin/kernels/grad"
)

// What does not lead to anything wanted is not computed, and what no mask lies
// upstream of is computed once for all stacked gradients: products are counted.
func TestPullComputesWhatIsWanted(t *testing.T) {
	on(t, func(s *source, ops kernels.Ops) {
		const rows, in, out = 5, 4, 6
		x, up, down := s.tensor(rows, in), s.weight("up", out, in), s.weight("down", in, out)
		bias, gamma := s.weight("bias", 1, in), s.weight("gamma", 1, in)
		tape := newTape(ops)
		mask := tape.Mask(out)
		attended := tape.Attention(x, x, x, kernels.AttentionSpec{Heads: 1, Scale: 1, Q: queries, K: queries})
		active := tape.Linear(attended, up, kernels.Epilogue{Act: kernels.GELU, Mask: mask})
		sum := tape.Linear(active, down, kernels.Epilogue{Bias: bias, Residual: x})
		y := tape.LayerNorm(sum, nil, gamma, bias, 1e-5)
		unused := tape.Linear(y, up, kernels.Epilogue{})
		maskSum := []grad.MaskSum{{Mask: mask, Dst: s.zeros(1, out)}}
		into := tensors{s.zeros(rows, in)}
		only := func(wanted *kernels.Weight) func(*kernels.Weight) *kernels.Tensor {
			sum := s.zeros(wanted.Rows, wanted.Cols)
			return func(w *kernels.Weight) *kernels.Tensor {
				if w == wanted {
					return sum
				}
				return nil
			}
		}
		const product = rows * in * out
		for _, test := range []struct {
			name  string
			parts int
			pull  grad.Pull
			want  int64
		}{
			{"nothing", 1, grad.Pull{}, 0},
			{"a bias", 1, grad.Pull{Weights: only(bias)}, 0},
			{"a mask", 1, grad.Pull{Masks: maskSum}, product},
			{"a stack for a mask", 3, grad.Pull{Masks: maskSum}, 3 * product},
			{"what is attended", 1, grad.Pull{Inputs: tensors{attended}, Into: into}, 2 * product},
			{"a stack for both", 3, grad.Pull{Masks: maskSum, Inputs: tensors{attended}, Into: into}, (3 + 1) * product},
			{"a stack without masks", 3, grad.Pull{Inputs: tensors{attended}, Into: into}, 2 * product},
			{"the sum", 1, grad.Pull{Inputs: tensors{sum}, Into: into}, 0},
			{"something later", 1, grad.Pull{Inputs: tensors{unused}, Into: tensors{s.zeros(rows, out)}}, 0},
		} {
			test.pull.Results, test.pull.Gradients = tensors{y}, tensors{s.cotangent(y, test.parts)}
			before := ops.Tally()
			tape.Pull(test.pull)
			if got := ops.Tally().Sub(before).MACs; got != test.want {
				s.t.Errorf("%s: %d MACs, want %d", test.name, got, test.want)
			}
		}
	})
}

// Of a Linear with an activation the recording keeps the result and the
// derivative.
func TestSumBeforeActivationIsFreed(t *testing.T) {
	on(t, func(s *source, ops kernels.Ops) {
		x, w := s.tensor(3, 4), s.weight("w", 5, 4)
		ops.Unpack(w, false)
		bytes := func() int64 { s.dev.ResetPeak(); return s.dev.PeakBytes() }
		before := bytes()
		y := newTape(ops).Linear(x, w, kernels.Epilogue{Act: kernels.GELU})
		if got, want := bytes()-before, int64(2*8*y.Len()); got != want {
			s.t.Errorf("%d bytes, want %d", got, want)
		}
	})
}

// A tensor at the address of one that was freed is another one.
func TestAddressesAreUsedAgain(t *testing.T) {
	onCPU(t, func(ops kernels.Ops) {
		w := kernels.WeightOf("w", 1, 1, []float32{1})
		tape := newTape(ops)
		x := ops.Upload(1, 1, []float32{0.5})
		y := tape.Linear(x, w, kernels.Epilogue{Act: kernels.GELU})
		other := tape.Upload(1, 1, []float32{1}) // where the sum before the activation was
		z := tape.Add(y, other)
		into := ops.Upload(1, 1, []float32{0})
		tape.Pull(grad.Pull{Results: tensors{z}, Gradients: tensors{ops.Upload(1, 1, []float32{3})},
			Inputs: tensors{other}, Into: tensors{into}})
		if into.F32[0] != 3 {
			t.Errorf("gradient %v, want 3", into.F32[0])
		}
	})
}

// onCPU runs f on a worker of the CPU device.
func onCPU(t testing.TB, f func(ops kernels.Ops)) {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if err := dev.One(context.Background(), func(ops kernels.Ops) error { f(ops); return nil }); err != nil {
		t.Fatal(err)
	}
}

// An input that nothing reaches gets zeros, and a result may be asked for too.
func TestPullWritesEveryInput(t *testing.T) {
	on(t, func(s *source, ops kernels.Ops) {
		tape := newTape(ops)
		x, other := s.tensor(2, 3), s.tensor(2, 3)
		y := tape.Softmax(x)
		tape.Softmax(other)
		c := s.cotangent(y, 1)
		into := tensors{s.tensor(2, 3), s.tensor(2, 3)}
		tape.Pull(grad.Pull{Results: tensors{y, y}, Gradients: tensors{c, c}, Inputs: tensors{y, other}, Into: into})
		s.same("gradient of the result", into[0], ops.Add(c, c))
		s.same("gradient that is nothing", into[1], s.zeros(2, 3))
	})
}

// A chain holds a few gradients at a time, however long it is, and those that
// only pass through are not copied.
func TestPullFreesGradients(t *testing.T) {
	for _, test := range []struct {
		name   string
		chain  func(tape *grad.Tape, x *kernels.Tensor) *kernels.Tensor
		atMost int64 // gradients at a time
	}{
		{"activations", func(tape *grad.Tape, x *kernels.Tensor) *kernels.Tensor {
			y := x
			for range 30 {
				y = tape.Add(tape.Activate(y, kernels.Tanh), y)
			}
			return y
		}, 3}, // dy, what comes through the activation, their sum
		{"residuals", func(tape *grad.Tape, x *kernels.Tensor) *kernels.Tensor {
			y := x
			for range 5 {
				y = tape.Add(tape.New(kernels.F32, x.Rows, x.Cols), y)
			}
			return y
		}, 0},
	} {
		on(t, func(s *source, ops kernels.Ops) {
			tape := newTape(ops)
			x := s.tensor(50, 20)
			y := test.chain(tape, x)
			p := grad.Pull{Results: tensors{y}, Gradients: tensors{s.cotangent(y, 1)},
				Inputs: tensors{x}, Into: tensors{s.tensor(x.Rows, x.Cols)}}
			mark := ops.Mark()
			s.dev.ResetPeak()
			before := s.dev.PeakBytes()
			tape.Pull(p)
			if got := (s.dev.PeakBytes() - before) / int64(8*x.Len()); got > test.atMost {
				s.t.Errorf("%s: the memory of %d gradients, want at most %d", test.name, got, test.atMost)
			}
			if ops.Mark() != mark {
				s.t.Errorf("%s: Pull keeps tensors of the base", test.name)
			}
		})
	}
}

// What the tape takes from the base goes with Reset, what was there before stays.
func TestReset(t *testing.T) {
	on(t, func(s *source, ops kernels.Ops) {
		older := ops.Upload(1, 2, []float32{1, 2})
		mark := ops.Mark()
		tape := newTape(ops)
		for range 3 {
			y := tape.Activate(tape.MaskUnits(older, tape.Mask(2)), kernels.GELU)
			tape.Release(tape.Mark())
			if y.F64[0] != y.F64[0] {
				s.t.Error("Release on a tape frees")
			}
			tape.Reset()
			if ops.Mark() != mark || older.F64[0] != 1 {
				s.t.Errorf("after Reset the base stands at %d, want %d", ops.Mark(), mark)
			}
		}
	})
}

func TestMisuse(t *testing.T) {
	on(t, func(s *source, ops kernels.Ops) {
		tape := newTape(ops)
		x, e, big := s.tensor(2, 2), s.tensor(2, 2), s.tensor(4, 2)
		y := tape.Softmax(x)
		view := y.Slice(0, 1)
		bias := s.tensor(4, 4)
		spec := kernels.AttentionSpec{Heads: 2, Scale: 1, Q: queries, K: queries, Bias: s.tensor(6, 3)}
		q := s.tensor(5, 4)
		attended := tape.Attention(q, q, q, spec)
		tape.GramAdd(e, x, x)
		read := tape.Softmax(e)
		tape.GramAdd(e, x, x)
		for want, p := range map[string]grad.Pull{
			"a result":               {Results: tensors{&view}, Gradients: tensors{&view}},
			"an input":               {Inputs: tensors{bias}},
			"a mask":                 {Masks: []grad.MaskSum{{Mask: bias}}},
			"gradient":               {Results: tensors{y}, Gradients: tensors{bias}},
			"stack":                  {Results: tensors{y, read}, Gradients: tensors{x, big}},
			"was changed after":      {Results: tensors{read}, Gradients: tensors{x}, Inputs: tensors{x}, Into: tensors{s.zeros(2, 2)}},
			"Attention has no deriv": {Results: tensors{attended}, Gradients: tensors{q}, Inputs: tensors{spec.Bias}},
		} {
			func() {
				defer func() {
					if got, _ := recover().(string); !strings.HasPrefix(got, "kernels: grad: Pull: ") || !strings.Contains(got, want) {
						s.t.Errorf("panic %q, want one about %q", got, want)
					}
				}()
				tape.Pull(p)
			}()
		}
	})
}

func TestNewNeedsDerivatives(t *testing.T) {
	bare := struct{ kernels.Ops }{}
	if _, err := grad.New(bare); err == nil || !strings.Contains(err.Error(), "computes no derivatives") {
		t.Errorf("error %v, want one that says what is missing", err)
	}
}

// Once warm, neither a recording nor a Pull takes memory from Go.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	for _, name := range []string{"bert-odd", "deit-distilled"} {
		m, closeModel, err := model.Open("../../bench/model/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		defer closeModel()
		onCPU(t, func(ops kernels.Ops) {
			if n := testing.AllocsPerRun(5, blockByBlock(m, ops)); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		})
	}
}

// blockByBlock is one estimate's pull through every block.
func blockByBlock(m model.Model, ops kernels.Ops) func() {
	tape := newTape(ops)
	seq := kernels.NewSequences(3, 5)
	rows, hidden := seq.Rows(), m.Config().Hidden
	x := ops.Upload(rows, hidden, make([]float32, rows*hidden))
	stack := ops.Upload(2*rows, hidden, make([]float32, 2*rows*hidden))
	masks := make(tensors, len(m.Sites()))
	p := &model.Pass{Ops: tape, Seq: seq, Masks: masks}
	sums := map[*kernels.Weight]*kernels.Tensor{}
	for _, w := range m.Weights() {
		sums[w] = ops.New(kernels.F32, w.Rows, w.Cols)
	}
	var dst tensors
	for _, site := range m.Sites() {
		dst = append(dst, ops.New(kernels.F64, 2, site.Units))
	}
	pull := grad.Pull{Results: make(tensors, 1), Gradients: tensors{stack}, Inputs: tensors{x},
		Into:    tensors{ops.New(kernels.F32, rows, hidden)},
		Weights: func(w *kernels.Weight) *kernels.Tensor { return sums[w] }}
	return func() {
		for l := range m.Config().Layers {
			tape.Reset()
			pull.Masks = pull.Masks[:0]
			for s, site := range m.Sites() {
				masks[s] = nil
				if site.Layer == l {
					masks[s] = tape.Mask(site.Units)
					pull.Masks = append(pull.Masks, grad.MaskSum{Mask: masks[s], Dst: dst[s], Segments: seq})
				}
			}
			pull.Results[0], _ = m.Block(p, l, x)
			tape.Pull(pull)
		}
		tape.Reset()
	}
}
