package record

import (
	"encoding/json"
	"fmt"
	"os"

	"optin/bench/disk"
	"optin/bench/measure"
)

// Training is what training a model leaves behind, stored as train.json.
type Training struct {
	Version    int                `json:"version"`
	Name       string             `json:"name"`
	Config     string             `json:"config"`     // the file as it was read
	Overrides  []string           `json:"overrides"`  // key=value given on the command line
	Provenance measure.Provenance `json:"provenance"` // program, machine, device, seeds, date, hash of the config

	From    string   `json:"from"`   // Hugging Face directory that it began with
	Model   string   `json:"model"`  // that it wrote
	Arch    string   `json:"arch"`   // model_type in config.json
	Params  int64    `json:"params"` // all weights of the written model
	Task    string   `json:"task"`
	Teacher string   `json:"teacher"` // directory; "" if there was none
	Notes   []string `json:"notes"`   // what was new at the start, and what to keep in mind

	Facts map[string]string `json:"facts"` // what the result depends on: keys and digests

	Examples int     `json:"examples"`
	Steps    int     `json:"steps"`
	Epochs   float64 `json:"epochs"`

	Curve       []TrainingPoint      `json:"curve"` // means over equal stretches of steps
	Evaluations []TrainingEvaluation `json:"evaluations"`
	Final       []TrainingEvaluation `json:"final"` // of the written model, as read back
	Speed       *TrainingSpeed       `json:"speed"`
}

// TrainingPoint is the mean of some steps, the last of which has the number Step.
type TrainingPoint struct {
	Step  int     `json:"step"`
	Epoch float64 `json:"epoch"` // passes over the data
	Loss  float64 `json:"loss"`
	Rate  float64 `json:"rate"` // learning rate
	Norm  float64 `json:"norm"` // of the gradient, before clipping
}

// TrainingEvaluation is what the model reached at a step.
type TrainingEvaluation struct {
	Step    int      `json:"step"`
	Split   string   `json:"split"`
	Metrics []Metric `json:"metrics"`
}

// TrainingSpeed is how fast the steps were, evaluations and checkpoints apart.
type TrainingSpeed struct {
	Steps        int     `json:"steps"`         // that were timed: of the last start
	Seconds      float64 `json:"seconds"`       // that they took
	Examples     float64 `json:"examples"`      // per second
	FLOPS        float64 `json:"flops"`         // FLOP/s of products, forward and backward
	ForwardFLOPS float64 `json:"forward_flops"` // FLOP/s of the evaluations of the same run
}

// Share is FLOPS over those of the forward pass.
func (s TrainingSpeed) Share() float64 { return s.FLOPS / s.ForwardFLOPS }

// SaveTraining writes a training's record as Save writes an experiment's.
func SaveTraining(path string, t *Training) error {
	versioned := *t
	versioned.Version = Version
	data, err := json.MarshalIndent(&versioned, "", "  ")
	if err != nil {
		return fmt.Errorf("record: %s: %w: a figure that is not a number must be left out", path, err)
	}
	return disk.WriteFile(path, append(oneLine(data), '\n'))
}

// OpenTraining reads what SaveTraining wrote. An error wraps fs.ErrNotExist where
// there is no such file.
func OpenTraining(path string) (*Training, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	var t Training
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, fmt.Errorf("record: %s: %w: it is damaged, or no record of a training", path, explain(err, text))
	}
	return &t, nil
}
