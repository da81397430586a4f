package kerneltest

import (
	"context"
	"math"
	"math/rand/v2"

	"optin/kernels"
)

// sameBatches runs many micro-batches at once, again, and one by one.
func sameBatches(e *env, r *Result) {
	all, err := manyBatches(e.dev)
	if err != nil {
		r.fail("%v", err)
		return
	}
	for i, v := range all {
		if math.IsNaN(v) {
			r.fail("value %d is NaN", i)
			return
		}
	}
	again, err := manyBatches(e.dev)
	if err != nil {
		r.fail("%v", err)
		return
	}
	r.sameBits("all batches again", again, all)

	net := newNetwork()
	defer net.forget(e.dev)
	var single []float64
	for i := range batches {
		err := e.dev.Each(context.Background(), 1, func(ops kernels.Ops, _ int) error {
			single = append(single, net.run(ops, i)...)
			return nil
		})
		if err != nil {
			r.fail("%v", err)
			return
		}
	}
	r.sameBits("batches one by one", single, all)
}

// batches is how many micro-batches the network runs.
const batches = 24

// manyBatches runs a small network on micro-batches of different shapes, spread
// over the workers of dev, and returns all their results in order.
func manyBatches(dev kernels.Device) ([]float64, error) {
	net := newNetwork()
	defer net.forget(dev)
	results := make([][]float64, batches)
	err := dev.Each(context.Background(), batches, func(ops kernels.Ops, i int) error {
		results[i] = net.run(ops, i)
		return nil
	})
	var all []float64
	for _, v := range results {
		all = append(all, v...)
	}
	return all, err
}

// network is a transformer block and the losses of scoring, on few columns.
type network struct {
	*gen
	query, key, value, up, down, bias, gamma, beta *kernels.Weight
}

const (
	netHeads, netWidth, netInner = 3, 7, 50
	netCols                      = netHeads * netWidth
)

func newNetwork() *network {
	g := &gen{rng: rand.New(rand.NewPCG(1, 2))}
	square := func() *kernels.Weight { return g.weight(g.normal(netCols, netCols, 0.2)) }
	return &network{
		gen: g, query: square(), key: square(), value: square(),
		up: g.weight(g.normal(netInner, netCols, 0.2)), down: g.weight(g.normal(netCols, netInner, 0.2)),
		bias: g.weight(g.normal(1, netInner, 1)), gamma: g.weight(g.normal(1, netCols, 1)), beta: g.weight(g.normal(1, netCols, 1)),
	}
}

// run gives the hidden states, then four losses, of micro-batch i; then, where
// there are derivatives, the gradients of two of the losses.
func (n *network) run(ops kernels.Ops, i int) []float64 {
	g := &gen{rng: rand.New(rand.NewPCG(3, uint64(i)))}
	seqs := kernels.NewSequences(1+i%5, 3, 1+i*i%17)
	variants := 1 + i%3
	x := g.normal(variants*seqs.Rows(), netCols, 1).on(ops)
	spec := kernels.AttentionSpec{Heads: netHeads, Scale: 0.4, Q: seqs, K: seqs, HeadMask: g.mask(variants, netHeads).on(ops)}
	plain := kernels.Epilogue{}
	q, k, v := ops.Linear(x, n.query, plain), ops.Linear(x, n.key, plain), ops.Linear(x, n.value, plain)
	context := ops.Attention(q, k, v, spec)
	y := ops.LayerNorm(context, x, n.gamma, n.beta, 1e-5)
	inner := ops.Linear(y, n.up, kernels.Epilogue{Bias: n.bias, Act: kernels.GELU})
	sum := ops.Linear(inner, n.down, kernels.Epilogue{Residual: y})
	removed := ops.RemoveUnits(sum, inner, ops.Unpack(n.down, true), ops.UploadInts(g.ints(variants, -1, netInner)), 1)
	phi := ops.NormalizeRows(sum)
	difference := ops.NormalizedDifference(removed, phi)

	losses := ops.New(kernels.F64, 4, 1)
	at := func(i int) *kernels.Tensor { v := losses.Slice(i, i+1); return &v }
	gram := ops.New(kernels.F32, netCols, netCols)
	ops.Copy(gram, ops.Upload(netCols, netCols, make([]float32, netCols*netCols)))
	ops.GramAdd(gram, phi, difference)
	ops.ManifoldLoss(at(0), gram, gram, gram)
	ops.ManifoldLossRows(at(1), phi, difference)
	ops.KLDivergence(at(2), removed, sum, 4)
	ops.SquaredError(at(3), removed, sum)

	results := append(values(ops, removed), values(ops, losses)...)
	if b, ok := ops.(kernels.Backward); ok {
		results = append(results, n.backward(b, pass{x, q, k, v, context, y, inner, sum, removed, spec})...)
	}
	return results
}
