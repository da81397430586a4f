package ref

import "optin/kernels"

func (o *ops) AttentionBackward(dy, q, k, v *kernels.Tensor, spec kernels.AttentionSpec) (dq, dk, dv *kernels.Tensor) {
	variants, stack := kernels.CheckAttentionBackward(dy, q, k, v, spec)
	o.tally.MACs += kernels.AttentionBackwardMACs(q, spec, stack)
	zero := func(rows int) *kernels.Tensor {
		t := o.real(stack*rows, q.Cols)
		clear(t.F64)
		return t
	}
	dq, dk, dv = zero(q.Rows), zero(k.Rows), zero(k.Rows)
	eachQuery(q, k, v, spec, variants, func(a *attended, scores []float64) {
		p := a.probabilities(scores)
		for part := range stack {
			a.backward(p, part, dy, dq, dk, dv)
		}
	})
	return dq, dk, dv
}

// backward adds what one gradient of the stack sends through the query, whose
// probabilities are p: nothing where they are empty, all keys being hidden.
func (a *attended) backward(p []float64, part int, dy, dq, dk, dv *kernels.Tensor) {
	query, key := a.query(), a.firstKey()
	moreQueries, moreKeys := part*a.q.Rows, part*a.k.Rows // above the part's rows
	context := a.at(dy, moreQueries+query)
	d := make([]float64, len(p))
	for j, probability := range p {
		d[j] = dot(context, a.at(a.v, key+j))
		addScaled(a.at(dv, moreKeys+key+j), probability, context)
	}
	softmaxBackward(d, p)
	for j, score := range d {
		addScaled(a.at(dq, moreQueries+query), a.spec.Scale*score, a.at(a.k, key+j))
		addScaled(a.at(dk, moreKeys+key+j), a.spec.Scale*score, a.at(a.q, query))
	}
}

// addScaled adds factor x to dst.
func addScaled(dst []float64, factor float64, x []float64) {
	for c, v := range x {
		dst[c] += factor * v
	}
}
