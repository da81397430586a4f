package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"optin/bench/measure"
	"optin/bench/record"
)

func ptr[T any](v T) *T { return &v }

// exampleRecord is made up, but of the size and look of a real one: two models,
// four methods, six budgets, five seeds of the random one. rng makes the same
// numbers on every machine.
func exampleRecord() *record.Record {
	rng := rand.New(rand.NewPCG(1, 2))
	rec := &record.Record{
		Version: record.Version, Name: "example_run",
		Config: "name = \"example_run\"\n\n[search]\nkeep = [0.8, 0.7, 0.6, 0.5, 0.4, 0.3]\n",
		Provenance: measure.Provenance{
			Version: "0.1.0", Revision: "0123456789ab", Go: "go1.26.8", Device: "cpu (AVX-512)", Threads: 2, ConfigHash: "abc123",
			Libraries: map[string]string{"oneDNN": "2.6.3", "gonum": "0.17.0"},
			Seeds:     map[string]uint64{"calibration": 1, "timing": 1},
			Time:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
			Machine:   measure.Machine{CPU: "Made-up CPU @ 2.00GHz", Cores: 2, Threads: 2, Usable: 2, OS: "Debian GNU/Linux 12", MemoryBytes: 8 << 30},
		},
		Warnings: []string{"the machine was busy | see top(1)"},
	}
	addModel(rec, rng, "deit-fashion", "vit", "fashion-mnist", 6, 3, 384, 0.917, 17)
	addModel(rec, rng, "bert-wordnet", "bert", "wordnet", 4, 4, 1024, 0.812, 21.4)
	rec.Runs[3].Verdict = record.Verdict{Reasons: []string{"counted MACs differ from executed MACs"}}
	rec.Runs[3].Verify.ExecutedMACs = ptr(5.0e8)
	rec.Runs[2].Timings = nil
	return rec
}

func addModel(rec *record.Record, rng *rand.Rand, name, arch, task string, layers, heads, neurons int, quality, tokens float64) {
	m := record.Model{Name: name, Path: "experiments/models/" + name, Arch: arch, Task: task, Split: "test", Layers: layers, Hidden: 64 * heads,
		Heads: slices.Repeat([]int{heads}, layers), Neurons: slices.Repeat([]int{neurons}, layers),
		Params: 1_900_000, EncoderMACs: 2.1e7, ModelMACs: 2.3e7, SeqLen: tokens,
		Metrics: []record.Metric{{Name: "accuracy", Value: &quality, StdErr: ptr(0.0028), N: 10000}}}
	rec.Models = append(rec.Models, m)
	for i, method := range []string{"trajectory", "magnitude", "activation", "random"} {
		seeds := uint64(1)
		if method == "random" {
			seeds = 5
		}
		for seed := uint64(1); seed <= seeds; seed++ {
			rec.Scores = append(rec.Scores, exampleScores(rng, m, method, seed))
			for _, keep := range []float64{0.8, 0.7, 0.6, 0.5, 0.4, 0.3} {
				rec.Runs = append(rec.Runs, exampleRun(rng, m, method, i, seed, keep, quality))
			}
		}
	}
}

func exampleScores(rng *rand.Rand, m record.Model, method string, seed uint64) record.Scores {
	s := record.Scores{Model: m.Name, Method: method, Seed: seed, Seconds: ptr(12.5)}
	for l := range m.Layers {
		for _, site := range []struct {
			kind string
			n    int
		}{{record.Heads, m.Heads[l]}, {record.Neurons, m.Neurons[l]}} {
			values := make([]float64, site.n)
			for i := range values {
				values[i] = math.Exp(-float64(l)/2 + 1.5*rng.NormFloat64())
			}
			if l == 1 && site.kind == record.Neurons {
				clear(values[:40])
			}
			s.Sites = append(s.Sites, record.Site{Layer: l, Kind: site.kind, Cost: 1000, Values: values})
		}
	}
	if method == "magnitude" {
		s.Warnings = []string{"scores of layer 0 barely vary"}
	}
	return s
}

func exampleRun(rng *rand.Rand, m record.Model, method string, worse int, seed uint64, keep, quality float64) record.Run {
	drop := (0.02 + 0.05*float64(worse)) * math.Pow((1-keep)/0.5, 2) * (1 + 0.3*rng.NormFloat64()*float64(worse)/3)
	value := quality - drop
	r := record.Run{
		Model: m.Name, Task: m.Task, Method: method, Seed: seed, Search: "additive", Rebuild: "none", Constraint: "macs", Keep: keep,
		KeptEncoderMACs: ptr(keep - 0.002), KeptModelMACs: ptr(0.06 + 0.94*keep), KeptParams: ptr(0.2 + 0.8*keep),
		Metrics: []record.Metric{{Name: "accuracy", Value: &value, StdErr: ptr(0.003), N: 10000}},
		Verify:  &record.Verify{OK: true, Examples: 64, LogitGap: ptr(3.1e-7), Tolerance: 1e-5, CountedMACs: ptr(7.5e8), ExecutedMACs: ptr(7.5e8)},
		Memory:  &record.Memory{ScoringBytes: ptr[int64](300 << 20), InferenceBytes: ptr[int64](90 << 20)},
		Stages:  []record.Stage{{Name: "score", Seconds: 12.5, Cached: keep < 0.8}, {Name: "search", Seconds: 0.02}, {Name: "evaluate", Seconds: 3}},
		Verdict: record.Verdict{Valid: true},
	}
	for l := range m.Layers {
		share := min(1, keep*(0.7+0.6*float64(l)/float64(m.Layers)))
		r.Heads = append(r.Heads, int(math.Round(share*float64(m.Heads[l]))))
		r.Neurons = append(r.Neurons, int(share*float64(m.Neurons[l])))
	}
	if method == "trajectory" {
		for _, kind := range []string{record.ModelOnly, record.EndToEnd} {
			for _, batch := range []int{1, 32} {
				r.Timings = append(r.Timings, exampleTiming(kind, batch, *r.KeptModelMACs))
			}
		}
	}
	return r
}

func exampleTiming(kind string, batch int, kept float64) record.Timing {
	dense := 0.0004 * float64(batch)
	fixed := 0.00004 + 0.00002*float64(batch) // does not shrink
	if kind == record.EndToEnd {
		fixed *= 3
		dense += fixed
	}
	around := func(v, share float64) *record.Estimate {
		return &record.Estimate{Value: v, Low: v * (1 - share), High: v * (1 + share), Confidence: 0.95}
	}
	pruned := (dense-fixed)*kept + fixed
	return record.Timing{Kind: kind, Batch: batch, Dense: around(dense, 0.01), Pruned: around(pruned, 0.02), Speedup: around(dense/pruned, 0.03),
		Throughput: around(float64(batch)/pruned, 0.02), FLOPS: ptr(9e10), PeakFLOPS: ptr(1.2e11), Rounds: 20}
}

// awkwardRecord has names that every format must escape, and nothing measured.
func awkwardRecord() *record.Record {
	nasty := "a|b_c*d&e%f$g#h{i}j^k~l\\m<n>`o`[p]"
	return &record.Record{
		Name: nasty, Config: "a = '''\n```\n'''", Overrides: []string{"score.tau=2"},
		Models: []record.Model{{Name: nasty, Task: "x/../y", Metrics: []record.Metric{{Name: "f1"}}}},
		Runs:   []record.Run{{Model: nasty, Method: nasty, Variant: fmt.Sprintf("lambda=%g", 0.1), Keep: 0.5}},
	}
}
