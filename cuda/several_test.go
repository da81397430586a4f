//go:build cuda

package cuda

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/kerneltest"
)

// several opens n different devices, with a worker each.
func several(t *testing.T, n int) *device {
	t.Helper()
	if images() != nil {
		t.Setenv("CUEMU_DEVICES", fmt.Sprint(n))
	}
	found, err := start()
	if err != nil || found < n && images() != nil {
		t.Fatalf("%d emulated devices: %v", found, err)
	}
	if found < n {
		t.Skipf("there are %d devices here, and this test needs %d", found, n)
	}
	var devices []int
	for i := range n {
		devices = append(devices, i)
	}
	d, err := New(Options{Devices: devices, Images: images()})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*device)
}

// TestTwoDevices runs the quick part of the conformance suite on two devices at once.
func TestTwoDevices(t *testing.T) {
	d := several(t, 2)
	defer d.Close()
	if d.Workers() != 2 || len(d.gpus) != 2 || d.seats[0] == d.seats[1] {
		t.Fatalf("%d workers on %d devices", d.Workers(), len(d.gpus))
	}
	results, err := kerneltest.Check(d, kerneltest.Options{Quick: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.OK {
			t.Error(r)
		}
	}
}

// TestWorkersGoRound spreads more workers than there are devices, and fewer.
func TestWorkersGoRound(t *testing.T) {
	for workers, want := range map[int]string{1: "[0]", 2: "[0 1]", 3: "[0 1 0]", 0: "[0 1]"} {
		if got, err := spread(workers, []int{0, 1}); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%d workers: devices %v, want %s: %v", workers, got, want, err)
		}
	}
	for _, workers := range []int{-1, kernels.MaxWorkers + 1} {
		if got, err := spread(workers, []int{0}); err == nil {
			t.Errorf("%d workers: devices %v", workers, got)
		}
	}
	if got, err := spread(0, []int{}); err == nil {
		t.Errorf("no device: devices %v", got)
	}
}

// TestScoresDoNotDependOnTheNumberOfDevices spreads the variants over one, two and three.
func TestScoresDoNotDependOnTheNumberOfDevices(t *testing.T) {
	m, shut, err := model.Open(filepath.Join("..", "bench", "model", "testdata", "bert-basic"))
	if err != nil {
		t.Fatal(err)
	}
	defer shut()
	var want string
	for n := 1; n <= 3; n++ {
		d := several(t, n)
		options := prune.DefaultOptions()
		options.Rows = 64
		parts, err := prune.Trajectory(context.Background(), d, m, prune.Recut(someInput(m), 8), options, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range d.gpus {
			if w := d.workers[i]; w.gpu != g || w.tally.MACs == 0 {
				t.Errorf("device %d of %d has done nothing", i, n)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if bits := fmt.Sprintf("%x", *parts); want == "" {
			want = bits
		} else if bits != want {
			t.Errorf("%d devices give other scores than one", n)
		}
	}
}

// TestSharedMemoryIsPromised takes managed memory that nothing has touched yet: no device has
// given any for it, and still there is no room for as much again.
func TestSharedMemoryIsPromised(t *testing.T) {
	if images() != nil {
		t.Setenv("CUEMU_MEMORY", "67108864")
	}
	d := several(t, 2)
	defer d.Close()
	most := int(d.gpus[0].room / 8) // half of the memory, in float32
	first, err := d.Alloc(kernels.F32, most+1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Alloc(kernels.F32, most+1, 1); !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("a second tensor of half the memory: error %v", err)
	}
	err = d.One(context.Background(), func(o kernels.Ops) error { o.New(kernels.F32, most+1, 1); return nil })
	if !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("a worker's tensor of half the memory: error %v", err)
	}
	d.Free(first)
	second, err := d.Alloc(kernels.F32, most+1, 1)
	if err != nil {
		t.Fatal(err)
	}
	d.Free(second)
}

// TestSharedMemoryRunsOut asks for more managed memory than there is, which the driver would
// give.
func TestSharedMemoryRunsOut(t *testing.T) {
	d := several(t, 2)
	defer d.Close()
	var total int64
	if err := d.gpus[0].do(func() (err error) { _, total, err = d.gpus[0].Memory(); return err }); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Alloc(kernels.F32, int(total/4)+1, 1); !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("error %v", err)
	}
}
