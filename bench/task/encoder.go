package task

import (
	"errors"
	"fmt"

	"optin/bench/task/picture"
	"optin/bench/task/wordpiece"
)

// defaultMaxLength is the number of tokens a text is truncated to where the
// config does not say: what GLUE results are published with.
const defaultMaxLength = 128

// Inputs is what a model takes and gives, from its config.json.
type Inputs struct {
	Kind    Kind
	Outputs []string // the names of the outputs (id2label), in order

	VocabSize    int // text
	MaxPositions int // text: longest sequence
	TypeVocab    int // text: 2 where pairs can be told apart; 0 if not known
	MaxLength    int // text: tokens after which it is cut, where the task does not say; 0: the default

	Channels      int // image
	Height, Width int // image
}

// Encoder turns examples into a model's inputs. It is safe for concurrent use.
type Encoder struct {
	kind      Kind
	tok       *wordpiece.Tokenizer
	pre       *picture.Preprocessor
	maxLength int
	pairs     bool
	labels    []int // task's label -> model's output; nil without labels
}

// OpenEncoder reads a model's tokenizer or preprocessor from its folder and
// checks that it fits the model and, unless t is nil, the task.
func OpenEncoder(dir string, t *Task, in Inputs) (*Encoder, error) {
	switch in.Kind {
	case Text:
		tok, err := wordpiece.Load(dir)
		if err != nil {
			return nil, err
		}
		e, err := NewTextEncoder(tok, t, in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		return e, nil
	case Picture:
		cfg, err := picture.ReadConfig(dir)
		if err != nil {
			return nil, err
		}
		pre, err := picture.NewPreprocessor(cfg, in.Channels, in.Width, in.Height)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		e, err := NewImageEncoder(pre, t, in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		return e, nil
	}
	return nil, fmt.Errorf("a model with inputs of kind %q", in.Kind)
}

// NewTextEncoder returns an encoder over a tokenizer.
func NewTextEncoder(tok *wordpiece.Tokenizer, t *Task, in Inputs) (*Encoder, error) {
	if err := tok.CheckVocab(in.VocabSize); err != nil {
		return nil, err
	}
	limit := in.MaxPositions
	if n := tok.MaxLength(); n > 0 && n < limit {
		limit = n
	}
	e := &Encoder{kind: Text, tok: tok, maxLength: min(defaultMaxLength, limit), pairs: in.TypeVocab != 1}
	wanted := in.MaxLength
	if t != nil && t.Config.MaxLength > 0 {
		wanted = t.Config.MaxLength
	}
	if wanted > limit {
		return nil, fmt.Errorf("max_length is %d, but the model takes at most %d tokens: set it to that or less", wanted, limit)
	}
	if wanted > 0 {
		e.maxLength = wanted
	}
	return e, e.fit(t, in)
}

// NewImageEncoder returns an encoder over a preprocessor.
func NewImageEncoder(pre *picture.Preprocessor, t *Task, in Inputs) (*Encoder, error) {
	e := &Encoder{kind: Picture, pre: pre}
	return e, e.fit(t, in)
}

// fit maps the task's labels to the model's outputs.
func (e *Encoder) fit(t *Task, in Inputs) (err error) {
	if t == nil {
		return nil
	}
	if t.Kind != e.kind {
		return fmt.Errorf("task %s is of kind %s, but the model takes inputs of kind %s", t.Name, t.Kind, e.kind)
	}
	e.labels, err = t.MapLabels(in.Outputs)
	return err
}

// MaxLength is the number of tokens that texts are truncated to.
func (e *Encoder) MaxLength() int { return e.maxLength }

// Encode returns the model's inputs for an example, and its label as the
// model numbers it.
func (e *Encoder) Encode(ex Example) (Encoded, error) {
	out := Encoded{Label: -1, Target: ex.Target}
	if e.labels != nil && ex.Label >= 0 {
		if ex.Label >= len(e.labels) {
			return out, fmt.Errorf("label %d, but the task has %d labels", ex.Label, len(e.labels))
		}
		out.Label = e.labels[ex.Label]
	}
	if e.kind == Picture {
		if ex.Image == nil {
			return out, errors.New("the model takes images, but the example has none")
		}
		var err error
		out.Pixels, err = e.pre.Apply(ex.Image)
		return out, err
	}
	if ex.Image != nil {
		return out, errors.New("the model takes text, but the example is an image")
	}
	var enc wordpiece.Encoding
	var err error
	switch {
	case !ex.HasPair:
		enc, err = e.tok.Encode(ex.Text, e.maxLength)
	case !e.pairs:
		err = errors.New("the model has one token type (type_vocab_size 1), so it takes single texts, but the example is a pair")
	default:
		enc, err = e.tok.EncodePair(ex.Text, ex.TextPair, e.maxLength)
	}
	out.IDs, out.TypeIDs = enc.IDs, enc.TypeIDs
	return out, err
}
