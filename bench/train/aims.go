package train

import (
	"math"
	"slices"

	"optin/kernels"
)

// lossBuffers are the host's memory for losses, used again for every
// micro-batch of a worker.
type lossBuffers struct {
	logits, gradient, scratch []float64
	upload                    []float32
}

func grown[T float32 | float64](s *[]T, n int) []T {
	*s = slices.Grow((*s)[:0], n)[:n]
	return *s
}

// losses computes the loss of a micro-batch as its share of the batch's mean,
// and uploads the gradients at its outputs.
func (t *Trainer) losses(ops kernels.Ops, w *worker, out outputs, p *micro, b *batch) (loss float64, gradients []*kernels.Tensor) {
	l := &w.loss
	logits := grown(&l.logits, out.logits.Len())
	ops.Download(out.logits, logits)
	gradient := grown(&l.gradient, len(logits))
	clear(gradient)
	loss = t.mainLoss(gradient, logits, grown(&l.scratch, 2*p.classes), p, 1/float64(len(b.examples)))
	gradients = append(gradients, l.give(ops, out.logits, gradient))
	if out.words == nil {
		return loss, gradients
	}
	words, g := wordLoss(ops.(kernels.Backward), out.words, p.hidden, t.s.MaskWeight/(t.s.Mask*float64(b.tokens)))
	return loss + words, append(gradients, g)
}

// give uploads a gradient.
func (l *lossBuffers) give(ops kernels.Ops, like *kernels.Tensor, gradient []float64) *kernels.Tensor {
	narrow := grown(&l.upload, len(gradient))
	for i, v := range gradient {
		narrow[i] = float32(v)
	}
	return ops.Upload(like.Rows, like.Cols, narrow)
}

// mainLoss is weight times the sum of the examples' losses: (1-Distill) of the
// labels' and Distill of the teacher's.
func (t *Trainer) mainLoss(gradient, logits, scratch []float64, p *micro, weight float64) (loss float64) {
	labels, teacher := weight*(1-t.s.Distill), weight*t.s.Distill
	for i := range p.examples {
		from, to := i*p.classes, (i+1)*p.classes
		g, x := gradient[from:to], logits[from:to]
		switch {
		case t.start.Config.Regression:
			loss += labels * squaredError(&g[0], x[0], p.targets[i], labels)
			if teacher > 0 {
				loss += teacher * squaredError(&g[0], x[0], p.teacher[i], teacher)
			}
			continue
		case labels > 0:
			loss += labels * crossEntropy(g, x, p.targets[from:to], scratch[:p.classes], labels)
		}
		if teacher > 0 {
			loss += teacher * distillation(g, x, p.teacher[from:to], scratch, t.s.Temperature, teacher)
		}
	}
	return loss
}

// wordLoss is weight times the sum of -log softmax at the hidden tokens, and its
// gradient at the logits [len(hidden), vocabulary]. It is computed on the device:
// a vocabulary is too long a row for the host.
func wordLoss(ops kernels.Backward, logits *kernels.Tensor, hidden []int32, weight float64) (loss float64, gradient *kernels.Tensor) {
	at, less := make([]int32, len(hidden)), make([]float32, len(hidden))
	for i, id := range hidden {
		at[i], less[i] = int32(i*logits.Cols)+id, float32(-weight)
	}
	places := ops.UploadInts(at)
	p := ops.Softmax(logits)
	right := make([]float64, len(hidden))
	ops.Download(ops.Gather(column(p), places, p.Len()), right)
	for _, probability := range right {
		loss -= weight * math.Log(max(probability, leastProbability))
	}
	gradient = ops.Scale(p, weight)
	ops.ScatterAdd(column(gradient), ops.Upload(len(less), 1, less), places, p.Len())
	return loss, gradient
}

// leastProbability is the smallest that float32 holds in full; below it the loss
// stops growing, while the gradient stays what it is.
const leastProbability = 0x1p-126

// column is x as one column.
func column(x *kernels.Tensor) *kernels.Tensor {
	flat := *x
	flat.Rows, flat.Cols = x.Len(), 1
	return &flat
}
