package grad_test

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/grad"
)

var architectures = []string{"bert-odd", "bert-relu", "deit-odd", "deit-distilled", "vit-gelu-new"}

// tiny is a golden model whose parameters live in tensors of ref.
type tiny struct {
	*source
	model.Model
	live map[string]*kernels.Tensor // by parameter
	in   *model.Input               // three texts, or two images
}

func newTiny(s *source, name string) *tiny {
	m, closeModel, err := model.Open(filepath.Join("../../bench/model/testdata", name))
	if err != nil {
		panic(err)
	}
	s.t.Cleanup(func() { closeModel() })
	live := &tiny{source: s, live: map[string]*kernels.Tensor{}}
	var changed []*model.Param
	for _, name := range m.Params().Names() {
		p := *m.Params().Get(name)
		size := 1
		for _, n := range p.Shape {
			size *= n
		}
		p.Live = s.zeros(1, size)
		values := make([]float32, size)
		if err := p.Read(values); err != nil {
			panic(err)
		}
		for i, v := range values {
			p.Live.F64[i] = float64(v)
		}
		live.live[name] = p.Live
		changed = append(changed, &p)
	}
	if live.Model, err = model.New(m.Config(), m.Params().With(changed...)); err != nil {
		panic(err)
	}
	live.in = live.input()
	return live
}

func (m *tiny) input() *model.Input {
	c := m.Config()
	if c.Text() {
		return model.Text([][]int32{{1, 7, 3}, {1, 9, 9, 4, 2}, {5}}, [][]int32{{0, 0, 1}, {0, 1, 1, 1, 1}, {0}})
	}
	pixels := make([]float32, 2*c.Channels*c.ImageHeight*c.ImageWidth)
	for i := range pixels {
		pixels[i] = float32(m.rand.NormFloat64())
	}
	return model.Images(c, pixels)
}

// masks draws masks [variants, units] around one.
func (m *tiny) masks(variants int) tensors {
	var masks tensors
	for _, site := range m.Sites() {
		mask := m.tensor(variants, site.Units)
		for i, v := range mask.F64 {
			mask.F64[i] = 1 + v/4
		}
		masks = append(masks, mask)
	}
	return masks
}

// forward runs the model from block l's input x, or the embeddings of as many
// variants as the masks have, and returns the inputs of the blocks and the
// logits.
func (m *tiny) forward(ops kernels.Ops, masks tensors, l int, x *kernels.Tensor) (inputs tensors, logits *kernels.Tensor) {
	p := model.NewPass(ops, m.in)
	p.Masks = masks
	if x == nil {
		x = m.Embed(p, m.in)
		if masks[0].Rows > 1 {
			x = ops.Repeat(x, masks[0].Rows)
		}
	}
	for ; l < m.Config().Layers; l++ {
		inputs = append(inputs, x)
		x, _ = m.Block(p, l, x)
	}
	return inputs, m.Head(p, x)
}

// pulled is what one Pull through a tiny model gives.
type pulled struct {
	inputs, masks tensors
	weights       map[string]*kernels.Tensor
}

// pull asks for everything; mask gradients go to rows per variant and segment.
func (m *tiny) pull(tape *grad.Tape, inputs, masks tensors, y, c *kernels.Tensor, seg *kernels.Sequences) pulled {
	got := pulled{weights: map[string]*kernels.Tensor{}}
	segments := 1
	if seg != nil {
		segments = seg.Count()
	}
	var asked []grad.MaskSum
	for _, mask := range masks {
		dst := m.zeros(mask.Rows*segments, mask.Cols)
		got.masks = append(got.masks, dst)
		asked = append(asked, grad.MaskSum{Mask: mask, Dst: dst, Segments: seg})
	}
	for _, x := range inputs {
		got.inputs = append(got.inputs, m.tensor(x.Rows, x.Cols))
	}
	tape.Pull(grad.Pull{
		Results: tensors{y}, Gradients: tensors{c}, Inputs: inputs, Into: got.inputs, Masks: asked,
		Weights: func(w *kernels.Weight) *kernels.Tensor {
			if w.Live() == nil {
				return nil // the constant that averages heads
			}
			if got.weights[w.Name] == nil {
				got.weights[w.Name] = m.zeros(w.Rows, w.Cols)
			}
			return got.weights[w.Name]
		},
	})
	return got
}

func onTiny(t *testing.T, f func(m *tiny, ops kernels.Ops)) {
	for _, name := range architectures {
		t.Run("model="+name, func(t *testing.T) {
			on(t, func(s *source, ops kernels.Ops) { f(newTiny(s, name), ops) })
		})
	}
}

// slopeAgrees compares a gradient with the slope of f in a random direction, in
// which every element counts.
func (m *tiny) slopeAgrees(what string, gradient, x *kernels.Tensor, f func() float64) {
	m.t.Helper()
	direction := m.tensor(x.Rows, x.Cols)
	for i := range direction.F64 {
		direction.F64[i] /= math.Sqrt(float64(x.Len()))
	}
	if got, want := along(gradient, direction), slope(x, direction, f); !close(got, want) {
		m.t.Errorf("%s: slope %v, want %v", what, got, want)
	}
}

func TestModelGradientsAreSlopes(t *testing.T) {
	onTiny(t, func(m *tiny, ops kernels.Ops) {
		masks := m.masks(2)
		tape := newTape(ops)
		inputs, y := m.forward(tape, masks, 0, nil)
		c := m.cotangent(y, 1)
		got := m.pull(tape, inputs, masks, y, c, nil)

		run := func(l int, x *kernels.Tensor) func() float64 {
			return func() float64 {
				defer ops.Release(ops.Mark())
				_, z := m.forward(ops, masks, l, x)
				return along(z, c)
			}
		}
		all := run(0, nil)
		for l, x := range inputs {
			m.slopeAgrees("input of block", got.inputs[l], x, run(l, x))
		}
		for s, mask := range masks {
			m.slopeAgrees("mask of "+m.Sites()[s].String(), got.masks[s], mask, all)
		}
		// In order: each draws its direction, and the same ones in every run.
		for _, name := range slices.Sorted(maps.Keys(m.live)) {
			g := got.weights[name]
			if g == nil {
				m.t.Errorf("no gradient of %s was asked for", name)
				continue
			}
			m.slopeAgrees(name, g, m.live[name], all)
		}
	})
}

// The gradients of examples are those of a loss that reads one example alone.
func TestMaskGradientsPerExample(t *testing.T) {
	onTiny(t, func(m *tiny, ops kernels.Ops) {
		const variants = 2
		masks := m.masks(variants)
		tape := newTape(ops)
		_, y := m.forward(tape, masks, 0, nil)
		c := m.cotangent(y, 1)
		got := m.pull(tape, nil, masks, y, c, m.in.Seq)
		examples := m.in.Examples()
		for e := range examples {
			alone := m.zeros(y.Rows, y.Cols)
			for v := range variants {
				from := (v*examples + e) * y.Cols
				copy(alone.F64[from:from+y.Cols], c.F64[from:])
			}
			want := m.pull(tape, nil, masks, y, alone, nil)
			for s := range masks {
				for v := range variants {
					row, wantRow := got.masks[s].Slice(v*examples+e, v*examples+e+1), want.masks[s].Slice(v, v+1)
					m.same("gradient of one example", &row, &wantRow)
				}
			}
		}
	})
}

// A mask of ones that is not multiplied by has the gradient of one that is.
func TestMaskOfOnes(t *testing.T) {
	onTiny(t, func(m *tiny, ops kernels.Ops) {
		tape := newTape(ops)
		var free, real tensors
		for _, site := range m.Sites() {
			free = append(free, tape.Mask(site.Units))
			ones := m.zeros(1, site.Units)
			for i := range ones.F64 {
				ones.F64[i] = 1
			}
			real = append(real, ones)
		}
		inputs, y := m.forward(tape, free, 0, nil)
		c := m.cotangent(y, 1)
		got := m.pull(tape, inputs, free, y, c, m.in.Seq)
		tape.Reset()
		inputs, y = m.forward(tape, real, 0, nil)
		want := m.pull(tape, inputs, real, y, c, m.in.Seq)
		for s := range free {
			m.same("mask gradient", got.masks[s], want.masks[s])
		}
		for l := range inputs {
			m.same("input gradient", got.inputs[l], want.inputs[l])
		}
	})
}

// One pull of stacked gradients through each block is what two pulls are, one
// for the masks and one for the blocks below (METHOD section 3).
func TestBlockByBlock(t *testing.T) {
	onTiny(t, func(m *tiny, ops kernels.Ops) {
		p := model.NewPass(ops, m.in)
		var inputs tensors
		x := m.Embed(p, m.in)
		for l := range m.Config().Layers {
			inputs = append(inputs, x)
			x, _ = m.Block(p, l, x)
		}
		tape := newTape(ops)
		later, separate := m.tensor(x.Rows, x.Cols), m.zeros(x.Rows, x.Cols)
		copy(separate.F64, later.F64)
		for l := len(inputs) - 1; l >= 0; l-- {
			own := m.tensor(x.Rows, x.Cols)
			masks := make(tensors, len(m.Sites()))
			var asked tensors
			tape.Reset()
			for s, site := range m.Sites() {
				if site.Layer == l {
					masks[s] = tape.Mask(site.Units)
					asked = append(asked, masks[s])
				}
			}
			y, _ := m.Block(&model.Pass{Ops: tape, Seq: m.in.Seq, Masks: masks}, l, inputs[l])
			m.same("output of the block", y, m.output(ops, l, inputs))

			both := m.zeros(2*x.Rows, x.Cols)
			copy(both.F64, later.F64)
			copy(both.F64[x.Len():], own.F64)
			at := tensors{inputs[l]}
			got := m.pull(tape, at, asked, y, both, nil)
			wantMasks := m.pull(tape, nil, asked, y, later, nil)
			want := m.pull(tape, at, nil, y, ops.Add(separate, own), nil)
			for i := range asked {
				m.same("mask gradient", got.masks[i], wantMasks.masks[i])
			}
			m.same("input gradient", got.inputs[0], want.inputs[0])
			for name, g := range want.weights {
				m.same(name, got.weights[name], g)
			}
			later, separate = got.inputs[0], want.inputs[0]
		}
	})
}

// output is block l's output on the base.
func (m *tiny) output(ops kernels.Ops, l int, inputs tensors) *kernels.Tensor {
	y, _ := m.Block(&model.Pass{Ops: ops, Seq: m.in.Seq}, l, inputs[l])
	return y
}
