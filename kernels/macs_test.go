package kernels_test

import (
	"testing"

	"optin/kernels"
)

// TestAttentionMACs counts pairs of query and key one by one.
func TestAttentionMACs(t *testing.T) {
	const heads, width, variants = 3, 8, 2
	for _, causal := range []bool{false, true} {
		queries, keys := []int{5, 1, 7}, []int{3, 4, 7}
		spec := kernels.AttentionSpec{
			Heads: heads, Causal: causal, Q: kernels.NewSequences(queries...), K: kernels.NewSequences(keys...),
		}
		var want int64
		for b := range queries {
			for i := range queries[b] {
				for j := range keys[b] {
					if !causal || j <= i {
						want += 2 * variants * heads * width
					}
				}
			}
		}
		q := &kernels.Tensor{Rows: variants * spec.Q.Rows(), Cols: heads * width}
		if got := kernels.AttentionMACs(q, spec); got != want {
			t.Errorf("causal=%t: %d, want %d", causal, got, want)
		}
		// The scores, and four products for each of three gradients.
		if got := kernels.AttentionBackwardMACs(q, spec, 3); got != want/2*13 {
			t.Errorf("backward, causal=%t: %d, want %d", causal, got, want/2*13)
		}
	}
}
