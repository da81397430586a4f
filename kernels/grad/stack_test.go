package grad_test

import (
	"testing"

	"optin/kernels"
	"optin/kernels/grad"
)

// Of stacked gradients, masks see the first and all else sees the sum, whatever
// the op: the masks stand at the inputs, so that every rule meets the stack.
func TestStackedGradients(t *testing.T) {
	const parts = 3
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			on(t, func(s *source, ops kernels.Ops) {
				d := p.draw(s)
				tape := newTape(ops)
				masks, y := runMasked(tape, &p, d)
				c := s.cotangent(y, parts)
				sums, total := s.pull(tape, d, masks, y, c)

				first := c.Slice(0, y.Rows)
				wantSums, want := s.pull(tape, d, masks, y, &first)
				for i := range masks {
					s.same("mask gradient", sums[i], wantSums[i])
				}
				for part := 1; part < parts; part++ {
					next := c.Slice(part*y.Rows, (part+1)*y.Rows)
					_, more := s.pull(tape, d, masks, y, &next)
					for i, x := range more {
						for e, v := range x.F64 {
							want[i].F64[e] += v
						}
					}
				}
				for i := range want {
					s.same("gradient", total[i], want[i])
				}
			})
		})
	}
}

// runMasked runs p on inputs that are multiplied by masks of ones.
func runMasked(tape *grad.Tape, p *program, d drawn) (masks tensors, y *kernels.Tensor) {
	var masked tensors
	for _, x := range d.x {
		masks = append(masks, tape.Mask(x.Cols))
		masked = append(masked, tape.MaskUnits(x, masks[len(masks)-1]))
	}
	return masks, p.run(tape, masked, d.w)
}
