package ref_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"optin/kernels"
	"optin/kernels/ref"
)

// with runs f on the reference device.
func with(t *testing.T, f func(ops kernels.Ops)) {
	t.Helper()
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := dev.One(context.Background(), func(ops kernels.Ops) error { f(ops); return nil }); err != nil {
		t.Fatal(err)
	}
}

// same compares the elements of got with values worked out by hand.
func same(t *testing.T, ops kernels.Ops, name string, got *kernels.Tensor, want ...float64) {
	t.Helper()
	values := make([]float64, got.Len())
	ops.Download(got, values)
	if len(values) != len(want) {
		t.Fatalf("%s is %v, want %d values", name, got, len(want))
	}
	for i, v := range values {
		if !(math.Abs(v-want[i]) <= 1e-7*max(1, math.Abs(want[i]))) { // inputs are float32
			t.Errorf("%s[%d] = %v, want %v", name, i, v, want[i])
		}
	}
}

func TestLinear(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		x := ops.Upload(2, 2, []float32{1, 2, 3, -4})
		w := kernels.WeightOf("w", 2, 2, []float32{1, 1, -1, 1})
		bias := kernels.WeightOf("b", 1, 2, []float32{0.5, 0})
		mask := ops.Upload(2, 2, []float32{1, 2, 3, 0})
		residual := ops.Upload(2, 2, []float32{10, 20, 30, 40})
		same(t, ops, "plain", ops.Linear(x, w, kernels.Epilogue{}), 3, 1, -1, -7)
		same(t, ops, "all", ops.Linear(x, w, kernels.Epilogue{Bias: bias, Act: kernels.ReLU, Mask: mask, Residual: residual}),
			13.5, 22, 30, 40)
		none := kernels.WeightOf("none", 2, 0, nil)
		same(t, ops, "in = 0", ops.Linear(ops.Upload(1, 0, nil), none, kernels.Epilogue{Bias: bias}), 0.5, 0)
	})
}

func TestLayerNormAndSoftmax(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		x := ops.Upload(1, 2, []float32{1, 5})
		gamma := kernels.WeightOf("gamma", 1, 2, []float32{1, 10})
		beta := kernels.WeightOf("beta", 1, 2, []float32{0, 1})
		same(t, ops, "LayerNorm", ops.LayerNorm(x, nil, gamma, beta, 12), -0.5, 6)
		residual := ops.Upload(1, 2, []float32{4, 0})
		same(t, ops, "constant row", ops.LayerNorm(x, residual, gamma, beta, 1e-5), 0, 1)
		same(t, ops, "Softmax", ops.Softmax(ops.Upload(1, 2, []float32{1e4, 1e4})), 0.5, 0.5)
	})
}

func TestActivations(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		x := ops.Upload(1, 3, []float32{-1, 0, 1})
		phi := 0.8413447460685429 // of the standard normal at 1
		same(t, ops, "gelu", ops.Activate(x, kernels.GELU), phi-1, 0, phi)
		same(t, ops, "gelu-tanh", ops.Activate(x, kernels.GELUTanh), -0.15880800939172324, 0, 0.8411919906082768)
		same(t, ops, "gelu-quick", ops.Activate(x, kernels.GELUQuick), -0.1542042340671787, 0, 0.8457957659328213)
		same(t, ops, "tanh", ops.Activate(x, kernels.Tanh), -math.Tanh(1), 0, math.Tanh(1))
		same(t, ops, "identity", ops.Activate(x, kernels.Identity), -1, 0, 1)
	})
}

func TestAttention(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		// Two sequences of 1 and 2 keys, one head of width 1, equal scores:
		// each query sees the mean of its sequence's values.
		seqs := kernels.NewSequences(1, 2)
		q := ops.Upload(3, 1, []float32{0, 0, 0})
		v := ops.Upload(3, 1, []float32{5, 1, 3})
		spec := kernels.AttentionSpec{Heads: 1, Scale: 1, Q: seqs, K: seqs}
		same(t, ops, "mean", ops.Attention(q, q, v, spec), 5, 2, 2)
		spec.Causal = true
		same(t, ops, "causal", ops.Attention(q, q, v, spec), 5, 1, 2)
		spec.Causal = false
		hidden := float32(math.Inf(-1))
		spec.KeyBias = ops.Upload(3, 1, []float32{hidden, 0, float32(math.Log(3))})
		same(t, ops, "key bias", ops.Attention(q, q, v, spec), 0, 2.5, 2.5)
		spec.KeyBias = nil
		spec.HeadMask = ops.Upload(2, 1, []float32{0, 2})
		same(t, ops, "variants", ops.Attention(ops.Repeat(q, 2), ops.Repeat(q, 2), ops.Repeat(v, 2), spec),
			0, 0, 0, 10, 4, 4)
	})
}

func TestRows(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		spec := kernels.PatchSpec{Channels: 2, Height: 2, Width: 4, Patch: 2}
		image := make([]float32, 16)
		for i := range image {
			image[i] = float32(i)
		}
		same(t, ops, "Patchify", ops.Patchify(ops.Upload(1, 16, image), spec),
			0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15)
		x := ops.Upload(4, 1, []float32{1, 2, 3, 5})
		same(t, ops, "Gather", ops.Gather(x, ops.UploadInts([]int32{1, 1, 0}), 2), 2, 2, 1, 5, 5, 3)
		same(t, ops, "ScatterMean", ops.ScatterMean(x, ops.UploadInts([]int32{2, 0, 0, 0}), 3), 10.0/3, 0, 1)
		same(t, ops, "Add", ops.Add(x, ops.Upload(2, 1, []float32{10, 20})), 11, 22, 13, 25)
		table := kernels.WeightOf("table", 2, 2, []float32{1, 2, 3, 4})
		same(t, ops, "Embed", ops.Embed(ops.UploadInts([]int32{1, 0}), table, ops.Upload(2, 2, []float32{0, 0, 1, 1})), 3, 4, 2, 3)
		same(t, ops, "Unpack", ops.Unpack(table, true), 1, 3, 2, 4)
	})
}

func TestScores(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		sum := ops.Upload(2, 1, []float32{100, 200})
		values := ops.Upload(2, 3, []float32{1, 2, 3, 4, 5, 6})
		consumer := ops.Upload(3, 1, []float32{1, 10, 100})
		same(t, ops, "RemoveUnits", ops.RemoveUnits(sum, values, consumer, ops.UploadInts([]int32{1, -1}), 1), 80, 200)
		same(t, ops, "NormalizeRows", ops.NormalizeRows(ops.Upload(2, 2, []float32{3, 4, 0, 0})), 0.6, 0.8, 0, 0)
		dst := ops.New(kernels.F64, 2, 1)
		ops.SquaredError(dst, ops.Upload(2, 1, []float32{1, 3}), ops.Upload(1, 1, []float32{2}))
		same(t, ops, "SquaredError", dst, 1, 1)
		kl := ops.New(kernels.F64, 1, 1)
		p, q := []float32{0, 0}, []float32{0, float32(math.Log(3))}
		ops.KLDivergence(kl, ops.Upload(1, 2, q), ops.Upload(1, 2, p), 1)
		same(t, ops, "KLDivergence", kl, 0.5*math.Log(2)+0.5*math.Log(2.0/3))
	})
}

func TestReleasePoisons(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		m := ops.Mark()
		kept, freed := ops.Upload(1, 1, []float32{1}), ops.Upload(1, 1, []float32{2})
		ops.Release(m, kept, nil)
		same(t, ops, "kept", kept, 1)
		if !math.IsNaN(freed.F64[0]) {
			t.Error("a released tensor still has its value")
		}
		ops.Release(m)
		if !math.IsNaN(kept.F64[0]) {
			t.Error("a kept tensor outlives an outer release")
		}
	})
}

func TestWeightsPackOnce(t *testing.T) {
	loads := 0
	w := kernels.NewWeight("w", 1, 1, func(dst []float32) error { loads++; dst[0] = float32(loads); return nil })
	with(t, func(ops kernels.Ops) {
		same(t, ops, "first", ops.Unpack(w, false), 1)
		same(t, ops, "again", ops.Unpack(w, false), 1)
		w.Touch()
		same(t, ops, "touched", ops.Unpack(w, false), 2)
	})
}

func TestBadShapePanics(t *testing.T) {
	with(t, func(ops kernels.Ops) {
		defer func() {
			if p, _ := recover().(string); !strings.HasPrefix(p, "kernels: Linear: ") {
				t.Errorf("panicked with %q", p)
			}
		}()
		ops.Linear(ops.Upload(1, 3, []float32{1, 2, 3}), kernels.WeightOf("w", 1, 2, []float32{1, 2}), kernels.Epilogue{})
	})
}

func TestPeakBytes(t *testing.T) {
	dev, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	_ = dev.One(context.Background(), func(ops kernels.Ops) error { ops.New(kernels.F32, 10, 10); return nil })
	if got := dev.PeakBytes(); got != 800 {
		t.Errorf("peak of 100 elements: %d bytes", got)
	}
	dev.ResetPeak()
	if got := dev.PeakBytes(); got != 0 {
		t.Errorf("peak of nothing: %d bytes", got)
	}
}
