package ref

import (
	"math"

	"optin/kernels"
)

func (o *ops) Attention(q, k, v *kernels.Tensor, spec kernels.AttentionSpec) *kernels.Tensor {
	variants := kernels.CheckAttention(q, k, v, spec)
	y := o.real(q.Rows, q.Cols)
	o.tally.MACs += kernels.AttentionMACs(q, spec)
	eachQuery(q, k, v, spec, variants, func(a *attended, scores []float64) { a.context(y, scores) })
	return y
}

// attended is one query of one head: query i of sequence b of a variant.
type attended struct {
	q, k, v           *kernels.Tensor
	spec              kernels.AttentionSpec
	variant, variants int
	b, head, i        int
}

// eachQuery calls f for every query of every head, with room for its scores.
func eachQuery(q, k, v *kernels.Tensor, spec kernels.AttentionSpec, variants int, f func(a *attended, scores []float64)) {
	scores := make([]float64, spec.K.Max)
	for variant := range variants {
		for b := range spec.Q.Count() {
			for head := range spec.Heads {
				for i := range spec.Q.Len(b) {
					f(&attended{q, k, v, spec, variant, variants, b, head, i}, scores)
				}
			}
		}
	}
}

// query is the row of the query, firstKey that of the first key it may see.
func (a *attended) query() int {
	return a.variant*a.spec.Q.Rows() + int(a.spec.Q.Offsets[a.b]) + a.i
}

func (a *attended) firstKey() int {
	return a.variant*a.spec.K.Rows() + int(a.spec.K.Offsets[a.b])
}

// at is the head's columns of a row of t.
func (a *attended) at(t *kernels.Tensor, row int) []float64 {
	width := a.q.Cols / a.spec.Heads
	from := row*t.Cols + a.head*width
	return t.F64[from : from+width]
}

// context writes the query's row of the head to y.
func (a *attended) context(y *kernels.Tensor, scores []float64) {
	dst := a.at(y, a.query())
	clear(dst)
	for j, p := range a.probabilities(scores) {
		addScaled(dst, p, a.at(a.v, a.firstKey()+j))
	}
	for c := range dst {
		dst[c] *= a.headMask()
	}
}

// probabilities overwrites scores with those of the keys that the query may see,
// from the first; there are none where every key is hidden.
func (a *attended) probabilities(scores []float64) []float64 {
	keys := a.spec.K.Len(a.b)
	if a.spec.Causal {
		keys = min(keys, a.i+1)
	}
	query, first := a.at(a.q, a.query()), a.firstKey()
	scores = scores[:keys]
	for j := range scores {
		scores[j] = a.spec.Scale*dot(query, a.at(a.k, first+j)) + a.bias(j) + a.keyBias(first+j)
	}
	if math.IsInf(maximum(scores), -1) {
		return nil
	}
	softmax(scores)
	return scores
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
