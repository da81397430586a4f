package task

import (
	"reflect"
	"testing"
)

const encoderVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\n"

func TestTextEncoder(t *testing.T) {
	dir := writeFiles(t, map[string]string{"vocab.txt": encoderVocab, "tokenizer_config.json": `{"model_max_length": 7}`})
	in := Inputs{Kind: Text, Outputs: []string{"contradiction", "entailment", "neutral"}, VocabSize: 8, MaxPositions: 9, TypeVocab: 2}
	task := open(t, Config{Name: "mnli", MaxLength: 6})
	e, err := OpenEncoder(dir, task, in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Encode(Example{Text: "a b c d", TextPair: "d", HasPair: true, Label: 1})
	want := Encoded{IDs: []int32{2, 4, 5, 3, 7, 3}, TypeIDs: []int32{0, 0, 0, 0, 1, 1}, Label: 2}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	free, err := OpenEncoder(dir, nil, in)
	if err != nil {
		t.Fatal(err)
	}
	got, err = free.Encode(Example{Text: "x", Label: 4})
	if err != nil || free.MaxLength() != 7 || !reflect.DeepEqual(got.IDs, []int32{2, 1, 3}) || got.Label != -1 {
		t.Errorf("without a task: %+v, %v; longest %d", got, err, free.MaxLength())
	}
	_, err = free.Encode(Example{Image: &Image{}})
	wantError(t, err, "the model takes text")

	_, err = OpenEncoder(dir, open(t, Config{Name: "mnli", MaxLength: 8}), in)
	wantError(t, err, "max_length is 8, but the model takes at most 7 tokens")
	_, err = OpenEncoder(dir, open(t, Config{Name: "fashion-mnist"}), in)
	wantError(t, err, "task fashion-mnist is of kind image, but the model takes inputs of kind text")
	_, err = OpenEncoder(t.TempDir(), task, in)
	wantError(t, err, "no tokenizer in")
	in.VocabSize = 7
	_, err = OpenEncoder(dir, task, in)
	wantError(t, err, "the tokenizer has 8 ids but the model's vocab_size is only 7")
	in.VocabSize, in.TypeVocab = 8, 1
	single, err := OpenEncoder(dir, task, in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = single.Encode(Example{Text: "a", HasPair: true, Label: 0})
	wantError(t, err, "type_vocab_size 1")
}

func TestImageEncoder(t *testing.T) {
	dir := writeFiles(t, map[string]string{"preprocessor_config.json": `{"size": {"height": 2, "width": 2}, "image_mean": [0], "image_std": [1], "rescale_factor": 1}`})
	task := open(t, Config{Name: "fashion-mnist"})
	in := Inputs{Kind: Picture, Outputs: task.Labels, Channels: 3, Height: 2, Width: 2}
	e, err := OpenEncoder(dir, task, in)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Encode(Example{Image: &Image{Width: 2, Height: 2, Channels: 1, Pix: []uint8{1, 2, 3, 4}}, Label: 9})
	if err != nil || got.Label != 9 || !reflect.DeepEqual(got.Pixels, []float32{1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = e.Encode(Example{Text: "a"})
	wantError(t, err, "the model takes images")
	in.Height = 3
	_, err = OpenEncoder(dir, task, in)
	wantError(t, err, dir, "makes images of 2 x 2, but the model takes 2 x 3")
	_, err = OpenEncoder(t.TempDir(), task, in)
	wantError(t, err, "no preprocessor_config.json")
}

func TestSample(t *testing.T) {
	examples := make([]Example, 100)
	for i := range examples {
		examples[i].Label = i
	}
	d := memory(examples)
	labels := func(d *Dataset) (out []int) {
		for _, ex := range all(t, d) {
			out = append(out, ex.Label)
		}
		return out
	}
	first, again, other := labels(d.Sample(10, 1)), labels(d.Sample(10, 1)), labels(d.Sample(10, 2))
	if len(first) != 10 || !reflect.DeepEqual(first, again) || reflect.DeepEqual(first, other) {
		t.Errorf("samples %v, %v, %v", first, again, other)
	}
	seen := map[int]bool{}
	for _, l := range labels(d.Sample(1000, 3)) {
		seen[l] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d different examples of 100", len(seen))
	}
	for n, want := range map[int]int{0: 0, 3: 3, 100: 100, 101: 100} {
		got := labels(d.Spread(n))
		if len(got) != want || n == 3 && !reflect.DeepEqual(got, []int{0, 33, 66}) {
			t.Errorf("%d spread: %v", n, got)
		}
	}
	_, err := d.Example(100)
	wantError(t, err, "no example 100")
}
