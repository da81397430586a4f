package record

import "optin/bench/measure"

// Estimated says how scores were estimated and how far they are from exact
// ones, by a random subset of the units that was scored exactly as well.
type Estimated struct {
	Probes int    `json:"probes"` // backward passes whose squares were averaged
	Heads  string `json:"heads"`  // how the heads were scored: "exact" or "probes"

	SubsetHeads   int `json:"subset_heads"`   // heads that were scored both ways
	SubsetNeurons int `json:"subset_neurons"` // neurons that were scored both ways

	SpearmanHeads   *float64 `json:"spearman_heads"`   // of estimated against exact, over the subset's heads
	SpearmanNeurons *float64 `json:"spearman_neurons"` // the same over its neurons
	TopHalf         *float64 `json:"top_half"`         // share of the subset's better half by exact scores that is in its better half by estimate

	DenseForwards *float64 `json:"dense_forwards"` // time of the estimate over that of one forward pass of the same examples; without the subset
	ExactForwards *float64 `json:"exact_forwards"` // what exact scores of all units would have cost, from the subset's time
}

// Joint is how a search that sees interactions came to its mask. The losses are
// those of removing all units together, in the unit of the scores, and count
// for the chosen mask.
type Joint struct {
	Probes   int      `json:"probes"`    // of the search
	Steps    int      `json:"steps"`     // in which it re-estimated; 1 is once
	Shrink   *float64 `json:"shrink"`    // share a of the cross terms that was left out, chosen by the true loss
	InSample *float64 `json:"in_sample"` // loss by the probes that chose the mask
	HeldOut  *float64 `json:"held_out"`  // loss by probes that did not
	True     *float64 `json:"true"`      // loss measured by a forward pass
	Additive *float64 `json:"additive"`  // HeldOut of the mask that the additive search chooses
	FellBack bool     `json:"fell_back"` // the additive mask's true loss is less, and it is the run's
}

// RebuiltSite is a weight that was fitted to what remains. Its errors are the
// mean squares of the difference from the target on held-out calibration
// tokens, which chose the ridge too, over the mean square of the target; nil where
// the method holds none out.
type RebuiltSite struct {
	Layer   int      `json:"layer"`
	Kind    string   `json:"kind"`     // Heads: the output projection; Neurons: the second linear layer
	Before  *float64 `json:"before"`   // error with the old weights
	After   *float64 `json:"after"`    // error with the new ones
	Ridge   *float64 `json:"ridge"`    // that was chosen; nil where the method has none
	KeptOld bool     `json:"kept_old"` // the error did not fall: the old weights remain
}

// Latency is how a budget of time was met.
type Latency struct {
	Target    float64   `json:"target"`    // seconds per call that were asked for
	Predicted *float64  `json:"predicted"` // seconds per call by the table of this device
	Measured  *Estimate `json:"measured"`  // seconds per call of the compacted model
	Dense     *Estimate `json:"dense"`     // seconds per call of the dense model
	Rounds    int       `json:"rounds"`    // of search and measurement until Measured was near enough

	Warnings []measure.Warning `json:"warnings,omitempty"` // about Measured and Dense
}
