package experiment

import (
	"time"

	"optin/kernels"
)

// shared is a result that several runs use, and what it cost, whenever that was.
type shared[T any] struct {
	result  T
	seconds float64
	peak    int64 // bytes of tensors and packed weights
}

// sharing is the result known by a key, computed where there is none.
func sharing[T any](dev kernels.Device, known map[string]shared[T], key string, compute func() (T, error)) (shared[T], error) {
	if s, ok := known[key]; ok {
		return s, nil
	}
	dev.ResetPeak()
	begin := time.Now()
	result, err := compute()
	if err != nil {
		return shared[T]{}, err
	}
	known[key] = shared[T]{result, time.Since(begin).Seconds(), dev.PeakBytes()}
	return known[key], nil
}
