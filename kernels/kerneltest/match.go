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
		ranking{lengths: []int{9}, kept: []int{9}, variants: 1, extremes: true}.program(),
		ranking{lengths: []int{300, 1, 20}, kept: []int{40, 1, 20}, variants: 2}.program(),
		ranking{lengths: []int{3, 2}, kept: []int{1, 2}}.program(),
		matching{lengths: []int{300, 260, 20}, variants: 2, cols: 9, removed: 40, keep: 1}.program(),
		matching{lengths: []int{70, 1, 7}, variants: 1, cols: 3, removed: 9, bad: math.NaN()}.program(),
		matching{lengths: []int{9}, variants: 1, cols: 3, removed: 9, bad: math.NaN()}.program(),
		matching{lengths: []int{9, 4}, variants: 3, cols: 3, removed: 2, keep: 2, bad: math.Inf(-1)}.program(),
		matching{lengths: []int{5, 40, 6}, variants: 2, cols: 3, removed: 9, keep: 7}.program(), // some cannot lose any
		matching{lengths: []int{5, 6}, variants: 1, cols: 4, keep: 1}.program(),
		matching{lengths: []int{5, 6}, variants: 2, removed: 2}.program(), // no columns: all are alike
		matching{lengths: []int{5, 6}, cols: 4, removed: 2}.program(),
	}
	for i, n := range append(oddSizes(), 64, 65, 130) {
		programs = append(programs,
			ranking{lengths: []int{n, 5}, kept: []int{1 + n/3, 2}, variants: 1 + i%3}.program(),
			ranking{lengths: []int{n}, kept: []int{n}, variants: 1, nan: true}.program(),
			matching{lengths: []int{n, 1, 7, 2}, variants: 1 + i%3, cols: n%5 + 1, removed: 1 + n/3, keep: i % 4}.program(),
			matching{lengths: []int{n}, variants: 1, cols: 3, removed: n, keep: n % 2}.program())
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

// ranking is a call of TopK.
type ranking struct {
	lengths, kept []int
	variants      int
	nan, extremes bool // one NaN, or all that there is between NaN and Inf
}

func (k ranking) program() Program {
	shape := fmt.Sprintf("lengths=%v kept=%v variants=%d nan=%t extremes=%t", k.lengths, k.kept, k.variants, k.nan, k.extremes)
	return Program{"TopK", shape, func(g *gen) body {
		from, to := kernels.NewSequences(k.lengths...), kernels.NewSequences(k.kept...)
		scores := g.whole(k.variants*from.Rows(), 1)
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		if k.nan {
			scores.v[from.Rows()/2] = nan
		}
		if k.extremes {
			copy(scores.v, []float32{nan, 1, -inf, inf, 1, nan, float32(math.Copysign(0, -1)), 0, -2})
		}
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.TopK(scores.on(ops), from, to) }}
	}}
}

// matching is a call of Match that takes a number of tokens of each sequence away, or as many
// as go.
type matching struct {
	lengths                       []int
	variants, cols, removed, keep int
	bad                           float64 // in the middle of x, if it is not 0
}

func (m matching) sequences() (from, to *kernels.Sequences) {
	kept := make([]int, len(m.lengths))
	for b, n := range m.lengths {
		moving, _ := kernels.MatchSides(n, m.keep)
		kept[b] = n - min(m.removed, moving)
	}
	return kernels.NewSequences(m.lengths...), kernels.NewSequences(kept...)
}

func (m matching) program() Program {
	shape := fmt.Sprintf("lengths=%v variants=%d cols=%d removed=%d keep=%d bad=%v", m.lengths, m.variants, m.cols, m.removed, m.keep, m.bad)
	return Program{"Match", shape, func(g *gen) body {
		from, to := m.sequences()
		x := g.whole(m.variants*from.Rows(), m.cols)
		if m.bad != 0 {
			x.set(x.rows/2, 0, m.bad)
		}
		return body{run: func(ops kernels.Ops) *kernels.Tensor { return ops.Match(x.on(ops), from, to, m.keep) }}
	}}
}

// knownMatch matches tokens by hand, averages those that become one, and gives each its
// average back.
func knownMatch(e *env, r *Result) {
	x := &matrix{8, 2, []float32{
		1, 0, // 0: with 5, by 3
		0, 1, // 1
		2, 2, // 2: with 7, by 10
		1, 1, // 3
		0, 2, // 4: with 7, by 6
		3, 0, // 5
		4, 0, // 6: with 5, by 12
		2, 3, // 7
	}}
	from := kernels.NewSequences(8)
	check := func(what string, want []float64, f func(ops kernels.Ops) *kernels.Tensor) {
		got, err := narrow(e.dev, f)
		if err != nil {
			r.fail("%s: %v", what, err)
			return
		}
		r.compare(what, got, want, bound{}, nil)
	}
	for _, c := range []struct {
		left, keep int
		want       []float64
	}{
		{6, 1, []float64{0, 1, 5, 2, 3, 4, 4, 5}},
		{5, 1, []float64{0, 1, 4, 2, 4, 3, 3, 4}},
		{4, 0, []float64{2, 0, 3, 1, 3, 2, 2, 3}},
		{6, 3, []float64{0, 1, 2, 3, 5, 4, 4, 5}},
		{7, 6, []float64{0, 1, 2, 3, 4, 5, 6, 6}}, // 6 may go into 7 only
		{8, 0, []float64{0, 1, 2, 3, 4, 5, 6, 7}},
		{8, 9, []float64{0, 1, 2, 3, 4, 5, 6, 7}},
	} {
		check(fmt.Sprintf("match to %d", c.left), c.want, func(ops kernels.Ops) *kernels.Tensor {
			return ops.Match(x.on(ops), from, kernels.NewSequences(c.left), c.keep)
		})
	}
	check("merged", []float64{1, 0, 0, 1, 1, 1, 0, 2, 3.5, 0, 2, 2.5}, func(ops kernels.Ops) *kernels.Tensor {
		t := x.on(ops)
		return ops.ScatterMean(t, ops.Match(t, from, kernels.NewSequences(6), 1), 6)
	})
	check("undone", []float64{1, 0, 0, 1, 2, 2.5, 1, 1, 0, 2, 3.5, 0, 3.5, 0, 2, 2.5}, func(ops kernels.Ops) *kernels.Tensor {
		t := x.on(ops)
		idx := ops.Match(t, from, kernels.NewSequences(6), 1)
		return ops.Gather(ops.ScatterMean(t, idx, 6), idx, 6)
	})
	check("kept", []float64{3, 0, 2, 3, 0, 2}, func(ops kernels.Ops) *kernels.Tensor {
		scores := ops.Upload(8, 1, []float32{3, 1, 4, 1, 5, 9, 2, 6})
		return ops.Gather(x.on(ops), ops.TopK(scores, from, kernels.NewSequences(3)), 8)
	})
}

// choicesAlone compares what is chosen in the variants of a batch with what is chosen in each
// of them alone.
func choicesAlone(e *env, r *Result) {
	g := e.gen(r)
	from, to := matching{lengths: []int{9, 1, 30}, removed: 4, keep: 1}.sequences()
	x := g.whole(3*from.Rows(), 3)
	alone := func(choose func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor, x *matrix, span int) {
		all, err := narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor { return choose(ops, x.on(ops)) })
		for v := 0; v < 3 && err == nil; v++ {
			n := from.Rows() * x.cols
			one := &matrix{from.Rows(), x.cols, x.v[v*n : (v+1)*n]}
			var want []float64
			want, err = narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor { return choose(ops, one.on(ops)) })
			for i := range want {
				want[i] += float64(v * span)
			}
			m := len(all) / 3
			r.compare(fmt.Sprintf("variant %d", v), all[v*m:(v+1)*m], want, bound{}, nil)
		}
		if err != nil {
			r.fail("%v", err)
		}
	}
	if r.Op == "TopK" {
		scores := g.whole(3*from.Rows(), 1)
		alone(func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor { return ops.TopK(x, from, to) }, scores, from.Rows())
		return
	}
	alone(func(ops kernels.Ops, x *kernels.Tensor) *kernels.Tensor { return ops.Match(x, from, to, 1) }, x, to.Rows())
}

// bestPairs checks what Match chooses among numbers that are no whole ones, where it may err
// by rounding: the tokens that stay keep their order; each other one went to one that is as
// similar to it as any; and none that stayed is more similar to its best than one that went.
func bestPairs(e *env, r *Result) {
	g := e.gen(r)
	for _, keep := range []int{0, 1, 2} {
		m := matching{lengths: []int{65, 20}, removed: 9, keep: keep}
		from, to := m.sequences()
		x := g.normal(from.Rows(), 24, 1)
		var rows []float64 // normalized
		got, err := narrow(e.dev, func(ops kernels.Ops) *kernels.Tensor {
			unit := ops.NormalizeRows(x.on(ops))
			rows = values(ops, unit)
			return ops.Match(unit, from, to, keep)
		})
		if err != nil {
			r.fail("%v", err)
			return
		}
		for b := range m.lengths {
			first, last := int(from.Offsets[b]), int(from.Offsets[b+1])
			tokens := &pairs{rows: rows[first*x.cols : last*x.cols], cols: x.cols, keep: keep, at: got[first:last], start: float64(to.Offsets[b])}
			tokens.check(r, to.Len(b))
		}
	}
}

// pairs is where the tokens of a sequence went.
type pairs struct {
	rows       []float64
	cols, keep int
	at         []float64
	start      float64 // the row where the sequence starts
}

func (p *pairs) similarity(i, j int) (sum float64) {
	for c := range p.cols {
		sum += p.rows[i*p.cols+c] * p.rows[j*p.cols+c]
	}
	return sum
}

func (p *pairs) check(r *Result, left int) {
	const rounding = 24 * eps32 // of products of rows of length 1
	holder := p.holders()
	next := p.start
	weakest, strongest := math.Inf(1), math.Inf(-1) // of those that went, and that stayed
	for i, row := range p.at {
		moves := i%2 == 0 && i >= p.keep
		partner, went := holder[row]
		if went = went && moves; !went {
			if row != next {
				r.fail("keep %d: token %d, which stays, is in row %v, want %v", p.keep, i, row, next)
			}
			next++
		}
		if !moves {
			continue
		}
		best := math.Inf(-1)
		for _, j := range holder {
			best = max(best, p.similarity(i, j))
		}
		if !went {
			strongest = max(strongest, best)
			continue
		}
		weakest = min(weakest, best)
		if s := p.similarity(i, partner); !(s >= best-rounding) {
			r.fail("keep %d: token %d went to one of similarity %v, where there is one of %v", p.keep, i, s, best)
		}
	}
	if next != p.start+float64(left) {
		r.fail("keep %d: %v rows, want %d", p.keep, next-p.start, left)
	}
	if !(weakest >= strongest-rounding) {
		r.fail("keep %d: a token of similarity %v went, and one of %v stayed", p.keep, weakest, strongest)
	}
}

// holders are the tokens that others may go to, by their rows.
func (p *pairs) holders() map[float64]int {
	holder := make(map[float64]int)
	for j := p.keep | 1; j < len(p.at); j += 2 {
		holder[p.at[j]] = j
	}
	return holder
}
