//go:build cuda

package cuda

import (
	"runtime"
	"strings"
	"testing"
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
