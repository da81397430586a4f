package train

import "math"

// The losses of one example. Each returns its value and adds weight times its
// derivative by the logits to gradient.

// crossEntropy is -sum target log softmax(logits), for a target that sums to 1.
// scratch has the length of logits.
func crossEntropy(gradient, logits, target, scratch []float64, weight float64) float64 {
	logSum := softmax(scratch, logits, 1)
	loss := 0.0
	for c, t := range target {
		if t != 0 {
			loss -= t * (logits[c] - logSum)
		}
		gradient[c] += weight * (scratch[c] - t)
	}
	return loss
}

// distillation is tau^2 KL(softmax(teacher/tau) || softmax(logits/tau)) (Hinton,
// Vinyals and Dean, 2015). scratch has twice the length of logits.
func distillation(gradient, logits, teacher, scratch []float64, tau, weight float64) float64 {
	p, q := scratch[:len(logits)], scratch[len(logits):]
	logP, logQ := softmax(p, teacher, tau), softmax(q, logits, tau)
	loss := 0.0
	for c := range logits {
		if p[c] > 0 {
			loss += p[c] * (teacher[c]/tau - logP - logits[c]/tau + logQ)
		}
		gradient[c] += weight * tau * (q[c] - p[c])
	}
	return tau * tau * loss
}

// squaredError is (output - target)^2.
func squaredError(gradient *float64, output, target, weight float64) float64 {
	d := output - target
	*gradient += 2 * weight * d
	return d * d
}

// softmax writes softmax(x/tau) to dst, which may be x, and returns the
// logarithm of the sum of exp(x/tau).
func softmax(dst, x []float64, tau float64) (logSum float64) {
	most := math.Inf(-1)
	for _, v := range x {
		most = max(most, v)
	}
	sum := 0.0
	for i, v := range x {
		dst[i] = math.Exp((v - most) / tau)
		sum += dst[i]
	}
	for i := range dst[:len(x)] {
		dst[i] /= sum
	}
	return most/tau + math.Log(sum)
}

// target is what an example's output should be, as a share of every class: the
// label, of which smoothing goes to all classes alike (Szegedy et al., 2016).
func target(dst []float64, label int, smoothing float64) {
	for c := range dst {
		dst[c] = smoothing / float64(len(dst))
	}
	dst[label] += 1 - smoothing
}

// mix makes share x + (1-share) y of x.
func mix[T float32 | float64](x, y []T, share float64) {
	for i := range x {
		x[i] = T(share*float64(x[i]) + (1-share)*float64(y[i]))
	}
}
