package train

import "math"

// rate is the learning rate of step, counted from 1, of a training of the given
// number of steps: a straight line up to the highest rate over the warm-up, then
// the schedule, which reaches 0 one step after the last.
func (s *Settings) rate(step, steps int) float64 {
	warmup := int(math.Round(s.Warmup * float64(steps)))
	if step <= warmup {
		return s.Rate * float64(step) / float64(warmup)
	}
	done := float64(step-warmup-1) / float64(steps-warmup)
	switch s.Schedule {
	case Cosine:
		return s.Rate * (1 + math.Cos(math.Pi*done)) / 2
	case Linear:
		return s.Rate * (1 - done)
	}
	return s.Rate
}
