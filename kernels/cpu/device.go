//go:build cgo

package cpu

// #cgo CFLAGS: -std=c11 -O3 -fopenmp -Wall -Wextra -Werror
// #cgo LDFLAGS: -fopenmp -ldnnl -lm
// #include <dnnl_debug.h>
// #include <stdlib.h>
// #include "kernels.h"
// #include "onednn.h"
import "C"

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"optin/kernels"
)

// device is a Device of this machine's processors.
type device struct {
	pool    *kernels.Pool
	isa     *C.optin_cpu_isa
	engine  C.dnnl_engine_t
	guard   bool
	threads int
	most    int64 // bytes; 0: no limit

	bytes, peak atomic.Int64 // of arenas, packed weights and Alloc, now and at most

	// The addresses of forms are the keys under which weights keep packed forms.
	forms [3]byte

	mu        sync.Mutex
	workers   []*ops
	allocated map[*kernels.Tensor]*buffer
	weights   map[*kernels.Weight]struct{} // that hold a packed form of ours
}

const (
	plainForm  = iota // row-major
	linearForm        // in oneDNN's order, for Linear
	turnedForm        // the same of the transpose, for LinearBackward
)

// New opens the processors of this machine.
func New(options Options) (kernels.Device, error) {
	if options.Threads < 0 {
		return nil, fmt.Errorf("cpu: threads = %d: must be at least 1, or 0 for all", options.Threads)
	}
	d := &device{
		guard:     options.Guard,
		threads:   options.Threads,
		most:      options.Memory,
		allocated: make(map[*kernels.Tensor]*buffer),
		weights:   make(map[*kernels.Weight]struct{}),
	}
	if d.threads == 0 {
		d.threads = runtime.NumCPU()
	}
	var err error
	if d.isa, err = findISA(options.ISA); err != nil {
		return nil, err
	}
	if err := check(C.optin_cpu_engine_create(&d.engine)); err != nil {
		return nil, err
	}
	if d.pool, err = kernels.NewPool(d.threads, d.newOps); err != nil {
		d.free()
		return nil, err
	}
	return d, nil
}

// findISA is the table of kernels for an instruction set.
func findISA(name string) (*C.optin_cpu_isa, error) {
	if name == "" {
		name = os.Getenv("OPTIN_ISA")
	}
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	isa := C.optin_cpu_isa_named(c)
	if isa == nil {
		return nil, fmt.Errorf("cpu: no instruction set %q here: avx512, avx2 (where the machine has them) or plain", name)
	}
	return isa, nil
}

// check is the one place where statuses of C become errors.
func check(status C.optin_cpu_status) error {
	if status.code == C.dnnl_success {
		return nil
	}
	reason := C.GoString(C.dnnl_status2str(C.dnnl_status_t(status.code)))
	return fmt.Errorf("cpu: %s: %s", C.GoString(status.call), reason)
}

// must raises the error of a status.
func must(status C.optin_cpu_status) {
	if status.code != C.dnnl_success {
		kernels.Fail(check(status))
	}
}

func (d *device) Name() string { return "cpu" }

func (d *device) Describe() string {
	return fmt.Sprintf("%s, %s kernels, oneDNN %s, threads %d",
		model(), C.GoString(C.optin_cpu_isa_name(d.isa)), LibraryVersion(), d.threads)
}

// LibraryVersion is the version of oneDNN.
func LibraryVersion() string {
	v := C.dnnl_version()
	return fmt.Sprintf("%d.%d.%d", int(v.major), int(v.minor), int(v.patch))
}

func (d *device) Workers() int { return d.pool.Workers() }

func (d *device) Each(ctx context.Context, n int, f func(ops kernels.Ops, i int) error) error {
	return d.pool.Each(ctx, n, f)
}

func (d *device) One(ctx context.Context, f func(ops kernels.Ops) error) error {
	return d.pool.One(ctx, f)
}

func (d *device) Tally() kernels.Tally { return d.pool.Tally() }
func (d *device) PeakBytes() int64     { return d.peak.Load() }

// ResetPeak also gives idle buffers back, so that the next peak is not that of
// the work before. Call it while no worker works.
func (d *device) ResetPeak() {
	d.mu.Lock()
	for _, o := range d.workers {
		o.arena.trim()
	}
	d.mu.Unlock()
	d.peak.Store(d.bytes.Load())
}

// grow accounts for n more bytes, if that is not more than the device may take.
func (d *device) grow(n int) error {
	now := d.bytes.Add(int64(n))
	if d.most > 0 && now > d.most {
		d.shrink(n)
		return fmt.Errorf("cpu: %d bytes more than the %d of %d that are taken: %w", n, now-int64(n), d.most, kernels.ErrOutOfMemory)
	}
	for {
		peak := d.peak.Load()
		if now <= peak || d.peak.CompareAndSwap(peak, now) {
			return nil
		}
	}
}

// shrink accounts for n bytes fewer.
func (d *device) shrink(n int) { d.bytes.Add(-int64(n)) }

// ArenaBytes is what the arenas of all workers have taken from the system: it
// stays the same in the steady state.
func (d *device) ArenaBytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var sum int64
	for _, o := range d.workers {
		sum += int64(o.arena.bytes)
	}
	return sum
}

// CheckGuards looks for writes outside of any buffer. Call it while no worker
// works; without Options.Guard there is nothing to look at.
func (d *device) CheckGuards() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.workers {
		for _, b := range o.arena.live {
			if err := b.check(); err != nil {
				return err
			}
		}
	}
	for _, b := range d.allocated {
		if err := b.check(); err != nil {
			return err
		}
	}
	return nil
}

func (d *device) Alloc(t kernels.DType, rows, cols int) (*kernels.Tensor, error) {
	kernels.CheckShape("Alloc", rows, cols)
	n, err := storage(t, rows, cols)
	if err != nil {
		return nil, err
	}
	b, err := d.newBuffer(n, d.guard)
	if err != nil {
		return nil, err
	}
	b.shape(t, rows, cols, n)
	d.mu.Lock()
	d.allocated[&b.tensor] = b
	d.mu.Unlock()
	return &b.tensor, nil
}

func (d *device) Free(t *kernels.Tensor) {
	if t == nil {
		return
	}
	d.mu.Lock()
	b := d.allocated[t]
	delete(d.allocated, t)
	d.mu.Unlock()
	if b == nil {
		panic("kernels: Free: not a tensor of Alloc, or freed before")
	}
	if err := b.check(); err != nil {
		kernels.Fail(err)
	}
	d.freeBuffer(b)
}

func (d *device) Close() error {
	d.pool.Close()
	err := d.CheckGuards()
	d.free()
	return err
}

// free gives back what the device holds.
func (d *device) free() {
	for w := range d.weights {
		for i := range d.forms {
			w.Drop(&d.forms[i])
		}
	}
	for _, o := range d.workers {
		o.free()
	}
	for _, b := range d.allocated {
		d.freeBuffer(b)
	}
	clear(d.weights)
	clear(d.allocated)
	d.workers = nil
	C.dnnl_engine_destroy(d.engine)
	d.engine = nil
}
