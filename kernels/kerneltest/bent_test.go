package kerneltest_test

import (
	"context"
	"testing"

	"optin/kernels"
	"optin/kernels/kerneltest"
	"optin/kernels/ref"
)

// bent is the reference device with every Ops wrapped.
type bent struct {
	kernels.Device
	narrow, wide func(ops kernels.Ops) kernels.Ops
	grown        int64 // what ArenaBytes adds at each call
	guards       error
	idle         bool // counts nothing
}

func (b *bent) Each(ctx context.Context, n int, f func(ops kernels.Ops, i int) error) error {
	return b.Device.Each(ctx, n, func(ops kernels.Ops, i int) error { return f(b.narrow(ops), i) })
}

func (b *bent) One(ctx context.Context, f func(ops kernels.Ops) error) error {
	return b.Device.One(ctx, func(ops kernels.Ops) error { return f(b.wide(ops)) })
}

func (b *bent) Tally() kernels.Tally {
	if b.idle {
		return kernels.Tally{}
	}
	return b.Device.Tally()
}

func (b *bent) CheckGuards() error { return b.guards }

func (b *bent) ArenaBytes() int64 {
	b.grown *= 2
	return b.grown
}

// bend opens a reference device on which wrap replaces every Ops.
func bend(t *testing.T, wrap func(ops kernels.Ops) kernels.Ops) *bent {
	t.Helper()
	dev, err := ref.New(2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return &bent{Device: dev, narrow: wrap, wide: wrap}
}

// failures are the results of the suite on dev that are not OK.
func failures(t *testing.T, dev kernels.Device, ops ...string) []kerneltest.Result {
	t.Helper()
	results, err := kerneltest.Check(dev, kerneltest.Options{Seed: 1, Quick: true, Ops: ops})
	if err != nil {
		t.Fatal(err)
	}
	var failed []kerneltest.Result
	for _, r := range results {
		if !r.OK {
			failed = append(failed, r)
		}
	}
	return failed
}

// plain leaves an Ops as it is; wrappers of it replace single ops.
type plain struct{ kernels.Ops }

// at is the values of t where the reference keeps them.
func at(t *kernels.Tensor) []float64 { return t.F64 }
