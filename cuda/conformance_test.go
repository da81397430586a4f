//go:build cuda

package cuda

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
			return !strings.HasPrefix(kernel, "optin_linear_") && !strings.HasPrefix(kernel, "optin_round_")
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
	for _, kernel := range compiled(t) {
		if asked(kernel) && !l[kernel] {
			t.Errorf("no case of the suite launches %s", kernel)
		}
	}
}

// compiled are the names of all kernels that there are.
func compiled(t *testing.T) []string {
	t.Helper()
	table, err := os.ReadFile(filepath.Join("..", "kernels", "cuda", "resources.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[1], "optin_") && !slices.Contains(names, fields[1]) {
			names = append(names, fields[1])
		}
	}
	if len(names) == 0 {
		t.Fatal("no kernels in the table")
	}
	return names
}

// TestKernelsAreFoundAtOnce finds all kernels, where it is a fault to ask a module for one that
// it does not have.
func TestKernelsAreFoundAtOnce(t *testing.T) {
	t.Setenv("CUEMU_STRICT", "1")
	d := open(t, 1, false)
	defer d.Close()
	for _, kernel := range compiled(t) {
		if err := d.gpus[0].do(func() error { _, err := d.gpus[0].function(kernel); return err }); err != nil {
			t.Error(err)
		}
	}
}
