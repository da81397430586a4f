package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"optin/bench/experiment"
	"optin/bench/model"
	"optin/bench/task"
	"optin/bench/task/picture"
	"optin/kernels"

	"github.com/spf13/cobra"
)

// predictFlags are what to predict.
type predictFlags struct {
	model, text, pair, image, input string
	textColumn, pairColumn          string
	maxLength, threads              int
	device                          string
}

func predictCommand() *cobra.Command {
	var f predictFlags
	cmd := &cobra.Command{
		Use:   "predict --model FOLDER (--text TEXT [--text-pair TEXT] | --image FILE | --input FILE)",
		Short: "print a model's predictions as JSON lines, with logits",
		Long: `Predict prints one JSON object per input: label, probability and logits, or value
for a regression. --input takes a TSV, CSV or JSON lines file of texts, or for an image model
a text file with the path of a picture on each line.`,
		Args: args(0, 0, "flags only"),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.predict(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "", "Hugging Face model `folder`")
	flags.StringVar(&f.text, "text", "", "a text")
	flags.StringVar(&f.pair, "text-pair", "", "its second text")
	flags.StringVar(&f.image, "image", "", "a picture `file`, JPEG or PNG")
	flags.StringVar(&f.input, "input", "", "`file` of texts (.tsv, .csv, .jsonl) or of paths of pictures, a line each")
	flags.StringVar(&f.textColumn, "text-column", "text", "column of the texts in --input")
	flags.StringVar(&f.pairColumn, "text-pair-column", "", "column of the second texts in --input")
	flags.IntVar(&f.maxLength, "max-length", 0, "tokens after which a text is cut (default 128, or what the model takes)")
	flags.StringVar(&f.device, "device", "auto", "auto, cpu, cuda or ref")
	flags.IntVar(&f.threads, "threads", 0, "workers; 0: one for every core or GPU")
	return cmd
}

// prediction is what is printed for one input.
type prediction struct {
	Input       string    `json:"input"`
	Label       string    `json:"label,omitempty"`
	Probability *float64  `json:"probability,omitempty"`
	Value       *float64  `json:"value,omitempty"` // of a regression
	Logits      []float64 `json:"logits"`
}

func (f *predictFlags) predict(cmd *cobra.Command) error {
	given := 0
	for _, s := range []string{"text", "image", "input"} {
		if cmd.Flags().Changed(s) {
			given++
		}
	}
	switch {
	case f.model == "" || given != 1:
		return usageError{fmt.Errorf("predict takes --model FOLDER and one of --text, --image and --input")}
	case f.maxLength < 0:
		return usageError{fmt.Errorf("--max-length %d: want 1 or more", f.maxLength)}
	case f.pair != "" && !cmd.Flags().Changed("text"):
		return usageError{fmt.Errorf("--text-pair goes with --text; for --input see --text-pair-column")}
	}
	m, closeModel, err := model.Open(f.model)
	if err != nil {
		return err
	}
	defer closeModel()
	in := experiment.TaskInputs(m.Config())
	in.MaxLength = f.maxLength
	enc, err := task.OpenEncoder(f.model, nil, in)
	if err != nil {
		return err
	}
	names, examples, err := f.examples(m.Config())
	if err != nil {
		return err
	}
	dev, err := openDevice(f.device, f.threads, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer dev.Close()
	out := bufio.NewWriter(cmd.OutOrStdout())
	err = predictAll(cmd, m, enc, dev, names, examples, out)
	if e := out.Flush(); err == nil {
		err = e
	}
	return err
}

// examples reads the inputs, with what each is called in the output.
func (f *predictFlags) examples(c *model.Config) (names []string, list []func() (task.Example, error), err error) {
	if c.Text() && f.image != "" {
		return nil, nil, fmt.Errorf("model %s takes texts: give --text or --input", f.model)
	}
	if !c.Text() && f.image == "" && f.input == "" {
		return nil, nil, fmt.Errorf("model %s takes pictures: give --image or --input", f.model)
	}
	fixed := func(ex task.Example) func() (task.Example, error) {
		return func() (task.Example, error) { return ex, nil }
	}
	switch {
	case f.image != "":
		if err := there(f.image); err != nil {
			return nil, nil, err
		}
		return []string{f.image}, []func() (task.Example, error){openPicture(f.image)}, nil
	case f.input == "":
		return []string{f.text}, []func() (task.Example, error){fixed(task.Example{Text: f.text, TextPair: f.pair, HasPair: f.pair != "", Label: -1})}, nil
	case c.Text():
		all, err := task.ReadTexts(task.Config{Name: "text", Text: f.textColumn, TextPair: f.pairColumn}, f.input)
		for _, ex := range all {
			names, list = append(names, ex.Text), append(list, fixed(ex))
		}
		return names, list, err
	}
	lines, err := os.ReadFile(f.input)
	if err != nil {
		return nil, nil, fmt.Errorf("--input: %w", err)
	}
	for _, line := range strings.Split(string(lines), "\n") {
		if path := strings.TrimSpace(line); path != "" {
			at := path
			if !filepath.IsAbs(at) {
				at = filepath.Join(filepath.Dir(f.input), at)
			}
			if err := there(at); err != nil {
				return nil, nil, fmt.Errorf("--input %s: %w", f.input, err)
			}
			names, list = append(names, path), append(list, openPicture(at))
		}
	}
	return names, list, nil
}

// there finds a picture that is missing before any is looked at.
func there(path string) error {
	_, err := os.Stat(path)
	return err
}

func openPicture(path string) func() (task.Example, error) {
	return func() (task.Example, error) {
		img, err := picture.Open(path)
		return task.Example{Image: img, Label: -1}, err
	}
}

// predictAll encodes and runs the examples one by one; a person waits for each.
func predictAll(cmd *cobra.Command, m model.Model, enc *task.Encoder, dev kernels.Device, names []string, examples []func() (task.Example, error), w io.Writer) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for i, open := range examples {
		ex, err := open()
		if err != nil {
			return err
		}
		encoded, err := enc.Encode(ex)
		if err != nil && ex.Image != nil {
			return fmt.Errorf("%s: %w", names[i], err)
		}
		if err != nil {
			return fmt.Errorf("input %d: %w", i+1, err)
		}
		in := input(m.Config(), encoded)
		logits := make([]float64, len(m.Config().Labels))
		err = dev.One(cmd.Context(), func(ops kernels.Ops) error {
			ops.Download(model.Forward(m, model.NewPass(ops, in), in), logits)
			return nil
		})
		if err != nil {
			return err
		}
		for _, v := range logits {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("input %d: the model's logits are not finite numbers; check its weights", i+1)
			}
		}
		if err := lines.Encode(describe(m.Config(), names[i], logits)); err != nil {
			return err
		}
	}
	return nil
}

// input is a batch of one example.
func input(c *model.Config, e task.Encoded) *model.Input {
	if c.Text() {
		return model.Text([][]int32{e.IDs}, [][]int32{e.TypeIDs})
	}
	return model.Images(c, e.Pixels)
}

func describe(c *model.Config, name string, logits []float64) prediction {
	p := prediction{Input: name, Logits: logits}
	if c.Regression {
		p.Value = &logits[0]
		return p
	}
	best, sum := 0, 0.0
	for i, v := range logits {
		if v > logits[best] {
			best = i
		}
	}
	for _, v := range logits {
		sum += math.Exp(v - logits[best])
	}
	probability := 1 / sum
	p.Label, p.Probability = c.Labels[best], &probability
	return p
}
