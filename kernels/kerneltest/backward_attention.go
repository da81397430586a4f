package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

func attentionBackwardPrograms() []Program {
	var shapes []attention
	for _, n := range oddSizes() {
		shapes = append(shapes,
			attention{queries: []int{5, 1, 9}, heads: 3, width: n},
			attention{queries: []int{n}, heads: 2, width: 8},
			attention{queries: []int{1, n, 2}, keys: []int{n, 3, 1}, heads: 1, width: 5},
			attention{queries: []int{n, 4}, heads: 2, width: 7, causal: true})
	}
	for _, lengths := range [][]int{{1, 1, 1}, {64, 1}, {63, 65}, {1, 130, 2, 17}, {3, 3, 3, 3, 3, 3, 3, 3, 3}} {
		shapes = append(shapes, attention{queries: lengths, heads: 2, width: 16})
	}
	ragged := []int{7, 1, 19, 2}
	for _, v := range []int{1, 2, 3} {
		shapes = append(shapes,
			attention{queries: ragged, heads: 4, width: 8, variants: v},
			attention{queries: ragged, heads: 3, width: 9, variants: v, keyBias: 1},
			attention{queries: ragged, heads: 3, width: 9, variants: v, keyBias: 2, hidden: true},
			attention{queries: ragged, keys: []int{2, 8, 1, 33}, heads: 3, width: 9, variants: v,
				bias: true, keyBias: 2, hidden: true, causal: true})
	}
	shapes = append(shapes,
		attention{queries: ragged, heads: 3, width: 16, bias: true},
		attention{queries: ragged, heads: 3, width: 16, bias: true, causal: true},
		attention{queries: ragged, heads: 3, width: 16, keyBias: 1, hidden: true},
		attention{queries: ragged, heads: 3, width: 16, size: 1e4},
		attention{queries: ragged, heads: 3, width: 16, size: 1e4, causal: true, keyBias: 1, hidden: true, bias: true},
		attention{queries: []int{40}, heads: 1, width: 64, size: 100},
		attention{queries: []int{1}, heads: 1, width: 1},
		attention{queries: []int{3, 2}, heads: 0, width: 4})
	programs := make([]Program, 0, len(shapes))
	for i, s := range shapes {
		s.variants = max(s.variants, 1)
		programs = append(programs, s.backward(1+i%3, false))
	}
	return programs
}

// backward is the program of AttentionBackward of an Attention of this shape;
// with nan, the first gradient has one.
func (s attention) backward(stack int, nan bool) Program {
	shape := fmt.Sprintf("%v stack=%d", s, stack)
	if nan {
		shape += " nan=dy"
	}
	return Program{"AttentionBackward", shape, func(g *gen) body {
		in := s.inputs(g)
		dy := g.normal(stack*in.q.rows, in.q.cols, 1)
		if nan {
			dy.set(in.q.rows/2, in.q.cols/2, math.NaN())
		}
		return in.backward(dy)
	}}
}

func (in attentionInputs) backward(dy *matrix) body {
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor {
			spec := in.spec
			spec.Bias, spec.KeyBias = in.biases.on(ops), in.keyBiases.on(ops)
			dq, dk, dv := derivatives(ops).AttentionBackward(dy.on(ops), in.q.on(ops), in.k.on(ops), in.v.on(ops), spec)
			return stacked(ops, dq, dk, dv)
		},
		scale: func(kernels.Ops) []float64 { return in.backwardMagnitude(dy) },
		terms: max(in.width, in.spec.K.Max, in.spec.Q.Max),
	}
}

// attentionScales are the scales of dq, dk and dv, each [stack*rows, cols].
type attentionScales struct{ q, k, v []float64 }

// backwardMagnitude is how far errors of relative size 1 in every product move
// the gradients.
func (in attentionInputs) backwardMagnitude(dy *matrix) []float64 {
	stack := 1
	if in.q.rows > 0 {
		stack = dy.rows / in.q.rows
	}
	s := attentionScales{
		make([]float64, stack*len(in.q.v)), make([]float64, stack*len(in.k.v)), make([]float64, stack*len(in.v.v)),
	}
	for variant := range in.variants {
		for b := range in.spec.Q.Count() {
			for head := range in.heads {
				for i := range in.spec.Q.Len(b) {
					w := in.weigh(variant, b, head, i)
					for part := range stack {
						in.backwardOf(s, w, dy, part, head)
					}
				}
			}
		}
	}
	return append(append(s.q, s.k...), s.v...)
}

// backwardOf adds the scales of what one gradient of the stack sends through a
// query of a head: with e the errors of p and d those of dp = dy v', the mean
// sum(p dp) is off by m = sum(e d), and ds = p (dp - mean) by
// e |dp - mean| + p (d + m).
func (in attentionInputs) backwardOf(s attentionScales, w weighed, dy *matrix, part, head int) {
	query := part*in.q.rows + w.query
	keys := part*in.k.rows + w.first
	from, to := head*in.width, (head+1)*in.width
	dp, d := make([]float64, len(w.p)), make([]float64, len(w.p))
	mean, meanError := 0.0, 0.0
	for j, e := range w.moved {
		for c := from; c < to; c++ {
			term := dy.at(query, c) * in.v.at(w.first+j, c)
			dp[j] += term
			d[j] += math.Abs(term)
			s.v[(keys+j)*in.k.cols+c] += e * math.Abs(dy.at(query, c))
		}
		mean += w.p[j] * dp[j]
		meanError += e * d[j]
	}
	for j, e := range w.moved {
		ds := in.spec.Scale * (e*math.Abs(dp[j]-mean) + w.p[j]*(d[j]+meanError))
		for c := from; c < to; c++ {
			s.q[query*in.q.cols+c] += ds * math.Abs(in.k.at(w.first+j, c))
			s.k[(keys+j)*in.k.cols+c] += ds * math.Abs(in.q.at(w.query, c))
		}
	}
}
