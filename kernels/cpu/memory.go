//go:build cgo

package cpu

// #include <stdlib.h>
// #include "kernels.h"
// #include "onednn.h"
import "C"

import (
	"unsafe"

	"optin/kernels"
)

// ops is the interpreter of one worker.
type ops struct {
	dev     *device
	isa     *C.optin_cpu_isa
	stream  C.dnnl_stream_t
	threads int
	arena   arena
	linears linears
	spec    *C.optin_cpu_attention // arguments of attention, in C's memory
	tally   kernels.Tally
}

// newOps runs on the worker's own thread.
func (d *device) newOps(threads int) (kernels.Ops, error) {
	C.optin_cpu_threads(C.int(threads))
	o := &ops{dev: d, isa: d.isa, threads: threads, arena: arena{dev: d}}
	if err := check(C.optin_cpu_stream_create(&o.stream, d.engine)); err != nil {
		return nil, err
	}
	o.spec = (*C.optin_cpu_attention)(C.calloc(1, C.sizeof_optin_cpu_attention))
	o.linears.forms = make(map[C.optin_cpu_linear_shape]*linear)
	d.mu.Lock()
	d.workers = append(d.workers, o)
	d.mu.Unlock()
	return o, nil
}

// free gives back what the interpreter holds, after its worker has ended.
func (o *ops) free() {
	o.arena.free()
	o.linears.free()
	C.free(unsafe.Pointer(o.spec))
	C.dnnl_stream_destroy(o.stream)
}

func (o *ops) Tally() kernels.Tally { return o.tally }

func (o *ops) New(t kernels.DType, rows, cols int) *kernels.Tensor {
	kernels.CheckShape("New", rows, cols)
	return o.arena.take(t, rows, cols)
}

// real is a new tensor of type F32.
func (o *ops) real(rows, cols int) *kernels.Tensor {
	return o.arena.take(kernels.F32, rows, cols)
}

func (o *ops) Upload(rows, cols int, values []float32) *kernels.Tensor {
	kernels.CheckUpload(rows, cols, len(values))
	y := o.real(rows, cols)
	copy(y.F32, values)
	return y
}

func (o *ops) UploadInts(values []int32) *kernels.Tensor {
	y := o.New(kernels.I32, len(values), 1)
	copy(y.I32, values)
	return y
}

func (o *ops) Download(t *kernels.Tensor, dst []float64) {
	kernels.CheckDownload(t, dst)
	copy(dst, t.F64)
	for i, v := range t.F32 {
		dst[i] = float64(v)
	}
	for i, v := range t.I32 {
		dst[i] = float64(v)
	}
}

func (o *ops) Copy(dst, src *kernels.Tensor) {
	kernels.CheckCopy(dst, src)
	copy(dst.F32, src.F32)
	copy(dst.F64, src.F64)
	copy(dst.I32, src.I32)
}

func (o *ops) Mark() kernels.Mark { return kernels.Mark(len(o.arena.live)) }

func (o *ops) Release(m kernels.Mark, keep ...*kernels.Tensor) {
	o.arena.release(int(m), keep)
}

// floats is the address of t's elements, for C to use until it returns; NULL
// where there is no t.
func floats(t *kernels.Tensor) *C.float {
	if t == nil {
		return nil
	}
	return (*C.float)(unsafe.SliceData(t.F32))
}

func doubles(t *kernels.Tensor) *C.double { return (*C.double)(unsafe.SliceData(t.F64)) }
func ints(t *kernels.Tensor) *C.int32_t   { return (*C.int32_t)(unsafe.SliceData(t.I32)) }
