package train

import (
	"context"
	"math"

	"optin/kernels"
)

// What Muon keeps of the mean gradient, and how often it iterates (Jordan et al.,
// "Muon: an optimizer for hidden layers in neural networks", 2024).
const (
	muonKeeps      = 0.95
	muonIterations = 5
)

// orthogonal takes the step of Muon for the matrices that are moved by it.
func (t *Trainer) orthogonal(point Point, clip float64) error {
	var slots []*slot
	for i := range t.vectors.layout.slots {
		if s := &t.vectors.layout.slots[i]; s.muon && s.len > 0 {
			slots = append(slots, s)
		}
	}
	return t.dev.Each(context.Background(), len(slots), func(ops kernels.Ops, i int) error {
		t.muon(ops.(kernels.Backward), slots[i], point.Rate*slots[i].factor, clip)
		return nil
	})
}

// muon moves a matrix W of a block, for a gradient G:
//
//	M = 0.95 M + 0.05 G
//	W = (1 - rate decay) W - rate 0.2 sqrt(max(rows, columns)) orthogonal(0.95 M + 0.05 G)
//
// orthogonal(X) is nearly U V' for X = U S V'. The factor brings the step to the
// size of one of AdamW (Liu et al., "Muon is scalable for LLM training", 2025),
// so that both go by one rate.
func (t *Trainer) muon(ops kernels.Backward, s *slot, rate, clip float64) {
	v, rows, cols := t.vectors, s.shape[0], s.shape[1]
	w, m, g := s.view(v.params, rows, cols), s.view(v.first, rows, cols), s.view(v.gradient[0], rows, cols)
	mark := ops.Mark()
	defer ops.Release(mark)
	part := ops.Scale(g, clip*(1-muonKeeps))
	ops.Copy(m, ops.Add(ops.Scale(m, muonKeeps), part))
	step := orthogonalize(ops, ops.Add(ops.Scale(m, muonKeeps), part))
	size := 0.2 * math.Sqrt(float64(max(rows, cols)))
	ops.Copy(w, ops.Add(ops.Scale(w, 1-rate*t.s.Decay), ops.Scale(step, -rate*size)))
	v.round(ops, w, m)
}

// orthogonalize brings the singular values of x near to 1, by Newton and Schulz's
// iteration with the coefficients of Jordan et al.:
//
//	X = X/|X|, then five times  X = a X + (b A + c A A) X  with A = X X'
func orthogonalize(ops kernels.Backward, x *kernels.Tensor) *kernels.Tensor {
	const a, b, c = 3.4445, -4.7750, 2.0315
	var norm [1]float64
	square := ops.New(kernels.F64, 1, 1)
	ops.SquaredNorm(square, x)
	ops.Download(square, norm[:])
	x = ops.Scale(x, 1/(math.Sqrt(norm[0])+1e-7))
	tall := x.Rows > x.Cols
	for range muonIterations {
		gram := ops.MatMul(x, x, tall, !tall) // the smaller of X X' and X'X
		change := ops.Add(ops.Scale(gram, b), ops.Scale(ops.MatMul(gram, gram, false, false), c))
		left, right := change, x
		if tall {
			left, right = x, change
		}
		x = ops.Add(ops.Scale(x, a), ops.MatMul(left, right, false, false))
	}
	return x
}
