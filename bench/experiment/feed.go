package experiment

import (
	"context"
	"errors"
	"fmt"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/bench/task"
	"optin/bench/task/metric"
	"optin/kernels"
)

// Feed is a split, encoded and cut into micro-batches. Texts, and images up to a
// limit, are kept in memory; more images than that are decoded for every pass.
type Feed struct {
	Split  string
	Notes  []string
	Digest string // of what is in it

	subject *Subject
	data    *task.Dataset
	lengths []int          // packed rows of each example
	ends    []int          // one past the last example of each batch
	encoded []task.Encoded // nil: decode when asked
}

// feedMemory is the most that decoded images may take, in bytes.
const feedMemory = 1 << 29

// sampled is how many images stand for a split that does not fit.
const sampled = 64

// OpenFeed reads a split of the subject's task, at most limit examples of it,
// spread evenly (0: all).
func (s *Subject) OpenFeed(split string, limit int) (*Feed, error) {
	key := fmt.Sprint(split, limit)
	if f, ok := s.feeds[key]; ok {
		return f, nil
	}
	data, err := s.Task.Load(split)
	if err != nil {
		return nil, err
	}
	if limit > 0 {
		data = data.Spread(limit)
	}
	if data.Len() == 0 {
		return nil, fmt.Errorf("task %s: split %s is empty", s.Task.Name, split)
	}
	f := &Feed{Split: split, Notes: data.Notes, subject: s, data: data}
	if err := f.encode(feedMemory); err != nil {
		return nil, err
	}
	s.feeds[key] = f
	return f, nil
}

// encode encodes the split if that fits into memory, else only a sample of it
// for the digest.
func (f *Feed) encode(memory int) error {
	c := f.subject.Model.Config()
	imageBytes := 4 * c.Channels * c.ImageHeight * c.ImageWidth
	keep := c.Text() || imageBytes*f.data.Len() <= memory
	stride := (f.data.Len() + sampled - 1) / sampled
	f.lengths = make([]int, f.data.Len())
	var sample []task.Encoded // what stands for the split in its digest
	for i := range f.lengths {
		if !keep && i%stride != 0 {
			f.lengths[i] = c.Tokens()
			continue
		}
		e, err := f.one(i)
		if err != nil {
			return err
		}
		f.lengths[i] = tokens(c, e)
		sample = append(sample, e)
	}
	if keep {
		f.encoded = sample
	}
	f.ends = prune.Cut(f.lengths, f.subject.Rows)
	var err error
	f.Digest, err = digest([]any{f.Split, f.data.Len(), f.data.Files, sample})
	return err
}

func (f *Feed) one(i int) (task.Encoded, error) {
	ex, err := f.data.Example(i)
	if err != nil {
		return task.Encoded{}, err
	}
	return f.subject.Encoder.Encode(ex)
}

// Len is the number of examples.
func (f *Feed) Len() int { return f.data.Len() }

// Batches is the number of micro-batches.
func (f *Feed) Batches() int { return len(f.ends) }

// Batch is micro-batch b with the answers to it.
func (f *Feed) Batch(b int) (*model.Input, []task.Encoded, error) {
	from := 0
	if b > 0 {
		from = f.ends[b-1]
	}
	examples := make([]task.Encoded, 0, f.ends[b]-from)
	for i := from; i < f.ends[b]; i++ {
		if f.encoded != nil {
			examples = append(examples, f.encoded[i])
			continue
		}
		e, err := f.one(i)
		if err != nil {
			return nil, nil, err
		}
		examples = append(examples, e)
	}
	return pack(f.subject.Model.Config(), examples), examples, nil
}

// Evaluation is what a model reaches on a split.
type Evaluation struct {
	Metrics      []Metric
	Examples     int
	Lengths      prune.Lengths
	ExecutedMACs int64
	PeakBytes    int64 // of tensors and packed weights

	Predictions metric.Predictions
	Fault       string // what audit found; "": nothing
}

// audit checks that what m costs by the formula is what was executed.
func (e *Evaluation) audit(m model.Model) string {
	if counted := prune.CountMACs(m, e.Lengths).Total(); counted != e.ExecutedMACs {
		return fmt.Sprintf("counted %d MACs over the split, executed %d", counted, e.ExecutedMACs)
	}
	return ""
}

// fault is Fault as an error.
func (e *Evaluation) fault() error {
	if e.Fault == "" {
		return nil
	}
	return errors.New(e.Fault)
}

// Metric is one figure of quality, a fraction, with its standard error.
type Metric struct {
	Name          string
	Value, StdErr float64
	N             int
}

// Evaluate runs m, the feed's model or a pruned form of it, over the split. The
// device must have nothing else to do.
func (f *Feed) Evaluate(ctx context.Context, dev kernels.Device, m model.Model, done func(examples int)) (*Evaluation, error) {
	classes := len(m.Config().Labels)
	logits := make([][]float64, f.Batches())
	answers := make([][]task.Encoded, f.Batches())
	lengths := make([]prune.Lengths, f.Batches())
	before := dev.Tally()
	dev.ResetPeak()
	err := dev.Each(ctx, f.Batches(), func(ops kernels.Ops, b int) error {
		in, examples, err := f.Batch(b)
		if err != nil {
			return err
		}
		if m.Config().Text() {
			if err := model.CheckText(m.Config(), in); err != nil {
				return err
			}
		}
		out := model.Forward(m, model.NewPass(ops, in), in)
		logits[b] = make([]float64, out.Len())
		ops.Download(out, logits[b])
		for i := range examples {
			examples[i].IDs, examples[i].TypeIDs, examples[i].Pixels = nil, nil, nil
		}
		answers[b], lengths[b] = examples, prune.LengthsOf(in)
		if done != nil {
			done(len(examples))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	e := &Evaluation{Examples: f.Len(), ExecutedMACs: dev.Tally().Sub(before).MACs, PeakBytes: dev.PeakBytes()}
	acc, err := f.subject.Task.Accumulator(m.Config().Labels)
	if err != nil {
		return nil, err
	}
	row := make([]float32, classes)
	for b := range logits {
		e.Lengths.Sequences += lengths[b].Sequences
		e.Lengths.Tokens += lengths[b].Tokens
		e.Lengths.TokenPairs += lengths[b].TokenPairs
		for i, answer := range answers[b] {
			if f.subject.Task.Regression {
				err = acc.AddValue(logits[b][i], answer.Target)
			} else {
				for c := range row {
					row[c] = float32(logits[b][i*classes+c])
				}
				err = acc.Add(row, answer.Label)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	e.Predictions = acc.Predictions()
	for _, r := range acc.Results() {
		e.Metrics = append(e.Metrics, Metric(r))
	}
	return e, nil
}
