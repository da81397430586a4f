package experiment

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
	"optin/kernels"
)

// probeOptions is how the trajectory of a model is estimated.
func (s Score) probeOptions(c *model.Config) prune.ProbeOptions {
	o := prune.DefaultProbeOptions()
	o.Probes, o.Seed, o.Tau, o.Lambda, o.Depth = s.Probes, int64(s.ProbeSeed), s.Tau, s.Lambda, s.Depth
	o.NoMD, o.NoKD = s.Loss == "kd", s.Loss == "md" || s.RegressionKL == "zero" && c.Regression
	if s.Balance == "none" {
		o.Balance = prune.BalanceNone
	}
	return o
}

// probes are those of a run, once for each set of keys that they depend on. Their
// rows, hundreds of megabytes of a BERT-base until the plan is done, are kept for
// the search that reads them.
func (e *engine) probes(ctx context.Context, r Run, g *ground) (shared[*prune.Probes], error) {
	o := r.Score.probeOptions(g.subject.Model.Config())
	if r.Search.Method != Joint {
		o.Rows = 0
	}
	key := fmt.Sprint(g.subject.Digest, g.calibration.Digest, o)
	return sharing(e, g.subject, e.probed, key, func() (*prune.Probes, error) {
		bar := e.host.Progress.Stage("probe "+g.subject.Name, o.Probes)
		defer bar.Done()
		return prune.Probe(ctx, e.host.Device, g.subject.Model, g.calibration.Batches, o, bar.Add)
	})
}

// estimate computes scores from probes, those of heads exactly where the key
// heads says so, and finds out how good they are on some neurons and all heads.
func (e *engine) estimate(ctx context.Context, r Run, g *ground) (out Scores, err error) {
	m := g.subject.Model
	forward, err := e.forwardSeconds(ctx, g)
	if err != nil {
		return out, err
	}
	taken, err := e.probes(ctx, r, g)
	if err != nil {
		return out, err
	}
	probes := taken.result
	out.PeakBytes = taken.peak
	out.Values = probes.Scores()
	out.Estimated = &record.Estimated{Probes: probes.Len(), Heads: r.Score.Heads}
	o, err := r.Score.options()
	if err != nil {
		return out, err
	}
	o.Only = subset(m.Sites(), r.Score.Check, r.Score.ProbeSeed)
	begin := time.Now()
	exact, err := e.trajectory(ctx, g, o)
	if err != nil {
		return out, err
	}
	checking := time.Since(begin).Seconds()
	weighed := probes.Weigh(exact.Parts)
	describeEstimate(out.Estimated, prune.Compare(m.Sites(), weighed, out.Values))
	out.Seconds = taken.seconds + checking
	out.Estimated.DenseForwards = finite(taken.seconds / forward)
	out.Estimated.ExactForwards = finite(checking / forward * wholeOver(m.Sites(), o.Only))
	if out.Estimated.Heads == Exact {
		for i, site := range m.Sites() {
			if site.Kind == model.Heads {
				out.Values[i] = weighed[i]
			}
		}
	}
	out.Values = r.Score.weighing().Scale(m, out.Values)
	return out, nil
}

// describeEstimate says how far estimated scores are from exact ones.
func describeEstimate(out *record.Estimated, by map[model.Kind]prune.Agreement) {
	heads, neurons := by[model.Heads], by[model.Neurons]
	out.SubsetHeads, out.SpearmanHeads = heads.Units, finite(heads.Spearman)
	out.SubsetNeurons, out.SpearmanNeurons = neurons.Units, finite(neurons.Spearman)
	if neurons.Units > 1 {
		out.TopHalf = finite(neurons.TopHalf)
	}
}

// wholeOver is by how much more scoring all units costs than scoring some,
// a unit of a layer costing the blocks from there up.
func wholeOver(sites []model.Site, only [][]int) float64 {
	layers := 0
	for _, site := range sites {
		layers = max(layers, site.Layer+1)
	}
	var all, some float64
	for s, site := range sites {
		blocks := float64(layers - site.Layer)
		all += blocks * float64(site.Units)
		some += blocks * float64(len(only[s]))
	}
	return all / some
}

// forwardSeconds is the least of three dense forward passes of the calibration
// examples.
func (e *engine) forwardSeconds(ctx context.Context, g *ground) (float64, error) {
	least := math.Inf(1)
	for range 3 {
		seconds, err := fitting(e, g.subject, func() (float64, error) {
			begin := time.Now()
			err := e.host.Device.Each(ctx, len(g.calibration.Batches), func(ops kernels.Ops, b int) error {
				in := g.calibration.Batches[b]
				model.Forward(g.subject.Model, model.NewPass(ops, in), in)
				return nil
			})
			return time.Since(begin).Seconds(), err
		})
		if err != nil {
			return 0, err
		}
		least = min(least, seconds)
	}
	return least, nil
}

// subset is all heads and n neurons, drawn evenly from those of all layers.
func subset(sites []model.Site, n int, seed uint64) [][]int {
	rng := rand.New(rand.NewPCG(seed, 0x636865636b))
	type at struct{ site, unit int }
	var neurons []at
	only := make([][]int, len(sites))
	for s, site := range sites {
		for u := range site.Units {
			if site.Kind == model.Heads {
				only[s] = append(only[s], u)
			} else {
				neurons = append(neurons, at{s, u})
			}
		}
	}
	rng.Shuffle(len(neurons), func(i, j int) { neurons[i], neurons[j] = neurons[j], neurons[i] })
	for _, a := range neurons[:min(n, len(neurons))] {
		only[a.site] = append(only[a.site], a.unit)
	}
	for _, list := range only {
		slices.Sort(list)
	}
	return only
}
