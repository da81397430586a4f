package prune

import (
	"math"

	"optin/kernels"
)

// origin is what the probes see of a model itself, for the difference to
// another.
type origin struct {
	signs      signs
	seen       [][]float64 // <V_k, Phi_k Phi_k'> by block and probe; nil for a block that does not count
	logits     [][]float64 // by micro-batch
	examples   []int       // first example of each micro-batch
	classes    int
	regression bool
}

// since is the residual of the model whose origin is o, of each probe, against
// the dense one's: md times that of the manifold, kd times that of the logits.
func (o *origin) since(dense *origin, probes int, tau, kd float64) []float64 {
	residual := make([]float64, probes)
	for k, seen := range o.seen {
		for i, v := range seen {
			residual[i] += v - dense.seen[k][i]
		}
	}
	if kd == 0 {
		return residual
	}
	for i := range residual {
		residual[i] += kd * o.logitsSince(dense, i, tau)
	}
	return residual
}

// logitsSince is what a probe sees of the change of all logits:
//
//	sum of sqrt(2) tau eps'(sqrt(q) - sqrt(p))
//
// or, of a regression head, of eps'(z(S) - z).
func (o *origin) logitsSince(dense *origin, probe int, tau float64) float64 {
	eps, p, q := make([]float64, o.classes), make([]float64, o.classes), make([]float64, o.classes)
	sum := 0.0
	for b, logits := range o.logits {
		for i := 0; i < len(logits); i += o.classes {
			o.signs.logits(eps, probe, o.examples[b]+i/o.classes)
			before, after := dense.logits[b][i:i+o.classes], logits[i:i+o.classes]
			if o.regression {
				for c, e := range eps {
					sum += e * (after[c] - before[c])
				}
				continue
			}
			softmax(p, before, tau)
			softmax(q, after, tau)
			for c, e := range eps {
				sum += math.Sqrt2 * tau * e * (math.Sqrt(q[c]) - math.Sqrt(p[c]))
			}
		}
	}
	return sum
}

// softener makes cotangents of logits on one worker.
type softener struct {
	eps, p []float64 // of one example
	values []float32 // of a micro-batch
}

func newSoftener(classes int) softener {
	return softener{eps: make([]float64, classes), p: make([]float64, classes)}
}

// cotangent is what a probe enters at a micro-batch's logits:
//
//	size sqrt(1/2) (u - p sum(u)),   u = sqrt(p) eps,   p = softmax(z/tau)
//
// or size eps for a regression head. It is valid until the next call.
func (s *softener) cotangent(o *origin, b, probe int, tau, size float64) []float32 {
	eps, p, logits := s.eps, s.p, o.logits[b]
	s.values = s.values[:0]
	for i := 0; i < len(logits); i += o.classes {
		o.signs.logits(eps, probe, o.examples[b]+i/o.classes)
		if o.regression {
			for _, e := range eps {
				s.values = append(s.values, float32(size*e))
			}
			continue
		}
		softmax(p, logits[i:i+o.classes], tau)
		sum := 0.0
		for c := range eps {
			eps[c] *= math.Sqrt(p[c])
			sum += eps[c]
		}
		for c, u := range eps {
			s.values = append(s.values, float32(size*math.Sqrt(0.5)*(u-p[c]*sum)))
		}
	}
	return s.values
}

// softmax writes softmax(x/tau) to dst.
func softmax(dst, x []float64, tau float64) {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, v)
	}
	for i, v := range x {
		dst[i] = math.Exp((v - top) / tau)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}

// upload is a micro-batch's logits.
func (o *origin) upload(ops kernels.Ops, b int) *kernels.Tensor {
	values := make([]float32, len(o.logits[b]))
	for i, v := range o.logits[b] {
		values[i] = float32(v)
	}
	return ops.Upload(len(values)/o.classes, o.classes, values)
}
