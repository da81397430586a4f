package ref

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"optin/kernels"
)

// device is the reference Device.
type device struct {
	pool        *kernels.Pool
	bytes, peak atomic.Int64 // of tensors and packed weights, now and at most

	mu      sync.Mutex
	weights map[*kernels.Weight]struct{} // that hold a packed form of ours
}

// New opens the reference device with the given number of workers.
func New(workers int) (kernels.Device, error) {
	d := &device{weights: make(map[*kernels.Weight]struct{})}
	pool, err := kernels.NewPool(workers, func(int) (kernels.Ops, error) { return &ops{dev: d}, nil })
	if err != nil {
		return nil, fmt.Errorf("ref: %w", err)
	}
	d.pool = pool
	return d, nil
}

func (d *device) Name() string     { return "ref" }
func (d *device) Describe() string { return "plain Go in float64" }
func (d *device) Workers() int     { return d.pool.Workers() }

func (d *device) Each(ctx context.Context, n int, f func(ops kernels.Ops, i int) error) error {
	return d.pool.Each(ctx, n, f)
}

func (d *device) One(ctx context.Context, f func(ops kernels.Ops) error) error {
	return d.pool.One(ctx, f)
}

func (d *device) Tally() kernels.Tally { return d.pool.Tally() }
func (d *device) PeakBytes() int64     { return d.peak.Load() }
func (d *device) ResetPeak()           { d.peak.Store(d.bytes.Load()) }

func (d *device) Close() error {
	d.pool.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.weights {
		w.Drop(d)
	}
	clear(d.weights)
	return nil
}

// grow accounts for n more bytes (fewer where n is negative).
func (d *device) grow(n int) {
	now := d.bytes.Add(int64(n))
	for {
		peak := d.peak.Load()
		if now <= peak || d.peak.CompareAndSwap(peak, now) {
			return
		}
	}
}

// values is w in float64, row-major, shared by all workers. A weight that lives
// in a tensor of a reference device is that tensor's storage.
func (d *device) values(w *kernels.Weight) []float64 {
	if live := w.Live(); live != nil && live.F64 != nil {
		return live.F64
	}
	packed, err := w.Packed(d, func() (any, func(), error) {
		narrow, err := w.Values()
		if err != nil {
			return nil, nil, err
		}
		wide := make([]float64, len(narrow))
		for i, v := range narrow {
			wide[i] = float64(v)
		}
		d.grow(8 * len(wide))
		return wide, func() { d.grow(-8 * len(wide)) }, nil
	})
	if err != nil {
		kernels.Fail(err)
	}
	d.mu.Lock()
	d.weights[w] = struct{}{}
	d.mu.Unlock()
	return packed.([]float64)
}

func (d *device) Forget(w *kernels.Weight) {
	d.mu.Lock()
	delete(d.weights, w)
	d.mu.Unlock()
	w.Drop(d)
}
