package main

import (
	"errors"
	"strings"
	"testing"

	"optin/bench/measure"
	"optin/kernels"
	"optin/kernels/ref"
)

// onGPU is a device that says it computes on GPUs.
type onGPU struct {
	kernels.Device
	err error
}

func (d onGPU) UUIDs() ([]string, error) { return []string{"GPU-no-such-device"}, d.err }

// TestTelemetry: what cannot be watched says why, and nothing else happens.
func TestTelemetry(t *testing.T) {
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	broken := errors.New("broken")
	for _, c := range []struct {
		dev  kernels.Device
		want string
	}{
		{onGPU{dev, nil}, "telemetry is not available"}, // there is no such GPU, nor a driver here
		{onGPU{dev, broken}, "broken"},
	} {
		w, stop := telemetry(c.dev)
		_, err := w.Counter()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
		w.Start()
		if got := w.Stop(); got.Device != dev.Describe() || got.Throttles != nil {
			t.Errorf("%+v", got)
		}
		stop()
	}
	w, stop := telemetry(dev)
	defer stop()
	if _, err := w.Counter(); err != nil && !errors.Is(err, measure.ErrNoEnergy) {
		t.Errorf("the processors: %v", err)
	}
}
