package kerneltest

// widePrograms are of the sizes at which a kernel may change its ways: rows too long for the
// registers of a few threads, heads of several tiles, and many rows against one another.
func widePrograms() []Program {
	var programs []Program
	for i, n := range []int{1025, 1028, 2500} {
		norm := layerNorm{rows: 3, cols: n, eps: 1e-5, residual: i > 0}
		programs = append(programs,
			norm.program(), norm.backward(1+i), norm.weights(1+i, true, true),
			softmax(3, n, 2), softmaxBackward(2, n, 1, 1+i),
			normalizeRows(5, n, 1), normalizedDifference(3, n), normalizeBackward(3, n, 1, 1+i),
			klDivergence(2, 2, n, 4, 3), klBackward(2, 2, n, 4, 3, 1+i))
	}
	for i, width := range []int{65, 80, 128, 130} {
		shape := attention{queries: []int{5, 70}, keys: []int{66, 3}, heads: 2, width: width, variants: 1 + i%2, keyBias: 1, bias: i == 1}
		masked := shape
		masked.mask = shape.variants
		masked.causal = i == 2
		programs = append(programs, masked.program(), shape.backward(1+i%3, false))
	}
	return append(programs, manifold("ManifoldLossRows", 1027, 3, 0.1))
}
