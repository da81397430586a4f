package experiment

// The scoring methods.
const (
	Trajectory = "trajectory"
	Fisher     = "fisher"
	Taylor     = "taylor"
	Magnitude  = "magnitude"
	Activation = "activation"
	Random     = "random"
)

// The modes: our reading of the paper, or what its released code does.
const (
	Correct         = "correct"
	Reference       = "reference"        // the code for language models
	ReferenceVision = "reference-vision" // the code for vision models
)

// How closely the trajectory is known.
const (
	Exact  = "exact"
	Probes = "probes"
)

// reads says whether the method looks at examples.
func (s Score) reads() bool { return s.Method != Magnitude && s.Method != Random }

// departs names a switch that is set and that probes cannot follow.
func (s Score) departs() string {
	switch {
	case s.Tap != "block":
		return "tap"
	case s.Group != 0:
		return "group"
	case s.MDTokens != 0:
		return "md_tokens"
	case s.MDPadding:
		return "md_padding"
	case s.MDReduce != "sum":
		return "md_reduce"
	case s.KLFactor != "one":
		return "kl_factor"
	case !s.TauDivides:
		return "tau_divides"
	case s.CumulativeLastHead:
		return "cumulative_last_head"
	}
	return ""
}

// weighs names a key that is set and that a search by probes would not see: factors
// of scores, and the depth, which what whole sets lose does not stop at.
func (s Score) weighs() string {
	switch {
	case s.Depth != 0:
		return "depth"
	case s.IndexWeights:
		return "index_weights"
	case s.LastLayerWeight != 1:
		return "last_layer_weight"
	case s.LastLayerNeuronWeight != 1:
		return "last_layer_neuron_weight"
	case s.HeadWeight != 1:
		return "head_weight"
	case s.NeuronWeight != 1:
		return "neuron_weight"
	}
	return ""
}

// scoreDefaults are the defaults that depend on the search. The surgeon's answer
// is refitted to the dense model's hidden states anyway, and chosen best by what
// the logits lose; its second moments need more examples than single scores do.
func scoreDefaults(search string) Score {
	switch search {
	case Joint:
		return Score{Loss: "both", Heads: Probes, Probes: 256, Samples: 64}
	case Surgeon:
		return Score{Loss: "kd", Heads: Probes, Probes: 32, Samples: 256}
	}
	return Score{Loss: "both", Heads: Exact, Probes: 64, Samples: 64}
}

// keys are those of scoring as such, for a search.
func (s *Score) keys(seed uint64, search string) []key {
	const t = "score"
	estimated := func() bool { return s.Estimate == Probes }
	d, probed := scoreDefaults(search), search == Joint || search == Surgeon
	return []key{
		option(&s.Method, t, "method", Trajectory, oneOf(Trajectory, Fisher, Taylor, Magnitude, Activation, Random)).column().control().
			about("how units are scored: loss along the trajectory, or a baseline: Fisher information or first-order Taylor expansion of the task's loss, size of the weights, size of the activations, chance"),
		option(&s.Mode, t, "mode", Correct, oneOf(Correct, Reference, ReferenceVision)).only(Trajectory).control().
			about("defaults of the keys below that have another one in the method's released code, for language or for vision"),
		option(&s.Estimate, t, "estimate", Exact, oneOf(Exact, Probes)).only(Trajectory).control().where(func() bool { return !probed }).
			about("how closely: exact masks every unit by itself, probes estimates all units from random backward passes; the searches joint and surgeon always take probes"),
		option(&s.Probes, t, "probes", d.Probes, atLeast(1, 64)).absent("64; 256 for the search joint, 32 for surgeon").only(Trajectory).where(estimated).
			about("backward passes that estimate every score"),
		option(&s.ProbeSeed, t, "probe_seed", seed, anySeed()).absent("the file's seed").only(Trajectory).where(estimated).
			about("draws the probes"),
		option(&s.Heads, t, "heads", d.Heads, oneOf(Exact, Probes)).only(Trajectory).where(func() bool { return estimated() && !probed }).
			about("heads are few: exact masks each one all the same where neurons are estimated"),
		option(&s.Check, t, "check", 128, atLeast(0, 128)).only(Trajectory).where(estimated).
			about("random neurons that are scored exactly too, to say how good the estimate is"),
		option(&s.PerBatch, t, "per_batch", 0, atLeast(0, 32)).absent("0, per example").only(Fisher).
			about("examples whose mean gradient is squared, as PTF's released code does with its batches"),
		option(&s.Samples, t, "samples", d.Samples, atLeast(1, 64)).absent("64; 256 for the search surgeon").only(Trajectory, Fisher, Taylor, Activation).
			about("calibration examples, from the training split"),
		option(&s.Seed, t, "seed", seed, anySeed()).absent("the file's seed").only(Trajectory, Fisher, Taylor, Activation).column().
			about("draws the calibration examples, and the tokens of md_tokens"),
		option(&s.RandomSeed, t, "random_seed", seed, anySeed()).absent("the file's seed").only(Random).column().
			about("seed of the method random; a list gives its spread"),
		option(&s.Kinds, t, "kinds", "even", oneOf("even", "raw")).only(Taylor, Magnitude, Activation, Random).
			about("how heads and neurons compare under a baseline, whose scores are no losses: even brings both to the same mean per MAC, raw leaves them"),
		option(&s.Loss, t, "loss", d.Loss, oneOf("both", "md", "kd")).absent("both; kd for the search surgeon").only(Trajectory).
			about("manifold distillation along the trajectory (md), distillation of the logits (kd), or both"),
		option(&s.Lambda, t, "lambda", 0.1, atLeast(0.0, 0.1)).only(Trajectory).inReference(10, 100).
			about("weight of kd beside md"),
		option(&s.Balance, t, "balance", "mean", oneOf("mean", "none")).only(Trajectory).inReference("none", "none").
			about("how kd is brought to the size of md: mean scales it once so that its mean over all units is that of md"),
		option(&s.Tau, t, "tau", 4, above(0, 4)).only(Trajectory).
			about("temperature of kd"),
		option(&s.Depth, t, "depth", 0, atLeast(0, 4)).absent("0, all").only(Trajectory).
			about("later blocks that md adds up"),
		option(&s.Group, t, "group", 0, atLeast(0, 32)).absent("0, all in one").only(Trajectory).inReference(128, 32).
			about("examples that share one Gram matrix"),
	}
}

// switches are where the method's released code departs from its paper. Mode
// reference turns them all; each can be set by itself.
func (s *Score) switches() []key {
	const t = "score"
	list := []key{
		option(&s.Tap, t, "tap", "block", oneOf("block", "ffn")).inReference("ffn", "block").
			about("where md compares: the output of a block, or of its second linear layer before residual and LayerNorm"),
		option(&s.MDReduce, t, "md_reduce", "sum", oneOf("sum", "mean")).
			about("how md adds up: mean divides it by the square of the number of tokens"),
		option(&s.MDTokens, t, "md_tokens", 0, atLeast(0, 768)).absent("0, all").inReference(768, 768).
			about("tokens of a group that md compares, drawn at random"),
		option(&s.MDPadding, t, "md_padding", false, onOff()).inReference(true, true).
			about("padding may be among md_tokens"),
		option(&s.TokenFile, t, "token_file", "", anyText("tokens.txt")).absent("none").
			about("file with the indices of md_tokens, so that two programs compare the same ones"),
		option(&s.TauDivides, t, "tau_divides", true, onOff()).inReference(false, false).
			about("logits are divided by tau; false only multiplies kd by its square"),
		option(&s.KLFactor, t, "kl_factor", "one", oneOf("one", "unit", "running")).inReference("unit", "unit").
			about("what kd is multiplied by: 1, a power of ten that brings each unit's near its md, or the running mean of those powers"),
		option(&s.RegressionKL, t, "regression_kl", "squared", oneOf("squared", "zero")).inReference("zero", "zero").
			about("kd of a model with one output: squared difference, or nothing"),
		option(&s.CumulativeLastHead, t, "cumulative_last_head", false, onOff()).inReference(true, true).
			about("the last head of every earlier layer stays masked"),
		option(&s.IndexWeights, t, "index_weights", false, onOff()).inReference(true, false).
			about("scores are multiplied by a weight that falls with the unit's index: heads 10 to 1, neurons 100 to 1"),
		option(&s.LastLayerWeight, t, "last_layer_weight", 1, atLeast(0.0, 0.5)).inReference(0.5, 1).
			about("multiplies the last layer's scores"),
		option(&s.LastLayerNeuronWeight, t, "last_layer_neuron_weight", 1, atLeast(0.0, 0.5)).inReference(1, 1e-4).
			about("multiplies the last layer's neuron scores, besides last_layer_weight"),
		option(&s.HeadWeight, t, "head_weight", 1, atLeast(0.0, 0.5)).inReference(0.5, 0.5).
			about("multiplies head scores"),
		option(&s.NeuronWeight, t, "neuron_weight", 1, atLeast(0.0, 0.5)).inReference(1, 1).
			about("multiplies neuron scores"),
	}
	for i := range list {
		list[i] = list[i].only(Trajectory)
	}
	return list
}
