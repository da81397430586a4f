package prune

import (
	"context"
	"sync"

	"optin/kernels"
)

// harvest is what probes see of removing every unit, in the flows of one part.
type harvest struct {
	squares [][]float64 // [probes][units]: sum over the rows of a probe
	rows    [][]float32 // [probes*rows][units]; nil where rows are not kept
}

// sweep takes flows of probes from to to through all micro-batches. It returns a
// harvest for every part.
func (p *prober) sweep(ctx context.Context, from, to int, flows []flow) ([]harvest, error) {
	parts := 0
	for _, f := range flows {
		parts = max(parts, f.part+1)
	}
	s := sweeping{prober: p, from: from, flows: flows, out: make([]harvest, parts)}
	for i := range s.out {
		s.out[i].squares = make([][]float64, to-from)
		s.out[i].rows = make([][]float32, max(0, min(to, p.kept)-from)*p.rowsPerProbe())
	}
	if from >= to {
		return s.out, nil
	}
	chunk := p.chunk(to-from, len(flows))
	s.sums = make([]inOrder, (to-from+chunk-1)/chunk)
	err := p.dev.Each(ctx, len(s.sums)*len(p.batches), func(ops kernels.Ops, job int) error {
		c, b := job/len(p.batches), job%len(p.batches)
		first := from + c*chunk
		w, err := p.sweeper(ops)
		if err != nil {
			return err
		}
		n := min(chunk, to-first)
		w.sweep(b, first, n, flows)
		s.reap(w, c, b, first, n)
		return nil
	})
	return s.out, err
}

// sweeping is a sweep on its way.
type sweeping struct {
	*prober
	from  int
	flows []flow
	sums  []inOrder // by chunk
	out   []harvest
}

// reap takes what the sweep of probes from first on found in micro-batch b: the
// rows of its examples, and with the last micro-batch the sum of their squares;
// or, with Whole, the sums over all examples.
func (s *sweeping) reap(w *sweeper, chunk, b, first, probes int) {
	examples, units := s.batches[b].Examples(), s.units()
	passes := make([][]float64, 0, probes*len(s.out))
	for i := range probes {
		for part := range s.out {
			gradients, sum := w.gradients(i, part, s.flows), make([]float64, units)
			for e := range examples {
				row := gradients[e*units : (e+1)*units]
				if s.o.Whole {
					plus(sum, row)
					continue
				}
				plusSquares(sum, row)
				if first+i < s.kept {
					s.out[part].rows[(first+i-s.from)*s.rowsPerProbe()+s.firstExample[b]+e] = removed(row)
				}
			}
			passes = append(passes, sum)
		}
	}
	sums, done := s.sums[chunk].add(b, len(s.batches), passes)
	if !done {
		return
	}
	for i, sum := range sums {
		probe, part := first-s.from+i/len(s.out), i%len(s.out)
		if s.o.Whole {
			if s.from+probe < s.kept {
				s.out[part].rows[probe] = removed(sum)
			}
			square(sum)
		}
		s.out[part].squares[probe] = sum
	}
	if s.progress != nil {
		s.progress(probes)
	}
}

// removed is what removing units does to first order: the opposite of the
// gradient to their masks.
func removed(gradient []float64) []float32 {
	row := make([]float32, len(gradient))
	for u, v := range gradient {
		row[u] = float32(-v)
	}
	return row
}

func square(x []float64) {
	for i, v := range x {
		x[i] = v * v
	}
}

func plus(dst, x []float64) {
	for i, v := range x {
		dst[i] += v
	}
}

func plusSquares(dst, x []float64) {
	for i, v := range x {
		dst[i] += v * v
	}
}

// What a worker holds while it sweeps is bounded: for each pass, a gradient to
// the hidden state of a micro-batch, and a row of units for each of its examples.
const (
	passesAtOnce = 64
	sweepBytes   = 256 << 20
)

// chunk is how many probes a worker takes through a micro-batch together. Every
// sweep also runs the model forward once, and a backward pass costs about 1.6
// times that; against this stands that all workers are to end at the same time.
// No number depends on it.
func (p *prober) chunk(probes, flows int) int {
	pass := 4 * (p.batches[0].Seq.Rows()*p.m.Config().Hidden + p.batches[0].Examples()*p.units())
	most := min(probes, max(1, min(passesAtOnce, sweepBytes/pass)/flows))
	best, least := 1, 0.0
	for n := 1; n <= most; n++ {
		sweeps := (probes + n - 1) / n * len(p.batches)
		rounds := (sweeps + p.dev.Workers() - 1) / p.dev.Workers()
		if cost := float64(rounds) * (1 + 1.6*float64(n*flows)); least == 0 || cost < least {
			best, least = n, cost
		}
	}
	return best
}

// apart are flows with the two losses in parts of their own, KD unscaled. With a
// depth, MD takes as many passes as it has blocks.
func (p *prober) apart() []flow {
	var flows []flow
	if !p.o.NoMD {
		for class := range max(1, p.o.Depth) {
			flows = append(flows, flow{md: true, class: class, period: p.o.Depth})
		}
	}
	if !p.o.NoKD {
		flows = append(flows, flow{kd: 1, part: min(1, len(flows))})
	}
	return flows
}

// inOrder adds up what comes from micro-batches in their order, whenever it
// comes, so that sums do not depend on chance.
type inOrder struct {
	mu      sync.Mutex
	sum     [][]float64
	next    int
	waiting map[int][][]float64
}

// add takes what comes from micro-batch b of n. With the last of them it returns
// the sum.
func (s *inOrder) add(b, n int, passes [][]float64) (sum [][]float64, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = map[int][][]float64{}
	}
	s.waiting[b] = passes
	for {
		passes, ok := s.waiting[s.next]
		if !ok {
			return nil, false
		}
		delete(s.waiting, s.next)
		if s.sum == nil {
			s.sum = passes
		} else {
			for i, row := range passes {
				plus(s.sum[i], row)
			}
		}
		if s.next++; s.next == n {
			return s.sum, true
		}
	}
}
