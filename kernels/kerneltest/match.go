package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// matchPrograms are those of the ops that choose rows. What they choose by are small whole
// numbers, of which products and sums are exact and many are equal.
func matchPrograms() []Program {
	programs := []Program{
		topK([]int{9}, []int{9}, "edges"),
		topK([]int{300, 1, 20}, []int{40, 1, 20}, ""),
		match([]int{300, 260, 20}, 40, 9, true, false),
		match([]int{70, 1, 7}, 9, 3, false, true),
		match([]int{9}, 9, 3, false, true),
		match([]int{5, 6}, 0, 4, true, false),
	}
	for _, n := range append(oddSizes(), 64, 65, 130) {
		programs = append(programs,
			topK([]int{n, 5}, []int{1 + n/3, 2}, ""), topK([]int{n}, []int{n}, "nan"),
			match([]int{n, 1, 7, 2}, 1+n/3, n%5+1, n%2 == 1, false), match([]int{n}, n, 3, n%2 == 0, false))
	}
	return programs
}

// whole is a matrix of whole numbers from -2 to 2.
func (g *gen) whole(rows, cols int) *matrix {
	m := &matrix{rows, cols, make([]float32, rows*cols)}
	for i := range m.v {
		m.v[i] = float32(g.rng.IntN(5) - 2)
	}
	return m
}

func topK(lengths, kept []int, extremes string) Program {
	return Program{"TopK", fmt.Sprintf("lengths=%v kept=%v extremes=%s", lengths, kept, extremes), func(g *gen) body {
		from, to := kernels.NewSequences(lengths...), kernels.NewSequences(kept...)
		scores := g.whole(from.Rows(), 1)
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		switch extremes {
		case "edges":
			copy(scores.v, []float32{nan, 1, -inf, inf, 1, nan, float32(math.Copysign(0, -1)), 0, -2})
		case "nan":
			scores.v[from.Rows()/2] = nan
		}
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.TopK(scores.on(ops), from, to) }}
	}}
}

// match takes k tokens of each sequence away, or as many as go.
func match(lengths []int, k, cols int, keepFirst, nan bool) Program {
	shape := fmt.Sprintf("lengths=%v removed=%d cols=%d first=%t nan=%t", lengths, k, cols, keepFirst, nan)
	return Program{"Match", shape, func(g *gen) body {
		kept := make([]int, len(lengths))
		for b, n := range lengths {
			kept[b] = n - min(k, kernels.Matchable(n, keepFirst))
		}
		from, to := kernels.NewSequences(lengths...), kernels.NewSequences(kept...)
		x := g.whole(from.Rows(), cols)
		if nan {
			x.set(from.Rows()/2, 0, math.NaN())
		}
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.Match(x.on(ops), from, to, keepFirst) }}
	}}
}

// knownMatch matches tokens by hand, and averages those that become one.
func knownMatch(e *env, r *Result) {
	x := &matrix{8, 2, []float32{
		1, 0, // 0: with 5, by 3, but is the first
		0, 1, // 1
		2, 2, // 2: with 7, by 10
		1, 1, // 3
		0, 2, // 4: with 7, by 6
		3, 0, // 5
		4, 0, // 6: with 5, by 12
		2, 3, // 7
	}}
	from, to := kernels.NewSequences(8), kernels.NewSequences(6)
	for _, c := range []struct {
		to        *kernels.Sequences
		keepFirst bool
		want      []float64
	}{
		{to, true, []float64{0, 1, 5, 2, 3, 4, 4, 5}},
		{kernels.NewSequences(5), true, []float64{0, 1, 4, 2, 4, 3, 3, 4}},
		{kernels.NewSequences(4), false, []float64{2, 0, 3, 1, 3, 2, 2, 3}},
		{from, false, []float64{0, 1, 2, 3, 4, 5, 6, 7}},
	} {
		got, err := narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor { return ops.Match(x.on(ops), from, c.to, c.keepFirst) })
		if err != nil {
			r.fail("%v", err)
			return
		}
		r.compare(fmt.Sprintf("match to %d", c.to.Rows()), got, c.want, bound{}, nil)
	}
	got, err := narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor {
		t := x.on(ops)
		return ops.ScatterMean(t, ops.Match(t, from, to, true), to.Rows())
	})
	if err != nil {
		r.fail("%v", err)
		return
	}
	r.compare("merged", got, []float64{1, 0, 0, 1, 1, 1, 0, 2, 3.5, 0, 2, 2.5}, bound{}, nil)
	got, err = narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor {
		return ops.Gather(x.on(ops), ops.TopK(ops.Upload(8, 1, []float32{3, 1, 4, 1, 5, 9, 2, 6}), from, kernels.NewSequences(3)), 8)
	})
	if err != nil {
		r.fail("%v", err)
		return
	}
	r.compare("kept", got, []float64{3, 0, 2, 3, 0, 2}, bound{}, nil)
}
