package kerneltest

import (
	"fmt"
	"math"

	"optin/kernels"
)

// normPrograms are those of LayerNorm and Softmax.
func normPrograms() []Program {
	var programs []Program
	for _, n := range oddSizes() {
		programs = append(programs,
			layerNorm{rows: 5, cols: n, eps: 1e-5, residual: true}.program(),
			layerNorm{rows: n, cols: 7, eps: 1e-12}.program(),
			softmax(5, n, 1), softmax(n, 5, 10))
	}
	for _, mean := range []float64{10, 1e3, -1e4} {
		programs = append(programs, layerNorm{rows: 9, cols: 65, eps: 1e-12, mean: mean}.program())
	}
	programs = append(programs,
		layerNorm{rows: 6, cols: 33, eps: 1e-12, constant: true}.program(),
		layerNorm{rows: 6, cols: 33, eps: 1e-5, constant: true, residual: true}.program(),
		layerNorm{rows: 6, cols: 33, eps: 0.5}.program(),
		layerNorm{rows: 6, cols: 33, eps: 1e-5, deviation: 1e-3}.program(),
		layerNorm{rows: 6, cols: 33, eps: 1e-12, deviation: 1e8}.program(),
		softmax(3, 100, 1e4), softmax(3, 7, 1e4), softmax(2, 1000, 1), softmaxEdges())
	return programs
}

// layerNorm is the shape of a call of LayerNorm.
type layerNorm struct {
	rows, cols      int
	eps, mean       float64
	deviation       float64 // 0: 1
	residual        bool
	constant        bool // rows whose elements are all equal, between others
	badRow, badCell int  // where a NaN is, if nan
	nan             bool
}

func (s layerNorm) String() string {
	text := fmt.Sprintf("rows=%d cols=%d eps=%g mean=%g deviation=%g residual=%t constant=%t",
		s.rows, s.cols, s.eps, s.mean, s.deviation, s.residual, s.constant)
	if s.nan {
		text += fmt.Sprintf(" nan=%d,%d", s.badRow, s.badCell)
	}
	return text
}

// layerNormInputs are the arguments of one call.
type layerNormInputs struct {
	x, res, gamma, beta *matrix
	eps                 float64
}

func (s layerNorm) inputs(g *gen) layerNormInputs {
	deviation := s.deviation
	if deviation == 0 {
		deviation = 1
	}
	in := layerNormInputs{x: g.normal(s.rows, s.cols, deviation), eps: s.eps}
	if s.residual {
		in.res = g.normal(s.rows, s.cols, deviation)
	}
	for r := range s.rows {
		for c := range s.cols {
			in.x.set(r, c, in.x.at(r, c)+s.mean)
			if s.constant && r%2 == 0 {
				in.x.set(r, c, float64(r)-3.25)
				if in.res != nil {
					in.res.set(r, c, 0.5)
				}
			}
		}
	}
	if s.nan {
		in.x.set(s.badRow, s.badCell, math.NaN())
	}
	in.gamma, in.beta = g.normal(1, s.cols, 1), g.normal(1, s.cols, 1)
	return in
}

func (s layerNorm) program() Program {
	return Program{"LayerNorm", s.String(), func(g *gen) body {
		in := s.inputs(g)
		gamma, beta := g.weight(in.gamma), g.weight(in.beta)
		return body{
			run: func(ops kernels.Ops) *kernels.Tensor {
				return ops.LayerNorm(in.x.on(ops), in.res.on(ops), gamma, beta, in.eps)
			},
			scale: func(kernels.Ops) []float64 { return in.magnitude() },
			terms: s.cols,
		}
	}}
}

// magnitude: an error of relative size 1 in each s moves s - mean by
// |s| + mean|s|, and the deviation by as much in relation to itself, which
// moves the result z by its own size.
func (in layerNormInputs) magnitude() []float64 {
	scale := make([]float64, 0, len(in.x.v))
	for r := range in.x.rows {
		s := in.standardized(r)
		for c, z := range s.z {
			scale = append(scale, math.Abs(in.gamma.at(0, c))*s.moved[c]*(1+math.Abs(z))+math.Abs(in.beta.at(0, c)))
		}
	}
	return scale
}

// standardized is a row of z = (s - mean s)/deviation, and how far an error of
// relative size 1 in each s moves s - mean, over the deviation.
type standardized struct {
	z, moved  []float64
	deviation float64
}

func (in layerNormInputs) standardized(r int) standardized {
	n := float64(in.x.cols)
	s := standardized{z: make([]float64, in.x.cols), moved: make([]float64, in.x.cols)}
	var mean, meanSize, variance float64
	for c := range s.z {
		s.z[c], s.moved[c] = in.x.at(r, c), math.Abs(in.x.at(r, c))
		if in.res != nil {
			s.z[c] += in.res.at(r, c)
			s.moved[c] += math.Abs(in.res.at(r, c))
		}
		mean += s.z[c] / n
		meanSize += s.moved[c] / n
	}
	for _, v := range s.z {
		variance += (v - mean) * (v - mean) / n
	}
	s.deviation = math.Sqrt(variance + in.eps)
	for c := range s.z {
		s.z[c] = (s.z[c] - mean) / s.deviation
		s.moved[c] = (s.moved[c] + meanSize) / s.deviation
	}
	return s
}

func softmax(rows, cols int, deviation float64) Program {
	return Program{"Softmax", fmt.Sprintf("rows=%d cols=%d deviation=%g", rows, cols, deviation), func(g *gen) body {
		return softmaxed(g.normal(rows, cols, deviation))
	}}
}

// softmaxEdges has ties, values that overflow or vanish in exp, and hidden ones.
func softmaxEdges() Program {
	return Program{"Softmax", "values=edges", func(*gen) body {
		inf := float32(math.Inf(-1))
		return softmaxed(&matrix{6, 4, []float32{
			1e4, 1e4, -1e4, 0,
			-1e4, -1e4, -1e4, -1e4,
			88, 89, 90, 1,
			3e38, 3e38, 0, 1,
			0, inf, 1, inf,
			-3e38, inf, inf, inf,
		}})
	}}
}

func softmaxed(x *matrix) body {
	return body{
		run: func(ops kernels.Ops) *kernels.Tensor { return ops.Softmax(x.on(ops)) },
		scale: func(ref kernels.Ops) []float64 {
			p := values(ref, ref.Softmax(x.on(ref)))
			scale := make([]float64, 0, len(p))
			for r := range x.rows {
				row := make([]float64, x.cols)
				for c := range row {
					row[c] = x.at(r, c)
				}
				scale = append(scale, softmaxScale(p[r*x.cols:(r+1)*x.cols], row, nil)...)
			}
			return scale
		},
		terms: x.cols,
	}
}

// softmaxScale: with an error of relative size 1 in score - top, and of size
// errors (nil: none) in the score itself, together d, p[i] moves by
// p[i] ((1 - p[i]) d[i] + sum over the others of p d), beside its own rounding.
func softmaxScale(p, scores, errors []float64) []float64 {
	top := math.Inf(-1)
	for _, s := range scores {
		top = max(top, s)
	}
	moved := make([]float64, len(p))
	mean := 0.0
	for i, s := range scores {
		if math.IsInf(s, -1) {
			continue // hidden: exactly 0
		}
		moved[i] = top - s
		if errors != nil {
			moved[i] += errors[i]
		}
		mean += p[i] * moved[i]
	}
	scale := make([]float64, len(p))
	for i := range p {
		if p[i] != 0 {
			scale[i] = p[i] * (1 + (1-p[i])*moved[i] + max(mean-p[i]*moved[i], 0))
		}
	}
	return scale
}
