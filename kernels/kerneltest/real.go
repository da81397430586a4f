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
	}
}
