package report

import (
	"fmt"
	"math"
	"math/rand/v2"

	"optin/bench/record"
)

// ablationRecord is made up: a key varied over decades with three seeds, three
// ways of search and rebuild with all that they tell of themselves, on two
// tasks, one of them published by others.
func ablationRecord() *record.Record {
	rng := rand.New(rand.NewPCG(5, 6))
	rec := &record.Record{Version: record.Version, Name: "ablation"}
	for i, task := range []string{"sst2", "wordnet"} {
		quality := 0.91 - 0.05*float64(i)
		m := record.Model{Name: "minilm-" + task, Arch: "bert", Task: task, Split: "dev", Layers: 2, Hidden: 64, Heads: []int{2, 2}, Neurons: []int{48, 48},
			Params: 100, EncoderMACs: 1e6, ModelMACs: 1.1e6, SeqLen: 25, Metrics: []record.Metric{{Name: "accuracy", Value: &quality, StdErr: ptr(0.01), N: 872}}}
		rec.Models = append(rec.Models, m)
		for _, probes := range []int{8, 32, 128, 512} {
			for seed := uint64(1); seed <= 3; seed++ {
				rec.Scores = append(rec.Scores, estimatedScores(rng, m, probes, seed))
			}
		}
		for _, keep := range []float64{0.7, 0.5} {
			for _, lambda := range []float64{1e-3, 0.1, 10} {
				for seed := uint64(1); seed <= 3; seed++ {
					r := exampleRun(rng, m, "trajectory", 1, seed, keep, quality-0.01*math.Abs(math.Log10(lambda)+1))
					r.Variant, r.Timings = fmt.Sprintf("lambda=%g", lambda), nil
					rec.Runs = append(rec.Runs, r)
				}
			}
			rec.Runs = append(rec.Runs, plainRuns(rng, m, keep, quality)...)
		}
	}
	return rec
}

// plainRuns are one run by each of a few ways.
func plainRuns(rng *rand.Rand, m record.Model, keep, quality float64) []record.Run {
	var out []record.Run
	for i, way := range [][3]string{{"trajectory", "additive", "none"}, {"fisher", "ptf", "scale"}, {"trajectory", "joint", "least-squares"}, {"trajectory", "additive", "least-squares"}} {
		r := exampleRun(rng, m, way[0], 2-i, 1, keep, quality)
		r.Search, r.Rebuild, r.Timings = way[1], way[2], nil
		r.Comparisons = []record.Comparison{{Against: record.Dense, Metric: "accuracy", Difference: *r.Metrics[0].Value - quality, Low: -0.2, High: -0.01, N: 872}}
		switch i {
		case 1:
			r.Rebuilt = []record.RebuiltSite{{Kind: record.Heads, Before: ptr(0.2), After: ptr(0.1)}, {Kind: record.Neurons, Before: ptr(0.3), After: ptr(0.4), KeptOld: true}}
			r.Constraint = "latency"
			r.Latency = &record.Latency{Target: 0.01, Predicted: ptr(0.0099), Rounds: 2,
				Measured: &record.Estimate{Value: 0.0102, Low: 0.0101, High: 0.0103}, Dense: &record.Estimate{Value: 0.02}}
		case 2:
			r.Joint = &record.Joint{Probes: 256, Steps: 4, Shrink: ptr(0.3), InSample: ptr(1.5), HeldOut: ptr(2.25), True: ptr(2.5), Additive: ptr(3.0), FellBack: keep < 0.6}
			r.Rebuilt = []record.RebuiltSite{{Kind: record.Heads, Before: ptr(0.2), After: ptr(0.05), Ridge: ptr(0.01)}, {Kind: record.Neurons, Before: ptr(0.3), After: ptr(0.15), Ridge: ptr(0.1)}}
			low := 0.001
			if keep < 0.6 {
				low = -0.02
			}
			r.Comparisons = append(r.Comparisons, []record.Comparison{
				{Against: "fisher/ptf/scale by latency", Metric: "accuracy", Difference: low + 0.01, Low: low, High: low + 0.02, N: 872},
				{Against: "trajectory/additive/least-squares", Metric: "accuracy", Difference: -0.02, Low: -0.03, High: -0.01 + low/2, N: 872},
			}...)
		}
		out = append(out, r)
	}
	return out
}

func estimatedScores(rng *rand.Rand, m record.Model, probes int, seed uint64) record.Scores {
	s := exampleScores(rng, m, "trajectory", seed)
	s.Variant = fmt.Sprintf("estimate=probes probes=%d", probes)
	noise := (1 + 0.2*rng.Float64()) / math.Sqrt(float64(probes))
	s.Estimated = &record.Estimated{Probes: probes, Heads: "probes", SubsetHeads: 4, SubsetNeurons: 12, SpearmanHeads: ptr(1 - noise),
		SpearmanNeurons: ptr(1 - noise/2), TopHalf: ptr(1 - noise), DenseForwards: ptr(2.5 * float64(probes)), ExactForwards: ptr(900.0)}
	return s
}
