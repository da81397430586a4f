//go:build cgo

package cpu

// #include <stdlib.h>
// #include "kernels.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"optin/kernels"
)

const (
	alignment = 64 // of every buffer: a cache line, and a vector

	// Linear computes rows in multiples of rowBlock, so a tensor has room for as
	// many rows more, less one. Rows longer than widestBlock are not rounded.
	rowBlock    = 16
	widestBlock = 8192
)

// roundRows is the number of rows that Linear computes for rows of at most cols.
func roundRows(rows, cols int) int {
	if cols > widestBlock {
		return rows
	}
	return (rows + rowBlock - 1) / rowBlock * rowBlock
}

// storage is the bytes of a tensor's buffer: its elements, and the rows that
// Linear may touch beyond its end.
func storage(t kernels.DType, rows, cols int) (int, error) {
	size := 4
	if t == kernels.F64 {
		size = 8
	}
	padded := rows
	if t == kernels.F32 && cols <= widestBlock {
		padded += rowBlock - 1 // not just up to the multiple: a Slice may end anywhere
	}
	high, n := bits.Mul64(uint64(padded), uint64(cols)*uint64(size))
	if high != 0 || n > math.MaxInt64/2 || cols > math.MaxInt/8 {
		return 0, fmt.Errorf("cpu: a tensor [%d, %d] of %v is larger than any memory: %w", rows, cols, t, kernels.ErrOutOfMemory)
	}
	return int(n+alignment-1) / alignment * alignment, nil
}

// buffer is memory of C with the tensor that lives in it.
type buffer struct {
	tensor kernels.Tensor
	base   unsafe.Pointer // what was allocated
	data   unsafe.Pointer // what the tensor may use
	size   int            // bytes at data
	used   int            // of them by this tensor, with a guard behind
	bytes  int            // that were allocated
	guard  bool
}

// newBuffer allocates size bytes, a multiple of alignment.
func (d *device) newBuffer(size int, guard bool) (*buffer, error) {
	b := &buffer{size: size, bytes: max(size, alignment), guard: guard}
	if guard {
		b.bytes = size + 2*C.OPTIN_GUARD_BYTES
	}
	if err := d.grow(b.bytes); err != nil {
		return nil, err
	}
	b.base = C.aligned_alloc(alignment, C.size_t(b.bytes))
	if b.base == nil {
		d.shrink(b.bytes)
		return nil, fmt.Errorf("cpu: a buffer of %d bytes: %w", b.bytes, kernels.ErrOutOfMemory)
	}
	b.data = b.base
	if guard {
		b.data = unsafe.Add(b.base, C.OPTIN_GUARD_BYTES)
	}
	return b, nil
}

// shape makes the buffer a tensor that uses the first n bytes.
func (b *buffer) shape(t kernels.DType, rows, cols, n int) {
	b.tensor = kernels.Tensor{Rows: rows, Cols: cols, Type: t}
	b.used = n
	if b.guard {
		b.poison()
		C.optin_cpu_guard_set(b.base, b.elements(), C.size_t(b.used))
	}
	switch t {
	case kernels.I32:
		b.tensor.I32 = unsafe.Slice((*int32)(b.data), rows*cols)
	case kernels.F64:
		b.tensor.F64 = unsafe.Slice((*float64)(b.data), rows*cols)
		clear(b.tensor.F64)
	default:
		b.tensor.F32 = unsafe.Slice((*float32)(b.data), rows*cols)
	}
}

// elements is the bytes of the tensor itself.
func (b *buffer) elements() C.size_t {
	if b.tensor.Type == kernels.F64 {
		return C.size_t(8 * b.tensor.Len())
	}
	return C.size_t(4 * b.tensor.Len())
}

// check looks at the guards.
func (b *buffer) check() error {
	if !b.guard {
		return nil
	}
	switch C.optin_cpu_guard_check(b.base, b.elements(), C.size_t(b.used)) {
	case 0:
		return nil
	case C.OPTIN_GUARD_BEFORE:
		return fmt.Errorf("cpu: something wrote before the buffer of %v", &b.tensor)
	default:
		return fmt.Errorf("cpu: something wrote behind the buffer of %v", &b.tensor)
	}
}

// poison fills the buffer with NaN.
func (b *buffer) poison() {
	C.optin_cpu_guard_open(b.base, C.size_t(b.bytes))
	C.optin_cpu_fill_f32((*C.float)(b.data), C.float(math.NaN()), C.size_t(b.size/4))
}

func (d *device) freeBuffer(b *buffer) {
	d.shrink(b.bytes)
	C.optin_cpu_guard_open(b.base, C.size_t(b.bytes))
	C.free(b.base)
	b.base, b.data = nil, nil
}

// arena hands out buffers and takes them back, last in, first out.
type arena struct {
	dev   *device
	bytes int       // taken from the system
	live  []*buffer // in the order in which they were taken
	idle  [kernels.SizeClasses][]*buffer
}

// take is a tensor in a buffer of the arena, which grows where none is idle.
func (a *arena) take(t kernels.DType, rows, cols int) *kernels.Tensor {
	n, err := storage(t, rows, cols)
	if err != nil {
		kernels.Fail(err)
	}
	index, size := kernels.SizeClass(n, alignment)
	b := a.reuse(index)
	if b == nil {
		b = a.extend(size)
	}
	b.shape(t, rows, cols, n)
	a.live = append(a.live, b)
	return &b.tensor
}

// extend takes a buffer from the system; where there is no memory, once more after
// giving back what is idle.
func (a *arena) extend(size int) *buffer {
	b, err := a.dev.newBuffer(size, a.dev.guard)
	if errors.Is(err, kernels.ErrOutOfMemory) {
		a.trim()
		b, err = a.dev.newBuffer(size, a.dev.guard)
	}
	if err != nil {
		kernels.Fail(err)
	}
	a.bytes += b.bytes
	return b
}

// reuse is an idle buffer of a class, or of one up to twice as large, or nil.
func (a *arena) reuse(index int) *buffer {
	for i := index; i < min(index+kernels.ClassesPerOctave, kernels.SizeClasses); i++ {
		if n := len(a.idle[i]); n > 0 {
			b := a.idle[i][n-1]
			a.idle[i] = a.idle[i][:n-1]
			return b
		}
	}
	return nil
}

// release gives back what was taken since mark, but for keep.
func (a *arena) release(mark int, keep []*kernels.Tensor) {
	if mark > len(a.live) {
		panic("kernels: Release: the mark was released before")
	}
	kept := a.live[:mark]
	for _, b := range a.live[mark:] {
		if err := b.check(); err != nil {
			kernels.Fail(err)
		}
		if slices.Contains(keep, &b.tensor) {
			kept = append(kept, b)
			continue
		}
		if b.guard {
			b.poison()
		}
		index, _ := kernels.SizeClass(b.size, alignment)
		a.idle[index] = append(a.idle[index], b)
	}
	clear(a.live[len(kept):])
	a.live = kept
}

// trim gives idle buffers back to the system.
func (a *arena) trim() {
	for i, list := range a.idle {
		for _, b := range list {
			a.bytes -= b.bytes
			a.dev.freeBuffer(b)
		}
		a.idle[i] = nil
	}
}

// free gives everything back to the system.
func (a *arena) free() {
	a.trim()
	for _, b := range a.live {
		a.dev.freeBuffer(b)
	}
	a.bytes, a.live = 0, nil
}
