package record

import (
	"slices"

	"optin/bench/measure"
)

// Run is one pruned model: one point of the grid.
type Run struct {
	Model      string  `json:"model"` // name of the model
	Task       string  `json:"task"`
	Method     string  `json:"method"`     // that scored the units
	Variant    string  `json:"variant"`    // the other keys of the grid, as "lambda=0.1"; "" if there are none
	Seed       uint64  `json:"seed"`       // of the scores
	Search     string  `json:"search"`     // such as "additive"
	Rebuild    string  `json:"rebuild"`    // such as "none"
	Constraint string  `json:"constraint"` // what Keep is a share of: "macs", "params" or "latency"
	Keep       float64 `json:"keep"`       // share asked for, above 0, at most 1

	KeptEncoderMACs *float64 `json:"kept_encoder_macs"` // share of the dense encoder's
	KeptModelMACs   *float64 `json:"kept_model_macs"`   // share of the dense model's
	KeptParams      *float64 `json:"kept_params"`       // share of all weights
	Heads           []int    `json:"heads"`             // that remain in each layer
	Neurons         []int    `json:"neurons"`           // that remain in each layer

	Metrics []Metric `json:"metrics"` // of the compacted model, the headline first
	Verify  *Verify  `json:"verify"`
	Timings []Timing `json:"timings"` // one for each batch size and kind
	Memory  *Memory  `json:"memory"`
	Stages  []Stage  `json:"stages"` // in the order they ran
	Verdict Verdict  `json:"verdict"`

	Calibration *Sample       `json:"calibration,omitempty"` // what scores were computed on, empty where the method looks at none; nil: not noted
	Joint       *Joint        `json:"joint,omitempty"`       // of a joint search
	Rebuilt     []RebuiltSite `json:"rebuilt,omitempty"`     // in the order they were fitted
	Latency     *Latency      `json:"latency,omitempty"`     // of a budget of time
	Comparisons []Comparison  `json:"comparisons,omitempty"` // of this run with others
}

// Verify is the proof that what was written is what was measured.
type Verify struct {
	OK           bool     `json:"ok"`
	Examples     int      `json:"examples"`            // compared
	LogitGap     *float64 `json:"logit_gap"`           // largest difference of masked and compacted logits over the largest logit
	ExactGap     *float64 `json:"exact_gap,omitempty"` // the same in float64, where LogitGap was above Tolerance
	Tolerance    float64  `json:"tolerance"`           // that LogitGap may reach by itself
	CountedMACs  *float64 `json:"counted_macs"`        // by the formula, for the compared examples
	ExecutedMACs *float64 `json:"executed_macs"`       // tallied by the kernels, for the same examples
}

// The kinds of timing.
const (
	ModelOnly = "model"      // from token ids or pixels to logits
	EndToEnd  = "end-to-end" // from text or image file to label
)

// Timing compares the dense and the pruned model, measured interleaved.
type Timing struct {
	Kind       string            `json:"kind"`       // ModelOnly or EndToEnd
	Batch      int               `json:"batch"`      // samples per call
	Dense      *Estimate         `json:"dense"`      // seconds per call, median with its interval
	Pruned     *Estimate         `json:"pruned"`     // seconds per call, median with its interval
	Speedup    *Estimate         `json:"speedup"`    // dense over pruned, above 1 is faster
	Throughput *Estimate         `json:"throughput"` // samples per second, pruned
	FLOPS      *float64          `json:"flops"`      // executed FLOP/s of the pruned model
	DenseFLOPS *float64          `json:"dense_flops"`
	PeakFLOPS  *float64          `json:"peak_flops"` // measured on this machine with one large product
	Rounds     int               `json:"rounds"`
	Warnings   []measure.Warning `json:"warnings"`

	DenseEnergy  *measure.Energy    `json:"dense_energy,omitempty"`  // of one example; nil: not available
	PrunedEnergy *measure.Energy    `json:"pruned_energy,omitempty"` // likewise
	Telemetry    *measure.Telemetry `json:"telemetry,omitempty"`     // of the device meanwhile; nil: it was not watched
}

// Throttled says whether the device was slowed down meanwhile, as far as it says so.
func (t Timing) Throttled() bool { return throttled(t.Warnings) }

// Throttled says whether the device was slowed down while Measured was measured.
func (l Latency) Throttled() bool { return throttled(l.Warnings) }

func throttled(warnings []measure.Warning) bool {
	return slices.ContainsFunc(warnings, func(w measure.Warning) bool { return w.Kind == measure.Throttled })
}

// Memory is the peak of physical memory.
type Memory struct {
	ScoringBytes   *int64 `json:"scoring_bytes"`   // while scores were computed
	InferenceBytes *int64 `json:"inference_bytes"` // while the compacted model ran
	DenseBytes     *int64 `json:"dense_bytes"`     // while the dense model ran
}

// Stage is how long a stage of the run took.
type Stage struct {
	Name    string  `json:"name"` // such as "score"
	Seconds float64 `json:"seconds"`
	Cached  bool    `json:"cached"` // taken from an earlier run; Seconds is what it took then
}

// Verdict says whether a run's figures may be quoted.
type Verdict struct {
	Valid   bool     `json:"valid"`
	Reasons []string `json:"reasons"` // why not, or what to keep in mind
}

// String is "VALID" or "INVALID".
func (v Verdict) String() string {
	if v.Valid {
		return "VALID"
	}
	return "INVALID"
}

// Estimate is a figure with the interval that holds the true one.
type Estimate = measure.Estimate
