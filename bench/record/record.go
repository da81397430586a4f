package record

import "optin/bench/measure"

// Version of the format that this program writes. It rises when a reader of the
// old format would misread the new one, not when a field is added.
const Version = 1

// Record is the outcome of one experiment file: a grid of runs over one or more
// models.
type Record struct {
	Version    int                `json:"version"`
	Name       string             `json:"name"`       // of the experiment
	Config     string             `json:"config"`     // the experiment file as it was read
	Overrides  []string           `json:"overrides"`  // key=value given on the command line
	Provenance measure.Provenance `json:"provenance"` // program, machine, device, seeds, date, hash of the config

	Models   []Model  `json:"models"`
	Scores   []Scores `json:"scores"`
	Runs     []Run    `json:"runs"`
	Warnings []string `json:"warnings"` // about the experiment as a whole
}

// Model is a dense model on its task.
type Model struct {
	Name         string   `json:"name"` // unique in the record; runs and scores refer to it
	Path         string   `json:"path"` // of the Hugging Face directory
	Arch         string   `json:"arch"` // model_type in config.json, such as "bert"
	Task         string   `json:"task"`
	Split        string   `json:"split"`         // that the metrics were computed on
	Layers       int      `json:"layers"`        // blocks
	Hidden       int      `json:"hidden"`        // width D
	Heads        []int    `json:"heads"`         // attention heads of each layer
	Neurons      []int    `json:"neurons"`       // feed-forward neurons of each layer
	Params       int64    `json:"params"`        // weights, all of them
	EncoderMACs  float64  `json:"encoder_macs"`  // per sample of SeqLen tokens, blocks only
	ModelMACs    float64  `json:"model_macs"`    // the same, with embeddings, pooler and classifier
	SeqLen       float64  `json:"seq_len"`       // tokens per sample that costs are counted for
	ExecutedMACs *float64 `json:"executed_macs"` // tallied by the kernels over one pass of Split, per sample
	Metrics      []Metric `json:"metrics"`       // of the dense model, the headline first
	Calibration  *Sample  `json:"calibration"`   // what the scores of its first run were computed on
}

// Sample says which examples were drawn from a split.
type Sample struct {
	Split    string `json:"split"`
	Examples int    `json:"examples"`
	Tokens   int    `json:"tokens"` // valid ones, padding apart
}

// Metric is one figure of quality.
type Metric struct {
	Name   string   `json:"name"`    // "accuracy", "f1", "matthews", "pearson" or "spearman"
	Value  *float64 `json:"value"`   // fraction, 1 is perfect
	StdErr *float64 `json:"std_err"` // standard error of Value over the examples
	N      int      `json:"n"`       // examples
}

// The kinds of site.
const (
	Heads   = "heads"
	Neurons = "neurons"
)

// Scores are the scores of all units of a model by one method.
type Scores struct {
	Model    string   `json:"model"`   // name of the model
	Method   string   `json:"method"`  // such as "trajectory"
	Variant  string   `json:"variant"` // the other keys of the grid, as "lambda=0.1"; "" if there are none
	Seed     uint64   `json:"seed"`    // of the calibration sample, or of the scores themselves for method random
	Sites    []Site   `json:"sites"`   // in the order of layers, heads before neurons
	Seconds  *float64 `json:"seconds"` // it took to compute them
	Warnings []string `json:"warnings"`

	Estimated *Estimated `json:"estimated,omitempty"` // nil where scores are exact, or no losses
}

// Site is a place where units can be removed, with their scores.
type Site struct {
	Layer  int       `json:"layer"`  // from 0
	Kind   string    `json:"kind"`   // Heads or Neurons
	Cost   float64   `json:"cost"`   // MACs per sample that one unit takes
	Values []float64 `json:"values"` // one score per unit; higher means keep
}
