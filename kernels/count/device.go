package count

import (
	"context"
	"sync"

	"optin/kernels"
)

// Device counts what a program would run. It has one worker.
type Device struct {
	pool *kernels.Pool

	mu          sync.Mutex
	bytes, peak int64
	weights     map[*kernels.Weight]struct{} // that have been used
}

var _ kernels.Device = (*Device)(nil)

// New opens a counting device.
func New() *Device {
	d := &Device{weights: make(map[*kernels.Weight]struct{})}
	pool, err := kernels.NewPool(1, func(int) (kernels.Ops, error) { return &ops{dev: d}, nil })
	if err != nil {
		panic(err) // one worker that opens without an error
	}
	d.pool = pool
	return d
}

// Name is "count".
func (d *Device) Name() string { return "count" }

// Describe says what the device is.
func (d *Device) Describe() string { return "shapes only, counts multiply-accumulates" }

// Workers is 1.
func (d *Device) Workers() int { return d.pool.Workers() }

// Each is kernels.Device.Each.
func (d *Device) Each(ctx context.Context, n int, f func(ops kernels.Ops, i int) error) error {
	return d.pool.Each(ctx, n, f)
}

// One is kernels.Device.One.
func (d *Device) One(ctx context.Context, f func(ops kernels.Ops) error) error {
	return d.pool.One(ctx, f)
}

// Alloc makes a tensor without values.
func (d *Device) Alloc(t kernels.DType, rows, cols int) (*kernels.Tensor, error) {
	kernels.CheckShape("Alloc", rows, cols)
	return d.take(t, rows, cols), nil
}

// Free gives a tensor of Alloc back.
func (d *Device) Free(t *kernels.Tensor) {
	if t != nil {
		d.grow(-size(t))
	}
}

// Forget gives the memory of w back.
func (d *Device) Forget(w *kernels.Weight) {
	d.mu.Lock()
	_, used := d.weights[w]
	delete(d.weights, w)
	d.mu.Unlock()
	if used {
		d.grow(-4 * int64(w.Len()))
	}
}

// Tally is what would have run.
func (d *Device) Tally() kernels.Tally { return d.pool.Tally() }

// PeakBytes is the most memory that tensors and weights would have taken.
func (d *Device) PeakBytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peak
}

// ResetPeak starts a new peak at the present memory.
func (d *Device) ResetPeak() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peak = d.bytes
}

// Close ends the worker.
func (d *Device) Close() error {
	d.pool.Close()
	return nil
}

// take makes a tensor and counts its memory.
func (d *Device) take(t kernels.DType, rows, cols int) *kernels.Tensor {
	x := &kernels.Tensor{Rows: rows, Cols: cols, Type: t}
	d.grow(size(x))
	return x
}

// use counts the memory of the weights that are not yet counted: those that live
// in a tensor were, with it.
func (d *Device) use(weights ...*kernels.Weight) {
	for _, w := range weights {
		if w == nil || w.Live() != nil {
			continue
		}
		d.mu.Lock()
		_, used := d.weights[w]
		d.weights[w] = struct{}{}
		d.mu.Unlock()
		if !used {
			d.grow(4 * int64(w.Len()))
		}
	}
}

// grow counts n more bytes.
func (d *Device) grow(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.bytes += n
	d.peak = max(d.peak, d.bytes)
}

// size is the bytes of t where its elements have their own type.
func size(t *kernels.Tensor) int64 {
	if t.Type == kernels.F64 {
		return 8 * int64(t.Len())
	}
	return 4 * int64(t.Len())
}
