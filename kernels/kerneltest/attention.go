package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// attention is the shape of a call of Attention.
type attention struct {
	queries, keys []int // lengths of sequences; keys nil: those of queries
	heads, width  int
	variants      int
	mask          int     // rows of the head mask, 0: none
	bias          bool    // Bias
	keyBias       int     // 1: shared, 2: per variant
	hidden        bool    // KeyBias hides some keys, and all of the last sequence
	causal        bool    //
	size          float64 // of the scores, 0: 1
	nan           string  // "q", "k" or "v" has one
}

func (s attention) String() string {
	text := fmt.Sprintf("queries=%v keys=%v heads=%d width=%d variants=%d mask=%d bias=%t keybias=%d hidden=%t causal=%t size=%g",
		s.queries, s.keys, s.heads, s.width, s.variants, s.mask, s.bias, s.keyBias, s.hidden, s.causal, s.size)
	if s.nan != "" {
		text += " nan=" + s.nan
	}
	return text
}

// attentionInputs are the arguments of one call.
type attentionInputs struct {
	attention
	q, k, v, headMask, biases, keyBiases *matrix
	spec                                 kernels.AttentionSpec // without tensors
}

func (s attention) inputs(g *gen) attentionInputs {
	if s.keys == nil {
		s.keys = s.queries
	}
	in := attentionInputs{attention: s, spec: kernels.AttentionSpec{
		Heads: s.heads, Scale: 1 / math.Sqrt(float64(max(s.width, 1))), Causal: s.causal,
		Q: kernels.NewSequences(s.queries...), K: kernels.NewSequences(s.keys...),
	}}
	deviation := 1.0
	if s.size != 0 {
		deviation = math.Sqrt(s.size) // q.k / sqrt(width) is then of that size
	}
	cols := s.heads * s.width
	in.q = g.normal(s.variants*in.spec.Q.Rows(), cols, deviation)
	in.k = g.normal(s.variants*in.spec.K.Rows(), cols, deviation)
	in.v = g.normal(s.variants*in.spec.K.Rows(), cols, 1)
	if s.mask > 0 {
		in.headMask = g.mask(s.mask, s.heads)
	}
	if s.bias {
		in.biases = g.normal(s.heads*in.spec.Q.Max, in.spec.K.Max, 1)
	}
	if s.keyBias > 0 {
		in.keyBiases = s.keyBiasOf(g, in.spec.K)
	}
	if s.nan != "" {
		m := map[string]*matrix{"q": in.q, "k": in.k, "v": in.v}[s.nan]
		m.set(m.rows/2, m.cols/2, math.NaN())
	}
	return in
}

func (s attention) keyBiasOf(g *gen, keys *kernels.Sequences) *matrix {
	rows := keys.Rows()
	if s.keyBias == 2 {
		rows *= s.variants
	}
	m := g.normal(rows, 1, 1)
	if s.hidden {
		last := keys.Rows() - keys.Len(keys.Count()-1)
		for r := range rows {
			if r%keys.Rows() >= last || g.rng.IntN(3) == 0 {
				m.set(r, 0, math.Inf(-1))
			}
		}
	}
	return m
}

func (in attentionInputs) call(ops kernels.Ops) *kernels.Tensor {
	spec := in.spec
	spec.HeadMask, spec.Bias, spec.KeyBias = in.headMask.on(ops), in.biases.on(ops), in.keyBiases.on(ops)
	return ops.Attention(in.q.on(ops), in.k.on(ops), in.v.on(ops), spec)
}

// magnitude is how far errors of relative size 1 in every product move the
// context: through each score into its p, and in p v itself.
func (in attentionInputs) magnitude(kernels.Ops) []float64 {
	scale := make([]float64, len(in.q.v))
	for variant := range in.variants {
		for b := range in.spec.Q.Count() {
			for head := range in.heads {
				for i := range in.spec.Q.Len(b) {
					in.magnitudeOf(scale, variant, b, head, i)
				}
			}
		}
	}
	return scale
}

// magnitudeOf writes the scales of one head of query i of sequence b.
func (in attentionInputs) magnitudeOf(scale []float64, variant, b, head, i int) {
	w := in.weigh(variant, b, head, i)
	mask := 1.0
	if in.headMask != nil {
		mask = in.headMask.at(variant/(in.variants/in.headMask.rows), head)
	}
	for j, moved := range w.moved {
		for c := head * in.width; c < (head+1)*in.width; c++ {
			scale[w.query*in.q.cols+c] += math.Abs(mask * moved * in.v.at(w.first+j, c))
		}
	}
}

// weighed are the probabilities of the keys that a query of a head may see, and
// how far errors of relative size 1 in every product move them; none where all
// are hidden.
type weighed struct {
	query, first int // rows of the query and of its first key
	p, moved     []float64
}

func (in attentionInputs) weigh(variant, b, head, i int) weighed {
	keys := in.spec.K.Len(b)
	if in.causal {
		keys = min(keys, i+1)
	}
	w := weighed{
		query: variant*in.spec.Q.Rows() + int(in.spec.Q.Offsets[b]) + i,
		first: variant*in.spec.K.Rows() + int(in.spec.K.Offsets[b]),
	}
	scores, errors := make([]float64, keys), make([]float64, keys)
	top := math.Inf(-1)
	for j := range keys {
		for c := head * in.width; c < (head+1)*in.width; c++ {
			term := in.spec.Scale * in.q.at(w.query, c) * in.k.at(w.first+j, c)
			scores[j] += term
			errors[j] += math.Abs(term)
		}
		if in.biases != nil {
			v := in.biases.at(head*in.spec.Q.Max+i, j)
			scores[j], errors[j] = scores[j]+v, errors[j]+math.Abs(v)
		}
		if in.keyBiases != nil {
			v := in.keyBiases.at((w.first+j)%in.keyBiases.rows, 0)
			scores[j], errors[j] = scores[j]+v, errors[j]+math.Abs(v)
		}
		top = max(top, scores[j])
	}
	if math.IsInf(top, -1) {
		return w // all hidden: exactly 0
	}
	sum := 0.0
	w.p = make([]float64, keys)
	for j, s := range scores {
		w.p[j] = math.Exp(s - top)
		sum += w.p[j]
	}
	for j := range w.p {
		w.p[j] /= sum
	}
	w.moved = softmaxScale(w.p, scores, errors)
	return w
}

func (s attention) program() Program {
	return Program{"Attention", s.String(), func(g *gen) body {
		in := s.inputs(g)
		return body{run: in.call, scale: in.magnitude, terms: max(s.width, in.spec.K.Max)}
	}}
}

func attentionPrograms() []Program {
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
	for _, v := range []int{1, 2, 3, 5} {
		shapes = append(shapes,
			attention{queries: ragged, heads: 4, width: 8, variants: v, mask: v},
			attention{queries: ragged, heads: 4, width: 8, variants: v, mask: 1},
			attention{queries: ragged, heads: 3, width: 9, variants: v, keyBias: 1},
			attention{queries: ragged, heads: 3, width: 9, variants: v, keyBias: 2, hidden: true},
			attention{queries: ragged, keys: []int{2, 8, 1, 33}, heads: 3, width: 9, variants: v,
				mask: v, bias: true, keyBias: 2, hidden: true, causal: true})
	}
	shapes = append(shapes,
		attention{queries: ragged, heads: 4, width: 8, variants: 6, mask: 3},
		attention{queries: ragged, heads: 3, width: 16, bias: true},
		attention{queries: ragged, heads: 3, width: 16, keyBias: 1, hidden: true},
		attention{queries: ragged, heads: 3, width: 16, size: 1e4},
		attention{queries: ragged, heads: 3, width: 16, size: 1e4, causal: true, keyBias: 1, hidden: true, bias: true},
		attention{queries: []int{40}, heads: 1, width: 64, size: 100},
		attention{queries: []int{1}, heads: 1, width: 1},
		attention{queries: []int{3, 2}, heads: 0, width: 4})
	programs := make([]Program, 0, len(shapes))
	for _, s := range shapes {
		s.variants = max(s.variants, 1)
		programs = append(programs, s.program())
	}
	return programs
}
