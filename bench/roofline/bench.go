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
	Narrow  bool            // weights of dense products are kept in a format of 16 bits
	Watcher measure.Watcher // of what the device computes on; nil: none
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
	Throttled  string  // why the device was slowed down meanwhile; "" if it was not, or does not say
}

// Share of its floor that the op reaches: 1 is as fast as can be.
func (r Row) Share() float64 { return r.Floor / r.Seconds.Value }

// Cases are those that the workers run.
func (b *Bench) Cases() []Case {
	share := b.Shape
	share.Sequences = max(1, share.Sequences/b.Device.Workers())
	return Cases(share)
}

// Run times cases against what the device can do, which it measures before and after them:
// the better figures count, because whatever else the machine does can only lower them.
func (b *Bench) Run(ctx context.Context, cases []Case) (Rates, []Row, error) {
	rates, err := b.rates(ctx)
	if err != nil {
		return rates, nil, err
	}
	var rows []Row
	var works []work
	for _, c := range cases {
		w, err := c.count()
		if err != nil {
			return rates, nil, err
		}
		if b.Narrow {
			for i, l := range w.launches {
				w.launches[i] = l.narrow()
			}
		}
		took, err := b.time(ctx, c, b.sets(w))
		if err != nil {
			return rates, nil, err
		}
		works = append(works, w)
		rows = append(rows, Row{Op: c.Op, Shape: c.Shape, Seconds: took.seconds, Throttled: took.throttled})
	}
	after, err := b.rates(ctx)
	if err != nil {
		return rates, nil, err
	}
	rates = rates.best(after)
	for i := range rows {
		rows[i].bound(works[i].launches, int64(b.Device.Workers()), rates)
	}
	return rates, rows, nil
}

// bound fills in what so many workers have to do, and the least time for it.
func (r *Row) bound(launches []Launch, workers int64, rates Rates) {
	var byArithmetic float64
	for _, l := range launches {
		seconds, arithmetic := rates.Floor(Launch{Unit: l.Unit, Bytes: workers * l.Bytes, Operations: workers * l.Operations, Fused: workers * l.Fused})
		r.Bytes, r.Operations, r.Floor = r.Bytes+workers*l.Bytes, r.Operations+workers*l.Operations, r.Floor+seconds
		if arithmetic {
			byArithmetic += seconds
		}
	}
	r.Arithmetic = byArithmetic > r.Floor/2
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

// timed is what one call takes while all workers are at it.
type timed struct {
	seconds   measure.Estimate
	throttled string
}

// time times a case that goes through so many sets of data.
func (b *Bench) time(ctx context.Context, c Case, sets int) (took timed, err error) {
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
	o.Watcher = b.Watcher
	got, err := measure.Interleave(ctx, []measure.Case{{Name: c.Op, Func: run}}, o)
	if err != nil {
		return took, fmt.Errorf("%s: %w", c.Shape, err)
	}
	for _, w := range got.Warnings {
		if w.Kind == measure.Throttled {
			took.throttled = w.Detail
		}
	}
	all, n := got.Timings[0].Median, float64(rounds*sets)
	took.seconds = measure.Estimate{Value: all.Value / n, Low: all.Low / n, High: all.High / n, Confidence: all.Confidence}
	return took, nil
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
