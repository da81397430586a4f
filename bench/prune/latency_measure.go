package prune

import (
	"context"
	"fmt"
	"math"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/kernels"
)

// LatencyOptions say what is measured for a table.
type LatencyOptions struct {
	Points   int // counts of neurons beside none and all; every count of heads is measured
	Multiple int // which those counts are multiples of: what kernels prefer
	Layers   int // that run in one measurement, at most: the weights of all cases are held at once
	Timing   measure.Options
}

// DefaultLatencyOptions measure for little more than a minute at most.
func DefaultLatencyOptions() LatencyOptions {
	o := LatencyOptions{Points: 8, Multiple: 16, Layers: 2, Timing: measure.DefaultOptions()}
	o.Timing.WarmupTime = o.Timing.MaxTime / 10
	o.Timing.Precision = near // what a table may be wrong by
	return o
}

// beside is the share of the one kind's units that layers keep while the other
// kind is measured: the middle of what pruning leaves. What a part takes depends
// a little on what else fills the caches.
const beside = 0.5

// MeasureLatency times the parts of m on dev, in the shapes that pruning leaves:
// layers that keep the first of their heads or neurons, compacted. A call deals
// with all pieces, as a run of the model does: spread over the workers, or, one
// piece, on all threads at once. All cases are timed interleaved, and their
// medians taken.
//
// Layers are timed in pairs that differ in one kind only; that a layer's time is
// the sum of its parts', and a model's that of its layers, is what the table
// supposes and the compacted model's time must prove (see Correct). Layers with
// the most units of a kind stand for all.
func MeasureLatency(ctx context.Context, dev kernels.Device, m model.Model, pieces []*model.Input, o LatencyOptions) (*LatencyTable, error) {
	if err := checkBatches(m, pieces); err != nil {
		return nil, err
	}
	if o.Points < 0 || o.Multiple < 1 || o.Layers < 1 {
		return nil, fmt.Errorf("latency: %d points of multiples of %d in %d layers: want at least 0, 1 and 1", o.Points, o.Multiple, o.Layers)
	}
	l := &stopwatch{ctx: ctx, dev: dev, dense: m, pieces: pieces, o: o}
	defer l.close()
	if err := l.embed(); err != nil {
		return nil, err
	}
	heads, err := l.curve(model.Heads)
	if err != nil {
		return nil, err
	}
	neurons, err := l.curve(model.Neurons)
	if err != nil {
		return nil, err
	}
	empty, err := l.layers("an empty layer", l.first(), func(model.Site) int { return 0 })
	if err != nil {
		return nil, err
	}
	l.cases = append(l.cases, measure.Case{Name: "embeddings and head", Func: l.call(l.outside)})
	got, err := measure.Interleave(ctx, l.cases, o.Timing)
	if err != nil {
		return nil, err
	}
	lengths := LengthsOf(pieces...)
	t := &LatencyTable{
		Sequences: int(lengths.Sequences), Tokens: int(lengths.Tokens), Pieces: len(pieces),
		Heads: heads.points(got), Neurons: neurons.points(got),
		Empty: empty.seconds(got).Value, Outside: got.Timings[len(l.cases)-1].Median.Value,
		Hidden: m.Config().Hidden, Unit: m.Config().HeadSize, Notes: got.Warnings,
	}
	return t, nil
}

// stopwatch prepares the cases of a table.
type stopwatch struct {
	ctx    context.Context
	dev    kernels.Device
	dense  model.Model
	pieces []*model.Input
	o      LatencyOptions

	hidden tensors // input of the first block, by piece
	models []model.Model
	cases  []measure.Case
}

func (l *stopwatch) close() {
	free(l.dev, l.hidden)
	for _, m := range l.models {
		for _, w := range m.Weights() {
			l.dev.Forget(w)
		}
	}
}

// call is f on every piece, spread as a forward pass is.
func (l *stopwatch) call(f func(ops kernels.Ops, piece int) error) func() error {
	if len(l.pieces) == 1 {
		return func() error { return l.dev.One(l.ctx, func(ops kernels.Ops) error { return f(ops, 0) }) }
	}
	return func() error { return l.dev.Each(l.ctx, len(l.pieces), f) }
}

// embed makes the input of the blocks.
func (l *stopwatch) embed() error {
	for _, in := range l.pieces {
		t, err := l.dev.Alloc(kernels.F32, in.Seq.Rows(), l.dense.Config().Hidden)
		if err != nil {
			return err
		}
		l.hidden = append(l.hidden, t)
	}
	return l.call(func(ops kernels.Ops, i int) error {
		ops.Copy(l.hidden[i], l.dense.Embed(model.NewPass(ops, l.pieces[i]), l.pieces[i]))
		return nil
	})()
}

// outside is a forward pass without its blocks.
func (l *stopwatch) outside(ops kernels.Ops, i int) error {
	p := model.NewPass(ops, l.pieces[i])
	l.dense.Embed(p, l.pieces[i])
	logits := l.dense.Head(p, l.hidden[i])
	ops.Download(logits, make([]float64, logits.Len()))
	return nil
}

// layered is a case that runs some layers.
type layered struct{ at, layers, units int }

// seconds is the time of one of the layers.
func (c layered) seconds(got measure.Result) measure.Estimate {
	e := got.Timings[c.at].Median
	n := float64(c.layers)
	e.Value, e.Low, e.High = e.Value/n, e.Low/n, e.High/n
	return e
}

// layers adds the case of the given layers with as many units as keep says.
func (l *stopwatch) layers(name string, list []int, keep func(model.Site) int) (layered, error) {
	mask := none(l.dense.Sites())
	for s, site := range l.dense.Sites() {
		for u := range min(site.Units, keep(site)) {
			mask[s][u] = true
		}
	}
	m, err := Compact(l.dense, mask)
	if err != nil {
		return layered{}, err
	}
	l.models = append(l.models, m)
	l.cases = append(l.cases, measure.Case{Name: name, Func: l.call(func(ops kernels.Ops, i int) error {
		p, x := model.NewPass(ops, l.pieces[i]), l.hidden[i]
		for _, layer := range list {
			mark := ops.Mark()
			out, _ := m.Block(p, layer, x)
			ops.Release(mark, out)
			x = out
		}
		return nil
	})})
	return layered{at: len(l.cases) - 1, layers: len(list)}, nil
}

// curve is the cases of one kind.
type curve []layered

func (c curve) points(got measure.Result) []LatencyPoint {
	var points []LatencyPoint
	for _, l := range c {
		points = append(points, LatencyPoint{l.units, l.seconds(got)})
	}
	return points
}

// curve adds the cases of a kind: layers with 0, ... all of its units, beside
// part of the other kind's. A model without any has no such cases.
func (l *stopwatch) curve(kind model.Kind) (curve, error) {
	list := l.widest(kind)
	if len(list) == 0 {
		return nil, nil
	}
	var c curve
	for _, n := range l.counts(kind, l.most(kind)) {
		run, err := l.layers(fmt.Sprintf("%d %v", n, kind), list, func(s model.Site) int {
			if s.Kind == kind {
				return n
			}
			return int(math.Round(beside * float64(s.Units)))
		})
		if err != nil {
			return nil, err
		}
		run.units = n
		c = append(c, run)
	}
	return c, nil
}

// most is the largest number of units of a kind that a layer has.
func (l *stopwatch) most(kind model.Kind) (n int) {
	for _, site := range l.dense.Sites() {
		if site.Kind == kind {
			n = max(n, site.Units)
		}
	}
	return n
}

// widest is some layers that have the most units of a kind.
func (l *stopwatch) widest(kind model.Kind) (list []int) {
	for _, site := range l.dense.Sites() {
		if site.Kind == kind && site.Units == l.most(kind) && len(list) < l.o.Layers {
			list = append(list, site.Layer)
		}
	}
	return list
}

// first is the first layers.
func (l *stopwatch) first() (list []int) {
	for layer := range min(l.o.Layers, l.dense.Config().Layers) {
		list = append(list, layer)
	}
	return list
}

// counts are the numbers of units to measure, ascending from none to all.
func (l *stopwatch) counts(kind model.Kind, most int) []int {
	counts := []int{0}
	add := func(n int) {
		if n > counts[len(counts)-1] && n <= most {
			counts = append(counts, n)
		}
	}
	if kind == model.Heads {
		for n := 1; n <= most; n++ {
			add(n)
		}
		return counts
	}
	add(l.o.Multiple) // the step from none to some is not on the line of the others
	for i := 1; i <= l.o.Points; i++ {
		even := float64(i) * float64(most) / float64(l.o.Points+1)
		add(int(math.Round(even/float64(l.o.Multiple))) * l.o.Multiple)
	}
	add(most)
	return counts
}
