package experiment

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
)

// Scores are a score for every unit, by site, and what they were computed on.
type Scores struct {
	Values    [][]float64
	PeakBytes int64   // of tensors and packed weights while scoring; 0: not measured
	Seconds   float64 // that measuring the trajectory took, whenever that was
}

// options is how the trajectory of s is measured.
func (s Score) options() (prune.Options, error) {
	o := prune.Options{
		Tau: s.Tau, Depth: s.Depth, Group: s.Group,
		NoMD: s.Loss == "kd", NoKD: s.Loss == "md",
		RawLogits: !s.TauDivides, LastHead: s.CumulativeLastHead,
		Tokens: s.MDTokens, TokenSeed: int64(s.Seed), MeanOfGram: s.MDReduce == "mean",
	}
	if s.Tap == "ffn" {
		o.Tap = model.TapFFN
	}
	var err error
	o.TokenList, err = s.tokenList()
	return o, err
}

// tokenList reads token_file; nil without one.
func (s Score) tokenList() ([]int, error) {
	if s.TokenFile == "" {
		return nil, nil
	}
	list, err := readIndices(s.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("score.token_file: %w", err)
	}
	if len(list) != s.MDTokens {
		return nil, fmt.Errorf("score.token_file: %s has %d indices, and score.md_tokens is %d: set md_tokens to %[2]d, or give as many indices as it says",
			s.TokenFile, len(list), s.MDTokens)
	}
	return list, nil
}

// readIndices reads whole numbers separated by blanks or newlines.
func readIndices(path string) ([]int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []int
	for n, line := range strings.Split(string(text), "\n") {
		for _, word := range strings.Fields(line) {
			i, err := strconv.Atoi(word)
			if err != nil || i < 0 {
				return nil, fmt.Errorf("%s:%d: %.20q is no index: want whole numbers from 0", path, n+1, word)
			}
			list = append(list, i)
		}
	}
	return list, nil
}

// weighing is how the parts of s make one score.
func (s Score) weighing() prune.Weighing {
	w := prune.Weighing{
		Lambda: s.Lambda, NoMD: s.Loss == "kd", NoKD: s.Loss == "md",
		IndexWeights: s.IndexWeights, LastLayer: s.LastLayerWeight, LastNeurons: s.LastLayerNeuronWeight,
		Heads: s.HeadWeight, Neurons: s.NeuronWeight, NoRegression: s.RegressionKL == "zero",
	}
	switch {
	case s.KLFactor == "unit":
		w.Balance = prune.BalanceUnit
	case s.KLFactor == "running":
		w.Balance = prune.BalanceRunning
	case s.Balance == "none":
		w.Balance = prune.BalanceNone
	}
	return w
}

// computeScores computes the scores of a method. The parts of a trajectory are
// stored by themselves, so that weighing them otherwise measures nothing again.
func (e *engine) computeScores(ctx context.Context, s *Subject, r Run, c *Calibration) (Scores, error) {
	if r.Score.Method != Trajectory {
		return e.baseline(ctx, s, r, c)
	}
	m, dev := s.Model, e.host.Device
	o, err := r.Score.options()
	if err != nil {
		return Scores{}, err
	}
	key, err := digest([]any{"trajectory", s.Digest, c.Digest, o, e.facts})
	if err != nil {
		return Scores{}, err
	}
	type measured struct {
		Parts     *prune.Parts
		PeakBytes int64
	}
	got, seconds, _, err := stage(e.store, "trajectory", key, func() (measured, error) {
		units := 0
		for _, site := range m.Sites() {
			units += site.Units
		}
		bar := e.host.Progress.Stage(fmt.Sprintf("score %s", s.Name), units)
		defer bar.Done()
		dev.ResetPeak()
		parts, err := prune.Trajectory(ctx, dev, m, c.Batches, o, bar.Add)
		if err != nil && o.TokenList != nil {
			err = fmt.Errorf("with score.token_file = %q: %w", r.Score.TokenFile, err)
		}
		return measured{parts, dev.PeakBytes()}, err
	})
	if err != nil {
		return Scores{}, err
	}
	return Scores{prune.Weigh(m, got.Parts, r.Score.weighing()), got.PeakBytes, seconds}, nil
}

// baseline computes the scores of a method that measures no loss.
func (e *engine) baseline(ctx context.Context, s *Subject, r Run, c *Calibration) (out Scores, err error) {
	switch r.Score.Method {
	case Magnitude:
		out.Values, err = prune.Magnitude(s.Model)
	case Random:
		out.Values = prune.Random(s.Model, int64(r.Score.RandomSeed))
	case Activation:
		e.host.Device.ResetPeak()
		out.Values, err = prune.ActivationNorm(ctx, e.host.Device, s.Model, c.Batches)
		out.PeakBytes = e.host.Device.PeakBytes()
	}
	if err == nil && r.Score.Kinds == "even" {
		out.Values = prune.Even(s.Model.Sites(), out.Values, prune.CountMACs(s.Model, c.Lengths))
	}
	return out, err
}

// flatness warns of scores that hardly tell units apart.
func flatness(values [][]float64) []string {
	const least = 0.01
	if f := prune.Flat(values); f < least {
		return []string{fmt.Sprintf("scores barely vary: the middle half of a site's spans %.2g of their median; the ranking is hardly better than chance", f)}
	}
	return nil
}

// lengths are what the search counts costs for: those of the calibration
// examples, or all of the given length.
func (s Search) lengths(c *Calibration) prune.Lengths {
	if s.SeqLen == 0 {
		return c.Lengths
	}
	const sequences = 1000 // so that a fractional length loses nothing
	return prune.Lengths{Sequences: sequences, Tokens: int64(sequences * s.SeqLen), TokenPairs: int64(sequences * s.SeqLen * s.SeqLen)}
}

// choose searches the mask for a run.
func (r Run) choose(m model.Model, scores Scores, c *Calibration) (prune.Mask, error) {
	costs := prune.CountMACs(m, r.Search.lengths(c))
	if r.Search.Constraint == "params" {
		costs = prune.CountValues(m)
	}
	return prune.Additive(m.Sites(), scores.Values, costs, prune.Budget{
		Keep: r.Search.Keep, WholeModel: r.Search.Total == "model",
		MinHeads: r.Search.MinHeads, MinNeurons: r.Search.MinNeurons,
	})
}

// parallel runs one batch as fast as the device can: in pieces for all workers
// where there are enough sequences, else on all threads at once.
type parallel struct {
	model  model.Model
	pieces []*model.Input
	logits [][]float64
}

func newParallel(m model.Model, in []*model.Input) *parallel {
	p := &parallel{model: m, pieces: in}
	for _, piece := range in {
		p.logits = append(p.logits, make([]float64, piece.Examples()*len(m.Config().Labels)))
	}
	return p
}

func (p *parallel) run(ctx context.Context, dev kernels.Device) error {
	forward := func(ops kernels.Ops, i int) error {
		ops.Download(model.Forward(p.model, model.NewPass(ops, p.pieces[i]), p.pieces[i]), p.logits[i])
		return nil
	}
	if len(p.pieces) == 1 {
		return dev.One(ctx, func(ops kernels.Ops) error { return forward(ops, 0) })
	}
	return dev.Each(ctx, len(p.pieces), forward)
}
