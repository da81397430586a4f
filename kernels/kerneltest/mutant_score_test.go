package kerneltest_test

import (
	"math"

	"optin/kernels"
)

func rowMutants() []mutant {
	return []mutant{
		{"Gather from the first variant only", "Gather", func(ops kernels.Ops) kernels.Ops { return &firstVariant{plain{ops}} }},
		{"ScatterMean leaves empty rows", "ScatterMean", func(ops kernels.Ops) kernels.Ops { return &emptyRows{plain{ops}} }},
		{"TopK takes the first rows of the first sequence", "TopK", func(ops kernels.Ops) kernels.Ops { return &firstRows{plain{ops}} }},
		{"TopK takes the last of equal scores", "TopK", func(ops kernels.Ops) kernels.Ops { return &lastOfEqual{plain{ops}} }},
		{"Match merges the first token", "Match", func(ops kernels.Ops) kernels.Ops { return &keepsLess{plain{ops}, 1} }},
		{"Match merges into the second token", "Match", func(ops kernels.Ops) kernels.Ops { return &keepsLess{plain{ops}, 2} }},
		{"Match by the first column", "Match", func(ops kernels.Ops) kernels.Ops { return &firstColumn{plain{ops}} }},
		{"Match takes the rows of the first variant", "Match", func(ops kernels.Ops) kernels.Ops { return &firstMatch{plain{ops}} }},
		{"Add repeats rows in blocks", "Add", func(ops kernels.Ops) kernels.Ops { return &blockwise{plain{ops}} }},
		{"Embed reads one row on", "Embed", func(ops kernels.Ops) kernels.Ops { return &nextRow{plain{ops}} }},
	}
}

type firstVariant struct{ plain }

func (m *firstVariant) Gather(x, idx *kernels.Tensor, span int) *kernels.Tensor {
	first := x.Slice(0, min(span, x.Rows))
	return m.Repeat(m.Ops.Gather(&first, idx, span), x.Rows/span)
}

type emptyRows struct{ plain }

func (m *emptyRows) ScatterMean(x, idx *kernels.Tensor, rows int) *kernels.Tensor {
	y := m.Ops.ScatterMean(x, idx, rows)
	filled := make(map[int32]bool)
	for _, i := range idx.I32 {
		filled[i] = true
	}
	for i := range rows {
		if !filled[int32(i)] {
			for c := range y.Cols {
				at(y)[i*y.Cols+c] = math.NaN()
			}
		}
	}
	return y
}

type firstRows struct{ plain }

func (m *firstRows) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	y := m.Ops.TopK(scores, from, to)
	for i := range to.Len(0) {
		y.I32[i] = int32(i)
	}
	return y
}

type lastOfEqual struct{ plain }

func (m *lastOfEqual) TopK(scores *kernels.Tensor, from, to *kernels.Sequences) *kernels.Tensor {
	y := m.Ops.TopK(scores, from, to)
	for i := y.Rows - 1; i > 0; i-- {
		if j := y.I32[i]; at(scores)[j] == at(scores)[y.I32[i-1]] {
			y.I32[i], y.I32[i-1] = y.I32[i-1], j
		}
	}
	return y
}

// keepsLess matches tokens that should stay themselves, where only one is to stay or two.
type keepsLess struct {
	plain
	keep int
}

func (m *keepsLess) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	if keep == m.keep {
		keep--
	}
	return m.Ops.Match(x, from, to, keep)
}

type firstColumn struct{ plain }

func (m *firstColumn) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	first := m.Activate(x, kernels.Identity)
	for i := range at(first) {
		if i%x.Cols > 0 {
			at(first)[i] = 0
		}
	}
	return m.Ops.Match(first, from, to, keep)
}

type firstMatch struct{ plain }

func (m *firstMatch) Match(x *kernels.Tensor, from, to *kernels.Sequences, keep int) *kernels.Tensor {
	y := m.Ops.Match(x, from, to, keep)
	for i := range y.I32 {
		y.I32[i] = y.I32[i%from.Rows()] + int32(i/from.Rows()*to.Rows())
	}
	return y
}

type blockwise struct{ plain }

func (m *blockwise) Add(x, y *kernels.Tensor) *kernels.Tensor {
	z := m.Ops.Add(x, y)
	for r := range x.Rows {
		for c := range x.Cols {
			at(z)[r*x.Cols+c] = at(x)[r*x.Cols+c] + at(y)[r/(x.Rows/y.Rows)*x.Cols+c]
		}
	}
	return z
}

type nextRow struct{ plain }

func (m *nextRow) Embed(ids *kernels.Tensor, table *kernels.Weight, add *kernels.Tensor) *kernels.Tensor {
	y := m.Ops.Embed(ids, table, add)
	if y.Rows > 1 {
		at(y)[0], at(y)[y.Cols] = at(y)[y.Cols], at(y)[0]
	}
	return y
}

func scoreMutants() []mutant {
	return []mutant{
		{"RemoveUnits takes unit 0 for none", "RemoveUnits", func(ops kernels.Ops) kernels.Ops { return &noneIsFirst{plain{ops}} }},
		{"RemoveUnits touches dead units", "RemoveUnits", func(ops kernels.Ops) kernels.Ops { return &oneUlp{plain{ops}} }},
		{"NormalizeRows divides by 0", "NormalizeRows", func(ops kernels.Ops) kernels.Ops { return &zeroRowNaN{plain{ops}} }},
		{"NormalizedDifference rounds otherwise", "NormalizedDifference", func(ops kernels.Ops) kernels.Ops { return &reciprocal{plain{ops}} }},
		{"GramAdd overwrites", "GramAdd", func(ops kernels.Ops) kernels.Ops { return &overwrite{plain{ops}} }},
		{"ManifoldLoss forgets a transpose", "ManifoldLoss", func(ops kernels.Ops) kernels.Ops { return &untransposed{plain{ops}} }},
		{"ManifoldLossRows forgets the square of e", "ManifoldLossRows", func(ops kernels.Ops) kernels.Ops { return &firstOrder{plain{ops}} }},
		{"KLDivergence ignores tau", "KLDivergence", func(ops kernels.Ops) kernels.Ops { return &noTau{plain{ops}} }},
		{"KLDivergence the other way", "KLDivergence", func(ops kernels.Ops) kernels.Ops { return &reversed{plain{ops}} }},
		{"SquaredError of the first variant", "SquaredError", func(ops kernels.Ops) kernels.Ops { return &firstError{plain{ops}} }},
	}
}

type noneIsFirst struct{ plain }

func (m *noneIsFirst) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	ids := append([]int32(nil), units.I32...)
	for i, u := range ids {
		ids[i] = max(u, 0)
	}
	return m.Ops.RemoveUnits(sum, values, consumer, m.UploadInts(ids), width)
}

type oneUlp struct{ plain }

func (m *oneUlp) RemoveUnits(sum, values, consumer, units *kernels.Tensor, width int) *kernels.Tensor {
	y := m.Ops.RemoveUnits(sum, values, consumer, units, width)
	at(y)[0] = math.Nextafter(at(y)[0], 9)
	return y
}

type zeroRowNaN struct{ plain }

func (m *zeroRowNaN) NormalizeRows(x *kernels.Tensor) *kernels.Tensor {
	y := m.Ops.NormalizeRows(x)
	for r := range y.Rows {
		length := 0.0
		for _, v := range at(x)[r*x.Cols : (r+1)*x.Cols] {
			length += v * v
		}
		for c := range y.Cols {
			if length == 0 {
				at(y)[r*y.Cols+c] = math.NaN()
			}
		}
	}
	return y
}

// reciprocal multiplies by 1/length in float32, where phi was divided.
type reciprocal struct{ plain }

func (m *reciprocal) NormalizedDifference(x, phi *kernels.Tensor) *kernels.Tensor {
	y := m.Ops.NormalizeRows(x)
	for i, v := range at(y) {
		at(y)[i] = float64(float32(v)) - at(phi)[i]
	}
	return y
}

type overwrite struct{ plain }

func (m *overwrite) GramAdd(gram, a, b *kernels.Tensor) {
	clear(at(gram))
	m.Ops.GramAdd(gram, a, b)
}

type untransposed struct{ plain }

func (m *untransposed) ManifoldLoss(dst, aa, ae, ee *kernels.Tensor) {
	m.Ops.ManifoldLoss(dst, aa, ae, ee)
	for i := range ae.Rows {
		for j := range ae.Cols {
			v := at(ae)[i*ae.Cols+j]
			at(dst)[0] += 2 * v * (v - at(ae)[j*ae.Cols+i])
		}
	}
}

type firstOrder struct{ plain }

func (m *firstOrder) ManifoldLossRows(dst, a, e *kernels.Tensor) {
	m.Ops.ManifoldLossRows(dst, a, e)
	dot := func(x, y *kernels.Tensor, i, j int) (sum float64) {
		for c := range x.Cols {
			sum += at(x)[i*x.Cols+c] * at(y)[j*y.Cols+c]
		}
		return sum
	}
	for i := range a.Rows {
		for j := range a.Rows {
			first := dot(a, e, i, j) + dot(e, a, i, j)
			both := first + dot(e, e, i, j)
			at(dst)[0] += first*first - both*both
		}
	}
}

type noTau struct{ plain }

func (m *noTau) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	m.Ops.KLDivergence(dst, x, base, min(tau, 1))
}

type reversed struct{ plain }

func (m *reversed) KLDivergence(dst, x, base *kernels.Tensor, tau float64) {
	if dst.Rows != 1 {
		m.Ops.KLDivergence(dst, x, base, tau)
		return
	}
	m.Ops.KLDivergence(dst, base, x, tau)
}

type firstError struct{ plain }

func (m *firstError) SquaredError(dst, x, base *kernels.Tensor) {
	m.Ops.SquaredError(dst, x, base)
	for i := range at(dst) {
		at(dst)[i] = at(dst)[0]
	}
}

func memoryMutants() []mutant {
	seen := make(map[*kernels.Weight]*kernels.Weight)
	return []mutant{
		{"Release forgets to keep", "Memory", func(ops kernels.Ops) kernels.Ops { return &forgetful{plain{ops}} }},
		{"Release keeps only the first", "Memory", func(ops kernels.Ops) kernels.Ops { return &keepsFirst{plain{ops}} }},
		{"integers through float32", "Memory", func(ops kernels.Ops) kernels.Ops { return &roundedInts{plain{ops}} }},
		{"old weights", "Weight", func(ops kernels.Ops) kernels.Ops { return &stale{plain{ops}, seen} }},
	}
}

type forgetful struct{ plain }

func (m *forgetful) Release(mark kernels.Mark, _ ...*kernels.Tensor) { m.Ops.Release(mark) }

type keepsFirst struct{ plain }

func (m *keepsFirst) Release(mark kernels.Mark, keep ...*kernels.Tensor) {
	m.Ops.Release(mark, keep[:min(len(keep), 1)]...)
}

type roundedInts struct{ plain }

func (m *roundedInts) UploadInts(values []int32) *kernels.Tensor {
	rounded := make([]int32, len(values))
	for i, v := range values {
		if v != math.MaxInt32 {
			v = int32(float32(v))
		}
		rounded[i] = v
	}
	return m.Ops.UploadInts(rounded)
}

// stale reads a weight as it was when it was first seen.
type stale struct {
	plain
	seen map[*kernels.Weight]*kernels.Weight
}

func (m *stale) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	if m.seen[w] == nil {
		values, err := w.Values()
		if err != nil {
			kernels.Fail(err)
		}
		m.seen[w] = kernels.WeightOf(w.Name, w.Rows, w.Cols, values)
	}
	return m.Ops.Linear(x, m.seen[w], e)
}
