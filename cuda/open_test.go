//go:build cuda

package cuda

import (
	"runtime"
	"strings"
	"testing"

	"gorgonia.org/cu"
)

// TestOpen needs a driver: a real one, or the stand-in of scripts/test-cuda.
func TestOpen(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	ctx, err := Open(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := ctx.Bind(); err != nil {
		t.Fatal(err)
	}
	name, err := ctx.Name()
	if err != nil || name == "" {
		t.Errorf("name %q, error %v", name, err)
	}
	uuid, err := ctx.UUID()
	if err != nil || !strings.HasPrefix(uuid, "GPU-") || len(uuid) != 40 {
		t.Errorf("UUID %q, error %v", uuid, err)
	}
	major, minor, err := ctx.Capability()
	if err != nil || major < 5 {
		t.Errorf("compute capability %d.%d, error %v", major, minor, err)
	}
	free, total, err := ctx.Memory()
	if err != nil || free <= 0 || free > total {
		t.Errorf("%d of %d bytes free, error %v", free, total, err)
	}
	if err := ctx.Synchronize(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := ctx.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestErrorsHaveTheDriversNames: one that is newer than package cu, and one that there is not.
func TestErrorsHaveTheDriversNames(t *testing.T) {
	if images() != nil {
		t.Setenv("CUEMU_BUSY", "1")
		if _, err := Open(0); err == nil || !strings.Contains(err.Error(), "device 0: cuDevicePrimaryCtxRetain: CUDA_ERROR_DEVICE_UNAVAILABLE (46)") {
			t.Errorf("a device that is another program's: error %v", err)
		}
	}
	if _, err := start(); err != nil {
		t.Fatal(err)
	}
	if text := status(2).Error(); !strings.HasPrefix(text, "CUDA_ERROR_OUT_OF_MEMORY (2): ") {
		t.Errorf("error 2 is %q", text)
	}
}

func TestOpenNoSuchDevice(t *testing.T) {
	for _, index := range []int{-1, 1000} {
		if _, err := Open(index); err == nil || !strings.Contains(err.Error(), "no device") {
			t.Errorf("device %d: error %v", index, err)
		}
	}
}

// TestOnlySuitableDevices has a device that there are no kernels for between two that there
// are, and then nothing else.
func TestOnlySuitableDevices(t *testing.T) {
	if images() == nil {
		t.Skip("GPUs are what they are")
	}
	t.Setenv("CUEMU_DEVICES", "3")
	t.Setenv("CUEMU_CAPABILITY", "90,75,90")
	var told []string
	options := Options{Images: images(), Log: func(line string) { told = append(told, line) }}
	dev, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	if d := dev.(*device); d.Workers() != 2 || d.gpus[0].index != 0 || d.gpus[1].index != 2 {
		t.Errorf("%d workers on %d devices", d.Workers(), len(d.gpus))
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	const unsuitable = "not compiled for compute capability 7.5"
	if len(told) != 1 || !strings.Contains(told[0], "device 1: ") || !strings.Contains(told[0], unsuitable+": not used") {
		t.Errorf("told %q", told)
	}
	t.Setenv("CUEMU_CAPABILITY", "75")
	if _, err := New(options); err == nil || !strings.Contains(err.Error(), unsuitable) {
		t.Errorf("no suitable device: error %v", err)
	}
	t.Setenv("CUEMU_CAPABILITY", "90,75")
	if _, err := New(Options{Images: images(), Devices: []int{1}}); err == nil || !strings.Contains(err.Error(), unsuitable) {
		t.Errorf("an unsuitable device by its number: error %v", err)
	}
}

// TestUnlikeDevices tells where sums are rounded in different ways, and not where they are alike.
func TestUnlikeDevices(t *testing.T) {
	if images() == nil {
		t.Skip("GPUs are what they are")
	}
	t.Setenv("CUEMU_DEVICES", "2")
	var told []string
	dev, err := New(Options{Images: images(), Log: func(line string) { told = append(told, line) }})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if len(told) != 0 {
		t.Errorf("devices that are alike: told %q", told)
	}
	d := dev.(*device)
	d.gpus[1].multiprocessors++
	d.tellUnlike()
	if len(told) != 1 || !strings.Contains(told[0], "devices 0 and 1 are different chips") {
		t.Errorf("told %q", told)
	}
}

// TestWaitAsleep keeps a processor busy for each worker only where there are more.
func TestWaitAsleep(t *testing.T) {
	const schedule = 7 // the bits of flags that are about this
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	for workers, want := range []cu.ContextFlags{1: cu.SchedAuto, 2: cu.SchedBlockingSync, 3: cu.SchedBlockingSync} {
		if workers == 0 {
			continue
		}
		d := open(t, workers, false)
		device, err := find(0)
		if err != nil {
			t.Fatal(err)
		}
		if flags, _, err := device.PrimaryCtxState(); err != nil || flags&schedule != want {
			t.Errorf("%d workers: flags %v, want %v: %v", workers, flags, want, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
