package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// result is what one call of the program left.
type result struct {
	code        int
	out, report string // standard output and standard error
}

// optin runs the program.
func optin(t *testing.T, args ...string) result {
	t.Helper()
	return optinUntil(t, context.Background(), &bytes.Buffer{}, args...)
}

// optinUntil runs the program with a context of the caller's; stderr takes what
// it reports.
func optinUntil(t *testing.T, ctx context.Context, stderr interface {
	Write([]byte) (int, error)
	String() string
}, args ...string) result {
	t.Helper()
	var stdout bytes.Buffer
	code := run(ctx, &stdout, stderr, args)
	return result{code, stdout.String(), stderr.String()}
}

// works runs the program and expects it to succeed.
func works(t *testing.T, args ...string) string {
	t.Helper()
	r := optin(t, args...)
	if r.code != exitOK {
		t.Fatalf("optin %s: status %d\n%s", strings.Join(args, " "), r.code, r.report)
	}
	return r.out
}

// fails runs the program and expects one message with all the words.
func fails(t *testing.T, code int, words []string, args ...string) {
	t.Helper()
	r := optin(t, args...)
	if r.code != code {
		t.Errorf("optin %s: status %d, want %d\n%s", strings.Join(args, " "), r.code, code, r.report)
	}
	if at := strings.Index(r.report, "optin: "); at >= 0 { // after what went well
		r.report = r.report[at:]
	}
	lines := strings.Split(strings.TrimSpace(r.report), "\n")
	if code == exitFailed && len(lines) != 1 || code == exitUsage && len(lines) != 2 {
		t.Errorf("want one message, got:\n%s", r.report)
	}
	for _, w := range words {
		if !strings.Contains(r.report, w) {
			t.Errorf("got  %swant %s", r.report, w)
		}
	}
	if strings.Contains(r.report, "panic") || strings.Contains(r.report, "goroutine") {
		t.Errorf("a panic was shown: %s", r.report)
	}
}

// put writes files into a folder, by name.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// golden copies one of the tiny models that package model is tested with.
func golden(t *testing.T, name string) string {
	t.Helper()
	from := filepath.Join("..", "..", "model", "testdata", name)
	dir := filepath.Join(t.TempDir(), name)
	for _, file := range []string{"config.json", "model.safetensors"} {
		put(t, dir, map[string]string{file: get(t, filepath.Join(from, file))})
	}
	return dir
}

// textModel is a tiny BERT with a vocabulary of letters.
func textModel(t *testing.T, name string) string {
	t.Helper()
	dir := golden(t, name)
	put(t, dir, map[string]string{"vocab.txt": vocabulary(64)})
	return dir
}

func vocabulary(size int) string {
	words := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	for c := 'a'; c <= 'z'; c++ {
		words = append(words, string(c), "##"+string(c))
	}
	for i := 0; len(words) < size; i++ {
		words = append(words, fmt.Sprintf("word%d", i))
	}
	return strings.Join(words[:size], "\n") + "\n"
}

// imageModel is a tiny DeiT for pictures of 16 x 16.
func imageModel(t *testing.T) string {
	t.Helper()
	dir := golden(t, "deit-basic")
	put(t, dir, map[string]string{"preprocessor_config.json": `{"do_resize": true, "size": 16, "resample": 3, "do_center_crop": false,
		"do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}`})
	return dir
}

// textData is a small task of three labels.
func textData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "texts")
	labels := []string{"entailment", "neutral", "contradiction"}
	for split, n := range map[string]int{"train": 24, "dev": 9, "test": 15} {
		text := "text\tlabel\n"
		for i := range n {
			words := strings.Repeat(string(rune('a'+i%26))+" ", 1+i%5)
			text += fmt.Sprintf("%s%s\t%s\n", words, split, labels[i%3])
		}
		put(t, dir, map[string]string{split + ".tsv": text})
	}
	return dir
}

// imageData is a small folder of pictures of five classes.
func imageData(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pictures")
	for split, n := range map[string]int{"train": 2, "test": 2} {
		for class := range 5 {
			for i := range n {
				name := fmt.Sprintf("%s/%d/%d.png", split, class, i)
				put(t, dir, map[string]string{name: picturePNG(t, 10*class+i)})
			}
		}
	}
	return dir
}

func picturePNG(t *testing.T, seed int) string {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 20, 18))
	for i := range 20 * 18 {
		m.Set(i%20, i/20, color.RGBA{uint8(i * (seed + 1)), uint8(i + 40*seed), uint8(seed * 5), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// experimentFile writes an experiment over a model and a text task, with more
// lines at its end, and returns it and its results folder.
func experimentFile(t *testing.T, modelDir, dataDir, more string) (path, results string) {
	t.Helper()
	dir := t.TempDir()
	results = filepath.Join(dir, "results")
	put(t, dir, map[string]string{"x.toml": fmt.Sprintf("output = %q\ndevice = \"ref\"\nthreads = 2\n[model]\npath = %q\n[task]\nname = \"text\"\npath = %q\n%s",
		results, modelDir, dataDir, more)})
	return filepath.Join(dir, "x.toml"), results
}

// small makes an experiment quick.
const small = `
[score]
samples = 4
[measure]
batch = []
`
