package kerneltest

import (
	"context"
	"fmt"
	"strings"

	"optin/kernels"
)

// misused is a call with shapes that do not fit; x is [6, 4] of F32.
type misused struct {
	op   string
	call func(ops kernels.Ops, x *kernels.Tensor)
}

// misuse calls each op with shapes that do not fit: a panic that names the op.
func misuse() []property {
	w := func(rows, cols int) *kernels.Weight {
		return kernels.WeightOf("misuse", rows, cols, make([]float32, rows*cols))
	}
	vector := func(ops kernels.Ops, rows, cols int) *kernels.Tensor { return ops.New(kernels.F32, rows, cols) }
	scalar := func(ops kernels.Ops) *kernels.Tensor { return ops.New(kernels.F64, 1, 1) }
	seqs := kernels.NewSequences(4, 2)
	calls := []misused{
		{"Linear", func(ops kernels.Ops, x *kernels.Tensor) { ops.Linear(x, w(2, 3), kernels.Epilogue{}) }},
		{"Linear", func(ops kernels.Ops, x *kernels.Tensor) { ops.Linear(x, w(2, 4), kernels.Epilogue{Bias: w(1, 3)}) }},
		{"Linear", func(ops kernels.Ops, x *kernels.Tensor) {
			ops.Linear(x, w(2, 4), kernels.Epilogue{Mask: vector(ops, 4, 2)})
		}},
		{"Linear", func(ops kernels.Ops, x *kernels.Tensor) { ops.Linear(x, w(2, 4), kernels.Epilogue{Residual: x}) }},
		{"LayerNorm", func(ops kernels.Ops, x *kernels.Tensor) { ops.LayerNorm(x, nil, w(1, 4), w(4, 1), 1e-5) }},
		{"Attention", func(ops kernels.Ops, x *kernels.Tensor) {
			ops.Attention(x, x, x, kernels.AttentionSpec{Heads: 3, Q: seqs, K: seqs})
		}},
		{"Attention", func(ops kernels.Ops, x *kernels.Tensor) {
			ops.Attention(x, x, x, kernels.AttentionSpec{Heads: 2, Q: seqs, K: kernels.NewSequences(6)})
		}},
		{"Attention", func(ops kernels.Ops, x *kernels.Tensor) {
			ops.Attention(x, x, x, kernels.AttentionSpec{Heads: 2, Q: seqs, K: seqs, HeadMask: vector(ops, 2, 2)})
		}},
		{"Activate", func(ops kernels.Ops, x *kernels.Tensor) { ops.Activate(scalar(ops), kernels.ReLU) }},
		{"Add", func(ops kernels.Ops, x *kernels.Tensor) { ops.Add(x, vector(ops, 4, 4)) }},
		{"MaskUnits", func(ops kernels.Ops, x *kernels.Tensor) { ops.MaskUnits(x, vector(ops, 1, 3)) }},
		{"Softmax", func(ops kernels.Ops, x *kernels.Tensor) { ops.Softmax(vector(ops, 2, 0)) }},
		{"Embed", func(ops kernels.Ops, x *kernels.Tensor) { ops.Embed(x, w(3, 3), nil) }},
		{"Patchify", func(ops kernels.Ops, x *kernels.Tensor) {
			ops.Patchify(x, kernels.PatchSpec{Channels: 1, Height: 2, Width: 2, Patch: 3})
		}},
		{"Gather", func(ops kernels.Ops, x *kernels.Tensor) { ops.Gather(x, ops.UploadInts([]int32{0}), 4) }},
		{"ScatterMean", func(ops kernels.Ops, x *kernels.Tensor) { ops.ScatterMean(x, ops.UploadInts([]int32{0}), 4) }},
		{"TopK", func(ops kernels.Ops, x *kernels.Tensor) { ops.TopK(x, seqs, seqs) }},
		{"TopK", func(ops kernels.Ops, x *kernels.Tensor) {
			ops.TopK(vector(ops, 6, 1), seqs, kernels.NewSequences(4, 3))
		}},
		{"TopK", func(ops kernels.Ops, x *kernels.Tensor) { ops.TopK(vector(ops, 7, 1), seqs, seqs) }},
		{"TopK", func(ops kernels.Ops, x *kernels.Tensor) { ops.TopK(ops.UploadInts(make([]int32, 6)), seqs, seqs) }},
		{"TopK", func(ops kernels.Ops, x *kernels.Tensor) { ops.TopK(vector(ops, 6, 1), seqs, nil) }},
		{"Match", func(ops kernels.Ops, x *kernels.Tensor) { ops.Match(x, seqs, kernels.NewSequences(6), 0) }},
		{"Match", func(ops kernels.Ops, x *kernels.Tensor) { ops.Match(x, seqs, kernels.NewSequences(2, 1), 1) }},
		{"Match", func(ops kernels.Ops, x *kernels.Tensor) { ops.Match(x, seqs, seqs, -1) }},
		{"Match", func(ops kernels.Ops, x *kernels.Tensor) { ops.Match(vector(ops, 7, 4), seqs, seqs, 0) }},
		{"Match", func(ops kernels.Ops, x *kernels.Tensor) { ops.Match(x, nil, seqs, 0) }},
		{"Concat", func(ops kernels.Ops, x *kernels.Tensor) { ops.Concat(x, vector(ops, 4, 6)) }},
		{"Repeat", func(ops kernels.Ops, x *kernels.Tensor) { ops.Repeat(x, 0) }},
		{"RemoveUnits", func(ops kernels.Ops, x *kernels.Tensor) {
			ops.RemoveUnits(x, x, vector(ops, 4, 3), ops.UploadInts([]int32{0}), 1)
		}},
		{"NormalizedDifference", func(ops kernels.Ops, x *kernels.Tensor) { ops.NormalizedDifference(x, vector(ops, 3, 4)) }},
		{"GramAdd", func(ops kernels.Ops, x *kernels.Tensor) { ops.GramAdd(vector(ops, 4, 6), x, x) }},
		{"ManifoldLoss", func(ops kernels.Ops, x *kernels.Tensor) { ops.ManifoldLoss(scalar(ops), x, x, x) }},
		{"ManifoldLossRows", func(ops kernels.Ops, x *kernels.Tensor) { ops.ManifoldLossRows(x, x, x) }},
		{"KLDivergence", func(ops kernels.Ops, x *kernels.Tensor) { ops.KLDivergence(scalar(ops), x, x, 0) }},
		{"SquaredError", func(ops kernels.Ops, x *kernels.Tensor) { ops.SquaredError(ops.New(kernels.F64, 4, 1), x, x) }},
		{"Upload", func(ops kernels.Ops, x *kernels.Tensor) { ops.Upload(2, 2, make([]float32, 3)) }},
		{"Download", func(ops kernels.Ops, x *kernels.Tensor) { ops.Download(x, make([]float64, 3)) }},
		{"Copy", func(ops kernels.Ops, x *kernels.Tensor) { ops.Copy(vector(ops, 4, 6), x) }},
	}
	calls = append(calls, misuseBackward()...)
	properties := make([]property, 0, len(calls))
	for i, c := range calls {
		properties = append(properties, property{c.op, fmt.Sprintf("misuse-panics-%d", i), func(e *env, r *Result) {
			message := panicOf(e.dev, func(ops kernels.Ops) { c.call(ops, ops.New(kernels.F32, 6, 4)) })
			if want := "kernels: " + c.op + ": "; !strings.HasPrefix(message, want) {
				line, _, _ := strings.Cut(message, "\n")
				r.fail("panic of %q, want one that begins %q", line, want)
			}
		}})
	}
	return properties
}

// panicOf is what f panics with, as text; empty where it does not.
func panicOf(dev kernels.Device, f func(ops kernels.Ops)) (message string) {
	defer func() {
		if p := recover(); p != nil {
			message = fmt.Sprint(p)
		}
	}()
	if err := dev.One(context.Background(), func(ops kernels.Ops) error { f(ops); return nil }); err != nil {
		return "error: " + err.Error()
	}
	return ""
}
