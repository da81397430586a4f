package experiment

import (
	"bytes"
	"fmt"
	"io"
	"math"

	"optin/bench/train"
)

func (b *Beginning) keys() []key {
	const t = "model"
	return []key{
		option(&b.Path, t, "path", "", anyText("experiments/models/bert-wordnet")).absent("none: a new model").
			about("folder of a Hugging Face model to begin with, pruned or not; without a head for the task it gets a new one"),
		option(&b.Config, t, "config", "", anyText("experiments/models/deit-fashion")).absent("none").
			about("folder of the config.json, and of the tokenizer or preprocessor, of a new model"),
		option(&b.Init, t, "init", "", oneOf("", "random")).absent("none").
			about("how a new model begins"),
		option(&b.Spread, t, "init_std", 0, atLeast(0.0, 0.02)).absent("initializer_range of config.json, else 0.02").
			about("standard deviation of new weights"),
	}
}

// stepKeys are about the steps.
func (f *Training) stepKeys() []key {
	const t = "train"
	s, d := &f.Settings, train.DefaultSettings()
	return []key{
		option(&s.Epochs, t, "epochs", d.Epochs, above(0, 3)).
			about("passes over the training examples; 0.5 is half a pass"),
		option(&s.Batch, t, "batch", d.Batch, atLeast(1, 32)).
			about("examples of a step at most; batches of an epoch differ by one at most"),
		option(&s.Rate, t, "rate", d.Rate, above(0, 5e-5)).
			about("highest learning rate"),
		option(&s.Warmup, t, "warmup", d.Warmup, shareOrNone(0.1)).
			about("share of the steps in which the rate rises from 0"),
		option((*string)(&s.Schedule), t, "schedule", string(d.Schedule), oneOf(string(train.Cosine), string(train.Linear), string(train.Constant))).
			about("how the rate falls after the warm-up, down to 0"),
		option((*string)(&s.Optimizer), t, "optimizer", string(d.Optimizer), oneOf(string(train.AdamW), string(train.Muon))).
			about("what turns gradients into steps: muon moves the matrices of the blocks by orthogonal steps, which takes fewer of them from random values, and the rest by adamw"),
		option(&s.LayerDecay, t, "layer_decay", d.LayerDecay, share()).
			about("factor of the rate from each block to the one before it"),
		option(&s.Decay, t, "weight_decay", d.Decay, atLeast(0.0, 0.01)).
			about("decay of weights per step and rate; biases and LayerNorm have none"),
		option(&s.Beta1, t, "beta1", d.Beta1, belowOne(0.9)).
			about("what AdamW keeps of the mean gradient"),
		option(&s.Beta2, t, "beta2", d.Beta2, belowOne(0.999)).
			about("what AdamW keeps of the mean square"),
		option(&s.Eps, t, "eps", d.Eps, above(0, 1e-8)).
			about("what AdamW adds to the root of the mean square"),
		option(&s.Clip, t, "clip", d.Clip, atLeast(0.0, 1)).
			about("largest norm of a step's gradient; 0 is no limit"),
		option(&s.Average, t, "average", d.Average, belowOne(0.999)).
			about("keep the average of the parameters over the steps, of which each step leaves this; 0 keeps the last parameters"),
		option(&s.Smoothing, t, "label_smoothing", d.Smoothing, belowOne(0.1)).
			about("share of every target that goes to all labels alike"),
		option(&s.Recompute, t, "recompute", d.Recompute, onOff()).
			about("run blocks a second time on the way back instead of keeping what they computed: less memory, a third more time"),
		option(&s.Lanes, t, "lanes", d.Lanes, atLeast(1, 4)).
			about("parts of a batch that can be worked on at once, each with gradients of its own; results depend on it, and not on threads"),
	}
}

// inputKeys are about how examples are varied.
func (f *Training) inputKeys() []key {
	const t = "train"
	s, d := &f.Settings, train.DefaultSettings()
	return []key{
		option(&s.Crop, t, "crop", d.Crop, atLeast(0, 2)).
			about("pictures: shift by so many pixels at most, each way"),
		option(&s.Flip, t, "flip", d.Flip, onOff()).
			about("pictures: mirror every other one"),
		option(&s.Mixup, t, "mixup", d.Mixup, atLeast(0.0, 0.2)).
			about("pictures: mix each with another one, by shares of the Beta distribution of this parameter; 0 mixes none"),
		option(&s.Tokens, t, "tokens", d.Tokens, atLeast(0, 24)).absent("0, all").
			about("pictures: patches that are seen of each, drawn at random"),
		option(&s.Full, t, "full", d.Full, shareOrNone(0.25)).
			about("pictures: share of the steps, the last ones, that see all patches all the same"),
		option(&s.Mask, t, "mask", d.Mask, belowOne(0.15)).
			about("texts: share of the tokens that are hidden, as in BERT's pretraining"),
		option(&s.MaskWeight, t, "mask_weight", d.MaskWeight, atLeast(0.0, 0.2)).
			about("texts: weight of the loss that asks for the hidden tokens"),
	}
}

func (u *Upkeep) keys() []key {
	const t = "train"
	return []key{
		option(&u.Samples, t, "samples", 0, atLeast(0, 1000)).absent("0, all").
			about("training examples at most, at even distances"),
		option(&u.SaveEvery, t, "save_every", 500, atLeast(0, 100)).
			about("steps between checkpoints; 0 writes one only when the training is stopped"),
		option(&u.EvalEvery, t, "eval_every", 1, atLeast(0.0, 0.5)).
			about("epochs between evaluations on the way; 0 evaluates at the end alone"),
		option(&u.EvalSplit, t, "eval_split", "dev", oneOf("dev", "test", "train")).
			about("split of the evaluations on the way"),
		option(&u.DType, t, "dtype", "", oneOf("", "F16", "F32", "BF16")).absent("as they were read, F32 for new ones").
			about("type of the weights that are written"),
	}
}

func (f *Training) distillKeys() []key {
	const t = "distill"
	s, d := &f.Settings, train.DefaultSettings()
	return []key{
		option(&f.Distill.Model, t, "model", "", anyText("experiments/models/deit-fashion")).absent("none").
			about("folder of a teacher for the same task, such as the dense model of a pruned one"),
		option(&s.Distill, t, "weight", 0.5, share()).
			about("share of the teacher in the loss; the labels have the rest"),
		option(&s.Temperature, t, "tau", d.Temperature, above(0, 2)).
			about("temperature of both models' outputs"),
	}
}

// belowOne allows what a mean may keep of itself.
func belowOne(example float64) rule {
	return rule{
		allows:  func(v any) bool { n := v.(float64); return n >= 0 && n < 1 },
		want:    "a number of 0 or more and below 1",
		example: example,
	}
}

// shareOrNone allows shares from 0 to 1.
func shareOrNone(example float64) rule {
	return rule{
		allows:  func(v any) bool { n := v.(float64); return n >= 0 && n <= 1 && !math.IsNaN(n) },
		want:    "a number from 0 to 1",
		example: example,
	}
}

// WriteTrainingKeys describes every key of a training file, in lines of at most
// 100 characters.
func WriteTrainingKeys(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(`A training file is TOML, and every key takes one value. Any key can be given on the command line,
where it wins: --set train.epochs=2

Above the first table
`)
	table := ""
	for _, k := range new(Training).keys() {
		if k.table != table {
			table = k.table
			fmt.Fprintf(&b, "\n[%s]\n", table)
		}
		k.write(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}
