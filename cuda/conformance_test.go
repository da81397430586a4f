//go:build cuda

package cuda

import (
	"io/fs"
	"os"
	"testing"

	"optin/kernels"
	"optin/kernels/kerneltest"
)

// images are the compiled kernels: those of this build, or the files that stand for them
// where scripts/test-cuda put an emulator in the driver's place.
func images() fs.FS {
	if folder := os.Getenv("CUEMU_IMAGES"); folder != "" {
		return os.DirFS(folder)
	}
	return nil
}

// open opens device 0 once for each worker.
func open(t testing.TB, workers int, guard bool) *device {
	t.Helper()
	d, err := New(Options{Devices: make([]int, workers), Guard: guard, Images: images()})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*device)
}

func TestConformance(t *testing.T) {
	kerneltest.Run(t, func(t *testing.T, workers int) kernels.Device { return open(t, workers, true) })
}
