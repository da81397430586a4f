//go:build cuda

package cuda

import (
	"errors"
	"unsafe"

	"gorgonia.org/cu"

	"optin/kernels"
)

var _ kernels.Backward = (*ops)(nil)

// ops is the interpreter of one worker, which has a stream of its own: what it launches runs
// in this order, and behind its back.
type ops struct {
	*launcher
	dev     *device
	blas    *blas
	staging *staging
	arena   arena
	offsets offsets
	tally   kernels.Tally
}

// newOps runs on the worker's own thread. The wide worker of several has a device's whole
// power as any other does.
func (d *device) newOps(int) (kernels.Ops, error) {
	g := d.seats[len(d.workers)%len(d.seats)]
	if err := g.Bind(); err != nil {
		return nil, err
	}
	stream, err := cu.MakeStream(cu.NonBlocking)
	if err != nil {
		return nil, failure("cuStreamCreate", err)
	}
	o := &ops{launcher: newLauncher(g, stream), dev: d, arena: arena{dev: d, gpu: g, stream: stream}}
	var refused error
	if o.blas, refused, err = newBLAS(stream); err != nil {
		return nil, errors.Join(err, o.free())
	}
	if refused != nil && len(d.workers) == 0 {
		d.tell("%v, so %s is used", refused, o.blas.library.file())
	}
	if o.staging, err = newStaging(stream); err != nil {
		return nil, errors.Join(err, o.free())
	}
	d.mu.Lock()
	d.workers = append(d.workers, o)
	d.mu.Unlock()
	return o, nil
}

// free gives back what the interpreter holds, after its worker has ended.
func (o *ops) free() error {
	err := failure("cuStreamSynchronize", o.stream.Synchronize())
	err = errors.Join(err, o.offsets.free(&o.dev.memory), o.arena.free())
	if o.staging != nil {
		err = errors.Join(err, o.staging.free())
	}
	if o.blas != nil {
		err = errors.Join(err, o.blas.free())
	}
	return errors.Join(err, failure("cuStreamDestroy", o.stream.Destroy()))
}

func (o *ops) Tally() kernels.Tally { return o.tally }

func (o *ops) New(t kernels.DType, rows, cols int) *kernels.Tensor {
	kernels.CheckShape("New", rows, cols)
	return o.arena.take(t, rows, cols)
}

// floats is a new tensor of type F32.
func (o *ops) floats(rows, cols int) *kernels.Tensor { return o.arena.take(kernels.F32, rows, cols) }

// doubles is scratch for sums. It is not F64 to the arena, which would set it to 0.
func (o *ops) doubles(n int) *kernels.Tensor { return o.arena.take(kernels.F32, 2, n) }

func (o *ops) Upload(rows, cols int, values []float32) *kernels.Tensor {
	kernels.CheckUpload(rows, cols, len(values))
	y := o.floats(rows, cols)
	o.staging.upload(y.Device, unsafe.Pointer(unsafe.SliceData(values)), 4*len(values))
	return y
}

func (o *ops) UploadInts(values []int32) *kernels.Tensor {
	y := o.New(kernels.I32, len(values), 1)
	if len(values) > 0 {
		o.staging.upload(y.Device, unsafe.Pointer(unsafe.SliceData(values)), 4*len(values))
		o.dev.ranges.set(y.Device, spanOf(values))
	}
	return y
}

// Download waits for all that was launched.
func (o *ops) Download(t *kernels.Tensor, dst []float64) {
	kernels.CheckDownload(t, dst)
	switch t.Type {
	case kernels.F64:
		o.staging.download(t.Device, 8*len(dst), func(piece unsafe.Pointer, n int) { dst = widen[float64](dst, piece, n/8) })
	case kernels.I32:
		o.staging.download(t.Device, 4*len(dst), func(piece unsafe.Pointer, n int) { dst = widen[int32](dst, piece, n/4) })
	default:
		o.staging.download(t.Device, 4*len(dst), func(piece unsafe.Pointer, n int) { dst = widen[float32](dst, piece, n/4) })
	}
}

// widen copies n numbers to dst and returns the rest of it.
func widen[T float32 | float64 | int32](dst []float64, src unsafe.Pointer, n int) []float64 {
	for i, v := range unsafe.Slice((*T)(src), n) {
		dst[i] = float64(v)
	}
	return dst[n:]
}

func (o *ops) Copy(dst, src *kernels.Tensor) {
	kernels.CheckCopy(dst, src)
	bytes := 4 * src.Len()
	if src.Type == kernels.F64 {
		bytes *= 2
	}
	if src.Type == kernels.I32 {
		o.copied(dst, src)
	}
	o.copyBytes(dst.Device, src.Device, bytes)
}

// copyBytes copies n bytes within device memory.
func (o *ops) copyBytes(dst, src uintptr, n int) {
	if n > 0 {
		must("cuMemcpyDtoDAsync", cu.MemcpyDtoDAsync(cu.DevicePtr(dst), cu.DevicePtr(src), int64(n), o.stream))
	}
}

// zero sets t, of type F32, to 0.
func (o *ops) zero(t *kernels.Tensor) {
	if t.Len() > 0 {
		must("cuMemsetD8Async", cu.MemsetD8Async(cu.DevicePtr(t.Device), 0, int64(4*t.Len()), o.stream))
	}
}

func (o *ops) Mark() kernels.Mark { return kernels.Mark(len(o.arena.live)) }

func (o *ops) Release(m kernels.Mark, keep ...*kernels.Tensor) { o.arena.release(int(m), keep) }
