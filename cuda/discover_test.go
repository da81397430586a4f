package cuda

import (
	"errors"
	"strings"
	"testing"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

func TestDiscover(t *testing.T) {
	lib := &fakeLibrary{devices: []*fakeDevice{{uuid: "GPU-a"}, {uuid: "GPU-b", bare: true}}}
	found, err := discover(lib)
	if err != nil {
		t.Fatal(err)
	}
	if found.Driver != "550.54" || found.CUDA != "12.4" || found.Absent != "" || len(found.List) != 2 {
		t.Errorf("found %+v", found)
	}
	want := Device{
		Index: 0, Name: "Fake GPU", UUID: "GPU-a", Bus: "00000000:04:00.0", Major: 9,
		MemoryBytes: 80 << 30, MemoryFreeBytes: 79 << 30, MaxClockMHz: 1980, MaxMemoryMHz: 2619,
		PowerLimitWatts: 700, TemperatureLimit: 90,
	}
	if found.List[0] != want {
		t.Errorf("device 0 is\n%+v, want\n%+v", found.List[0], want)
	}
	if got, want := want.String(), "Fake GPU (compute 9.0, 80.0 GiB, 1980 MHz, 700 W)"; got != want {
		t.Errorf("String gives %q, want %q", got, want)
	}
	want.Index, want.UUID, want.PowerLimitWatts, want.TemperatureLimit = 1, "GPU-b", 0, 0
	if found.List[1] != want {
		t.Errorf("device 1 is\n%+v, want\n%+v", found.List[1], want)
	}
	if lib.started != 1 || lib.stopped != 1 {
		t.Errorf("started %d times, stopped %d times, want once each", lib.started, lib.stopped)
	}
}

// TestDiscoverLostDevice: the others are there still.
func TestDiscoverLostDevice(t *testing.T) {
	found, err := discover(&fakeLibrary{devices: []*fakeDevice{{uuid: "GPU-a", lost: true}, {uuid: "GPU-b"}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.List) != 1 || found.List[0].UUID != "GPU-b" || found.List[0].Index != 1 || found.Absent != "" {
		t.Errorf("found %+v", found)
	}
	if len(found.Faults) != 1 || !errors.Is(found.Faults[0], nvml.ERROR_GPU_IS_LOST) || !strings.Contains(found.Faults[0].Error(), "device 0") {
		t.Errorf("faults %v", found.Faults)
	}
	found, err = discover(&fakeLibrary{devices: []*fakeDevice{{lost: true}}})
	if err != nil || found.Absent == "" || len(found.Faults) != 1 {
		t.Errorf("nothing but a lost device: found %+v, error %v", found, err)
	}
}

func TestDiscoverNothing(t *testing.T) {
	for _, status := range []nvml.Return{nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED, nvml.SUCCESS} {
		lib := &fakeLibrary{start: status}
		found, err := discover(lib)
		if err != nil || len(found.List) != 0 || found.Absent == "" {
			t.Errorf("status %v: found %+v, error %v; want nothing, with the reason", status, found, err)
		}
		if status != nvml.SUCCESS && lib.stopped != 0 {
			t.Errorf("status %v: stopped a library that did not start", status)
		}
	}
}

func TestDiscoverFault(t *testing.T) {
	_, err := discover(&fakeLibrary{start: nvml.ERROR_LIB_RM_VERSION_MISMATCH})
	if !errors.Is(err, nvml.ERROR_LIB_RM_VERSION_MISMATCH) || !strings.Contains(err.Error(), "start") {
		t.Errorf("error %v, want the library's, with what was done", err)
	}
	_, err = discover(&fakeLibrary{stop: nvml.ERROR_UNKNOWN})
	if !errors.Is(err, nvml.ERROR_UNKNOWN) {
		t.Errorf("error %v, want that stopping failed", err)
	}
}

// TestDiscoverHere runs the real library, present or not: the machine's answer must be
// consistent either way.
func TestDiscoverHere(t *testing.T) {
	found, err := Discover()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("driver %q, CUDA %q, %d devices, absent: %q", found.Driver, found.CUDA, len(found.List), found.Absent)
	if (len(found.List) == 0) != (found.Absent != "") {
		t.Errorf("%d devices, but the reason for none is %q", len(found.List), found.Absent)
	}
	for i, d := range found.List {
		if d.Index != i || d.Name == "" || d.UUID == "" || d.MemoryBytes <= 0 {
			t.Errorf("device %d is %+v", i, d)
		}
	}
}
