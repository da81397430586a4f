//go:build cuda

package cuda

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// The suite runs every kernel, but those of lower precisions.
func TestConformance(t *testing.T) {
	ran := make(launches)
	kerneltest.Run(t, func(t *testing.T, workers int) kernels.Device { return &watched{open(t, workers, true), ran} })
	if !testing.Short() {
		ran.want(t, func(kernel string) bool {
			return !strings.HasPrefix(kernel, "optin_linear_") && !strings.HasPrefix(kernel, "optin_to_")
		})
	}
}

// launches are the names of kernels that were launched.
type launches map[string]bool

// watched is a device that notes, when it is closed, what was launched on it.
type watched struct {
	*device
	launches
}

func (d *watched) Close() error {
	for _, o := range d.workers {
		for kernel := range o.functions {
			d.launches[kernel] = true
		}
	}
	return d.device.Close()
}

// want fails t for each compiled kernel that was not launched, among those that are asked for.
func (l launches) want(t *testing.T, asked func(kernel string) bool) {
	t.Helper()
	table, err := os.ReadFile(filepath.Join("..", "kernels", "cuda", "resources.txt"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "optin_") {
			continue
		}
		if kernel := fields[1]; asked(kernel) && !seen[kernel] {
			seen[kernel] = true
			if !l[kernel] {
				t.Errorf("no case of the suite launches %s", kernel)
			}
		}
	}
	if len(seen) == 0 {
		t.Error("no kernels in the table")
	}
}
