//go:build cuda

package cuda

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"gorgonia.org/cu"

	"optin/kernels"
	kernelcode "optin/kernels/cuda"
)

// device is a Device of this machine's GPUs, with one worker for each.
type device struct {
	memory
	trouble
	shared atomic.Int64 // bytes of tensors that all devices can reach, where there are several
	pool   *kernels.Pool
	gpus   []*gpu // each once
	seats  []*gpu // of the workers in the order in which they open
	guard  bool
	log    func(line string) // may be nil

	precision Precision
	format    *format // of precision, nil: float32

	ranges ranges // of integers in device memory

	mu        sync.Mutex
	workers   []*ops
	allocated map[*kernels.Tensor]*buffer
	weights   map[*kernels.Weight]struct{} // that hold a copy of ours
}

// New opens the devices of this machine.
func New(options Options) (kernels.Device, error) {
	if err := options.Precision.check(); err != nil {
		return nil, err
	}
	d := &device{
		guard:     options.Guard,
		log:       options.Log,
		precision: options.Precision,
		format:    formatOf(options.Precision),
		allocated: make(map[*kernels.Tensor]*buffer),
		weights:   make(map[*kernels.Weight]struct{}),
	}
	if err := d.open(options); err != nil {
		d.free()
		return nil, err
	}
	return d, nil
}

func (d *device) open(options Options) error {
	images := options.Images
	if images == nil {
		images = kernelcode.Images()
	}
	all := options.Devices
	if all == nil {
		var err error
		if all, err = d.able(images); err != nil {
			return err
		}
	}
	indices, err := spread(options.Workers, all)
	if err != nil {
		return err
	}
	byIndex := make(map[int]*gpu)
	for _, index := range indices {
		g := byIndex[index]
		if g == nil {
			if g, err = openGPU(index, images, len(indices)); err != nil {
				return err
			}
			byIndex[index] = g
			d.gpus = append(d.gpus, g)
		}
		d.seats = append(d.seats, g)
	}
	d.tellUnlike()
	d.pool, err = kernels.NewPool(len(indices), d.newOps)
	return err
}

// able are the devices that there are kernels for. It tells about the others.
func (d *device) able(images fs.FS) ([]int, error) {
	count, err := start()
	if err != nil {
		return nil, err
	}
	var list []int
	var unable error
	for i := range count {
		switch err := suits(i, images); {
		case err == nil:
			list = append(list, i)
		case errors.Is(err, kernelcode.ErrUnsuitable):
			unable = both(unable, err)
		default:
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, unable
	}
	if unable != nil {
		d.tell("%v: not used", unable)
	}
	return list, nil
}

// tellUnlike tells where devices round in different ways.
func (d *device) tellUnlike() {
	for _, g := range d.gpus {
		if first := d.gpus[0]; g.chip != first.chip {
			d.tell("devices %d and %d are different chips, so scores depend, by rounding, on which of them a unit meets: CUDA_VISIBLE_DEVICES chooses equal ones", first.index, g.index)
			return
		}
	}
}

// tell is for what the user should know and is no error.
func (d *device) tell(format string, args ...any) {
	if d.log != nil {
		d.log(fmt.Sprintf(format, args...))
	}
}

// spread gives each worker one of the devices, in turn; 0 workers: one for each.
func spread(workers int, devices []int) ([]int, error) {
	if len(devices) == 0 {
		return nil, errNoDevice
	}
	if workers < 0 || workers > kernels.MaxWorkers {
		return nil, fmt.Errorf("cuda: threads = %d: must be 1 to %d, or 0 for one on each device", workers, kernels.MaxWorkers)
	}
	if workers == 0 {
		workers = len(devices)
	}
	var list []int
	for i := range workers {
		list = append(list, devices[i%len(devices)])
	}
	return list, nil
}

func (d *device) Name() string { return "cuda" }

func (d *device) Describe() string {
	var text string
	for i, g := range d.gpus {
		if i > 0 {
			text += " + "
		}
		name, err := g.Name()
		if err != nil {
			name = fmt.Sprintf("device %d", g.index)
		}
		text += name
	}
	text = fmt.Sprintf("%s, CUDA driver %s, cuBLAS %s, workers %d",
		text, versionText(cu.Version()), d.workers[0].blas.version(), d.Workers())
	if d.format != nil {
		text += fmt.Sprintf(", Linear in %s", d.precision)
	}
	return text
}

func (d *device) Workers() int { return d.pool.Workers() }

// Each waits for the work of all devices before it begins, because f may read what a caller
// that is a worker itself has made, and before it ends, so that results are there and errors
// known.
func (d *device) Each(ctx context.Context, n int, f func(ops kernels.Ops, i int) error) (err error) {
	if err := d.settle(); err != nil {
		return err
	}
	defer func() { err = firstOf(err, d.settle()) }()
	return d.pool.Each(ctx, n, func(o kernels.Ops, i int) error {
		return o.(*ops).try(func() error { return f(o, i) })
	})
}

// One waits as Each does.
func (d *device) One(ctx context.Context, f func(ops kernels.Ops) error) (err error) {
	if err := d.settle(); err != nil {
		return err
	}
	defer func() { err = firstOf(err, d.settle()) }()
	return d.pool.One(ctx, func(o kernels.Ops) error {
		return o.(*ops).try(func() error { return f(o) })
	})
}

// both is one line of two errors, of which the first may be nil.
func both(first, second error) error {
	if first == nil {
		return second
	}
	return fmt.Errorf("%w; %w", first, second)
}

func firstOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// synchronize waits for the streams of all workers.
func (d *device) synchronize() error {
	for _, o := range d.workers {
		if err := o.gpu.do(func() error { return o.try(o.wait) }); err != nil {
			return err
		}
	}
	return nil
}

// settle waits for all work, and returns the first error that has been noted.
func (d *device) settle() error {
	err := d.synchronize()
	return firstOf(d.noted(), err)
}

func (d *device) Tally() kernels.Tally { return d.pool.Tally() }
func (d *device) PeakBytes() int64     { return d.peak.Load() }

// ResetPeak also gives idle buffers back, so that the next peak is not that of the work
// before. Call it while no worker works.
func (d *device) ResetPeak() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.workers {
		d.note(o.gpu.do(func() error { return o.try(o.arena.trim) }))
	}
	d.peak.Store(d.bytes.Load())
}

// ArenaBytes is what the arenas of all workers have taken from the devices: it stays the
// same in the steady state.
func (d *device) ArenaBytes() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	var sum int64
	for _, o := range d.workers {
		sum += int64(o.arena.bytes)
	}
	return sum
}

// CheckGuards looks for writes outside of any buffer. Call it while no worker works; without
// Options.Guard there is nothing to look at.
func (d *device) CheckGuards() error {
	if !d.guard {
		return nil
	}
	if err := d.synchronize(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, o := range d.workers {
		if err := o.gpu.do(func() error { return checkAll(o.arena.live) }); err != nil {
			return err
		}
	}
	return d.gpus[0].do(func() error {
		for _, b := range d.allocated {
			if err := b.check(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Alloc takes memory that all devices can reach, where there are several.
func (d *device) Alloc(t kernels.DType, rows, cols int) (*kernels.Tensor, error) {
	kernels.CheckShape("Alloc", rows, cols)
	n, err := storage(t, rows, cols)
	if err != nil {
		return nil, err
	}
	var b *buffer
	err = d.gpus[0].do(func() error {
		if b, err = d.newShared(n); err != nil {
			return err
		}
		err := b.shape(t, rows, cols, cu.Stream{})
		if err == nil {
			err = failure("cuCtxSynchronize", cu.Synchronize())
		}
		if err != nil {
			return firstOf(err, b.free())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.grow(b.bytes)
	d.ranges.forget(b.tensor.Device)
	d.mu.Lock()
	d.allocated[&b.tensor] = b
	d.mu.Unlock()
	return &b.tensor, nil
}

func (d *device) Free(t *kernels.Tensor) {
	if t == nil {
		return
	}
	d.mu.Lock()
	b := d.allocated[t]
	delete(d.allocated, t)
	d.mu.Unlock()
	if b == nil {
		panic("kernels: Free: not a tensor of Alloc, or freed before")
	}
	d.note(d.gpus[0].do(func() error {
		err := b.check()
		return firstOf(err, b.free())
	}))
	d.ranges.forget(t.Device)
	d.grow(-b.bytes)
}

// Close returns the first error that there has been in freeing, or of a kernel that went
// wrong: those that come after it say nothing new.
func (d *device) Close() error {
	d.pool.Close()
	d.note(d.CheckGuards())
	d.free()
	return d.noted()
}

// free gives back what the device holds.
func (d *device) free() {
	for w := range d.weights {
		for _, g := range d.gpus {
			g.drop(w)
		}
	}
	for _, o := range d.workers {
		d.note(o.gpu.do(o.free))
	}
	for _, b := range d.allocated {
		d.grow(-b.bytes)
		d.note(d.gpus[0].do(b.free))
	}
	for _, g := range d.gpus {
		d.note(g.close())
	}
	clear(d.weights)
	clear(d.allocated)
	d.workers, d.gpus = nil, nil
}
