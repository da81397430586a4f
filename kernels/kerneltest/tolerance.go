package kerneltest

import (
	"fmt"
	"math"
)

// eps32 is the distance from 1 to the next float32.
const eps32 = 0x1p-23

// underflow is what a result may lose where float32 has no normal numbers.
const underflow = 0x1p-125

// coefficient is the tolerance policy: an element may differ from the float64
// reference by
//
//	coefficient * eps32 * sqrt(terms) * scale
//
// where terms is the length of the longest sum behind it and scale the sum of
// the absolute terms, propagated through the formula to first order. A Linear of
// lower precision may differ by twice the error of the plain path more.
func coefficient(op string) float64 {
	switch op {
	case "Patchify", "Unpack", "Gather", "Concat", "Repeat", "Copy", "PatchifyBackward":
		return 0 // values move
	case "TopK", "Match":
		return 0 // choices by values that are exact
	case "Add", "MaskUnits", "Embed", "Multiply":
		return 1 // one rounding
	case "ManifoldLoss", "ManifoldLossRows", "SquaredError", "LayerNorm", "LayerNormBackward", "LayerNormWeights":
		return 1 // the scale already bounds each step
	case "Linear", "RemoveUnits", "GramAdd", "ScatterMean":
		return 2 // sums of products, and an activation of slope up to 1.13
	case "MatMul", "LinearBackward", "RemoveUnitsBackward", "ManifoldLossRowsBackward",
		"SumRows", "ScatterAdd", "UnitSums", "SquaredNorm":
		return 2 // sums of products
	case "Scale", "ScatterMeanBackward", "SquaredErrorBackward", "ManifoldLossBackward":
		return 2 // a few roundings, one of a factor that is not float32
	case "NormalizeRows", "NormalizedDifference":
		return 2 // a sum, a root and a quotient
	case "Softmax", "Attention", "KLDivergence", "SoftmaxBackward", "AttentionBackward", "KLDivergenceBackward":
		return 2 // exp and log good to a few units, quotients
	case "NormalizeRowsBackward", "AdamW":
		return 4 // a sum, a root and a quotient, of which products
	case "Activate", "Derivative":
		return 4 // erf and tanh good to a few units, and little to divide it by
	}
	panic("kerneltest: no tolerance for " + op)
}

// bound is a tolerance: coefficient * eps32 * sqrt(terms) * scale[i] + slack.
type bound struct {
	coefficient float64
	terms       int
	scale       []float64 // nil: exact
	slack       float64   // of each element beside
}

func (b bound) at(i int) float64 {
	if b.coefficient == 0 || b.scale == nil {
		return b.slack
	}
	return b.coefficient*eps32*math.Sqrt(float64(max(b.terms, 1)))*b.scale[i] + underflow + b.slack
}

// Result says how one case went.
type Result struct {
	Op   string
	Case string // what to run again: shape and seed as key=value

	// The element that used most of its tolerance.
	MaxErr    float64 // |Got - Want|
	Tolerance float64
	Share     float64 // MaxErr / Tolerance; +Inf where nothing is tolerated
	Worst     int     // its index in the result, -1 where nothing was compared
	Got, Want float64

	Problem string // what went wrong, empty if OK
	OK      bool
}

// String is the repro line: all that is needed to run the case again.
func (r Result) String() string {
	s := fmt.Sprintf("op=%s %s", r.Op, r.Case)
	if r.Worst >= 0 {
		s += fmt.Sprintf(" share=%.3g worst=%d got=%v want=%v err=%.3g tolerance=%.3g",
			r.Share, r.Worst, r.Got, r.Want, r.MaxErr, r.Tolerance)
	}
	if r.Problem != "" {
		s += ": " + r.Problem
	}
	return s
}

// fail records the first problem.
func (r *Result) fail(format string, args ...any) {
	r.OK = false
	if r.Problem == "" {
		r.Problem = fmt.Sprintf(format, args...)
	}
}

// compare holds got[at[i]] (got[i] where at is nil) against want[i].
func (r *Result) compare(what string, got, want []float64, b bound, at []int) {
	if at == nil && len(got) != len(want) {
		r.fail("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		j := i
		if at != nil {
			j = at[i]
		}
		tolerance := b.at(i)
		diff, share := difference(got[j], w, tolerance)
		if share >= r.Share || r.Worst < 0 {
			r.MaxErr, r.Tolerance, r.Share, r.Worst = diff, tolerance, share, j
			r.Got, r.Want = got[j], w
		}
		if !(share <= 1) {
			r.fail("%s: element %d is %v, want %v within %.3g", what, j, got[j], w, tolerance)
		}
	}
}

// difference is |got - want| and its share of the tolerance. NaN agrees with
// NaN alone, an infinity with itself alone.
func difference(got, want, tolerance float64) (diff, share float64) {
	if got == want || math.IsNaN(got) && math.IsNaN(want) {
		return 0, 0
	}
	diff = math.Abs(got - want)
	if math.IsNaN(diff) || math.IsInf(want, 0) || tolerance == 0 {
		return diff, math.Inf(1)
	}
	return diff, diff / tolerance
}

// sameBits checks that got and want are the same numbers, NaN being one number
// and -0 another than 0.
func (r *Result) sameBits(what string, got, want []float64) {
	if len(got) != len(want) {
		r.fail("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		bothNaN := math.IsNaN(got[i]) && math.IsNaN(w)
		if !bothNaN && math.Float64bits(got[i]) != math.Float64bits(w) {
			r.fail("%s: element %d is %v, was %v", what, i, got[i], w)
			return
		}
	}
}
