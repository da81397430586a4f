//go:build cgo

package cpu

import (
	"context"
	"fmt"
	"time"

	"optin/kernels"
)

// The product by which machines are measured, and how often it runs.
const (
	peakRows, peakIn, peakOut = 4096, 768, 3072
	peakRuns                  = 5
)

// MeasurePeak is the rate of oneDNN alone on one product of 4096 x 768 x 3072 in
// float32 with packed weights and a team of the given number of threads (0: all),
// in 10^9 FLOP/s: the best of 5.
func MeasurePeak(threads int) (gflops float64, err error) {
	dev, err := New(Options{Threads: threads})
	if err != nil {
		return 0, fmt.Errorf("peak: %w", err)
	}
	defer dev.Close()
	w := kernels.NewWeight("peak", peakOut, peakIn, func(dst []float32) error {
		for i := range dst {
			dst[i] = float32(i%17) / 17
		}
		return nil
	})
	err = dev.One(context.Background(), func(o kernels.Ops) error {
		x := o.New(kernels.F32, peakRows, peakIn)
		for i := range x.F32 {
			x.F32[i] = float32(i%13) / 13
		}
		best := time.Duration(0)
		for i := range peakRuns + 1 { // the first one packs
			mark := o.Mark()
			start := time.Now()
			o.Linear(x, w, kernels.Epilogue{})
			if t := time.Since(start); i > 0 && (best == 0 || t < best) {
				best = t
			}
			o.Release(mark)
		}
		gflops = 2 * peakRows * peakIn * peakOut / best.Seconds() / 1e9
		return nil
	})
	return gflops, err
}
