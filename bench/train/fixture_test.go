package train

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"optin/bench/model"
	"optin/bench/task"
	"optin/kernels"
	"optin/kernels/ref"
)

// examples are data in memory.
type examples struct {
	config *model.Config
	list   []task.Encoded
}

func (e examples) Len() int                            { return len(e.list) }
func (e examples) Example(i int) (task.Encoded, error) { return e.list[i], nil }
func (e examples) Tokens(i int) int {
	if e.config.Text() {
		return len(e.list[i].IDs)
	}
	return e.config.Tokens()
}

// begin opens one of the tiny models that package model is tested with.
func begin(t *testing.T, name string, change func(*Opening)) *Start {
	t.Helper()
	o := Opening{Dir: filepath.Join("..", "model", "testdata", name), Seed: 1, Fits: func([]string) error { return nil }}
	if name == "bert-regression" {
		o.Regression = true
	}
	if change != nil {
		change(&o)
	}
	s, err := OpenStart(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// random are n examples for a model.
func random(c *model.Config, n int, seed uint64) examples {
	rng := rand.New(rand.NewPCG(seed, 0))
	d := examples{config: c}
	for range n {
		e := task.Encoded{Label: rng.IntN(len(c.Labels)), Target: rng.NormFloat64()}
		if c.Text() {
			for range 3 + rng.IntN(9) {
				e.IDs, e.TypeIDs = append(e.IDs, int32(5+rng.IntN(c.Vocab-5))), append(e.TypeIDs, int32(rng.IntN(2)))
			}
		} else {
			for range c.Channels * c.ImageHeight * c.ImageWidth {
				e.Pixels = append(e.Pixels, float32(rng.NormFloat64()))
			}
		}
		d.list = append(d.list, e)
	}
	return d
}

// quick are settings under which every part of a step does something.
func quick(change func(*Settings)) Settings {
	s := DefaultSettings()
	s.Batch, s.Epochs, s.Rate, s.Schedule, s.Seed = 12, 2, 2e-3, Cosine, 7
	s.LayerDecay, s.Average, s.Smoothing, s.Clip = 0.9, 0.9, 0.1, 1
	if change != nil {
		change(&s)
	}
	return s
}

func reference(t testing.TB, workers int) kernels.Device {
	t.Helper()
	dev, err := ref.New(workers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// trainer opens a training of a tiny model on random examples.
func trainer(t *testing.T, dev kernels.Device, name string, n int, s Settings, change func(*Job)) *Trainer {
	t.Helper()
	job := Job{Start: begin(t, name, nil), Settings: s}
	job.Data = random(job.Start.Config, n, 3)
	job.Vocabulary = &Vocabulary{Size: job.Start.Config.Vocab, Mask: 4, Special: []int32{0, 2, 3}}
	job.Black = make([]float32, job.Start.Config.Channels)
	if change != nil {
		change(&job)
	}
	tr, err := New(context.Background(), dev, job)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

// advance does n steps.
func advance(t *testing.T, tr *Trainer, n int) []Point {
	t.Helper()
	var points []Point
	for range n {
		p, err := tr.Next()
		if err != nil {
			t.Fatal(err)
		}
		points = append(points, p)
	}
	return points
}

// values are all parameters of a model, in the order of their names.
func values(t *testing.T, m model.Model) []float32 {
	t.Helper()
	var all []float32
	for _, name := range m.Params().Names() {
		p := m.Params().Get(name)
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		dst := make([]float32, n)
		if err := p.Read(dst); err != nil {
			t.Fatal(err)
		}
		all = append(all, dst...)
	}
	return all
}

// same fails unless two models have the same bits.
func same(t *testing.T, what string, a, b *Trainer) {
	t.Helper()
	if !slices.Equal(values(t, a.model), values(t, b.model)) || !slices.Equal(values(t, a.result), values(t, b.result)) {
		t.Errorf("%s: parameters differ", what)
	}
}
