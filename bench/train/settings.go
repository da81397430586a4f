package train

import (
	"errors"
	"fmt"
)

// Schedule is how the learning rate falls after the warm-up.
type Schedule string

// The schedules.
const (
	Cosine   Schedule = "cosine"
	Linear   Schedule = "linear"
	Constant Schedule = "constant"
)

// Optimizer is what turns gradients into steps.
type Optimizer string

// The optimizers.
const (
	AdamW Optimizer = "adamw" // kernels.AdamWStep
	Muon  Optimizer = "muon"  // for the matrices of the blocks, AdamW for the rest; see Trainer.muon
)

// Settings say how a model is trained. Zero switches off whatever can be.
type Settings struct {
	Epochs float64 // passes over the data
	Batch  int     // examples of a step, at most
	Seed   uint64  // of every random choice

	Rate       float64  // the highest learning rate
	Warmup     float64  // share of the steps in which it rises from 0
	Schedule   Schedule // how it falls then
	LayerDecay float64  // factor of the rate from each block to the one before it; 1: none

	Optimizer         Optimizer
	Decay             float64 // of weights; biases and LayerNorm have none
	Beta1, Beta2, Eps float64 // of AdamW
	Clip              float64 // largest norm of a step's gradient
	Average           float64 // what each step leaves of the average of the parameters, which is then the result

	Smoothing   float64 // share of every target that goes to all classes alike
	Distill     float64 // share of the teacher in the loss
	Temperature float64 // of distillation

	Mixup  float64 // parameter of the Beta distribution that pictures are mixed by
	Crop   int     // pixels that a picture is shifted by, at most
	Flip   bool    // mirror half of the pictures
	Tokens int     // patches of a picture that are seen
	Full   float64 // share of the steps, the last ones, that see all patches

	Mask       float64 // share of a text's tokens that are hidden
	MaskWeight float64 // of the loss that asks for the hidden tokens

	Recompute bool // blocks run again on the way back instead of keeping what they computed
	Lanes     int  // parts of a batch that can be worked on at once
	Rows      int  // packed rows of a micro-batch, but for those of its last example
}

// DefaultSettings are those of fine-tuning a pretrained model (Devlin et al.,
// 2019).
func DefaultSettings() Settings {
	return Settings{
		Epochs: 3, Batch: 32, Seed: 1,
		Rate: 5e-5, Warmup: 0.1, Schedule: Linear, LayerDecay: 1,
		Optimizer: AdamW, Decay: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Clip: 1,
		Temperature: 2, Full: 0.25, Lanes: 4, Rows: 512,
	}
}

// check refuses settings that do not fit each other or the model.
func (s *Settings) check(text, teacher bool) error {
	switch {
	case s.Batch < 1 || s.Lanes < 1 || s.Rows < 1 || !(s.Epochs > 0):
		return fmt.Errorf("a batch of %d examples, %d lanes, %d rows, %v epochs: want 1 or more of each, and epochs above 0", s.Batch, s.Lanes, s.Rows, s.Epochs)
	case s.Distill > 0 && !teacher:
		return errors.New("a share of the loss is distillation, and there is no teacher")
	case text && (s.Mixup > 0 || s.Crop > 0 || s.Flip || s.Tokens > 0):
		return errors.New("mixup, crop, flip and tokens are for pictures, but the model reads texts")
	case !text && (s.Mask > 0 || s.MaskWeight > 0):
		return errors.New("mask and mask_weight are for texts, but the model takes pictures")
	case s.MaskWeight > 0 && s.Mask == 0:
		return errors.New("mask_weight asks for the hidden tokens, and mask hides none")
	}
	return nil
}
