package main

import (
	"fmt"

	"optin/bench/measure"
	"optin/cuda"
	"optin/kernels"
)

// telemetry watches what dev computes on: GPUs by the management library, anything else by
// the energy counters of the processors. What cannot be watched is no reason not to run: the
// record says why. What it returns last ends the watch.
func telemetry(dev kernels.Device) (measure.Watcher, func()) {
	unwatched := func(err error) (measure.Watcher, func()) {
		return measure.Unwatched{Device: dev.Describe(), Why: err}, func() {}
	}
	gpus, ok := dev.(interface{ UUIDs() ([]string, error) })
	if !ok {
		rapl, err := measure.OpenRAPL()
		if err != nil {
			return unwatched(err)
		}
		return rapl, func() {}
	}
	uuids, err := gpus.UUIDs()
	if err != nil {
		return unwatched(err)
	}
	sampler, err := cuda.NewSampler(uuids, cuda.DefaultSamplerConfig())
	if err != nil {
		return unwatched(fmt.Errorf("telemetry is not available: %w", err))
	}
	return sampler, func() { _ = sampler.Close() } // what it was for is done
}
