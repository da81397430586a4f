//go:build cuda

package cuda

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"
	"unsafe"

	"gorgonia.org/cu"

	"optin/kernels"
)

const (
	alignment  = 256 // of every buffer, as the driver's
	guardBytes = 256
	guardValue = 0xa5
)

// storage is the bytes of a tensor.
func storage(t kernels.DType, rows, cols int) (int, error) {
	size := 4
	if t == kernels.F64 {
		size = 8
	}
	high, n := bits.Mul64(uint64(rows), uint64(cols)*uint64(size))
	if high != 0 || n > math.MaxInt64/2 || cols > math.MaxInt/8 {
		return 0, fmt.Errorf("cuda: a tensor [%d, %d] of %v is larger than any memory: %w", rows, cols, t, kernels.ErrOutOfMemory)
	}
	return int(n), nil
}

// buffer is device memory with the tensor that lives in it.
type buffer struct {
	tensor kernels.Tensor
	base   cu.DevicePtr // what was allocated
	size   int          // bytes that a tensor may use
	bytes  int          // that were allocated
	guard  bool

	account *atomic.Int64 // in which bytes are
}

// newBuffer allocates room for size bytes on g, whose context is bound.
func (d *device) newBuffer(g *gpu, size int, guard bool) (*buffer, error) {
	b := blank(size, guard, &g.taken)
	err := error(cu.OutOfMemory)
	if d.fits(g, b.bytes) {
		b.base, err = cu.MemAlloc(int64(b.bytes))
	}
	return b.made(err)
}

// newShared allocates room for size bytes that all devices can reach, where there are several.
func (d *device) newShared(size int) (*buffer, error) {
	if len(d.gpus) == 1 {
		return d.newBuffer(d.gpus[0], size, d.guard)
	}
	b := blank(size, d.guard, &d.shared)
	err := error(cu.OutOfMemory)
	if !slices.ContainsFunc(d.gpus, func(g *gpu) bool { return !d.fits(g, b.bytes) }) {
		b.base, err = allocShared(b.bytes)
	}
	return b.made(err)
}

// fits says whether g has memory for n more bytes when all shared tensors are on it. Only
// where they are touched do they take memory, and then the driver would keep moving what
// does not fit.
func (d *device) fits(g *gpu, n int) bool {
	return len(d.gpus) == 1 || d.shared.Load()+g.taken.Load()+int64(n) <= g.room
}

// blank is a buffer without memory.
func blank(size int, guard bool, account *atomic.Int64) *buffer {
	size = (max(size, 1) + alignment - 1) / alignment * alignment
	b := &buffer{size: size, bytes: size, guard: guard, account: account}
	if guard {
		b.bytes += 2 * guardBytes
	}
	return b
}

// made is b with the memory that it now has, if there is no error.
func (b *buffer) made(err error) (*buffer, error) {
	if err != nil {
		return nil, failure(fmt.Sprintf("a buffer of %d bytes", b.bytes), err)
	}
	b.account.Add(int64(b.bytes))
	return b, nil
}

// allocShared takes memory that the driver moves to where it is used. Each device gets a copy
// of what is read there: shared tensors are written once, or seldom.
func allocShared(bytes int) (cu.DevicePtr, error) {
	free, _, err := cu.MemInfo()
	if err != nil {
		return 0, err
	}
	if int64(bytes) > free {
		return 0, cu.OutOfMemory
	}
	base, err := cu.MemAllocManaged(int64(bytes), cu.AttachGlobal)
	if err == nil {
		_ = base.MemAdvise(int64(bytes), cu.SetReadMostly, 0) // without it, it is only slower
	}
	return base, err
}

// shape makes the buffer a tensor: of zeros where it is F64, and undefined otherwise.
func (b *buffer) shape(t kernels.DType, rows, cols int, stream cu.Stream) error {
	b.tensor = kernels.Tensor{Rows: rows, Cols: cols, Type: t, Device: uintptr(b.base)}
	if b.guard {
		b.tensor.Device += guardBytes
		if err := b.poison(stream); err != nil {
			return err
		}
	}
	if t != kernels.F64 || b.tensor.Len() == 0 {
		return nil
	}
	return failure("cuMemsetD8Async", cu.MemsetD8Async(cu.DevicePtr(b.tensor.Device), 0, int64(b.used()), stream))
}

// used is the bytes of the tensor.
func (b *buffer) used() int {
	if b.tensor.Type == kernels.F64 {
		return 8 * b.tensor.Len()
	}
	return 4 * b.tensor.Len()
}

// poison fills the tensor with NaN and everything around it with the guards' value.
func (b *buffer) poison(stream cu.Stream) error {
	err := failure("cuMemsetD8Async", cu.MemsetD8Async(b.base, guardValue, int64(b.bytes), stream))
	if b.used() > 0 {
		data := cu.DevicePtr(b.tensor.Device)
		err = errors.Join(err, failure("cuMemsetD8Async", cu.MemsetD8Async(data, 0xff, int64(b.used()), stream)))
	}
	return err
}

// check looks at the guards, for which all work on the buffer must have ended.
func (b *buffer) check() error {
	if !b.guard {
		return nil
	}
	before := b.base
	behind := cu.DevicePtr(b.tensor.Device) + cu.DevicePtr(b.used())
	for where, at := range map[string]cu.DevicePtr{"before": before, "behind": behind} {
		var values [guardBytes]byte
		if err := cu.MemcpyDtoH(unsafe.Pointer(&values), at, guardBytes); err != nil {
			return failure("cuMemcpyDtoH", err)
		}
		for _, v := range values {
			if v != guardValue {
				return fmt.Errorf("cuda: something wrote %s the buffer of %v", where, &b.tensor)
			}
		}
	}
	return nil
}

func checkAll(list []*buffer) error {
	for _, b := range list {
		if err := b.check(); err != nil {
			return err
		}
	}
	return nil
}

func (b *buffer) free() error {
	b.account.Add(-int64(b.bytes))
	return failure("cuMemFree", cu.MemFree(b.base))
}

// arena hands out buffers and takes them back, last in, first out. Everything that uses them
// is in one stream, so one that comes back may be handed out again at once.
type arena struct {
	dev    *device
	gpu    *gpu
	stream cu.Stream
	bytes  int       // taken from the device
	live   []*buffer // in the order in which they were taken
	idle   [kernels.SizeClasses][]*buffer
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
	if err := b.shape(t, rows, cols, a.stream); err != nil {
		kernels.Fail(err)
	}
	a.live = append(a.live, b)
	if t == kernels.I32 {
		a.dev.ranges.forget(b.tensor.Device)
	}
	return &b.tensor
}

// extend takes a buffer from the device.
func (a *arena) extend(size int) *buffer {
	b, err := a.room(size, a.dev.guard)
	if err != nil {
		kernels.Fail(err)
	}
	a.bytes += b.bytes
	a.dev.grow(b.bytes)
	return b
}

// room is newBuffer; where there is no memory, once more after giving back what is idle.
func (a *arena) room(size int, guard bool) (*buffer, error) {
	b, err := a.dev.newBuffer(a.gpu, size, guard)
	if !errors.Is(err, kernels.ErrOutOfMemory) {
		return b, err
	}
	if err := a.trim(); err != nil {
		return nil, err
	}
	return a.dev.newBuffer(a.gpu, size, guard)
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
	if a.dev.guard {
		must("cuStreamSynchronize", a.stream.Synchronize())
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
			if err := b.poison(a.stream); err != nil {
				kernels.Fail(err)
			}
		}
		index, _ := kernels.SizeClass(b.size, alignment)
		a.idle[index] = append(a.idle[index], b)
	}
	clear(a.live[len(kept):])
	a.live = kept
}

// trim gives idle buffers back to the device, after all work on them. The error is of that
// work.
func (a *arena) trim() error {
	if err := a.stream.Synchronize(); err != nil {
		return failure("cuStreamSynchronize", err)
	}
	for i, list := range a.idle {
		for _, b := range list {
			a.bytes -= b.bytes
			a.dev.grow(-b.bytes)
			a.dev.ranges.forget(b.tensor.Device)
			a.dev.note(b.free())
		}
		a.idle[i] = nil
	}
	return nil
}

// free gives everything back to the device.
func (a *arena) free() error {
	var err error
	for i, list := range a.idle {
		for _, b := range list {
			err = errors.Join(err, b.free())
		}
		a.idle[i] = nil
	}
	for _, b := range a.live {
		err = errors.Join(err, b.free())
	}
	a.dev.grow(-a.bytes)
	a.bytes, a.live = 0, nil
	return err
}
