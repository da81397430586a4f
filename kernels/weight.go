package kernels

import (
	"fmt"
	"sync"
)

// Weight is a parameter [Rows, Cols] of a model (a Linear's is [out, in], a
// vector is [1, n]): a handle that knows where its values come from. Devices
// keep their own packed form of it, shared by all their workers, and build it
// again when the version has moved.
type Weight struct {
	Name       string
	Rows, Cols int

	load func(dst []float32) error
	live *Tensor

	mu      sync.Mutex
	version uint64
	packed  map[any]packedForm
}

type packedForm struct {
	version uint64
	value   any
	free    func()
}

// NewWeight makes a weight whose row-major values are read by load when a
// device needs them, and are not kept here.
func NewWeight(name string, rows, cols int, load func(dst []float32) error) *Weight {
	return &Weight{Name: name, Rows: rows, Cols: cols, load: load}
}

// WeightOf makes a weight that reads from values, which it keeps. After
// changing them, call Touch.
func WeightOf(name string, rows, cols int, values []float32) *Weight {
	if len(values) != rows*cols {
		panic(fmt.Sprintf("kernels: weight %s: %d values for [%d, %d]", name, len(values), rows, cols))
	}
	return NewWeight(name, rows, cols, func(dst []float32) error { copy(dst, values); return nil })
}

// LiveWeight makes a weight whose values are those of t [Rows, Cols], type F32,
// a tensor of Device.Alloc, at every moment: what training changes. Interpreters
// of that device read t itself and pack nothing.
func LiveWeight(name string, t *Tensor) *Weight {
	w := NewWeight(name, t.Rows, t.Cols, t.readHost)
	w.live = t
	return w
}

// Live is the tensor that w lives in, or nil.
func (w *Weight) Live() *Tensor { return w.live }

// Len is the number of elements.
func (w *Weight) Len() int { return w.Rows * w.Cols }

// Values reads the weight, row-major.
func (w *Weight) Values() ([]float32, error) {
	dst := make([]float32, w.Len())
	return dst, w.Read(dst)
}

// Read reads the weight into dst, which must have its length.
func (w *Weight) Read(dst []float32) error {
	if len(dst) != w.Len() {
		panic(fmt.Sprintf("kernels: weight %s: read into %d of %d values", w.Name, len(dst), w.Len()))
	}
	if err := w.load(dst); err != nil {
		return fmt.Errorf("weight %s: %w", w.Name, err)
	}
	return nil
}

// Touch says that the values have changed: packed forms are built anew.
func (w *Weight) Touch() {
	w.mu.Lock()
	w.version++
	w.mu.Unlock()
}

// Packed returns the form of w stored under key, which identifies a device and
// a layout, building it with pack where there is none for the present version.
// free, which may be nil, is called when the form is replaced or dropped.
func (w *Weight) Packed(key any, pack func() (value any, free func(), err error)) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	form, ok := w.packed[key]
	if ok && form.version == w.version {
		return form.value, nil
	}
	if ok && form.free != nil {
		form.free()
	}
	delete(w.packed, key)
	value, free, err := pack()
	if err != nil {
		return nil, err
	}
	if w.packed == nil {
		w.packed = make(map[any]packedForm)
	}
	w.packed[key] = packedForm{w.version, value, free}
	return value, nil
}

// Drop frees the packed form of w under key, if there is one.
func (w *Weight) Drop(key any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if form, ok := w.packed[key]; ok {
		if form.free != nil {
			form.free()
		}
		delete(w.packed, key)
	}
}
