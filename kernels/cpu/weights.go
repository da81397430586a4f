//go:build cgo

package cpu

// #include <stdlib.h>
// #include "kernels.h"
// #include "onednn.h"
import "C"

import (
	"fmt"
	"unsafe"

	"optin/kernels"
)

// reading calls f with the values of w in memory of C, which is freed afterwards.
func reading(w *kernels.Weight, f func(values unsafe.Pointer) error) error {
	bytes := max(4*w.Len(), 1)
	values := C.malloc(C.size_t(bytes))
	if values == nil {
		return fmt.Errorf("cpu: weight %s [%d, %d]: %w", w.Name, w.Rows, w.Cols, kernels.ErrOutOfMemory)
	}
	defer C.free(values)
	if err := w.Read(unsafe.Slice((*float32)(values), w.Len())); err != nil {
		return err
	}
	return f(values)
}

// remember makes Close drop the packed forms of w.
func (d *device) remember(w *kernels.Weight) {
	d.mu.Lock()
	d.weights[w] = struct{}{}
	d.mu.Unlock()
}

func (d *device) Forget(w *kernels.Weight) {
	d.mu.Lock()
	delete(d.weights, w)
	d.mu.Unlock()
	for i := range d.forms {
		w.Drop(&d.forms[i])
	}
}

// plain is w row-major, shared by all workers: the tensor that it lives in, if it
// does. NULL where there is no w.
func (o *ops) plain(w *kernels.Weight) *C.float {
	if w == nil {
		return nil
	}
	if live := w.Live(); live != nil {
		return floats(live)
	}
	packed, err := w.Packed(&o.dev.forms[plainForm], func() (any, func(), error) { return o.dev.packPlain(w) })
	if err != nil {
		kernels.Fail(err)
	}
	return (*C.float)(packed.(*buffer).data)
}

func (d *device) packPlain(w *kernels.Weight) (any, func(), error) {
	b, err := d.newBuffer((4*w.Len()+alignment-1)/alignment*alignment, false)
	if err != nil {
		return nil, nil, fmt.Errorf("weight %s: %w", w.Name, err)
	}
	if err := w.Read(unsafe.Slice((*float32)(b.data), w.Len())); err != nil {
		d.freeBuffer(b)
		return nil, nil, err
	}
	d.remember(w)
	return b, func() { d.freeBuffer(b) }, nil
}

// packed is w in oneDNN's order for one of the products that Linear (linearForm)
// and LinearBackward (turnedForm) compute, shared by all workers. Neither
// dimension is 0.
func (o *ops) packed(w *kernels.Weight, form int) *C.optin_cpu_weights {
	packed, err := w.Packed(&o.dev.forms[form], func() (any, func(), error) { return o.pack(w, form) })
	if err != nil {
		kernels.Fail(err)
	}
	return packed.(*C.optin_cpu_weights)
}

func (o *ops) pack(w *kernels.Weight, form int) (any, func(), error) {
	d := o.dev
	out, in, transposed := C.int64_t(w.Rows), C.int64_t(w.Cols), C.int(0)
	if form == turnedForm {
		out, in, transposed = in, out, 1
	}
	p := (*C.optin_cpu_weights)(C.calloc(1, C.sizeof_optin_cpu_weights))
	err := reading(w, func(values unsafe.Pointer) error {
		err := check(C.optin_cpu_weights_pack(p, d.engine, o.stream, (*C.float)(values), out, in, transposed))
		if err != nil {
			return fmt.Errorf("weight %s: %w", w.Name, err)
		}
		return nil
	})
	if err != nil {
		C.free(unsafe.Pointer(p))
		return nil, nil, err
	}
	free := func() {
		d.shrink(int(p.bytes))
		C.optin_cpu_weights_free(p)
		C.free(unsafe.Pointer(p))
	}
	if err := d.grow(int(p.bytes)); err != nil {
		C.optin_cpu_weights_free(p)
		C.free(unsafe.Pointer(p))
		return nil, nil, fmt.Errorf("weight %s: %w", w.Name, err)
	}
	d.remember(w)
	return p, free, nil
}

func (o *ops) Unpack(w *kernels.Weight, transpose bool) *kernels.Tensor {
	kernels.CheckUnpack(w)
	rows, cols, flag := w.Rows, w.Cols, C.int(0)
	if transpose {
		rows, cols, flag = cols, rows, 1
	}
	y := o.real(rows, cols)
	live := w.Live()
	switch {
	case y.Len() == 0:
	case live == nil:
		must(C.optin_cpu_weights_unpack(floats(y), o.dev.engine, o.stream, o.packed(w, linearForm), flag))
	case transpose:
		C.optin_cpu_transpose_f32(o.isa, floats(y), floats(live), C.size_t(w.Rows), C.size_t(w.Cols))
	default:
		copy(y.F32, live.F32)
	}
	return y
}
