package kerneltest

import (
	"context"
	"fmt"
	"math"

	"optin/kernels"
	"optin/kernels/count"
	"optin/kernels/ref"
)

// env is where a case runs: the device under test and the reference.
type env struct {
	dev, ref       kernels.Device
	seed           uint64
	differentiable bool                    // dev's workers implement kernels.Backward
	round          func(x float32) float32 // see Options
}

func newEnv(dev kernels.Device, seed uint64) (*env, error) {
	r, err := ref.New(1)
	if err != nil {
		return nil, fmt.Errorf("kerneltest: %w", err)
	}
	yes, err := differentiable(dev)
	if err != nil {
		return nil, fmt.Errorf("kerneltest: %w", err)
	}
	return &env{dev: dev, ref: r, seed: seed, differentiable: yes}, nil
}

// narrow runs f on one of dev's workers and returns the values of its result.
func narrow(dev kernels.Device, f func(ops kernels.Ops) *kernels.Tensor) (got []float64, err error) {
	err = dev.Each(context.Background(), 1, func(ops kernels.Ops, _ int) error {
		got, err = watched(ops, f)
		return err
	})
	return got, err
}

// wide runs f on dev's wide worker.
func wide(dev kernels.Device, f func(ops kernels.Ops) *kernels.Tensor) (got []float64, err error) {
	err = dev.One(context.Background(), func(ops kernels.Ops) error {
		got, err = watched(ops, f)
		return err
	})
	return got, err
}

// onRef runs f on the reference.
func (e *env) onRef(f func(ref kernels.Ops) []float64) (got []float64, err error) {
	err = e.ref.One(context.Background(), func(ops kernels.Ops) error { got = f(ops); return nil })
	return got, err
}

// tally is what f runs, as counted.
func tally(f func(ops kernels.Ops) *kernels.Tensor) (kernels.Tally, error) {
	dev := count.New()
	if err := dev.One(context.Background(), func(ops kernels.Ops) error { f(ops); return nil }); err != nil {
		return kernels.Tally{}, err
	}
	return dev.Tally(), dev.Close()
}

// watched runs f on storage full of NaN, so that what is read before it is
// written shows, and checks that nothing that f uploaded has changed.
func watched(ops kernels.Ops, f func(ops kernels.Ops) *kernels.Tensor) ([]float64, error) {
	soil(ops)
	w := &watch{Ops: ops}
	got := values(ops, f(w))
	w.verify()
	return got, w.changed
}

// soil fills the next storage of ops' arena with NaN.
func soil(ops kernels.Ops) {
	const rows, cols = 16, 1024
	dirt := make([]float32, rows*cols)
	for i := range dirt {
		dirt[i] = float32(math.NaN())
	}
	m := ops.Mark()
	ops.Upload(rows, cols, dirt)
	ops.Release(m)
}

// watch is an Ops that remembers what was uploaded and not yet released.
type watch struct {
	kernels.Ops
	uploads []upload
	changed error
}

type upload struct {
	tensor *kernels.Tensor
	values []float32
}

func (w *watch) Upload(rows, cols int, values []float32) *kernels.Tensor {
	t := w.Ops.Upload(rows, cols, values)
	w.uploads = append(w.uploads, upload{t, values})
	return t
}

func (w *watch) Release(m kernels.Mark, keep ...*kernels.Tensor) {
	w.verify()
	w.uploads = nil
	w.Ops.Release(m, keep...)
}

// verify notes the first upload that has changed.
func (w *watch) verify() {
	for _, u := range w.uploads {
		for i, v := range values(w.Ops, u.tensor) {
			want := float64(u.values[i])
			if v != want && !(math.IsNaN(v) && math.IsNaN(want)) && w.changed == nil {
				w.changed = fmt.Errorf("argument %v changed: element %d was %v, is %v", u.tensor, i, want, v)
			}
		}
	}
}

// guards asks the device what has been written outside of tensors.
func guards(dev kernels.Device) error {
	if g, ok := dev.(interface{ CheckGuards() error }); ok {
		return g.CheckGuards()
	}
	return nil
}
