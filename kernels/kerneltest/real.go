package kerneltest

import "optin/kernels"

// realPrograms have the shapes of models that are run: BERT-base's block at 128
// tokens, DeiT-Ti's attention, ViT's patches. Big products are sampled.
func realPrograms() []Program {
	return []Program{
		linear{rows: 128, in: 768, out: 768, bias: true, residual: true}.sampled(2000),
		linear{rows: 128, in: 768, out: 3072, bias: true, act: kernels.GELU, variants: 2, group: 1}.sampled(2000),
		linear{rows: 128, in: 3072, out: 768, bias: true, residual: true}.sampled(1000),
		linear{rows: 512, in: 384, out: 1151, bias: true}.sampled(2000),
		layerNorm{rows: 128, cols: 768, eps: 1e-12, residual: true}.program(),
		activate(kernels.GELU, 128, 3072, 2),
		maskUnits(128, 3072, 1, 2),
		attention{queries: []int{128}, heads: 12, width: 64, variants: 1, mask: 1}.program(),
		attention{queries: []int{37, 128, 1}, heads: 12, width: 64, variants: 2, mask: 2}.program(),
		attention{queries: []int{197}, heads: 3, width: 64, variants: 1}.program(),
		removeUnits(64, 2, 12, 768, 64),
		removeUnits(64, 2, 512, 768, 1),
		normalizeRows(128, 768, 1),
		gramAdd(128, 192, 192, true),
		patchify(2, kernels.PatchSpec{Channels: 3, Height: 224, Width: 224, Patch: 16}),

		linear{rows: 64, in: 768, out: 3072}.sampledBackward(1000),
		linear{rows: 37, in: 3072, out: 768}.sampledBackward(1000),
		product{384, 128, 768, true, false, 1}.sampled(2000),
		product{128, 768, 197, false, true, 1}.sampled(2000),
		derivative(kernels.GELU, 128, 3072, 2),
		layerNorm{rows: 128, cols: 768, eps: 1e-12, residual: true}.backward(2),
		layerNorm{rows: 128, cols: 768, eps: 1e-12, residual: true}.weights(1, true, true),
		attention{queries: []int{37, 128, 1}, heads: 12, width: 64, variants: 1, keyBias: 1}.backward(2, false),
		attention{queries: []int{197}, heads: 3, width: 64, variants: 1}.backward(1, false),
		unitSums{lengths: []int{37, 128, 1}, variants: 1, stack: 1, units: 12, width: 64, double: true}.program(),
		unitSums{lengths: []int{37, 128, 1}, variants: 1, stack: 1, units: 3072, width: 1}.program(),
		sumRows(1, 128, 3072),
		scatterAdd(128, 1000, 1, 1, 768),
		adamW(768, 768, 1, kernels.AdamWStep{Rate: 2e-5, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.01, Gradient: 1, Step: 100}),
		squaredNorm(768, 768, 1e-3),
	}
}
