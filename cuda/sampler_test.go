package cuda

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"optin/bench/measure"
)

// watch samples all devices of lib for 225 ms of made-up time, every 50 ms: a reading at the
// start, four in between and one at the end.
func watch(t *testing.T, lib *fakeLibrary) measure.Telemetry {
	t.Helper()
	var seen measure.Telemetry
	synctest.Test(t, func(t *testing.T) {
		var uuids []string
		for _, d := range lib.devices {
			uuids = append(uuids, d.uuid)
		}
		sampler, err := newSampler(lib, uuids, DefaultSamplerConfig())
		if err != nil {
			t.Fatal(err)
		}
		sampler.Start()
		time.Sleep(225 * time.Millisecond)
		seen = sampler.Stop()
		if err := sampler.Close(); err != nil {
			t.Error(err)
		}
	})
	if lib.started != 1 || lib.stopped != 1 {
		t.Errorf("started %d times, stopped %d times, want once each", lib.started, lib.stopped)
	}
	return seen
}

func TestSampler(t *testing.T) {
	d := &fakeDevice{uuid: "GPU-a", throttledAt: map[int]uint64{
		1: nvml.ClocksEventReasonGpuIdle,
		2: nvml.ClocksEventReasonSwPowerCap,
		3: nvml.ClocksEventReasonSwPowerCap | nvml.ClocksThrottleReasonHwThermalSlowdown,
	}}
	one := func(v float64) *measure.Spread { return &measure.Spread{Min: v, Mean: v, Max: v} }
	want := measure.Telemetry{
		Device: "Fake GPU, driver 550.54", Readings: 6,
		PowerWatts: one(350.5), ClockMHz: &measure.Spread{Min: 1001, Mean: 1003.5, Max: 1006}, MemoryClockMHz: one(2619),
		Celsius: one(61), BusyPercent: one(97), MemoryBusyPercent: one(40), MemoryBytes: one(1 << 30),
		Throttles: []measure.Throttle{{Reason: "power limit", Share: 2. / 6}, {Reason: "temperature, by the hardware", Share: 1. / 6}},
	}
	got := watch(t, &fakeLibrary{devices: []*fakeDevice{d}})
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
	line := "Fake GPU, driver 550.54: 350 W, 1004 MHz, memory 2619 MHz, 61 °C, 97 % busy, memory 40 % busy, 1.0 GiB in use, " +
		"slowed by power limit in 33 % of readings, temperature, by the hardware in 17 % of readings"
	if got.String() != line {
		t.Errorf("String gives\n%s, want\n%s", got, line)
	}
}

// TestSamplerManyDevices adds up power and memory, and is throttled where one device is.
func TestSamplerManyDevices(t *testing.T) {
	first := &fakeDevice{uuid: "GPU-a"}
	second := &fakeDevice{uuid: "GPU-b", throttledAt: map[int]uint64{1: nvml.ClocksEventReasonSwPowerCap}}
	got := watch(t, &fakeLibrary{devices: []*fakeDevice{first, second}})
	if got.Device != "Fake GPU + Fake GPU, driver 550.54" || got.PowerWatts.Max != 701 || got.MemoryBytes.Max != 2<<30 || got.Celsius.Max != 61 {
		t.Errorf("%v", got)
	}
	if len(got.Throttles) != 1 || got.Throttles[0].Share != 1./6 {
		t.Errorf("throttles %+v", got.Throttles)
	}
	second.bare = true
	if got := watch(t, &fakeLibrary{devices: []*fakeDevice{first, second}}); got.PowerWatts != nil || got.BusyPercent.Max != 97 {
		t.Errorf("%v: the power of one of two devices is not theirs", got)
	}
}

func TestSamplerBareDevice(t *testing.T) {
	d := &fakeDevice{uuid: "GPU-a", bare: true, throttledAt: map[int]uint64{1: nvml.ClocksEventReasonSwPowerCap}}
	lib := &fakeLibrary{devices: []*fakeDevice{d}, noReasons: true}
	got := watch(t, lib)
	if got.Absent != nil || got.PowerWatts != nil || got.BusyPercent != nil || got.Throttles != nil {
		t.Errorf("%+v, want what is not reported to be nil, and no fault", got)
	}
	if want := (measure.Spread{Min: 61, Mean: 61, Max: 61}); got.Celsius == nil || *got.Celsius != want {
		t.Errorf("temperature %+v, want 61 in all readings", got.Celsius)
	}
	sampler, err := newSampler(lib, []string{"GPU-a"}, DefaultSamplerConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer sampler.Close()
	if _, err := sampler.Counter(); !errors.Is(err, nvml.ERROR_NOT_SUPPORTED) {
		t.Errorf("a counter that is not there: error %v", err)
	}
}

func TestSamplerFailedReading(t *testing.T) {
	d := &fakeDevice{uuid: "GPU-a", broken: nvml.ERROR_GPU_IS_LOST}
	got := watch(t, &fakeLibrary{devices: []*fakeDevice{d}})
	if len(got.Absent) != 1 || !strings.Contains(got.Absent[0], "clock: ") || got.ClockMHz != nil || got.Celsius == nil {
		t.Errorf("%+v, want the fault, and the other readings kept", got)
	}
}

// TestSamplerEnergy: the counter moves by 1 J every 100 ms.
func TestSamplerEnergy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		d := &fakeDevice{uuid: "GPU-a", millijoules: func() uint64 { return 1000 * uint64(time.Since(began)/(100*time.Millisecond)) }}
		lib := &fakeLibrary{devices: []*fakeDevice{d}}
		sampler, err := newSampler(lib, []string{"GPU-a"}, DefaultSamplerConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer sampler.Close()
		got, err := sampler.Counter()
		if err != nil || got.Every.Round(time.Millisecond) != 100*time.Millisecond || !strings.Contains(got.Source, "NVML") {
			t.Errorf("counter %+v, error %v", got, err)
		}
		before, err := sampler.Joules()
		time.Sleep(time.Second)
		after, err2 := sampler.Joules()
		if err != nil || err2 != nil || after-before != 10 {
			t.Errorf("%v to %v J, errors %v, %v; want 10 J more", before, after, err, err2)
		}
	})
}

func TestSamplerRefuses(t *testing.T) {
	lib := &fakeLibrary{devices: []*fakeDevice{{uuid: "GPU-a"}}}
	if _, err := newSampler(lib, []string{"GPU-b"}, DefaultSamplerConfig()); !errors.Is(err, nvml.ERROR_NOT_FOUND) || lib.stopped != 1 {
		t.Errorf("unknown device: error %v, stopped %d times", err, lib.stopped)
	}
	if _, err := newSampler(lib, []string{"GPU-a"}, SamplerConfig{}); err == nil {
		t.Error("an interval of 0 was accepted")
	}
	if _, err := newSampler(lib, nil, DefaultSamplerConfig()); err == nil {
		t.Error("no device was accepted")
	}
	none := &fakeLibrary{start: nvml.ERROR_LIBRARY_NOT_FOUND}
	if _, err := newSampler(none, []string{"GPU-a"}, DefaultSamplerConfig()); err == nil || !strings.Contains(err.Error(), "libnvidia-ml.so.1 was not found") {
		t.Errorf("no library: error %v", err)
	}
	sampler, err := newSampler(lib, []string{"GPU-a"}, DefaultSamplerConfig())
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

// TestInterleaveOnAGPU times two cases on a device that is throttled now and then: the result
// carries the warning, and each case its own energy.
func TestInterleaveOnAGPU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var used, watts float64 // joules until since
		since := time.Now()
		draw := func(w float64) {
			used += watts * time.Since(since).Seconds()
			watts, since = w, time.Now()
		}
		d := &fakeDevice{uuid: "GPU-a", throttledAt: map[int]uint64{5: nvml.ClocksThrottleReasonHwSlowdown}}
		d.millijoules = func() uint64 { return uint64(1000 * (used + watts*time.Since(since).Seconds())) }
		draw(50)
		sampler, err := newSampler(&fakeLibrary{devices: []*fakeDevice{d}}, []string{"GPU-a"}, DefaultSamplerConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer sampler.Close()
		var cases []measure.Case
		for _, c := range []struct {
			name  string
			watts float64
		}{{"dense", 600}, {"pruned", 400}} {
			cases = append(cases, measure.Case{Name: c.name, Work: 4, Func: func() error {
				d.mu.Lock()
				draw(c.watts)
				d.mu.Unlock()
				time.Sleep(500 * time.Millisecond)
				d.mu.Lock()
				draw(50)
				d.mu.Unlock()
				return nil
			}})
		}
		o := measure.DefaultOptions()
		o.Watcher, o.Energy = sampler, true
		got, err := measure.Interleave(t.Context(), cases, o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(got.Warnings, func(w measure.Warning) bool {
			return w.Kind == measure.Throttled && strings.HasPrefix(w.Detail, "hardware slowdown in ")
		}) {
			t.Errorf("warnings %v", got.Warnings)
		}
		for i, want := range []float64{600 * 0.5 / 4, 400 * 0.5 / 4} {
			if e := got.Timings[i].Energy; e == nil || e.Joules.Value < 0.98*want || e.Joules.Value > 1.02*want {
				t.Errorf("%s: energy %+v, want %v J", cases[i].Name, e, want)
			}
		}
	})
}
