package experiment

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"optin/bench/task"
	"optin/kernels"
	"optin/kernels/ref"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// tinyModel copies one of the models that package model is tested with.
func tinyModel(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	for _, file := range []string{"config.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join("..", "model", "testdata", name, file))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, file), string(data))
	}
	return dir
}

func vocabulary(size int) string {
	words := "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
	for i := range size - 5 {
		words += fmt.Sprintf("w%d\n", i)
	}
	return words
}

// texts3 is a tiny BERT with a vocabulary and a task of three labels.
func texts3(t *testing.T) (modelDir string, cfg task.Config) {
	t.Helper()
	modelDir = tinyModel(t, "bert-basic")
	put(t, filepath.Join(modelDir, "vocab.txt"), vocabulary(64))
	data := t.TempDir()
	for split, n := range map[string]int{"train": 12, "test": 11} {
		text := "text\tlabel\n"
		for i := range n {
			text += fmt.Sprintf("%s\t%s\n", strings.Repeat(fmt.Sprintf("w%d ", i), 1+i%4), []string{"entailment", "neutral", "contradiction"}[i%3])
		}
		put(t, filepath.Join(data, split+".tsv"), text)
	}
	return modelDir, task.Config{Name: "text", Path: data}
}

// pictures5 is a tiny DeiT with a folder of pictures of five classes.
func pictures5(t *testing.T) (modelDir string, cfg task.Config) {
	t.Helper()
	modelDir = tinyModel(t, "deit-basic")
	put(t, filepath.Join(modelDir, "preprocessor_config.json"), `{"size": 16, "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}`)
	data := t.TempDir()
	for i := range 40 {
		m := image.NewGray(image.Rect(0, 0, 16, 16))
		for p := range 256 {
			m.Set(p%16, p/16, color.Gray{uint8(p * (i + 3))})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(data, []string{"train", "test"}[i%2], fmt.Sprint(i%5), fmt.Sprintf("%d.png", i)), b.String())
	}
	return modelDir, task.Config{Name: "image-folder", Path: data}
}

func openSubject(t *testing.T, files func(*testing.T) (string, task.Config)) *Subject {
	t.Helper()
	s, err := OpenSubject(files(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openFeed(t *testing.T, s *Subject, limit int) *Feed {
	t.Helper()
	f, err := s.OpenFeed(task.Test, limit)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func device(t *testing.T, workers int) kernels.Device {
	t.Helper()
	d, err := ref.New(workers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestFeedStreams evaluates images from memory and from files.
func TestFeedStreams(t *testing.T) {
	s := openSubject(t, pictures5)
	kept := openFeed(t, s, 0)
	streamed := &Feed{Split: kept.Split, subject: s, data: kept.data}
	if err := streamed.encode(0); err != nil {
		t.Fatal(err)
	}
	if kept.encoded == nil || streamed.encoded != nil {
		t.Fatal("the feeds are not what the test is about")
	}
	if kept.Len() != 20 || !reflect.DeepEqual(kept.ends, streamed.ends) {
		t.Errorf("%d examples, batches %v and %v", kept.Len(), kept.ends, streamed.ends)
	}
	var all []*Evaluation
	for _, f := range []*Feed{kept, streamed} {
		seen := 0
		e, err := f.Evaluate(context.Background(), device(t, 1), s.Model, func(n int) { seen += n })
		if err != nil {
			t.Fatal(err)
		}
		if seen != 20 {
			t.Errorf("%d examples were reported, want 20", seen)
		}
		all = append(all, e)
	}
	if !reflect.DeepEqual(all[0], all[1]) {
		t.Errorf("from memory %+v, from files %+v", all[0], all[1])
	}
}

func TestFeedLimit(t *testing.T) {
	s := openSubject(t, texts3)
	for limit, want := range map[int]int{0: 11, 1: 1, 7: 7, 99: 11} {
		f := openFeed(t, s, limit)
		if f.Len() != want {
			t.Errorf("limit %d: %d examples, want %d", limit, f.Len(), want)
		}
		examples := 0
		for b := range f.Batches() {
			in, answers, err := f.Batch(b)
			if err != nil || in.Examples() != len(answers) {
				t.Fatalf("batch %d: %d examples, %d answers, %v", b, in.Examples(), len(answers), err)
			}
			examples += len(answers)
		}
		if examples != want {
			t.Errorf("limit %d: %d examples in all batches, want %d", limit, examples, want)
		}
		if f != openFeed(t, s, limit) {
			t.Errorf("limit %d: read twice", limit)
		}
	}
	classes := map[int]bool{} // a folder of pictures is sorted by label
	for _, e := range openFeed(t, openSubject(t, pictures5), 5).encoded {
		classes[e.Label] = true
	}
	if len(classes) != 5 {
		t.Errorf("5 of 20 pictures are of %d classes, want 5", len(classes))
	}
	if a, b := openFeed(t, s, 1), openFeed(t, s, 7); a.Digest == b.Digest {
		t.Error("other examples have the same digest")
	}
	if _, err := s.OpenFeed(task.Dev, 0); err == nil || !strings.Contains(err.Error(), "no dev split") {
		t.Errorf("a split that is not there: %v", err)
	}
}

// TestDigestFolder follows links, which is all there is in the hub's snapshots.
func TestDigestFolder(t *testing.T) {
	blobs, dir := t.TempDir(), t.TempDir()
	seen := map[string]bool{}
	for _, text := range []string{"one", "two"} {
		put(t, filepath.Join(blobs, "a"), text)
		for link, target := range map[string]string{"model.safetensors": filepath.Join(blobs, "a"), "gone": filepath.Join(blobs, "b")} {
			os.Remove(filepath.Join(dir, link))
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
				t.Skip(err)
			}
		}
		d, err := digestFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		seen[d] = true
	}
	if len(seen) != 2 {
		t.Error("other weights behind a link have the same digest")
	}
}
