package experiment

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/record"
	"optin/kernels"
)

// Scores are a score for every unit, by site, and what they were computed on.
type Scores struct {
	Values    [][]float64
	PeakBytes int64   // of tensors and packed weights while scoring; 0: not measured
	Seconds   float64 // that measuring what several runs may share took, whenever that was

	Estimated *record.Estimated `json:",omitempty"` // nil where scores are exact, or no losses
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
func (e *engine) computeScores(ctx context.Context, r Run, g *ground) (Scores, error) {
	switch {
	case r.Score.Method != Trajectory:
		return e.baseline(ctx, r, g)
	case r.Score.Estimate == Probes:
		return e.estimate(ctx, r, g)
	}
	got, seconds, err := e.parts(ctx, r, g)
	if err != nil {
		return Scores{}, err
	}
	return Scores{Values: prune.Weigh(g.subject.Model, got.Parts, r.Score.weighing()), PeakBytes: got.PeakBytes, Seconds: seconds}, nil
}

// parts are the losses of a run's units. Where both losses are there already,
// one of them needs no measurement of its own.
func (e *engine) parts(ctx context.Context, r Run, g *ground) (trajectory, float64, error) {
	o, err := r.Score.options()
	if err != nil {
		return trajectory{}, 0, err
	}
	key := func(o prune.Options) (string, error) {
		return digest([]any{"trajectory", g.subject.Digest, g.calibration.Digest, o, e.facts})
	}
	both := o
	both.NoMD, both.NoKD = false, false
	hash, err := key(both)
	if err != nil {
		return trajectory{}, 0, err
	}
	if got, seconds, found, err := known[trajectory](e.store, "trajectory", hash); found || err != nil {
		return got, seconds, err
	}
	if hash, err = key(o); err != nil {
		return trajectory{}, 0, err
	}
	got, seconds, _, err := stage(e.store, "trajectory", hash, func() (trajectory, error) {
		t, err := e.trajectory(ctx, g, o)
		if err != nil && o.TokenList != nil {
			err = fmt.Errorf("with score.token_file = %q: %w", r.Score.TokenFile, err)
		}
		return t, err
	})
	return got, seconds, err
}

// trajectory is the losses of units, measured one by one.
type trajectory struct {
	Parts     *prune.Parts
	PeakBytes int64
}

func (e *engine) trajectory(ctx context.Context, g *ground, o prune.Options) (trajectory, error) {
	m, dev := g.subject.Model, e.host.Device
	dev.ResetPeak()
	parts, err := fitting(e, g.subject, func() (*prune.Parts, error) {
		units := 0
		for i, site := range m.Sites() {
			switch {
			case o.Known != nil && i < len(o.Known.MD):
			case o.Only != nil:
				units += len(o.Only[i])
			default:
				units += site.Units
			}
		}
		bar := e.host.Progress.Stage("score "+g.subject.Name, units)
		defer bar.Done()
		o.Rows = g.subject.Rows
		parts, err := prune.Trajectory(ctx, dev, m, g.calibration.Batches, o, bar.Add)
		o.Known = parts
		return parts, err
	})
	return trajectory{parts, dev.PeakBytes()}, err
}

// baseline computes the scores of a method that follows no trajectory.
func (e *engine) baseline(ctx context.Context, r Run, g *ground) (out Scores, err error) {
	m, dev := g.subject.Model, e.host.Device
	switch r.Score.Method {
	case Magnitude:
		out.Values, err = prune.Magnitude(m)
	case Random:
		out.Values = prune.Random(m, int64(r.Score.RandomSeed))
	case Activation:
		dev.ResetPeak()
		out.Values, err = fitting(e, g.subject, func() ([][]float64, error) {
			return prune.ActivationNorm(ctx, dev, m, g.calibration.Batches)
		})
		out.PeakBytes = dev.PeakBytes()
	case Fisher, Taylor:
		var gradients shared[*prune.Gradients]
		if gradients, err = e.gradients(ctx, g); err != nil {
			return out, err
		}
		out.PeakBytes, out.Seconds = gradients.peak, gradients.seconds
		if out.Values = prune.Taylor(gradients.result); r.Score.Method == Fisher {
			out.Values = prune.Fisher(gradients.result, r.Score.PerBatch)
		}
	}
	if err == nil && r.Score.Kinds == "even" && r.Score.Method != Fisher {
		out.Values = prune.Even(m.Sites(), out.Values, prune.CountMACs(m, g.calibration.Lengths))
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
