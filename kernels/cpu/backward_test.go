//go:build cgo

package cpu

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"optin/kernels"
	"optin/kernels/ref"
)

// maker uploads the same noise to each interpreter that runs a case.
type maker struct {
	kernels.Backward
	rng *rand.Rand
}

func (m *maker) noise(rows, cols int) *kernels.Tensor {
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(m.rng.NormFloat64())
	}
	return m.Upload(rows, cols, values)
}

func (m *maker) zero(t kernels.DType, rows, cols int) *kernels.Tensor {
	if t == kernels.F64 {
		return m.New(t, rows, cols)
	}
	return m.Upload(rows, cols, make([]float32, rows*cols))
}

func (m *maker) doubles(n int) *kernels.Tensor {
	d := m.zero(kernels.F64, n, 1)
	for i := range d.F64 {
		d.F64[i] = m.rng.NormFloat64()
	}
	return d
}

func (m *maker) weight(rows, cols int, live bool) *kernels.Weight {
	t := m.noise(rows, cols)
	if live {
		return kernels.LiveWeight("live", t)
	}
	values := make([]float64, t.Len())
	m.Download(t, values)
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	return kernels.WeightOf("packed", rows, cols, narrow)
}

// backwardCases call each method of Backward for odd and even sizes.
func backwardCases() map[string]func(m *maker) []*kernels.Tensor {
	cases := make(map[string]func(m *maker) []*kernels.Tensor)
	add := func(f func(m *maker) []*kernels.Tensor, name string, args ...any) {
		cases[fmt.Sprintf(name, args...)] = f
	}
	one := func(t *kernels.Tensor) []*kernels.Tensor { return []*kernels.Tensor{t} }
	for _, s := range [][3]int{{1, 1, 1}, {5, 7, 3}, {16, 32, 48}, {33, 17, 65}} {
		n, in, out := s[0], s[1], s[2]
		add(func(m *maker) []*kernels.Tensor {
			return []*kernels.Tensor{
				m.MatMul(m.noise(n, in), m.noise(in, out), false, false), m.MatMul(m.noise(in, n), m.noise(in, out), true, false),
				m.MatMul(m.noise(n, in), m.noise(out, in), false, true), m.MatMul(m.noise(in, n), m.noise(out, in), true, true)}
		}, "MatMul %v", s)
		for _, live := range []bool{false, true} {
			add(func(m *maker) []*kernels.Tensor {
				return one(m.LinearBackward(m.noise(n, out), m.weight(out, in, live)))
			}, "LinearBackward %v live=%v", s, live)
			add(func(m *maker) []*kernels.Tensor {
				w, bias := m.weight(out, in, live), m.weight(1, out, live)
				mask, residual := m.noise(1, out), m.noise(n, out)
				return []*kernels.Tensor{
					m.Linear(m.noise(n, in), w, kernels.Epilogue{}),
					m.Linear(m.noise(n, in), w, kernels.Epilogue{Bias: bias, Act: kernels.GELU}),
					m.Linear(m.noise(n, in), w, kernels.Epilogue{Bias: bias, Residual: residual}),
					m.Linear(m.noise(n, in), w, kernels.Epilogue{Residual: residual, Mask: mask, Act: kernels.ReLU}),
					m.Unpack(w, true), m.Unpack(w, false),
				}
			}, "Linear %v live=%v", s, live)
		}
		for _, stack := range []int{1, 2} {
			add(func(m *maker) []*kernels.Tensor {
				x, residual := m.noise(n, out), m.noise(n, out)
				dy, gamma := m.noise(stack*n, out), m.weight(1, out, stack == 2)
				dgamma, dbeta := m.noise(1, out), m.noise(1, out)
				m.LayerNormWeights(dgamma, dbeta, dy, x, residual, 0.1)
				m.LayerNormWeights(nil, dbeta, dy, x, nil, 0.1)
				return []*kernels.Tensor{m.LayerNormBackward(dy, x, residual, gamma, 0.1), m.LayerNormBackward(dy, x, nil, gamma, 0.1),
					dgamma, dbeta, m.SoftmaxBackward(dy, m.Softmax(x)), m.NormalizeRowsBackward(dy, x)}
			}, "norms %v stack=%d", s, stack)
			add(func(m *maker) []*kernels.Tensor {
				x, base := m.noise(3*n, in), m.noise(n, in)
				d, one := m.doubles(3*stack), m.doubles(stack)
				daa, dae, dee := m.ManifoldLossBackward(one, m.noise(out, out), m.noise(out, out), m.noise(out, out))
				da, de := m.ManifoldLossRowsBackward(one, m.Scale(base, 0.2), m.Scale(m.noise(n, in), 0.2))
				return []*kernels.Tensor{m.KLDivergenceBackward(d, x, base, 2), m.SquaredErrorBackward(d, x, base), daa, dae, dee, da, de}
			}, "losses %v stack=%d", s, stack)
			add(func(m *maker) []*kernels.Tensor {
				const width, units = 4, 3
				dy, values := m.noise(stack*2*n, out), m.noise(2*n, width*units)
				return one(m.RemoveUnitsBackward(dy, values, m.noise(width*units, out), m.UploadInts([]int32{2, -1}), width))
			}, "RemoveUnits %v stack=%d", s, stack)
			for _, t := range []kernels.DType{kernels.F32, kernels.F64} {
				add(func(m *maker) []*kernels.Tensor {
					seg := kernels.NewSequences(n, 1, 9)
					x, y := m.noise(stack*2*seg.Rows(), 12), m.noise(2*seg.Rows(), 12)
					a, b, c := m.zero(t, 3, 12), m.zero(t, 3, 3), m.zero(t, 1, 4)
					m.UnitSums(a, x, y, seg)
					m.UnitSums(b, x, y, seg)
					m.UnitSums(c, x, y, nil)
					m.UnitSums(c, x, y, nil)
					return []*kernels.Tensor{a, b, c}
				}, "UnitSums %v stack=%d %v", s, stack, t)
			}
			add(func(m *maker) []*kernels.Tensor {
				sum, sums := m.noise(n, in), m.noise(1, in)
				x := m.noise(stack*13*n, in)
				m.SumRows(sum, x)
				m.SumRows(sums, x)
				scattered := m.noise(2*7, in)
				idx := m.UploadInts([]int32{6, 0, 6, 3})
				m.ScatterAdd(scattered, m.noise(stack*2*4, in), idx, 7)
				return []*kernels.Tensor{sum, sums, scattered, m.ScatterMeanBackward(m.noise(stack*7, in), idx, 7)}
			}, "sums %v stack=%d", s, stack)
		}
		add(func(m *maker) []*kernels.Tensor {
			x := m.noise(2*n, in)
			list := []*kernels.Tensor{m.Multiply(x, m.noise(2*n, in)), m.Multiply(x, m.noise(n, in)), m.Multiply(x, m.noise(n, 1)), m.Scale(x, -0.3)}
			for act := kernels.Identity; act <= kernels.Tanh; act++ {
				list = append(list, m.Derivative(m.Scale(x, 3), act))
			}
			return list
		}, "elements %v", s)
		add(func(m *maker) []*kernels.Tensor {
			w, mom, v, g := m.noise(n, in), m.noise(n, in), m.Activate(m.noise(n, in), kernels.ReLU), m.noise(n, in)
			m.AdamW(w, mom, v, g, kernels.AdamWStep{Rate: 0.1, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3, Decay: 0.3, Gradient: 0.5, Step: 3})
			norm := m.zero(kernels.F64, 1, 1)
			m.SquaredNorm(norm, g)
			return []*kernels.Tensor{w, mom, v, norm}
		}, "AdamW %v", s)
	}
	for _, s := range []struct{ heads, width, q, k, stack int }{
		{1, 1, 1, 1, 1}, {2, 8, 5, 7, 1}, {3, 16, 33, 20, 2}, {2, 32, 61, 64, 1}, {1, 64, 130, 130, 2}, {2, 20, 9, 300, 1},
	} {
		for mode := range 4 {
			add(func(m *maker) []*kernels.Tensor {
				spec := kernels.AttentionSpec{Heads: s.heads, Scale: 0.3, Q: kernels.NewSequences(s.q, 2, 3), K: kernels.NewSequences(s.k, 2, 4)}
				spec.Causal = mode&1 > 0
				if mode&2 > 0 {
					spec.Bias = m.noise(s.heads*spec.Q.Max, spec.K.Max)
					key := make([]float32, spec.K.Rows())
					for i := range key {
						if i%3 == 1 || i >= s.k && i < s.k+2 {
							key[i] = float32(math.Inf(-1))
						}
					}
					spec.KeyBias = m.Upload(len(key), 1, key)
				}
				c := s.heads * s.width
				q, k, v := m.noise(2*spec.Q.Rows(), c), m.noise(2*spec.K.Rows(), c), m.noise(2*spec.K.Rows(), c)
				dq, dk, dv := m.AttentionBackward(m.noise(s.stack*q.Rows, c), q, k, v, spec)
				return []*kernels.Tensor{dq, dk, dv}
			}, "Attention %v mode=%d", s, mode)
		}
	}
	add(func(m *maker) []*kernels.Tensor {
		spec := kernels.PatchSpec{Channels: 2, Height: 4, Width: 6, Patch: 2}
		return one(m.PatchifyBackward(m.noise(3*spec.Patches(), 8), spec))
	}, "Patchify")
	return cases
}

// runBackward is what a case gives on a device, and how much it has computed.
func runBackward(t *testing.T, d kernels.Device, f func(m *maker) []*kernels.Tensor, wide bool) (values []float64, tally kernels.Tally) {
	before := d.Tally()
	work := func(o kernels.Ops) error {
		for _, r := range f(&maker{o.(kernels.Backward), rand.New(rand.NewPCG(1, 2))}) {
			part := make([]float64, r.Len())
			o.Download(r, part)
			values = append(values, part...)
		}
		return nil
	}
	var err error
	if wide {
		err = d.One(context.Background(), work)
	} else {
		err = d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error { return work(o) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return values, d.Tally().Sub(before)
}

// TestBackwardIsThatOfTheReference compares bits of two runs, and values and
// counts with the reference.
func TestBackwardIsThatOfTheReference(t *testing.T) {
	r, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cases := backwardCases()
	for _, isa := range isas(t) {
		d := open(t, Options{Threads: 2, Guard: true, ISA: isa})
		for name, f := range cases {
			want, counted := runBackward(t, r, f, false)
			got, tally := runBackward(t, d, f, false)
			again, _ := runBackward(t, d, f, false)
			all, _ := runBackward(t, d, f, true)
			if tally.MACs != counted.MACs || tally.LossMACs != counted.LossMACs {
				t.Errorf("%s %s: counted %+v, want %+v", isa, name, tally, counted)
			}
			for i, w := range want {
				if !(math.Abs(got[i]-w) <= 2e-5*max(1, math.Abs(w))) || !(math.Abs(all[i]-w) <= 2e-5*max(1, math.Abs(w))) {
					t.Errorf("%s %s: element %d of %d is %v, wide %v, want %v", isa, name, i, len(want), got[i], all[i], w)
					break
				}
				if math.Float64bits(got[i]) != math.Float64bits(again[i]) {
					t.Errorf("%s %s: element %d is %v, then %v", isa, name, i, got[i], again[i])
				}
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
