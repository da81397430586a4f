package ref_test

import (
	"math/rand/v2"

	"optin/kernels"
)

// call is an op with its derivatives to all that it is differentiable in.
type call struct {
	name  string
	args  [][2]int // shapes of what it is differentiated in: normal values
	apply func(ops kernels.Backward, args []*kernels.Tensor) *kernels.Tensor
	// derive gives the gradients to args, where dy is that to the result. They
	// stack if dy does, but for those that add up (see summed).
	derive func(ops kernels.Backward, dy *kernels.Tensor, args []*kernels.Tensor) []*kernels.Tensor
}

// summed is a zero tensor of the shape of t after add.
func summed(ops kernels.Backward, t *kernels.Tensor, add func(dst *kernels.Tensor)) *kernels.Tensor {
	dst := ops.New(t.Type, t.Rows, t.Cols)
	clear(dst.F64)
	add(dst)
	return dst
}

// repeated is t as often as it goes into the rows of dy: what GramAdd needs.
func repeated(ops kernels.Backward, t, dy *kernels.Tensor) *kernels.Tensor {
	return ops.Repeat(t, dy.Rows/t.Rows)
}

func live(t *kernels.Tensor) *kernels.Weight { return kernels.LiveWeight("live", t) }

func linearCall() call {
	return call{
		"Linear", [][2]int{{5, 3}, {4, 3}, {1, 4}},
		func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
			return ops.Linear(a[0], live(a[1]), kernels.Epilogue{Bias: live(a[2])})
		},
		func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
			return []*kernels.Tensor{
				ops.LinearBackward(dy, live(a[1])),
				summed(ops, a[1], func(dst *kernels.Tensor) { ops.GramAdd(dst, dy, repeated(ops, a[0], dy)) }),
				summed(ops, a[2], func(dst *kernels.Tensor) { ops.SumRows(dst, dy) }),
			}
		},
	}
}

func activateCall(act kernels.Activation) call {
	return call{
		"Activate " + act.String(), [][2]int{{6, 5}},
		func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor { return ops.Activate(a[0], act) },
		func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
			return []*kernels.Tensor{ops.Multiply(dy, ops.Derivative(a[0], act))}
		},
	}
}

func layerNormCall() call {
	const eps = 1e-3
	return call{
		"LayerNorm", [][2]int{{4, 6}, {4, 6}, {1, 6}, {1, 6}},
		func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
			return ops.LayerNorm(a[0], a[1], live(a[2]), live(a[3]), eps)
		},
		func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
			dx := ops.LayerNormBackward(dy, a[0], a[1], live(a[2]), eps)
			gamma := summed(ops, a[2], func(dst *kernels.Tensor) { ops.LayerNormWeights(dst, nil, dy, a[0], a[1], eps) })
			beta := summed(ops, a[3], func(dst *kernels.Tensor) { ops.LayerNormWeights(nil, dst, dy, a[0], a[1], eps) })
			return []*kernels.Tensor{dx, dx, gamma, beta}
		},
	}
}

// attentionCall has ragged sequences, two variants and, where it is not plain,
// biases that hide keys: all of the first sequence's in variant 1.
func attentionCall(causal, plain bool) call {
	spec := kernels.AttentionSpec{
		Heads: 2, Scale: 0.7, Causal: causal, Q: kernels.NewSequences(2, 1, 3), K: kernels.NewSequences(3, 2, 4),
	}
	biased := func(ops kernels.Backward) kernels.AttentionSpec {
		s := spec
		if !plain {
			g := rand.New(rand.NewPCG(5, 6))
			s.Bias = normal(ops, g, s.Heads*s.Q.Max, s.K.Max)
			s.KeyBias = normal(ops, g, 2*s.K.Rows(), 1)
			for _, r := range []int{1, 5, 9, 10, 11} {
				s.KeyBias.F64[r] = inf(-1)
			}
		}
		return s
	}
	name := "Attention"
	if causal {
		name += " causal"
	}
	if !plain {
		name += " biased"
	}
	return call{
		name, [][2]int{{12, 6}, {18, 6}, {18, 6}},
		func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
			return ops.Attention(a[0], a[1], a[2], biased(ops))
		},
		func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
			dq, dk, dv := ops.AttentionBackward(dy, a[0], a[1], a[2], biased(ops))
			return []*kernels.Tensor{dq, dk, dv}
		},
	}
}

// maskCall is MaskUnits with one mask for each of three sequences, or for all.
func maskCall(sequences int) call {
	var seg *kernels.Sequences
	if sequences == 3 {
		seg = kernels.NewSequences(2, 2, 2)
	}
	return call{
		"MaskUnits", [][2]int{{6, 8}, {sequences, 4}},
		func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor { return ops.MaskUnits(a[0], a[1]) },
		func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
			// The parts of a stack are variants to MaskUnits, with masks of their own.
			dx := ops.MaskUnits(dy, ops.Repeat(a[1], dy.Rows/a[0].Rows))
			return []*kernels.Tensor{dx, summed(ops, a[1], func(dst *kernels.Tensor) { ops.UnitSums(dst, dy, a[0], seg) })}
		},
	}
}

func rowCalls() []call {
	ids := func(ops kernels.Backward) *kernels.Tensor { return ops.UploadInts([]int32{2, 0, 2, 1, 2}) }
	patches := kernels.PatchSpec{Channels: 2, Height: 4, Width: 6, Patch: 2}
	return []call{
		{
			"Add", [][2]int{{6, 3}, {2, 3}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor { return ops.Add(a[0], a[1]) },
			func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{dy, summed(ops, a[1], func(dst *kernels.Tensor) { ops.SumRows(dst, dy) })}
			},
		},
		{
			"Embed", [][2]int{{4, 3}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
				return ops.Embed(ids(ops), live(a[0]), nil)
			},
			func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{summed(ops, a[0], func(dst *kernels.Tensor) { ops.ScatterAdd(dst, dy, ids(ops), 4) })}
			},
		},
		{
			"Gather", [][2]int{{8, 3}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor { return ops.Gather(a[0], ids(ops), 4) },
			func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{summed(ops, a[0], func(dst *kernels.Tensor) { ops.ScatterAdd(dst, dy, ids(ops), 4) })}
			},
		},
		{
			"ScatterMean", [][2]int{{5, 3}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
				return ops.ScatterMean(a[0], ids(ops), 4)
			},
			func(ops kernels.Backward, dy *kernels.Tensor, _ []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{ops.ScatterMeanBackward(dy, ids(ops), 4)}
			},
		},
		{
			"Patchify", [][2]int{{2, 48}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor { return ops.Patchify(a[0], patches) },
			func(ops kernels.Backward, dy *kernels.Tensor, _ []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{ops.PatchifyBackward(dy, patches)}
			},
		},
		{
			"Softmax", [][2]int{{4, 5}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor { return ops.Softmax(a[0]) },
			func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{ops.SoftmaxBackward(dy, ops.Softmax(a[0]))}
			},
		},
		{
			"RemoveUnits", [][2]int{{6, 4}, {6, 6}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
				return ops.RemoveUnits(a[0], a[1], consumer(ops), ops.UploadInts([]int32{2, -1, 0}), 2)
			},
			func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{dy, ops.RemoveUnitsBackward(dy, a[1], consumer(ops), ops.UploadInts([]int32{2, -1, 0}), 2)}
			},
		},
	}
}

func consumer(ops kernels.Backward) *kernels.Tensor {
	return normal(ops, rand.New(rand.NewPCG(7, 8)), 6, 4)
}

func lossCalls() []call {
	const tau = 2.5
	loss := func(ops kernels.Backward, rows int, add func(dst *kernels.Tensor)) *kernels.Tensor {
		return summed(ops, &kernels.Tensor{Rows: rows, Cols: 1, Type: kernels.F64}, add)
	}
	base := func(ops kernels.Backward) *kernels.Tensor { return normal(ops, rand.New(rand.NewPCG(9, 10)), 3, 4) }
	return []call{
		{
			"NormalizeRows", [][2]int{{4, 5}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor { return ops.NormalizeRows(a[0]) },
			func(ops kernels.Backward, dy *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{ops.NormalizeRowsBackward(dy, a[0])}
			},
		},
		{
			"KLDivergence", [][2]int{{6, 4}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
				return loss(ops, 2, func(dst *kernels.Tensor) { ops.KLDivergence(dst, a[0], base(ops), tau) })
			},
			func(ops kernels.Backward, d *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{ops.KLDivergenceBackward(d, a[0], base(ops), tau)}
			},
		},
		{
			"SquaredError", [][2]int{{6, 4}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
				return loss(ops, 2, func(dst *kernels.Tensor) { ops.SquaredError(dst, a[0], base(ops)) })
			},
			func(ops kernels.Backward, d *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				return []*kernels.Tensor{ops.SquaredErrorBackward(d, a[0], base(ops))}
			},
		},
		{
			"ManifoldLoss", [][2]int{{4, 4}, {4, 4}, {4, 4}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
				return loss(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLoss(dst, a[0], a[1], a[2]) })
			},
			func(ops kernels.Backward, d *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				daa, dae, dee := ops.ManifoldLossBackward(d, a[0], a[1], a[2])
				return []*kernels.Tensor{daa, dae, dee}
			},
		},
		{
			"ManifoldLossRows", [][2]int{{5, 3}, {5, 3}},
			func(ops kernels.Backward, a []*kernels.Tensor) *kernels.Tensor {
				return loss(ops, 1, func(dst *kernels.Tensor) { ops.ManifoldLossRows(dst, a[0], a[1]) })
			},
			func(ops kernels.Backward, d *kernels.Tensor, a []*kernels.Tensor) []*kernels.Tensor {
				da, de := ops.ManifoldLossRowsBackward(d, a[0], a[1])
				return []*kernels.Tensor{da, de}
			},
		},
	}
}

func calls() []call {
	all := []call{
		linearCall(), layerNormCall(), maskCall(1), maskCall(3),
		attentionCall(false, true), attentionCall(true, true), attentionCall(false, false), attentionCall(true, false),
	}
	for _, act := range []kernels.Activation{kernels.Identity, kernels.GELU, kernels.GELUTanh, kernels.GELUQuick, kernels.ReLU, kernels.Tanh} {
		all = append(all, activateCall(act))
	}
	return append(append(all, rowCalls()...), lossCalls()...)
}
