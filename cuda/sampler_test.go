package cuda

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// watch samples the first device of lib for 225 ms of made-up time, every 50 ms: a reading
// at the start, four in between and one at the end.
func watch(t *testing.T, lib *fakeLibrary) Summary {
	t.Helper()
	var s Summary
	synctest.Test(t, func(t *testing.T) {
		sampler, err := newSampler(lib, lib.devices[0].uuid, DefaultSamplerConfig())
		if err != nil {
			t.Fatal(err)
		}
		sampler.Start()
		time.Sleep(225 * time.Millisecond)
		s = sampler.Stop()
		if err := sampler.Close(); err != nil {
			t.Error(err)
		}
	})
	if lib.started != 1 || lib.stopped != 1 {
		t.Errorf("started %d times, stopped %d times, want once each", lib.started, lib.stopped)
	}
	return s
}

func TestSampler(t *testing.T) {
	d := &fakeDevice{uuid: "GPU-a", throttledAt: map[int]uint64{
		1: nvml.ClocksEventReasonGpuIdle,
		2: nvml.ClocksEventReasonSwPowerCap,
		3: nvml.ClocksEventReasonSwPowerCap | nvml.ClocksThrottleReasonHwThermalSlowdown,
	}}
	s := watch(t, &fakeLibrary{devices: []*fakeDevice{d}})
	if s.Err != nil {
		t.Fatal(s.Err)
	}
	if s.Readings != 6 || s.Duration != 225*time.Millisecond {
		t.Errorf("%d readings over %v, want 6 over 225ms", s.Readings, s.Duration)
	}
	if want := (Range{N: 6, Min: 1001, Mean: 1003.5, Max: 1006}); s.ClockMHz != want {
		t.Errorf("clock %+v, want %+v", s.ClockMHz, want)
	}
	if s.EnergyJoules != 25 || s.EnergySource != EnergyCounter {
		t.Errorf("energy %v J by %q, want 25 by the counter", s.EnergyJoules, s.EnergySource)
	}
	want := []Throttle{{"power limit", 2. / 6}, {"temperature, by the hardware", 1. / 6}}
	if len(s.Throttles) != 2 || s.Throttles[0] != want[0] || s.Throttles[1] != want[1] || !s.Throttled() {
		t.Errorf("throttles %+v, want %+v", s.Throttles, want)
	}
	line := "1004 MHz, 350 W, 61 °C, 97 % busy, 25.0 J, slowed by power limit in 33 % of readings, " +
		"slowed by temperature, by the hardware in 17 % of readings"
	if got := s.String(); got != line {
		t.Errorf("String gives\n%s, want\n%s", got, line)
	}
}

func TestSamplerBareDevice(t *testing.T) {
	d := &fakeDevice{uuid: "GPU-a", bare: true, throttledAt: map[int]uint64{1: nvml.ClocksEventReasonSwPowerCap}}
	s := watch(t, &fakeLibrary{devices: []*fakeDevice{d}, noReasons: true})
	if s.Err != nil || s.PowerWatts.N != 0 || s.BusyPercent.N != 0 || s.EnergySource != EnergyUnknown || s.Throttled() {
		t.Errorf("%+v, want what is not reported to be absent and no error", s)
	}
	if s.Celsius != (Range{6, 61, 61, 61}) {
		t.Errorf("temperature %+v, want 61 in all readings", s.Celsius)
	}
}

func TestSamplerFailedReading(t *testing.T) {
	d := &fakeDevice{uuid: "GPU-a", broken: nvml.ERROR_GPU_IS_LOST}
	s := watch(t, &fakeLibrary{devices: []*fakeDevice{d}})
	if !errors.Is(s.Err, nvml.ERROR_GPU_IS_LOST) || s.ClockMHz.N != 0 || s.Celsius.N != 6 {
		t.Errorf("%+v, want the fault, and the other readings kept", s)
	}
}

func TestSamplerRefuses(t *testing.T) {
	lib := &fakeLibrary{devices: []*fakeDevice{{uuid: "GPU-a"}}}
	if _, err := newSampler(lib, "GPU-b", DefaultSamplerConfig()); !errors.Is(err, nvml.ERROR_NOT_FOUND) || lib.stopped != 1 {
		t.Errorf("unknown device: error %v, stopped %d times", err, lib.stopped)
	}
	if _, err := newSampler(lib, "GPU-a", SamplerConfig{}); err == nil {
		t.Error("an interval of 0 was accepted")
	}
	sampler, err := newSampler(lib, "GPU-a", DefaultSamplerConfig())
	if err != nil {
		t.Fatal(err)
	}
	expectPanic(t, badSamplerStop, func() { sampler.Stop() })
	sampler.Start()
	expectPanic(t, badSamplerStart, sampler.Start)
	if err := sampler.Close(); err != nil {
		t.Error(err)
	}
}

func expectPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		if got := recover(); got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	f()
}

func TestEnergyIntegrated(t *testing.T) {
	at := time.Unix(100, 0)
	readings := []reading{
		{at: at, powerWatts: 100, has: hasPower},
		{at: at.Add(time.Second), powerWatts: 200, has: hasPower},
		{at: at.Add(3 * time.Second), powerWatts: 300, has: hasPower},
	}
	if j, source := energy(readings); j != 150+500 || source != EnergyIntegrated {
		t.Errorf("energy %v J by %q, want 650 by integration", j, source)
	}
	if got := summarise(nil).String(); got != "nothing reported" {
		t.Errorf("empty summary prints %q", got)
	}
}
