package prune

import (
	"context"
	"sync"

	"optin/kernels"
)

// sweep takes flows of probes from to to through all micro-batches: by flow, what
// each probe sees of removing every unit, [probes][units].
func (p *prober) sweep(ctx context.Context, from, to int, flows []flow) ([][][]float32, error) {
	out := make([][][]float32, len(flows))
	for f := range out {
		out[f] = make([][]float32, to-from)
	}
	if from >= to {
		return out, nil
	}
	chunk := p.chunk(to-from, len(flows))
	chunks := (to - from + chunk - 1) / chunk
	sums := make([]inOrder, chunks)
	err := p.dev.Each(ctx, chunks*len(p.batches), func(ops kernels.Ops, job int) error {
		c, b := job/len(p.batches), job%len(p.batches)
		first := from + c*chunk
		n := min(chunk, to-first)
		w, err := p.sweeper(ops)
		if err != nil {
			return err
		}
		passes, done := sums[c].add(b, len(p.batches), w.sweep(b, first, n, flows))
		if !done {
			return nil
		}
		for i, row := range passes {
			out[i%len(flows)][first-from+i/len(flows)] = removed(row)
		}
		if p.progress != nil {
			p.progress(n)
		}
		return nil
	})
	return out, err
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

// passesAtOnce bounds what a worker holds: a gradient to the hidden state of a
// micro-batch for each.
const passesAtOnce = 64

// chunk is how many probes a worker takes through a micro-batch together. Every
// sweep also runs the model forward once, and a backward pass costs about 1.6
// times that; against this stands that all workers are to end at the same time.
// No number depends on it.
func (p *prober) chunk(probes, flows int) int {
	best, least := 1, 0.0
	for n := 1; n <= min(probes, max(1, passesAtOnce/flows)); n++ {
		sweeps := (probes + n - 1) / n * len(p.batches)
		rounds := (sweeps + p.dev.Workers() - 1) / p.dev.Workers()
		if cost := float64(rounds) * (1 + 1.6*float64(n*flows)); least == 0 || cost < least {
			best, least = n, cost
		}
	}
	return best
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
		s.take(passes)
		if s.next++; s.next == n {
			return s.sum, true
		}
	}
}

func (s *inOrder) take(passes [][]float64) {
	if s.sum == nil {
		s.sum = passes
		return
	}
	for i, row := range passes {
		for u, v := range row {
			s.sum[i][u] += v
		}
	}
}

// apart takes the first n probes with the two losses in passes of their own, KD
// unscaled.
func (p *prober) apart(ctx context.Context, n int) (md, kd [][]float32, err error) {
	var flows []flow
	if !p.o.NoMD {
		flows = append(flows, flow{md: true})
		for class := 1; class < p.o.Depth; class++ {
			flows = append(flows, flow{md: true, class: class})
		}
		for i := range flows {
			flows[i].period = p.o.Depth
		}
	}
	if !p.o.NoKD {
		flows = append(flows, flow{kd: 1})
	}
	rows, err := p.sweep(ctx, 0, n, flows)
	if err != nil {
		return nil, nil, err
	}
	if !p.o.NoKD {
		kd, rows = rows[len(rows)-1], rows[:len(rows)-1]
	}
	for f, more := range rows {
		if f == 0 {
			md = more
			continue
		}
		for i, row := range more {
			for u, v := range row {
				md[i][u] += v
			}
		}
	}
	return md, kd, nil
}
