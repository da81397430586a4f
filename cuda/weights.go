//go:build cuda

package cuda

import (
	"fmt"
	"unsafe"

	"optin/kernels"
)

// plain is w on the worker's device, row-major and shared by the device's workers: the tensor
// that it lives in, if it does. nil where there is no w.
func (o *ops) plain(w *kernels.Weight) *kernels.Tensor {
	if w == nil {
		return nil
	}
	if live := w.Live(); live != nil {
		return live
	}
	packed, err := w.Packed(&o.gpu.form, func() (any, func(), error) {
		return o.pack(w, 4*w.Len(), func(b *buffer, values []float32) error {
			if err := b.shape(kernels.F32, w.Rows, w.Cols, o.stream); err != nil {
				return err
			}
			o.staging.upload(b.tensor.Device, unsafe.Pointer(unsafe.SliceData(values)), 4*len(values))
			return nil
		})
	})
	if err != nil {
		kernels.Fail(err)
	}
	return &packed.(*buffer).tensor
}

// pack lets fill bring the values of w to a buffer of so many bytes on the device, and waits
// until they are there, for other workers' sake.
func (o *ops) pack(w *kernels.Weight, bytes int, fill func(b *buffer, values []float32) error) (any, func(), error) {
	values, err := w.Values()
	if err != nil {
		return nil, nil, err
	}
	d, g := o.dev, o.gpu
	b, err := o.arena.room(bytes, false)
	if err != nil {
		return nil, nil, fmt.Errorf("weight %s: %w", w.Name, err)
	}
	free := func() { d.note(g.do(b.free)) }
	err = kernels.Try(func() error {
		if err := fill(b, values); err != nil {
			return err
		}
		return failure("cuStreamSynchronize", o.stream.Synchronize())
	})
	if err != nil {
		free()
		return nil, nil, fmt.Errorf("weight %s: %w", w.Name, err)
	}
	d.grow(b.bytes)
	d.mu.Lock()
	d.weights[w] = struct{}{}
	d.mu.Unlock()
	return b, func() {
		d.grow(-b.bytes)
		free()
	}, nil
}

func (d *device) Forget(w *kernels.Weight) {
	d.mu.Lock()
	delete(d.weights, w)
	d.mu.Unlock()
	for _, g := range d.gpus {
		g.drop(w)
	}
}

func (o *ops) Unpack(w *kernels.Weight, transpose bool) *kernels.Tensor {
	kernels.CheckUnpack(w)
	if !transpose {
		y := o.floats(w.Rows, w.Cols)
		o.copyBytes(y.Device, o.plain(w).Device, 4*y.Len())
		return y
	}
	y := o.floats(w.Cols, w.Rows)
	if y.Len() == 0 {
		return y
	}
	o.launch("optin_transpose_f32", size{x: min(ceil(w.Cols, 32), maxFlat), y: min(ceil(w.Rows, 32), maxGridY)}, size{x: 32, y: 8},
		address(y), address(o.plain(w)), number(w.Rows), number(w.Cols))
	return y
}
