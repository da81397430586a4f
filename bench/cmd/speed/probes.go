package main

import (
	"fmt"
	"time"

	"optin/bench/measure"
	"optin/bench/prune"
)

// estimate is what scoring all units with probes costs against a dense forward
// of the same batch, which runs before and after.
func (b *bench) estimate(probes int) error {
	batches := texts(equal(32, 40), prune.MicroRows)
	share := texts(equal(32, 40), 32*40/(2*b.dev.Workers())) // as much to do for every worker
	var forward []float64
	dense := func() error {
		for range b.rounds {
			s, err := b.seconds(b.m, share)
			if err != nil {
				return err
			}
			forward = append(forward, s)
		}
		return nil
	}
	o := prune.DefaultProbeOptions()
	o.Rows = 0 // scores alone
	score := func(n int) (*prune.Probes, float64, error) {
		o.Probes = n
		begin := time.Now()
		p, err := prune.Probe(b.ctx, b.dev, b.m, batches, o, nil)
		return p, time.Since(begin).Seconds(), err
	}
	if _, _, err := score(2); err != nil { // warm up
		return err
	}
	if err := dense(); err != nil {
		return err
	}
	p, seconds, err := score(probes)
	if err != nil {
		return err
	}
	if err := dense(); err != nil {
		return err
	}
	units := 0
	for _, s := range b.m.Sites() {
		units += s.Units
	}
	one := measure.Median(forward).Value
	macs := prune.CountMACs(b.m, prune.LengthsOf(batches...)).Total()
	fmt.Printf("estimated scoring, %3d probes     %.1f dense forwards for all %d units (want 130 for 64 probes of 12 layers); %.1f by MACs; %.0f GFLOP/s executed\n\n",
		probes, seconds/one, units, float64(p.MACs)/float64(macs), 2e-9*float64(p.MACs)/seconds)
	return nil
}
