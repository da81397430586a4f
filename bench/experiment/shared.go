package experiment

import "time"

// shared is a result that several runs use, and what it cost, whenever that was.
type shared[T any] struct {
	result  T
	seconds float64
	peak    int64 // bytes of tensors and packed weights
}

// sharing is the result known by a key, computed on a subject where there is none.
func sharing[T any](e *engine, s *Subject, known map[string]shared[T], key string, compute func() (T, error)) (shared[T], error) {
	if s, ok := known[key]; ok {
		return s, nil
	}
	dev := e.host.Device
	dev.ResetPeak()
	begin := time.Now()
	result, err := fitting(e, s, compute)
	if err != nil {
		return shared[T]{}, err
	}
	known[key] = shared[T]{result, time.Since(begin).Seconds(), dev.PeakBytes()}
	return known[key], nil
}
