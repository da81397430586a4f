//go:build cuda

package cuda

import (
	"context"
	"strings"
	"testing"

	"optin/kernels"
)

// faulty opens a device whose n-th kernel goes to a wrong address.
func faulty(t *testing.T, n string) *device {
	t.Helper()
	if images() == nil {
		t.Skip("only the emulator's kernels go wrong on demand")
	}
	t.Setenv("CUEMU_FAULT", n)
	return open(t, 1, false)
}

// wantFault wants an error that names the last kernel and what went wrong.
func wantFault(t *testing.T, err error) {
	t.Helper()
	for _, part := range []string{"CUDA_ERROR_ILLEGAL_ADDRESS (700)", "optin_add_f32", "CUDA_LAUNCH_BLOCKING=1"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
}

// TestKernelGoesWrong frees everything after a kernel that went to a wrong address, as a
// program does that ends with the error.
func TestKernelGoesWrong(t *testing.T) {
	d := faulty(t, "3")
	shared, err := d.Alloc(kernels.F32, 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	w := kernels.WeightOf("w", 4, 4, make([]float32, 16))
	work := func(o kernels.Ops) error {
		x := o.Upload(4, 4, make([]float32, 16))
		for range 3 {
			x = o.Add(x, o.Linear(x, w, kernels.Epilogue{}))
		}
		o.Download(x, make([]float64, 16))
		return nil
	}
	err = d.One(context.Background(), work)
	wantFault(t, err)
	d.Free(shared)
	d.Forget(w)
	d.ResetPeak()
	if again := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error { return work(o) }); again == nil || again.Error() != err.Error() {
		t.Errorf("later work: error %v, want %v", again, err)
	}
	if after := d.Close(); after == nil || after.Error() != err.Error() {
		t.Errorf("Close: error %v, want %v", after, err)
	}
}
