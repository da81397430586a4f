package kerneltest_test

import (
	"math"

	"optin/kernels"
)

func attentionMutants() []mutant {
	return []mutant{
		attended("Attention without scale", func(_ kernels.Ops, s *kernels.AttentionSpec) { s.Scale = 1 }),
		attended("no head mask on the last variant", func(ops kernels.Ops, s *kernels.AttentionSpec) {
			if m := s.HeadMask; m != nil && m.Rows > 1 {
				s.HeadMask = ops.Activate(m, kernels.Identity)
				for c := range m.Cols {
					at(s.HeadMask)[(m.Rows-1)*m.Cols+c] = 1
				}
			}
		}),
		attended("head mask of the first variant for all", func(_ kernels.Ops, s *kernels.AttentionSpec) {
			if s.HeadMask != nil {
				first := s.HeadMask.Slice(0, 1)
				s.HeadMask = &first
			}
		}),
		attended("key bias of the first variant for all", func(_ kernels.Ops, s *kernels.AttentionSpec) {
			if s.KeyBias != nil {
				first := s.KeyBias.Slice(0, s.K.Rows())
				s.KeyBias = &first
			}
		}),
		attended("not causal", func(_ kernels.Ops, s *kernels.AttentionSpec) { s.Causal = false }),
		attended("bias of the first head for all", func(ops kernels.Ops, s *kernels.AttentionSpec) {
			if s.Bias != nil {
				first := s.Bias.Slice(0, s.Q.Max)
				s.Bias = ops.Repeat(&first, s.Heads)
			}
		}),
		attended("hidden keys are only unlikely", func(ops kernels.Ops, s *kernels.AttentionSpec) {
			if s.KeyBias != nil {
				s.KeyBias = ops.Activate(s.KeyBias, kernels.Identity)
				for i, v := range at(s.KeyBias) {
					at(s.KeyBias)[i] = max(v, -1e4)
				}
			}
		}),
		spoiled("all keys hidden gives NaN", func(y *kernels.Tensor, s kernels.AttentionSpec) {
			for i, v := range at(y) {
				if v == 0 && s.KeyBias != nil && s.HeadMask == nil {
					at(y)[i] = math.NaN()
				}
			}
		}),
		spoiled("exp good to 4 digits", func(y *kernels.Tensor, _ kernels.AttentionSpec) {
			for i := range at(y) {
				at(y)[i] *= 1 + 1e-4
			}
		}),
		spoiled("last row of a sequence is left", func(y *kernels.Tensor, s kernels.AttentionSpec) {
			if n := s.Q.Rows(); s.Q.Len(0) > 8 {
				clear(at(y)[(n-1)*y.Cols : n*y.Cols])
			}
		}),
		{"first sequence sees the second", "Attention", func(ops kernels.Ops) kernels.Ops { return &leak{plain{ops}} }},
	}
}

// attended makes a mutant that changes what Attention is asked for.
func attended(name string, change func(ops kernels.Ops, s *kernels.AttentionSpec)) mutant {
	return mutant{name, "Attention", func(ops kernels.Ops) kernels.Ops {
		return &attentionChanged{plain{ops}, change, func(*kernels.Tensor, kernels.AttentionSpec) {}}
	}}
}

// spoiled makes a mutant of the result of Attention.
func spoiled(name string, spoil func(y *kernels.Tensor, s kernels.AttentionSpec)) mutant {
	return mutant{name, "Attention", func(ops kernels.Ops) kernels.Ops {
		return &attentionChanged{plain{ops}, func(kernels.Ops, *kernels.AttentionSpec) {}, spoil}
	}}
}

type attentionChanged struct {
	plain
	change func(ops kernels.Ops, s *kernels.AttentionSpec)
	spoil  func(y *kernels.Tensor, s kernels.AttentionSpec)
}

func (m *attentionChanged) Attention(q, k, v *kernels.Tensor, s kernels.AttentionSpec) *kernels.Tensor {
	m.change(m.Ops, &s)
	y := m.Ops.Attention(q, k, v, s)
	m.spoil(y, s)
	return y
}

// leak treats the first two sequences as one.
type leak struct{ plain }

func (m *leak) Attention(q, k, v *kernels.Tensor, s kernels.AttentionSpec) *kernels.Tensor {
	if s.Q.Count() > 1 && s.Bias == nil {
		s.Q, s.K = joined(s.Q), joined(s.K)
	}
	return m.Ops.Attention(q, k, v, s)
}

func joined(s *kernels.Sequences) *kernels.Sequences {
	lengths := []int{s.Len(0) + s.Len(1)}
	for b := 2; b < s.Count(); b++ {
		lengths = append(lengths, s.Len(b))
	}
	return kernels.NewSequences(lengths...)
}
