//go:build cuda

package cuda

import (
	"testing"

	"optin/kernels"
)

// Neither attention nor its gradients keep the scores of a head's queries and keys.
func TestAttentionKeepsNoScores(t *testing.T) {
	const tokens, heads, width = 384, 4, 4
	d := open(t, 1, false)
	defer d.Close()
	each(t, d, func(o *ops) {
		x := o.Upload(tokens, heads*width, make([]float32, tokens*heads*width))
		all := kernels.NewSequences(tokens)
		spec := kernels.AttentionSpec{Heads: heads, Scale: 0.5, Q: all, K: all}
		o.Attention(x, x, x, spec)
		o.AttentionBackward(x, x, x, x, spec)
	})
	const scores = 4 * tokens * tokens // bytes, of one head
	if bytes := d.ArenaBytes(); bytes >= scores {
		t.Errorf("%d bytes are in use, and the scores of one head have %d", bytes, scores)
	}
}
