//go:build cgo

package cpu

import (
	"context"
	"fmt"
	"math"
	"testing"

	"optin/kernels"
	"optin/kernels/ref"
)

// tiling is an attention whose gradients take a way of their own through tiles and
// copies: several tiles of queries, heads that are not whole vectors, more keys
// than stay near, and rows that compete for places in a cache.
type tiling struct {
	heads, width, queries, keys, stack int
	causal, biased                     bool
}

func (s tiling) String() string {
	return fmt.Sprintf("heads=%d width=%d queries=%d keys=%d stack=%d causal=%t biased=%t",
		s.heads, s.width, s.queries, s.keys, s.stack, s.causal, s.biased)
}

// gradients are those to q, k and v, one after the other.
func (s tiling) gradients(t *testing.T, d kernels.Device) []float64 {
	t.Helper()
	var all []float64
	err := d.Each(context.Background(), 1, func(o kernels.Ops, _ int) error {
		spec := kernels.AttentionSpec{Heads: s.heads, Scale: 0.3, Causal: s.causal,
			Q: kernels.NewSequences(s.queries, 2), K: kernels.NewSequences(s.keys, 3)}
		if s.biased {
			spec.Bias, spec.KeyBias = noise(o, s.heads*spec.Q.Max, spec.K.Max), noise(o, spec.K.Rows(), 1)
		}
		c := s.heads * s.width
		q, k, v := noise(o, spec.Q.Rows(), c), noise(o, spec.K.Rows(), c), noise(o, spec.K.Rows(), c)
		dq, dk, dv := o.(kernels.Backward).AttentionBackward(noise(o, s.stack*spec.Q.Rows(), c), q, k, v, spec)
		for _, g := range []*kernels.Tensor{dq, dk, dv} {
			part := make([]float64, g.Len())
			o.Download(g, part)
			all = append(all, part...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAttentionBackwardInTiles(t *testing.T) {
	r, err := ref.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, isa := range isas(t) {
		d := open(t, Options{Threads: 1, Guard: true, ISA: isa})
		for _, s := range []tiling{
			{2, 20, 100, 49, 2, false, false},
			{2, 20, 100, 150, 2, true, false},
			{2, 16, 97, 97, 2, false, true},
			{1, 16, 97, 97, 2, true, true},
			{1, 16, 49, 300, 1, true, false},
			{3, 64, 48, 48, 1, false, false},
			{8, 64, 20, 20, 1, false, false},
		} {
			got := s.gradients(t, d)
			for i, want := range s.gradients(t, r) {
				if !(math.Abs(got[i]-want) <= 2e-5*max(1, math.Abs(want))) {
					t.Errorf("%s %v: element %d is %v, want %v", isa, s, i, got[i], want)
					break
				}
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
