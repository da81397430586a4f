package grad_test

import (
	"fmt"
	"testing"

	"optin/kernels"
)

// program is a piece of code whose gradients are compared with differences.
type program struct {
	name    string
	inputs  [][2]int
	weights [][2]int
	run     func(ops kernels.Ops, x []*kernels.Tensor, w []*kernels.Weight) *kernels.Tensor
}

type (
	tensors = []*kernels.Tensor
	weights = []*kernels.Weight
)

var (
	queries = kernels.NewSequences(2, 3)
	keys    = kernels.NewSequences(3, 1)
	images  = kernels.PatchSpec{Channels: 2, Height: 4, Width: 2, Patch: 2}
)

func programs() []program {
	attend := kernels.AttentionSpec{Heads: 2, Scale: 0.7, Q: queries, K: keys}
	return []program{
		{"linear", [][2]int{{3, 4}, {3, 2}}, [][2]int{{2, 4}, {1, 2}},
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				return o.Linear(x[0], w[0], kernels.Epilogue{Bias: w[1], Residual: x[1]})
			}},
		{"linear of nothing", [][2]int{{3, 0}, {3, 2}}, [][2]int{{2, 0}, {1, 2}},
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				return o.Linear(x[0], w[0], kernels.Epilogue{Bias: w[1], Residual: x[1]})
			}},
		{"linear with everything", [][2]int{{6, 4}, {6, 4}, {2, 2}}, [][2]int{{4, 4}, {1, 4}},
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				return o.Linear(x[0], w[0], kernels.Epilogue{Bias: w[1], Act: kernels.GELU, Mask: x[2], Residual: x[1]})
			}},
		{"layer norm", [][2]int{{3, 4}, {3, 4}}, [][2]int{{1, 4}, {1, 4}},
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				return o.LayerNorm(x[0], x[1], w[0], w[1], 0.1)
			}},
		{"layer norm of twice the same", [][2]int{{3, 4}}, [][2]int{{1, 4}, {1, 4}},
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				return o.LayerNorm(x[0], x[0], w[0], w[1], 0.1)
			}},
		{"attention", [][2]int{{10, 4}, {8, 4}, {8, 4}, {2, 2}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				spec := attend
				spec.HeadMask = x[3]
				return o.Attention(x[0], x[1], x[2], spec)
			}},
		{"causal attention of one tensor", [][2]int{{5, 4}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				return o.Attention(x[0], x[0], x[0],
					kernels.AttentionSpec{Heads: 1, Scale: 0.5, Q: queries, K: queries, Causal: true})
			}},
		{"activations", [][2]int{{3, 4}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				y := x[0]
				for _, act := range []kernels.Activation{kernels.GELU, kernels.Identity, kernels.GELUTanh, kernels.GELUQuick, kernels.Tanh, kernels.ReLU} {
					y = o.Add(y, o.Activate(y, act))
				}
				return y
			}},
		{"add with repetition", [][2]int{{6, 2}, {2, 2}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor { return o.Softmax(o.Add(x[0], x[1])) }},
		{"mask that is computed", [][2]int{{4, 6}, {2, 3}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				return o.MaskUnits(x[0], o.Activate(x[1], kernels.Tanh))
			}},
		{"rows", [][2]int{{6, 2}, {1, 2}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				y := o.Gather(x[0], o.UploadInts([]int32{2, 0, 0, 1}), 3)
				y = o.ScatterMean(y, o.UploadInts([]int32{0, 1, 1, 1, 4, 0, 0, 0}), 5)
				return o.Softmax(o.Repeat(o.Concat(x[1], o.Concat(y, x[1])), 2))
			}},
		{"rows that are chosen by what varies", [][2]int{{10, 2}, {10, 1}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				less := kernels.NewSequences(1, 2)
				y := o.ScatterMean(x[0], o.Match(o.NormalizeRows(x[0]), queries, less, 0), 6)
				return o.Softmax(o.Concat(y, o.Gather(x[0], o.TopK(x[1], queries, less), 10)))
			}},
		{"embeddings tied to the output", [][2]int{{3, 2}}, [][2]int{{5, 2}},
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				y := o.Embed(o.UploadInts([]int32{4, 1, 4}), w[0], x[0])
				return o.Softmax(o.Linear(y, w[0], kernels.Epilogue{}))
			}},
		{"unpacked weights", [][2]int{{4, 3}}, [][2]int{{2, 3}, {3, 2}},
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				return o.Softmax(o.Add(o.Add(x[0], o.Unpack(w[0], false)), o.Unpack(w[1], true)))
			}},
		{"patches", [][2]int{{2, 16}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor { return o.Softmax(o.Patchify(x[0], images)) }},
		{"remove units", [][2]int{{4, 3}, {4, 4}}, nil,
			func(o kernels.Ops, x tensors, w weights) *kernels.Tensor {
				return o.RemoveUnits(x[0], x[1], o.Upload(4, 3, []float32{1, 2, 3, -1, 0, 1, 2, 2, 0, 1, 1, 3}), o.UploadInts([]int32{1, -1}), 2)
			}},
		{"manifold loss", [][2]int{{4, 3}, {4, 3}}, nil, manifold},
		{"manifold loss by rows", [][2]int{{4, 3}, {4, 3}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				dst := o.New(kernels.F64, 1, 1)
				phi := o.NormalizeRows(x[0])
				o.ManifoldLossRows(dst, phi, o.NormalizedDifference(x[1], phi))
				o.ManifoldLossRows(dst, x[0], x[1])
				return dst
			}},
		{"gram of what varies and what does not", [][2]int{{4, 3}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				gram := o.Upload(3, 3, make([]float32, 9))
				o.GramAdd(gram, x[0], x[0])
				constant := o.Upload(1, 3, []float32{1, 2, 3})
				o.GramAdd(gram, constant, constant)
				return gram
			}},
		{"divergence and squares", [][2]int{{4, 3}, {2, 3}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				dst := o.New(kernels.F64, 2, 1)
				o.KLDivergence(dst, x[0], o.Upload(2, 3, []float32{1, 2, 3, 4, 4, 1}), 2)
				o.SquaredError(dst, x[0], x[1])
				return dst
			}},
		{"copy", [][2]int{{2, 3}}, nil,
			func(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
				dst := o.New(kernels.F32, 2, 3)
				o.Copy(dst, o.Softmax(x[0]))
				return o.Activate(dst, kernels.Tanh)
			}},
	}
}

// manifold is the loss of two Grams, each added up from two pieces.
func manifold(o kernels.Ops, x tensors, _ weights) *kernels.Tensor {
	a := o.NormalizeRows(x[0])
	e := o.NormalizedDifference(x[1], a)
	var grams [3]*kernels.Tensor
	for i := range grams {
		grams[i] = o.Upload(3, 3, make([]float32, 9))
	}
	for _, rows := range [][]int32{{0, 1}, {2, 3}} {
		idx := o.UploadInts(rows)
		pa, pe := o.Gather(a, idx, 4), o.Gather(e, idx, 4)
		o.GramAdd(grams[0], pa, pa)
		o.GramAdd(grams[1], pa, pe)
		o.GramAdd(grams[2], pe, pe)
	}
	dst := o.New(kernels.F64, 1, 1)
	o.ManifoldLoss(dst, grams[0], grams[1], grams[2])
	return dst
}

// drawn is a program's arguments.
type drawn struct {
	x   tensors
	w   weights
	all tensors // x, and what w live in
}

func (p *program) draw(s *source) drawn {
	var d drawn
	for _, shape := range p.inputs {
		d.x = append(d.x, s.tensor(shape[0], shape[1]))
	}
	d.all = append(d.all, d.x...)
	for i, shape := range p.weights {
		w := s.weight(fmt.Sprint("w", i), shape[0], shape[1])
		d.w, d.all = append(d.w, w), append(d.all, w.Live())
	}
	return d
}

func TestGradientsAreSlopes(t *testing.T) {
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			on(t, func(s *source, ops kernels.Ops) {
				d := p.draw(s)
				tape := newTape(ops)
				y := p.run(tape, d.x, d.w)
				c := s.cotangent(y, 1)
				_, got := s.pull(tape, d, nil, y, c)
				s.same("value", y, p.run(ops, d.x, d.w))
				for i, x := range d.all {
					for e := range x.F64 {
						unit := s.zeros(x.Rows, x.Cols)
						unit.F64[e] = 1
						want := slope(x, unit, func() float64 {
							defer ops.Release(ops.Mark())
							return along(p.run(ops, d.x, d.w), c)
						})
						if !close(got[i].F64[e], want) {
							t.Errorf("gradient %d of %v, element %d: %v, want %v", i, x, e, got[i].F64[e], want)
						}
					}
				}
			})
		})
	}
}
