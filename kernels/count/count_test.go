package count_test

import (
	"context"
	"testing"

	"optin/kernels"
	"optin/kernels/count"
	"optin/kernels/kerneltest"
	"optin/kernels/ref"
)

// TestTallyEqualsRef runs every program of the conformance suite on both.
func TestTallyEqualsRef(t *testing.T) {
	reference, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer reference.Close()
	counter := count.New()
	defer counter.Close()
	for _, p := range kerneltest.Programs(true) {
		run, forget := p.Open(1)
		shapes := make([]string, 0, 2)
		for _, dev := range []kernels.Device{reference, counter} {
			if err := dev.One(context.Background(), func(ops kernels.Ops) error {
				shapes = append(shapes, run(ops).String())
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			forget(dev)
		}
		if shapes[0] != shapes[1] {
			t.Errorf("%s %s: result is %s, want %s", p.Op, p.Shape, shapes[1], shapes[0])
		}
		if got, want := counter.Tally(), reference.Tally(); got != want {
			t.Fatalf("%s %s: tally %+v, want %+v", p.Op, p.Shape, got, want)
		}
	}
	if counter.Tally() == (kernels.Tally{}) {
		t.Error("nothing was counted")
	}
}

func TestPeakBytes(t *testing.T) {
	dev := count.New()
	defer dev.Close()
	w := kernels.NewWeight("never read", 10, 20, nil)
	if err := dev.One(context.Background(), func(ops kernels.Ops) error {
		m := ops.Mark()
		x := ops.New(kernels.F32, 5, 20)                               // 400 bytes
		y := ops.Linear(x, w, kernels.Epilogue{})                      // 200, and 800 of weights
		ops.Release(m, y)                                              // 200 and 800
		ops.New(kernels.F64, 3, 1)                                     // 24 more
		ops.Linear(ops.New(kernels.F32, 1, 20), w, kernels.Epilogue{}) // 80 and 40
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := dev.PeakBytes(); got != 1400 {
		t.Errorf("peak of %d bytes, want 1400", got)
	}
	dev.ResetPeak()
	if got := dev.PeakBytes(); got != 800 {
		t.Errorf("%d bytes of weights, want 800", got)
	}
	dev.Forget(w)
	dev.ResetPeak()
	if got := dev.PeakBytes(); got != 0 {
		t.Errorf("%d bytes of nothing", got)
	}
}

// TestLiveWeightsTakeNoMoreMemory: the tensor that one lives in counts already.
func TestLiveWeightsTakeNoMoreMemory(t *testing.T) {
	dev := count.New()
	defer dev.Close()
	values, err := dev.Alloc(kernels.F32, 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	w := kernels.LiveWeight("w", values)
	if err := dev.One(context.Background(), func(ops kernels.Ops) error {
		ops.Linear(ops.New(kernels.F32, 1, 4), w, kernels.Epilogue{})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := dev.PeakBytes(); got != 4*(12+4+3) {
		t.Errorf("peak of %d bytes, want %d", got, 4*(12+4+3))
	}
}
