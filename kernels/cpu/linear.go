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
// comes before it that oneDNN cannot do: masks, and a ReLU that keeps NaN. Bias
// and residual of a live weight go where its product is added to.
func (o *ops) Linear(x *kernels.Tensor, w *kernels.Weight, e kernels.Epilogue) *kernels.Tensor {
	kernels.CheckLinear(x, w, e)
	y := o.real(x.Rows, w.Rows)
	if y.Len() == 0 {
		return y
	}
	fused := fuse(w, e)
	switch {
	case w.Cols == 0:
		o.base(y, e.Bias, nil)
	case w.Live() != nil:
		o.base(y, e.Bias, fused.Residual)
		o.addGemm(y, x, w.Live(), false, true)
		o.tally.MACs += kernels.LinearMACs(x, w)
	default:
		o.product(y, x, w, linearForm, fused)
		o.tally.MACs += kernels.LinearMACs(x, w)
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

// LinearBackward is a product with the transpose of w, packed by itself.
func (o *ops) LinearBackward(dy *kernels.Tensor, w *kernels.Weight) *kernels.Tensor {
	kernels.CheckLinearBackward(dy, w)
	o.tally.MACs += kernels.LinearBackwardMACs(dy, w)
	dx := o.real(dy.Rows, w.Cols)
	switch {
	case dx.Len() == 0:
	case w.Rows == 0:
		clear(dx.F32)
	case w.Live() != nil:
		o.gemm(dx, dy, w.Live(), false, false)
	default:
		o.product(dx, dy, w, turnedForm, kernels.Epilogue{})
	}
	return dx
}

// fuse is the part of e that comes with the product.
func fuse(w *kernels.Weight, e kernels.Epilogue) kernels.Epilogue {
	fused := kernels.Epilogue{Bias: e.Bias, Act: e.Act, Residual: e.Residual}
	if e.Act == kernels.ReLU || w.Cols == 0 || w.Live() != nil {
		fused.Act = kernels.Identity
	}
	if e.Act != fused.Act || e.Mask != nil || w.Cols == 0 {
		fused.Residual = nil
	}
	return fused
}

// product is y = act(x w' + bias) + residual, or that with w instead of w' where
// form is turnedForm.
func (o *ops) product(y, x *kernels.Tensor, w *kernels.Weight, form int, e kernels.Epilogue) {
	rows := roundRows(x.Rows, max(w.Rows, w.Cols))
	shape := C.optin_cpu_linear_shape{
		rows: C.int64_t(rows),
		in:   C.int64_t(x.Cols),
		out:  C.int64_t(y.Cols),
		act:  C.int(e.Act),
	}
	if e.Bias != nil {
		shape.bias = 1
	}
	if e.Residual != nil {
		shape.residual = 1
	}
	weights := o.packed(w, form)
	l := o.linears.get(o, shape, weights)
	mark := o.Mark()
	scratch := o.real(1, (int(l.scratch_bytes)+3)/4)
	must(C.optin_cpu_linear_run(l, o.stream, floats(y), floats(x), weights, o.plain(e.Bias), floats(e.Residual),
		unsafe.Pointer(floats(scratch))))
	o.Release(mark)
	o.tally.PaddedMACs += int64(rows-x.Rows) * int64(w.Len())
}

// base is y = bias + residual, either of which may be nil: what there is before
// the product.
func (o *ops) base(y *kernels.Tensor, bias *kernels.Weight, residual *kernels.Tensor) {
	switch {
	case residual == nil && bias == nil:
		clear(y.F32)
	case residual == nil:
		C.optin_cpu_repeat_f32(floats(y), o.plain(bias), C.size_t(y.Rows), C.size_t(y.Cols))
	case bias == nil:
		copy(y.F32, residual.F32)
	default:
		C.optin_cpu_add_f32(o.isa, floats(y), floats(residual), o.plain(bias), size(y), C.size_t(y.Cols))
	}
}

// size is the number of t's elements.
func size(t *kernels.Tensor) C.size_t { return C.size_t(t.Len()) }
