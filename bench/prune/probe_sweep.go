package prune

import (
	"math"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/grad"
)

// flow is what one backward pass of a probe carries.
type flow struct {
	md   bool
	kd   float64 // size of what enters at the logits; 0: nothing
	part int     // flows of a probe with the same part add up

	// With a period, cotangents enter at every period-th block only, those whose
	// number leaves class, and each ends where the next one enters: so it counts
	// for period blocks.
	class, period int
}

// enters says whether a cotangent of the manifold enters at block k.
func (f flow) enters(k int) bool { return f.md && (f.period == 0 || k%f.period == f.class) }

// sweeper takes probes on one worker.
type sweeper struct {
	p    *prober
	ops  kernels.Backward
	tape *grad.Tape
	pass model.Pass // on the tape

	later []*kernels.Tensor // by pass: gradient to the output of the present block
	alive []bool            // by pass: whether anything has entered yet
	sums  []*kernels.Tensor // by site [passes*examples, units]: what the masks get
	host  []float32
	blank []float32 // zeros

	total, wide []float64
	view        kernels.Tensor
	soft        softener

	// What Pull is given, so that giving it does not allocate.
	result, gradient, input, into [1]*kernels.Tensor
	masks                         []grad.MaskSum
	rows                          []kernels.Tensor // views of sums
	gram                          kernels.Tensor
}

func (p *prober) sweeper(ops kernels.Ops) (*sweeper, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, ok := p.workers[ops]; ok {
		return w, nil
	}
	tape, err := grad.New(ops)
	if err != nil {
		return nil, err
	}
	sites := len(p.m.Sites())
	w := &sweeper{p: p, ops: ops.(kernels.Backward), tape: tape, soft: newSoftener(len(p.m.Config().Labels)),
		rows: make([]kernels.Tensor, sites), pass: model.Pass{Ops: tape, Masks: make([]*kernels.Tensor, sites)}}
	p.workers[ops] = w
	return w, nil
}

// sweep takes the flows of some probes, from on, through micro-batch b, a probe's
// flows side by side. What masks get is then in sums.
func (w *sweeper) sweep(b, from, probes int, flows []flow) {
	w.begin(b, probes*len(flows))
	w.enterLogits(b, from, flows)
	for k := len(w.p.own) - 1; k >= 0; k-- {
		w.block(b, k, from, flows)
	}
}

// begin takes what lives as long as the sweep.
func (w *sweeper) begin(b, passes int) {
	in, hidden := w.p.batches[b], w.p.m.Config().Hidden
	w.pass.Seq, w.pass.KeyBias = in.Seq, nil
	if in.KeyBias != nil {
		w.pass.KeyBias = w.ops.Upload(len(in.KeyBias), 1, in.KeyBias)
	}
	w.later, w.alive, w.sums = w.later[:0], w.alive[:0], w.sums[:0]
	for range passes {
		w.later = append(w.later, w.ops.New(kernels.F32, in.Seq.Rows(), hidden))
		w.alive = append(w.alive, false)
	}
	for _, s := range w.p.m.Sites() {
		w.sums = append(w.sums, w.zeros(passes*in.Examples(), s.Units))
	}
}

// enterLogits takes what enters at the logits to the output of the last block.
func (w *sweeper) enterLogits(b, from int, flows []flow) {
	if w.p.o.NoKD {
		return
	}
	x := w.p.hidden[len(w.p.own)][b]
	logits := w.p.m.Head(&w.pass, x)
	for i := range w.later {
		f := flows[i%len(flows)]
		if f.kd == 0 {
			continue
		}
		mark := w.ops.Mark()
		values := w.soft.cotangent(w.p, b, from+i/len(flows), f.kd)
		w.pull(i, logits, w.ops.Upload(logits.Rows, logits.Cols, values), x, false)
		w.alive[i] = true
		w.ops.Release(mark)
	}
	w.tape.Reset()
}

// block takes all passes through block k: from the gradient to its output to
// that to its input, by way of its masks.
func (w *sweeper) block(b, k, from int, flows []flow) {
	thinned, x := w.p.thinned(k), w.p.hidden[k][b]
	w.wear(k)
	out, _ := w.p.m.Block(&w.pass, k, x)
	if k == 0 {
		x = nil // nothing lies below
	}
	for i := range w.later {
		f, mark := flows[i%len(flows)], w.ops.Mark()
		enters := f.enters(k) && w.p.counts(k)
		var own *kernels.Tensor
		if enters && !thinned {
			own = w.own(b, k, from+i/len(flows), out)
		}
		w.step(i, k, f.period > 0, out, own, x)
		if enters && thinned && f.period > 0 {
			w.alive[i] = false
		}
		w.ops.Release(mark)
	}
	w.tape.Reset()
	if thinned {
		w.whole(b, k, from, flows)
	}
}

// step takes pass i through the block on the tape, from its output to its input
// x. What comes from later blocks reaches the block's masks; what enters at its
// output does in the last block only, and with ends takes the other's place.
func (w *sweeper) step(i, k int, ends bool, out, own, x *kernels.Tensor) {
	last := k == len(w.p.own)-1
	switch later := w.later[i]; {
	case own == nil && !w.alive[i]:
		return
	case own == nil:
		w.pull(i, out, later, x, true)
	case !w.alive[i]:
		w.pull(i, out, own, x, last)
	case last:
		w.pull(i, out, w.ops.Add(later, own), x, true)
	case ends:
		w.pull(i, out, later, nil, true)
		w.pull(i, out, own, x, false)
	default:
		w.pull(i, out, w.ops.Concat(later, own), x, true)
	}
	w.alive[i] = true
}

// whole takes what enters at the output of block k with all its units to its
// input, where units of it have been removed for the blocks above.
func (w *sweeper) whole(b, k, from int, flows []flow) {
	x := w.p.hidden[k][b]
	w.wear(nothing)
	out, _ := w.p.m.Block(&w.pass, k, x)
	for i, later := range w.later {
		f, mark := flows[i%len(flows)], w.ops.Mark()
		if f.enters(k) {
			sum := later
			if w.alive[i] {
				sum = w.ops.New(kernels.F32, later.Rows, later.Cols)
				w.ops.Copy(sum, later)
			}
			w.pull(i, out, w.own(b, k, from+i/len(flows), out), x, false)
			if w.alive[i] {
				w.ops.Copy(later, w.ops.Add(later, sum))
			}
			w.alive[i] = true
		}
		w.ops.Release(mark)
	}
	w.tape.Reset()
}

// nothing is the block whose masks are no block's.
const nothing = -1

// wear makes the pass carry the masks of block k.
func (w *sweeper) wear(k int) {
	w.masks = w.masks[:0]
	for s, site := range w.p.m.Sites() {
		w.pass.Masks[s] = nil
		if site.Layer != k {
			continue
		}
		if w.pass.Masks[s] = w.p.mask.site(w.tape, s); w.pass.Masks[s] == nil {
			w.pass.Masks[s] = w.tape.Mask(site.Units)
		}
		w.masks = append(w.masks, grad.MaskSum{Mask: w.pass.Masks[s], Dst: &w.rows[s], Segments: w.pass.Seq})
	}
}

// own is the cotangent that enters at the output of block k, taken back through
// the normalization.
func (w *sweeper) own(b, k, probe int, out *kernels.Tensor) *kernels.Tensor {
	return w.ops.NormalizeRowsBackward(w.cotangent(b, k, probe, w.p.grams[k]), out)
}

// cotangent is, for Phi as the Grams gram of block k have it,
//
//	r^-1/2 (sum of a_i b_i' + b_i a_i') Phi
func (w *sweeper) cotangent(b, k, probe int, gram *kernels.Tensor) *kernels.Tensor {
	r := w.p.o.Rank
	f := w.p.factors(b, k, probe, probe+1)
	f.size = float32(1 / math.Sqrt(float64(r)))
	w.gram = gram.Slice(2*r*probe, 2*r*(probe+1))
	return w.ops.MatMul(f.upload(w.ops, &w.host), &w.gram, false, false)
}

// pull takes pass i from a gradient at out to the input x (nil: not wanted),
// and to the masks where it counts for them.
func (w *sweeper) pull(i int, out, gradient, x *kernels.Tensor, counts bool) {
	w.result[0], w.gradient[0], w.input[0], w.into[0] = out, gradient, x, w.later[i]
	p := grad.Pull{Results: w.result[:], Gradients: w.gradient[:]}
	if x != nil {
		p.Inputs, p.Into = w.input[:], w.into[:]
	}
	if counts {
		p.Masks = w.masks
		n := w.pass.Seq.Count()
		for s, sums := range w.sums {
			w.rows[s] = sums.Slice(i*n, (i+1)*n)
		}
	}
	w.tape.Pull(p)
}

// zeros is a tensor of them.
func (w *sweeper) zeros(rows, cols int) *kernels.Tensor {
	if len(w.blank) < rows*cols {
		w.blank = make([]float32, rows*cols)
	}
	return w.ops.Upload(rows, cols, w.blank[:rows*cols])
}

// gradients is what the masks of all units got in the flows of a part of probe
// number i of the sweep, [examples][units]. It is valid until the next call.
func (w *sweeper) gradients(i, part int, flows []flow) []float64 {
	n, units, first := w.pass.Seq.Count(), w.p.units(), 0
	w.total = append(w.total[:0], make([]float64, n*units)...)
	for _, sums := range w.sums {
		w.wide = append(w.wide[:0], make([]float64, n*sums.Cols)...)
		for f, flow := range flows {
			if flow.part != part {
				continue
			}
			pass := i*len(flows) + f
			w.view = sums.Slice(pass*n, (pass+1)*n)
			w.ops.Download(&w.view, w.wide)
			for example := range n {
				dst := w.total[example*units+first:]
				for u, v := range w.wide[example*sums.Cols : (example+1)*sums.Cols] {
					dst[u] += v
				}
			}
		}
		first += sums.Cols
	}
	return w.total
}
