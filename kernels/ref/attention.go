package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) Attention(q, k, v *kernels.Tensor, spec kernels.AttentionSpec) *kernels.Tensor {
	variants := kernels.CheckAttention(q, k, v, spec)
	y := o.real(q.Rows, q.Cols)
	o.tally.MACs += kernels.AttentionMACs(q, spec)
	scores := make([]float64, spec.K.Max)
	for variant := range variants {
		for b := range spec.Q.Count() {
			for head := range spec.Heads {
				for i := range spec.Q.Len(b) {
					a := attended{q, k, v, spec, variant, variants, b, head, i}
					a.context(y, scores)
				}
			}
		}
	}
	return y
}

// attended is one query of one head: query i of sequence b of a variant.
type attended struct {
	q, k, v           *kernels.Tensor
	spec              kernels.AttentionSpec
	variant, variants int
	b, head, i        int
}

// context writes the query's row of the head to y.
func (a *attended) context(y *kernels.Tensor, scores []float64) {
	width := a.q.Cols / a.spec.Heads
	at := func(t *kernels.Tensor, row int) []float64 {
		from := row*t.Cols + a.head*width
		return t.F64[from : from+width]
	}
	firstQuery := a.variant*a.spec.Q.Rows() + int(a.spec.Q.Offsets[a.b])
	firstKey := a.variant*a.spec.K.Rows() + int(a.spec.K.Offsets[a.b])
	keys := a.spec.K.Len(a.b)
	if a.spec.Causal {
		keys = min(keys, a.i+1)
	}

	query := at(a.q, firstQuery+a.i)
	scores = scores[:keys]
	for j := range scores {
		scores[j] = a.spec.Scale*dot(query, at(a.k, firstKey+j)) + a.bias(j) + a.keyBias(firstKey+j)
	}
	dst := at(y, firstQuery+a.i)
	clear(dst)
	if math.IsInf(maximum(scores), -1) {
		return // every key is hidden
	}
	softmax(scores)
	for j, p := range scores {
		for c, v := range at(a.v, firstKey+j) {
			dst[c] += p * v
		}
	}
	for c := range dst {
		dst[c] *= a.headMask()
	}
}

func (a *attended) bias(j int) float64 {
	if a.spec.Bias == nil {
		return 0
	}
	return a.spec.Bias.F64[(a.head*a.spec.Q.Max+a.i)*a.spec.K.Max+j]
}

// keyBias is the bias of a key's row; where all variants share one, the row
// counts within its variant.
func (a *attended) keyBias(row int) float64 {
	if a.spec.KeyBias == nil {
		return 0
	}
	return a.spec.KeyBias.F64[row%a.spec.KeyBias.Rows]
}

func (a *attended) headMask() float64 {
	m := a.spec.HeadMask
	if m == nil {
		return 1
	}
	return m.F64[a.variant/(a.variants/m.Rows)*m.Cols+a.head]
}
