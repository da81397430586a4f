package roofline

import (
	"context"
	"fmt"
	"time"

	"optin/bench/measure"
	"optin/kernels"
)

// Options says how ops are timed.
type Options struct {
	CacheBytes   int64         // calls in a row work on different data, so much of it that no cache holds it
	InputBytes   int64         // of data to work on at most
	CopyBytes    int64         // of a copy that shows the bandwidth
	LeastProduct int           // rows and columns of the products that show the rate: this and its doubles
	MostProduct  int           // up to this, or until one takes long enough
	Samples      int           // of each time, at least
	MinTime      time.Duration // of all samples of a time
	MaxTime      time.Duration // likewise, at most
	Sample       time.Duration // a sample repeats calls to last about this long
}

// DefaultOptions are for devices: caches of 50 MB and less, and some seconds for all.
func DefaultOptions() Options {
	return Options{
		CacheBytes: 256 << 20, InputBytes: 1 << 30, CopyBytes: 256 << 20, LeastProduct: 1024, MostProduct: 8192,
		Samples: 10, MinTime: 100 * time.Millisecond, MaxTime: 3 * time.Second, Sample: 5 * time.Millisecond,
	}
}

// QuickOptions show that ops can be timed, not how fast they are.
func QuickOptions() Options {
	return Options{CopyBytes: 64 << 10, LeastProduct: 32, MostProduct: 32, Samples: 2}
}

// Bench times ops on a device, on all of its workers at once, each of which has an equal share
// of the batch.
type Bench struct {
	Device  kernels.Device
	Shape   Shape // of the whole batch
	Options Options
}

// Row is what was measured of an op. Bytes, operations and times are those of all workers
// together.
type Row struct {
	Op, Shape  string // of one worker's share
	Seconds    measure.Estimate
	Bytes      int64
	Operations int64
	Floor      float64 // seconds
	Arithmetic bool    // arithmetic limits most of the floor, not memory
}

// Share of its floor that the op reaches: 1 is as fast as can be.
func (r Row) Share() float64 { return r.Floor / r.Seconds.Value }

// Cases are those that the workers run.
func (b *Bench) Cases() []Case {
	share := b.Shape
	share.Sequences = max(1, share.Sequences/b.Device.Workers())
	return Cases(share)
}

// Time measures an op against its floor at the given rates.
func (b *Bench) Time(ctx context.Context, c Case, r Rates) (Row, error) {
	row := Row{Op: c.Op, Shape: c.Shape}
	workers := int64(b.Device.Workers())
	work, err := c.count()
	if err != nil {
		return row, err
	}
	var byArithmetic float64
	for _, l := range work.launches {
		seconds, arithmetic := r.Floor(l)
		row.Bytes, row.Operations, row.Floor = row.Bytes+workers*l.Bytes, row.Operations+workers*l.Operations, row.Floor+float64(workers)*seconds
		if arithmetic {
			byArithmetic += float64(workers) * seconds
		}
	}
	row.Arithmetic = byArithmetic > row.Floor/2
	row.Seconds, err = b.seconds(ctx, c, b.sets(work))
	return row, err
}

// work is what a case needs.
type work struct {
	launches []Launch
	inputs   int64 // bytes that it works on, all of them
}

// count runs a case without values.
func (c Case) count() (w work, err error) {
	dev := NewTracer(func(_ string, l Launch) { w.launches = append(w.launches, l) })
	defer dev.Close()
	in := newInputs(dev)
	var run call
	if err := kernels.Try(func() error { run = c.open(in); return nil }); err != nil {
		return w, err
	}
	w.launches, w.inputs = nil, in.bytes // without those that made the inputs
	return w, dev.One(context.Background(), func(ops kernels.Ops) error { run(ops.(kernels.Backward)); return nil })
}

// sets is how many sets of data the calls of one worker go through in turn.
func (b *Bench) sets(w work) int {
	var moved int64
	for _, l := range w.launches {
		moved += l.Bytes
	}
	workers := int64(b.Device.Workers())
	n := min(b.Options.CacheBytes/max(1, moved*workers)+1, b.Options.InputBytes/max(1, w.inputs*workers))
	return int(min(max(n, 1), mostSets))
}

// mostSets of data: an op so small that more would be needed is not limited by memory.
const mostSets = 32

// seconds times a case that goes through so many sets of data, and returns what one call
// takes while all workers are at it.
func (b *Bench) seconds(ctx context.Context, c Case, sets int) (took measure.Estimate, err error) {
	in := newInputs(b.Device)
	defer in.free()
	calls := make([][]call, b.Device.Workers())
	err = kernels.Try(func() error {
		for i := range calls {
			for range sets {
				calls[i] = append(calls[i], c.open(in))
			}
		}
		return nil
	})
	if err != nil {
		return took, fmt.Errorf("%s %s: %w", c.Op, c.Shape, err)
	}
	rounds := 1
	run := func() error {
		return b.Device.Each(ctx, len(calls), func(ops kernels.Ops, i int) error {
			repeat(ops.(kernels.Backward), calls[i], rounds)
			return nil
		})
	}
	var began time.Time
	for range 2 { // the first packs weights and fills the arenas
		began = time.Now()
		if err := run(); err != nil {
			return took, fmt.Errorf("%s %s: %w", c.Op, c.Shape, err)
		}
	}
	rounds = 1 + int(b.Options.Sample/max(time.Since(began), time.Microsecond))
	o := measure.DefaultOptions()
	o.WarmupTime, o.MinSamples, o.MinTime, o.MaxTime, o.Precision, o.MinSample = b.Options.MinTime, b.Options.Samples, b.Options.MinTime, b.Options.MaxTime, 1, 0
	got, err := measure.Interleave(ctx, []measure.Case{{Name: c.Op, Func: run}}, o)
	if err != nil {
		return took, fmt.Errorf("%s: %w", c.Shape, err)
	}
	took = got.Timings[0].Median
	n := float64(rounds * sets)
	return measure.Estimate{Value: took.Value / n, Low: took.Low / n, High: took.High / n, Confidence: took.Confidence}, nil
}

// repeat runs calls one after the other, so many times. Their results stay until all have run:
// otherwise each would find its memory in a cache.
func repeat(ops kernels.Backward, calls []call, rounds int) {
	for range rounds {
		mark := ops.Mark()
		for _, run := range calls {
			run(ops)
		}
		ops.Release(mark)
	}
}
