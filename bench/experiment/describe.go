package experiment

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
)

// What is known of models, scores and runs, put into the words of a record.

// baseName names a model by its folder; what optin train writes is always called
// model, so the folder above says more.
func baseName(path string) string {
	path = filepath.Clean(path)
	if name := filepath.Base(path); name != trainedModel {
		return name
	}
	if above := filepath.Base(filepath.Dir(path)); above != "." && above != ".." && above != string(filepath.Separator) {
		return above
	}
	return trainedModel
}

// describeModel describes a dense model; costs are counted for the lengths.
func describeModel(name string, s *Subject, lengths prune.Lengths, f *Feed, evaluated *Evaluation) record.Model {
	cfg := s.Model.Config()
	costs := prune.CountMACs(s.Model, lengths)
	n := float64(lengths.Sequences)
	executed := float64(evaluated.ExecutedMACs) / float64(evaluated.Examples)
	return record.Model{
		Name: name, Path: s.Path, Arch: cfg.ModelType, Task: s.Task.Name, Split: f.Split,
		Layers: cfg.Layers, Hidden: cfg.Hidden, Heads: cfg.HeadsPerLayer, Neurons: cfg.NeuronsPerLayer,
		Params: s.Model.Params().Count(), EncoderMACs: float64(costs.Dense()) / n, ModelMACs: float64(costs.Total()) / n,
		SeqLen: float64(lengths.Tokens) / n, ExecutedMACs: &executed, Metrics: metrics(evaluated),
	}
}

func describeCalibration(c *Calibration) *record.Sample {
	return &record.Sample{Split: c.Split, Examples: c.Examples, Tokens: c.Tokens}
}

func describeScores(name string, r Run, g *ground, scores Scores, seconds float64) record.Scores {
	s, c := g.subject, g.calibration
	out := record.Scores{Model: name, Method: r.Score.Method, Variant: r.Variant, Seed: r.Score.Draw(),
		Seconds: &seconds, Warnings: flatness(scores.Values), Estimated: scores.Estimated}
	costs := prune.CountMACs(s.Model, r.Search.lengths(c))
	n := float64(r.Search.lengths(c).Sequences)
	for i, site := range s.Model.Sites() {
		out.Sites = append(out.Sites, record.Site{Layer: site.Layer, Kind: siteKind(site.Kind), Cost: float64(costs.Unit[i]) / n, Values: scores.Values[i]})
	}
	return out
}

func describeMask(out *record.Run, s *Subject, r Run, c *Calibration, mask prune.Mask) {
	kept := mask.Kept()
	encoder, whole := prune.CountMACs(s.Model, r.Search.lengths(c)).Share(kept)
	_, params := prune.CountValues(s.Model).Share(kept)
	out.KeptEncoderMACs, out.KeptModelMACs, out.KeptParams = &encoder, &whole, &params
	layers := s.Model.Config().Layers
	out.Heads = prune.PerLayer(s.Model.Sites(), layers, model.Heads, kept)
	out.Neurons = prune.PerLayer(s.Model.Sites(), layers, model.Neurons, kept)
}

func describeVerification(out *record.Run, v prune.Verification) {
	counted, executed := float64(v.CountedMACs), float64(v.ExecutedMACs)
	out.Verify = &record.Verify{OK: v.Err() == nil, Examples: v.Sequences, LogitGap: &v.Difference,
		ExactGap: v.Exact, Tolerance: prune.Tolerance, CountedMACs: &counted, ExecutedMACs: &executed}
}

func metrics(e *Evaluation) []record.Metric {
	var out []record.Metric
	for _, m := range e.Metrics {
		out = append(out, record.Metric{Name: m.Name, Value: &m.Value, StdErr: &m.StdErr, N: m.N})
	}
	return out
}

func metricText(list []record.Metric) string {
	var words []string
	for _, m := range list {
		words = append(words, fmt.Sprintf("%s %.2f %% (± %.2f)", m.Name, 100**m.Value, 100**m.StdErr))
	}
	return strings.Join(words, ", ")
}

// headline is a run's result in one line: speeds are ratios with their 95 % intervals,
// below 1 where the run is slower than the dense model.
func headline(out *record.Run) string {
	text := fmt.Sprintf("%.1f %% of MACs, %s", 100**out.KeptEncoderMACs, metricText(out.Metrics[:1]))
	for _, t := range out.Timings {
		if t.Kind == record.ModelOnly {
			text += fmt.Sprintf(", %.2f times as fast as dense (%.2f to %.2f) at batch %d", t.Speedup.Value, t.Speedup.Low, t.Speedup.High, t.Batch)
			if t.Throttled() {
				text += " (throttled)"
			}
		}
	}
	if !out.Verdict.Valid {
		text += ", INVALID"
	}
	return text
}

// siteKind is a kind of site as records call it.
func siteKind(k model.Kind) string {
	if k == model.Neurons {
		return record.Neurons
	}
	return record.Heads
}

// describeRebuild describes what became of every site. PTF's released code holds no
// tokens out and has no ridge.
func describeRebuild(sites []prune.LayerRebuild, released bool) []record.RebuiltSite {
	var out []record.RebuiltSite
	for _, s := range sites {
		site := record.RebuiltSite{Layer: s.Site.Layer, Kind: siteKind(s.Site.Kind), KeptOld: !s.Rebuilt}
		if !released {
			site.Before, site.After = finite(s.HeldOut.Before), finite(s.HeldOut.After)
		}
		if s.Rebuilt && !released {
			site.Ridge = finite(s.Ridge)
		}
		out = append(out, site)
	}
	return out
}

// finite is a figure for a record, nil if it is none.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
