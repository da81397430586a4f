//go:build cuda

package cuda

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"optin/kernels"
)

// each runs f on one worker of d.
func each(t *testing.T, d *device, f func(o *ops)) {
	t.Helper()
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error { f(o.(*ops)); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestGuardsSeeWritesOutside(t *testing.T) {
	d := open(t, 1, true)
	for _, at := range []int{-1, 5 * 16} {
		each(t, d, func(o *ops) {
			x := o.New(kernels.F32, 5, 16)
			write := func(value uint32) {
				o.staging.upload(x.Device+uintptr(4*at), unsafe.Pointer(&value), 4)
			}
			write(1)
			if err := d.CheckGuards(); err == nil || !strings.Contains(err.Error(), "f32[5, 16]") {
				t.Errorf("a write at element %d: CheckGuards says %v", at, err)
			}
			write(0xa5a5a5a5)
		})
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// An upload is many times what staging holds, and comes back in pieces too.
func TestLargeUploads(t *testing.T) {
	d := open(t, 1, false)
	defer d.Close()
	values := make([]float32, 2*stagingBlocks*stagingBytes/4+5)
	for i := range values {
		values[i] = float32(i % 1000003)
	}
	each(t, d, func(o *ops) {
		x := o.Upload(len(values), 1, values)
		got := make([]float64, len(values))
		o.Download(x, got)
		for i, v := range got {
			if v != float64(values[i]) {
				t.Errorf("element %d is %v, was %v", i, v, values[i])
				return
			}
		}
	})
}

func TestIndicesAreChecked(t *testing.T) {
	d := open(t, 1, false)
	defer d.Close()
	bad := func(f func(o *ops, x *kernels.Tensor)) {
		t.Helper()
		defer func() {
			if p := recover(); p == nil || !strings.Contains(p.(error).Error(), "kernels: Gather: index 9") {
				t.Errorf("panic %v, want one about index 9", p)
			}
		}()
		each(t, d, func(o *ops) { f(o, o.Upload(4, 1, []float32{1, 2, 3, 4})) })
	}
	bad(func(o *ops, x *kernels.Tensor) { o.Gather(x, o.UploadInts([]int32{0, 9}), 4) })
	bad(func(o *ops, x *kernels.Tensor) {
		copied := o.New(kernels.I32, 2, 1)
		o.Copy(copied, o.UploadInts([]int32{0, 9}))
		o.Gather(x, copied, 4)
	})
	bad(func(o *ops, x *kernels.Tensor) {
		all := o.UploadInts([]int32{0, 1, 2})
		part := all.Slice(1, 2)
		o.Copy(&part, o.UploadInts([]int32{9}))
		o.Gather(x, all, 4)
	})
	each(t, d, func(o *ops) { // what is out of range is not used
		all := o.UploadInts([]int32{3, 9}).Slice(0, 1)
		got := make([]float64, 1)
		o.Download(o.Gather(o.Upload(4, 1, []float32{1, 2, 3, 4}), &all, 4), got)
		if got[0] != 4 {
			t.Errorf("gathered %v, want 4", got[0])
		}
	})
}

// Sequences that are used again and again stay where they are, while others come and go: an op
// may ask for its second sequences without losing the first.
func TestUsedOffsetsStay(t *testing.T) {
	d := open(t, 1, true)
	defer d.Close()
	each(t, d, func(o *ops) {
		s := kernels.NewSequences(3, 4)
		at := o.offsetsOf(s)
		for i := range 3 * keptOffsets {
			other := kernels.NewSequences(1 + i)
			if there := o.offsetsOf(other); there == at {
				t.Errorf("sequence %d took the place of those that were used before it", i)
			}
			if o.offsetsOf(s) != at {
				t.Errorf("sequences moved after %d others", i+1)
				return
			}
		}
	})
}

func TestMissingKernelIsAnError(t *testing.T) {
	d := open(t, 1, false)
	defer d.Close()
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		o.(*ops).launch("optin_nothing_f32", size{x: 1}, size{x: 32})
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "optin_nothing_f32") {
		t.Errorf("error %v, want one with the kernel's name", err)
	}
}

func TestMemoryIsAccountedFor(t *testing.T) {
	d := open(t, 2, false)
	w := kernels.WeightOf("w", 64, 64, make([]float32, 64*64))
	shared, err := d.Alloc(kernels.F32, 32, 64)
	if err != nil {
		t.Fatal(err)
	}
	each(t, d, func(o *ops) { o.Linear(o.Upload(8, 64, make([]float32, 8*64)), w, kernels.Epilogue{}) })
	if got := d.PeakBytes(); got < 4*64*64+4*32*64+d.ArenaBytes() {
		t.Errorf("PeakBytes is %d", got)
	}
	before := d.PeakBytes()
	d.Free(shared)
	d.Forget(w)
	d.ResetPeak()
	if after := d.PeakBytes(); after > before-4*64*64-4*32*64 {
		t.Errorf("PeakBytes is %d after freeing, was %d", after, before)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if n := d.bytes.Load(); n != 0 {
		t.Errorf("%d bytes are left after Close", n)
	}
}

// TestNoMemoryForKernels has a device that is full before anything is loaded.
func TestNoMemoryForKernels(t *testing.T) {
	if images() == nil {
		t.Skip("a GPU has memory for kernels")
	}
	t.Setenv("CUEMU_MEMORY", "64")
	_, err := New(Options{Images: images()})
	if !errors.Is(err, kernels.ErrOutOfMemory) || !strings.Contains(err.Error(), "cuModuleLoadData of ") || strings.Contains(err.Error(), "update") {
		t.Errorf("error %v, want that memory is out", err)
	}
}

func TestNoMemory(t *testing.T) {
	d := open(t, 1, false)
	defer d.Close()
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		_, total, err := d.gpus[0].Memory()
		o.New(kernels.F32, int(total), 1)
		return err
	})
	if !errors.Is(err, kernels.ErrOutOfMemory) {
		t.Errorf("error %v, want that memory is out", err)
	}
}
