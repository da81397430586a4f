package kerneltest_test

import (
	"math"

	"optin/kernels"
)

func backwardAttentionMutants() []mutant {
	return []mutant{
		attendedBackward("AttentionBackward without scale", func(_ kernels.Backward, s *kernels.AttentionSpec) { s.Scale = 1 }),
		attendedBackward("AttentionBackward not causal", func(_ kernels.Backward, s *kernels.AttentionSpec) { s.Causal = false }),
		attendedBackward("AttentionBackward without bias", func(_ kernels.Backward, s *kernels.AttentionSpec) { s.Bias = nil }),
		attendedBackward("AttentionBackward with hidden keys only unlikely", func(ops kernels.Backward, s *kernels.AttentionSpec) {
			if s.KeyBias != nil {
				s.KeyBias = ops.Activate(s.KeyBias, kernels.Identity)
				for i, v := range at(s.KeyBias) {
					at(s.KeyBias)[i] = max(v, -1e4)
				}
			}
		}),
		attendedBackward("AttentionBackward takes two sequences for one", func(_ kernels.Backward, s *kernels.AttentionSpec) {
			if s.Q.Count() > 1 && s.Bias == nil {
				s.Q, s.K = joined(s.Q), joined(s.K)
			}
		}),
		spoiledBackward("AttentionBackward gives keys and values each other's", func(_, dk, dv *kernels.Tensor, _ kernels.AttentionSpec) {
			for i, v := range at(dk) {
				at(dk)[i], at(dv)[i] = at(dv)[i], v
			}
		}),
		spoiledBackward("AttentionBackward good to 4 digits", func(dq, _, _ *kernels.Tensor, _ kernels.AttentionSpec) {
			for i := range at(dq) {
				at(dq)[i] *= 1 + 1e-4
			}
		}),
		spoiledBackward("AttentionBackward gives NaN where all keys are hidden", func(dq, _, _ *kernels.Tensor, s kernels.AttentionSpec) {
			for i, v := range at(dq) {
				if v == 0 && s.KeyBias != nil {
					at(dq)[i] = math.NaN()
				}
			}
		}),
		spoiledBackward("AttentionBackward leaves the first key after a tile", func(_, dk, _ *kernels.Tensor, s kernels.AttentionSpec) {
			if s.K.Len(0) > 32 {
				clear(at(dk)[32*dk.Cols : 33*dk.Cols])
			}
		}),
		backwards("AttentionBackward of the first of a stack for all", "AttentionBackward", func(d derived) kernels.Ops { return &firstAttended{d} }),
	}
}

// attendedBackward makes a mutant that changes what AttentionBackward is asked
// for.
func attendedBackward(name string, change func(ops kernels.Backward, s *kernels.AttentionSpec)) mutant {
	return backwards(name, "AttentionBackward", func(d derived) kernels.Ops {
		return &attentionBackwardChanged{d, change, func(_, _, _ *kernels.Tensor, _ kernels.AttentionSpec) {}}
	})
}

// spoiledBackward makes a mutant of the results of AttentionBackward.
func spoiledBackward(name string, spoil func(dq, dk, dv *kernels.Tensor, s kernels.AttentionSpec)) mutant {
	return backwards(name, "AttentionBackward", func(d derived) kernels.Ops {
		return &attentionBackwardChanged{d, func(kernels.Backward, *kernels.AttentionSpec) {}, spoil}
	})
}

type attentionBackwardChanged struct {
	derived
	change func(ops kernels.Backward, s *kernels.AttentionSpec)
	spoil  func(dq, dk, dv *kernels.Tensor, s kernels.AttentionSpec)
}

func (m *attentionBackwardChanged) AttentionBackward(dy, q, k, v *kernels.Tensor, s kernels.AttentionSpec) (dq, dk, dv *kernels.Tensor) {
	m.change(m.Backward, &s)
	dq, dk, dv = m.Backward.AttentionBackward(dy, q, k, v, s)
	m.spoil(dq, dk, dv, s)
	return dq, dk, dv
}

type firstAttended struct{ derived }

func (m *firstAttended) AttentionBackward(dy, q, k, v *kernels.Tensor, s kernels.AttentionSpec) (dq, dk, dv *kernels.Tensor) {
	first := dy.Slice(0, q.Rows)
	dq, dk, dv = m.Backward.AttentionBackward(&first, q, k, v, s)
	stack := dy.Rows / q.Rows
	return m.Repeat(dq, stack), m.Repeat(dk, stack), m.Repeat(dv, stack)
}

func backwardScoreMutants() []mutant {
	return []mutant{
		backwards("ScatterMeanBackward forgets the mean", "ScatterMeanBackward", func(d derived) kernels.Ops { return &notTheMean{d} }),
		backwards("PatchifyBackward gives the patches", "PatchifyBackward", func(d derived) kernels.Ops { return &stillPatches{d} }),
		backwards("RemoveUnitsBackward adds", "RemoveUnitsBackward", func(d derived) kernels.Ops { return &unitsAdded{d} }),
		backwards("RemoveUnitsBackward takes unit 0 for none", "RemoveUnitsBackward", func(d derived) kernels.Ops { return &noneIsFirstBackward{d} }),
		backwards("NormalizeRowsBackward only divides", "NormalizeRowsBackward", func(d derived) kernels.Ops { return &onlyDivided{d} }),
		backwards("NormalizeRowsBackward divides by 0", "NormalizeRowsBackward", func(d derived) kernels.Ops { return &zeroRowBackward{d} }),
		backwards("KLDivergenceBackward forgets 1/tau", "KLDivergenceBackward", func(d derived) kernels.Ops { return &tauForgotten{d} }),
		backwards("KLDivergenceBackward the other way", "KLDivergenceBackward", func(d derived) kernels.Ops { return &otherWay{d} }),
		backwards("KLDivergenceBackward takes the first factor", "KLDivergenceBackward", func(d derived) kernels.Ops { return &firstFactor{d} }),
		backwards("SquaredErrorBackward forgets 2", "SquaredErrorBackward", func(d derived) kernels.Ops { return &notTwice{d} }),
		backwards("ManifoldLossBackward forgets a transpose", "ManifoldLossBackward", func(d derived) kernels.Ops { return &untransposedGradient{d} }),
		backwards("ManifoldLossRowsBackward takes e for constant in a", "ManifoldLossRowsBackward", func(d derived) kernels.Ops { return &sameGradients{d} }),
	}
}

type notTheMean struct{ derived }

func (m *notTheMean) ScatterMeanBackward(dy, idx *kernels.Tensor, rows int) *kernels.Tensor {
	return m.Gather(dy, idx, max(rows, 1))
}

type stillPatches struct{ derived }

func (m *stillPatches) PatchifyBackward(dy *kernels.Tensor, s kernels.PatchSpec) *kernels.Tensor {
	dx := m.Backward.PatchifyBackward(dy, s)
	copy(at(dx), at(dy))
	return dx
}

type unitsAdded struct{ derived }

func (m *unitsAdded) RemoveUnitsBackward(dy, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	return m.Scale(m.Backward.RemoveUnitsBackward(dy, values, consumer, units, width), -1)
}

type noneIsFirstBackward struct{ derived }

func (m *noneIsFirstBackward) RemoveUnitsBackward(dy, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	ids := append([]int32(nil), units.I32...)
	for i, u := range ids {
		ids[i] = max(u, 0)
	}
	return m.Backward.RemoveUnitsBackward(dy, values, consumer, m.UploadInts(ids), width)
}

type onlyDivided struct{ derived }

func (m *onlyDivided) NormalizeRowsBackward(dy, x *kernels.Tensor) *kernels.Tensor {
	dx := m.Backward.NormalizeRowsBackward(dy, x)
	for r := range dx.Rows {
		row := at(x)[r%x.Rows*x.Cols : (r%x.Rows+1)*x.Cols]
		squares := 0.0
		for _, v := range row {
			squares += v * v
		}
		for c := range row {
			if squares > 0 {
				at(dx)[r*dx.Cols+c] = at(dy)[r*dx.Cols+c] / math.Sqrt(squares)
			}
		}
	}
	return dx
}

type zeroRowBackward struct{ derived }

func (m *zeroRowBackward) NormalizeRowsBackward(dy, x *kernels.Tensor) *kernels.Tensor {
	dx := m.Backward.NormalizeRowsBackward(dy, x)
	for i := range at(dx) {
		if at(x)[i%x.Len()] == 0 {
			at(dx)[i] = math.NaN()
		}
	}
	return dx
}

type tauForgotten struct{ derived }

func (m *tauForgotten) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	return m.Scale(m.Backward.KLDivergenceBackward(d, x, base, tau), tau)
}

type otherWay struct{ derived }

func (m *otherWay) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	if x.Rows == base.Rows {
		return m.Backward.KLDivergenceBackward(d, base, x, tau)
	}
	return m.Backward.KLDivergenceBackward(d, x, base, tau)
}

type firstFactor struct{ derived }

func (m *firstFactor) KLDivergenceBackward(d, x, base *kernels.Tensor, tau float64) *kernels.Tensor {
	same := m.New(kernels.F64, d.Rows, 1)
	for i := range at(same) {
		at(same)[i] = at(d)[0]
	}
	return m.Backward.KLDivergenceBackward(same, x, base, tau)
}

type notTwice struct{ derived }

func (m *notTwice) SquaredErrorBackward(d, x, base *kernels.Tensor) *kernels.Tensor {
	return m.Scale(m.Backward.SquaredErrorBackward(d, x, base), 0.5)
}

type untransposedGradient struct{ derived }

func (m *untransposedGradient) ManifoldLossBackward(d, aa, ae, ee *kernels.Tensor) (daa, dae, dee *kernels.Tensor) {
	_, dae, dee = m.Backward.ManifoldLossBackward(d, aa, ae, ee)
	daa = m.Repeat(ee, d.Rows)
	for i := range at(daa) {
		at(daa)[i] *= 2 * at(d)[i/ee.Len()]
	}
	return daa, dae, dee
}

type sameGradients struct{ derived }

func (m *sameGradients) ManifoldLossRowsBackward(d, a, e *kernels.Tensor) (da, de *kernels.Tensor) {
	da, _ = m.Backward.ManifoldLossRowsBackward(d, a, e)
	return da, da
}
