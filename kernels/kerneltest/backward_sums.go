package kerneltest

import (
	"fmt"

	"optin/kernels"
)

// sumPrograms are those of SumRows, ScatterAdd, UnitSums and SquaredNorm, which
// add to what is there.
func sumPrograms() []Program {
	var programs []Program
	for _, n := range oddSizes() {
		programs = append(programs,
			sumRows(1, n, 5), sumRows(n, 3, 7), sumRows(3, n, 2), sumRows(2, 5, n),
			scatterAdd(n, 5, 1, 1, 7), scatterAdd(40, 6, 1, 2, n), scatterAdd(9, n, 2, 3, 5),
			squaredNorm(n, 3, 1))
		for stack := 1; stack <= 3; stack++ {
			programs = append(programs,
				unitSums{lengths: []int{n, 1, 4}, variants: stack, stack: stack, units: 3, width: 5}.program(),
				unitSums{lengths: []int{2, 5}, variants: 1, stack: stack, units: n, width: 1, double: true}.program(),
				unitSums{rows: 6, stack: stack, units: 2, width: n}.program())
		}
	}
	return append(programs,
		sumRows(1, 300, 33), sumRows(4, 0, 3), sumRows(0, 0, 3), sumRows(2, 3, 0),
		scatterAdd(200, 3, 1, 1, 33), scatterAdd(0, 4, 2, 1, 3), scatterAdd(3, 4, 1, 1, 0),
		unitSums{lengths: []int{1}, variants: 1, stack: 1, units: 1, width: 1, double: true}.program(),
		unitSums{lengths: []int{37, 130, 2}, variants: 2, stack: 2, units: 4, width: 64, double: true}.program(),
		unitSums{rows: 300, stack: 1, units: 33, width: 3, double: true}.program(),
		unitSums{rows: 0, stack: 1, units: 3, width: 2}.program(),
		unitSums{rows: 4, stack: 1, units: 0, width: 2}.program(),
		squaredNorm(65, 130, 1), squaredNorm(9, 7, 1e-15), squaredNorm(9, 7, 1e17), squaredNorm(0, 4, 1))
}

// sumRows sums the given number of repetitions of rows.
func sumRows(rows, repetitions, cols int) Program {
	shape := fmt.Sprintf("rows=%d repetitions=%d cols=%d", rows, repetitions, cols)
	return Program{"SumRows", shape, func(g *gen) body {
		return positive(repetitions+1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			dst := m[0].fresh(ops)
			derivatives(ops).SumRows(dst, m[1].on(ops))
			return dst
		}, g.normal(rows, cols, 1), g.normal(repetitions*rows, cols, 1))
	}}
}

// scatterAdd adds n rows, for each variant and gradient, to some of span rows.
func scatterAdd(n, span, variants, stack, cols int) Program {
	shape := fmt.Sprintf("rows=%d span=%d variants=%d stack=%d cols=%d", n, span, variants, stack, cols)
	return Program{"ScatterAdd", shape, func(g *gen) body {
		idx := g.ints(n, 0, span)
		for i := range idx {
			if span > 2 && idx[i] == 1 { // a row that nothing falls into, between others
				idx[i] = 2
			}
		}
		return positive(n*stack+1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			dst := m[0].fresh(ops)
			derivatives(ops).ScatterAdd(dst, m[1].on(ops), ops.UploadInts(idx), span)
			return dst
		}, g.normal(variants*span, cols, 1), g.normal(stack*variants*n, cols, 1))
	}}
}

// unitSums is the shape of a call of UnitSums.
type unitSums struct {
	lengths  []int // of segments; nil: no segments
	variants int
	rows     int // without segments
	stack    int
	units    int
	width    int
	double   bool // dst is of type F64
}

func (s unitSums) String() string {
	return fmt.Sprintf("segments=%v variants=%d rows=%d stack=%d units=%d width=%d double=%t",
		s.lengths, s.variants, s.rows, s.stack, s.units, s.width, s.double)
}

func (s unitSums) program() Program {
	return Program{"UnitSums", s.String(), func(g *gen) body {
		var seg *kernels.Sequences
		rows, segments := s.rows, 1
		if s.lengths != nil {
			seg = kernels.NewSequences(s.lengths...)
			rows, segments = s.variants*seg.Rows(), seg.Count()
		}
		start, y := g.normal(segments, s.units, 1), g.normal(rows, s.units*s.width, 1)
		return positive(s.stack*rows*s.width+1, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			tx, ty := m[1].on(ops), m[2].on(ops)
			dst := ops.New(kernels.F64, segments, s.units)
			if !s.double {
				dst = m[0].fresh(ops)
			}
			derivatives(ops).UnitSums(dst, tx, ty, seg)
			derivatives(ops).UnitSums(dst, tx, ty, seg) // it adds
			return dst
		}, start, g.normal(s.stack*rows, s.units*s.width, 1), y)
	}}
}

func squaredNorm(rows, cols int, size float64) Program {
	return Program{"SquaredNorm", fmt.Sprintf("rows=%d cols=%d size=%g", rows, cols, size), func(g *gen) body {
		return positive(rows*cols, func(ops kernels.Ops, m []*matrix) *kernels.Tensor {
			x := m[0].on(ops)
			return accumulated(ops, 1, func(dst *kernels.Tensor) { derivatives(ops).SquaredNorm(dst, x) })
		}, g.normal(rows, cols, size))
	}}
}
