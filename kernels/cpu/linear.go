//go:build cgo

package cpu

// #include <stdlib.h>
// #include <string.h>
// #include "kernels.h"
// #include "onednn.h"
import "C"

import (
	"unsafe"

	"optin/kernels"
)

// linears are the primitives that a worker has made, by what they compute. They
// are a worker's own because they hold its tensors' addresses while they run;
// oneDNN itself shares the generated code of equal ones.
type linears struct {
	forms map[C.optin_cpu_linear_shape]*linear
	clock uint64
}

type linear struct {
	c    *C.optin_cpu_linear
	used uint64 // when, by the clock
}

// Rounding to blocks of rows leaves a few dozen shapes per model.
const maxLinears = 512

// get is the primitive for shape.
func (l *linears) get(o *ops, shape C.optin_cpu_linear_shape, w *C.optin_cpu_weights) *C.optin_cpu_linear {
	l.clock++
	if f := l.forms[shape]; f != nil {
		f.used = l.clock
		return f.c
	}
	if len(l.forms) >= maxLinears {
		l.evict()
	}
	c := (*C.optin_cpu_linear)(C.calloc(1, C.sizeof_optin_cpu_linear))
	status := C.optin_cpu_linear_create(c, o.dev.engine, shape, w)
	if status.code != C.dnnl_success {
		C.free(unsafe.Pointer(c))
		must(status)
	}
	l.forms[shape] = &linear{c, l.clock}
	return c
}

// evict frees the primitive that has not been used for longest.
func (l *linears) evict() {
	var oldest C.optin_cpu_linear_shape
	used := l.clock + 1
	for shape, f := range l.forms {
		if f.used < used {
			oldest, used = shape, f.used
		}
	}
	l.forms[oldest].free()
	delete(l.forms, oldest)
}

func (l *linears) free() {
	for _, f := range l.forms {
		f.free()
	}
	clear(l.forms)
}

func (f *linear) free() {
	C.optin_cpu_linear_free(f.c)
	C.free(unsafe.Pointer(f.c))
}

// Linear leaves bias and activation to oneDNN, and the residual too where nothing
// comes before it that oneDNN cannot do: masks, and a ReLU that keeps NaN.
func (o *ops) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	kernels.CheckLinear(x, w, e)
	y := o.real(x.Rows, w.Rows)
	if y.Len() == 0 {
		return y
	}
	fused := fuse(w, e)
	if w.Cols == 0 {
		o.constant(y, o.plain(e.Bias))
	} else {
		o.product(y, x, w, fused)
	}
	if e.Act != fused.Act {
		C.optin_cpu_activate_f32(o.isa, floats(y), floats(y), C.int(e.Act), size(y))
	}
	if e.Mask != nil {
		o.maskUnits(y, y, e.Mask)
	}
	if e.Residual != fused.Residual {
		C.optin_cpu_add_f32(o.isa, floats(y), floats(y), floats(e.Residual), size(y), size(y))
	}
	return y
}

// fuse is the part of e that oneDNN does.
func fuse(w *kernels.Weight, e kernels.Epilogue) kernels.Epilogue {
	fused := kernels.Epilogue{Bias: e.Bias, Act: e.Act, Residual: e.Residual}
	if e.Act == kernels.ReLU || w.Cols == 0 {
		fused.Act = kernels.Identity
	}
	if e.Act != fused.Act || e.Mask != nil || w.Cols == 0 {
		fused.Residual = nil
	}
	return fused
}

// product is y = act(x w' + bias) + residual.
func (o *ops) product(y, x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) {
	rows := roundRows(x.Rows, max(w.Rows, w.Cols))
	shape := C.optin_cpu_linear_shape{
		rows: C.int64_t(rows),
		in:   C.int64_t(w.Cols),
		out:  C.int64_t(w.Rows),
		act:  C.int(e.Act),
	}
	if e.Bias != nil {
		shape.bias = 1
	}
	if e.Residual != nil {
		shape.residual = 1
	}
	weights := o.packed(w)
	l := o.linears.get(o, shape, weights)
	mark := o.Mark()
	scratch := o.real(1, (int(l.scratch_bytes)+3)/4)
	must(C.optin_cpu_linear_run(l, o.stream, floats(y), floats(x), weights, o.plain(e.Bias), floats(e.Residual),
		unsafe.Pointer(floats(scratch))))
	o.Release(mark)

	macs := kernels.LinearMACs(x, w)
	o.tally.MACs += macs
	o.tally.PaddedMACs += int64(rows)*int64(w.Len()) - macs
}

// constant is y = bias, the product that has no inputs left.
func (o *ops) constant(y *kernels.Tensor, bias *C.float) {
	clear(y.F32)
	if bias != nil {
		C.optin_cpu_add_f32(o.isa, floats(y), floats(y), bias, size(y), C.size_t(y.Cols))
	}
}

// size is the number of t's elements.
func size(t *kernels.Tensor) C.size_t { return C.size_t(t.Len()) }
