package model_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/cpu"
	"optin/kernels/ref"
)

type array struct {
	Shape   []int  `json:"shape"`
	Float32 string `json:"float32"`
}

func (a array) values(t *testing.T) []float32 {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(a.Float32)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

type golden struct {
	Format    int `json:"format"`
	Sequences []struct {
		IDs   []int32 `json:"ids"`
		Types []int32 `json:"type_ids"`
	} `json:"sequences"`
	Pixels array       `json:"pixels"`
	Logits [][]float64 `json:"logits"`
	Hidden [][]array   `json:"hidden"`
}

// input is examples [from, to) of the golden as one batch.
func (g *golden) input(t *testing.T, c *model.Config, from, to int) *model.Input {
	if c.Text() {
		var ids, types [][]int32
		for _, s := range g.Sequences[from:to] {
			ids, types = append(ids, s.IDs), append(types, s.Types)
		}
		return model.Text(ids, types)
	}
	size := c.Channels * c.ImageHeight * c.ImageWidth
	return model.Images(c, g.Pixels.values(t)[from*size:to*size])
}

func readGolden(t *testing.T, dir string) *golden {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{}
	if err := json.Unmarshal(data, g); err != nil {
		t.Fatal(err)
	}
	if g.Format != 1 {
		t.Fatalf("%s: golden format %d, want 1: run make golden", dir, g.Format)
	}
	return g
}

func goldenCases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/golden.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d golden models, want at least 20 (%v)", len(files), err)
	}
	for i, f := range files {
		files[i] = filepath.Dir(f)
	}
	return files
}

func openModel(t *testing.T, dir string) model.Model {
	t.Helper()
	m, closeModel, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeModel() })
	return m
}

func devices(t *testing.T) []kernels.Device {
	t.Helper()
	var all []kernels.Device
	for _, open := range []func() (kernels.Device, error){
		func() (kernels.Device, error) { return ref.New(1) },
		func() (kernels.Device, error) { return cpu.New(cpu.Options{Threads: 1, Guard: true}) },
	} {
		d, err := open()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		all = append(all, d)
	}
	return all
}

// run calls f on the device's wide worker.
func run(t *testing.T, d kernels.Device, f func(ops kernels.Ops)) {
	t.Helper()
	err := d.One(context.Background(), func(ops kernels.Ops) error { f(ops); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

// share is the largest difference over the largest wanted value; NaN for NaN.
func share(got, want []float64) float64 {
	worst, largest := 0.0, 0.0
	for i, w := range want {
		if d := math.Abs(got[i] - w); !(d <= worst) {
			worst = d
		}
		largest = max(largest, math.Abs(w))
	}
	return worst / largest
}

// Logits may differ from those of transformers in float32 by 1e-4 of the
// largest. Its padded batch and the packed one here agree to about 1e-6, so 1e-5
// leaves room for other processors and no more.
const logitTolerance = 1e-5

func TestLogitsAgreeWithTransformers(t *testing.T) {
	for _, dir := range goldenCases(t) {
		for _, d := range devices(t) {
			t.Run("case="+filepath.Base(dir)+"/device="+d.Name(), func(t *testing.T) {
				g, m := readGolden(t, dir), openModel(t, dir)
				in := g.input(t, m.Config(), 0, len(g.Logits))
				var want []float64
				for _, row := range g.Logits {
					want = append(want, row...)
				}
				got := logits(t, d, m, in)
				if s := share(got, want); !(s <= logitTolerance) {
					t.Errorf("logits differ by %.2g of the largest, want at most %.0e", s, logitTolerance)
				} else {
					t.Logf("%.2g of the largest logit, %.0f %% of the tolerance", s, 100*s/logitTolerance)
				}
			})
		}
	}
}

// logits are those of the examples of in, one after the other.
func logits(t *testing.T, d kernels.Device, m model.Model, in *model.Input) []float64 {
	t.Helper()
	got := make([]float64, in.Examples()*len(m.Config().Labels))
	run(t, d, func(ops kernels.Ops) {
		ops.Download(model.Forward(m, &model.Pass{Ops: ops, Seq: in.Seq}, in), got)
	})
	return got
}

func TestEveryBlockAgreesWithTransformers(t *testing.T) {
	for _, dir := range goldenCases(t) {
		for _, d := range devices(t) {
			t.Run("case="+filepath.Base(dir)+"/device="+d.Name(), func(t *testing.T) {
				g, m := readGolden(t, dir), openModel(t, dir)
				for i, layers := range g.Hidden {
					if len(layers) != m.Config().Layers+1 {
						t.Fatalf("golden has %d hidden states, want %d", len(layers), m.Config().Layers+1)
					}
					in := g.input(t, m.Config(), i, i+1)
					run(t, d, func(ops kernels.Ops) {
						p := &model.Pass{Ops: ops, Seq: in.Seq}
						x := m.Embed(p, in)
						for l, a := range layers {
							if l > 0 {
								x, _ = m.Block(p, l-1, x)
							}
							got, want := make([]float64, x.Len()), widen(a.values(t))
							ops.Download(x, got)
							if s := share(got, want); !(s <= logitTolerance) {
								t.Errorf("example %d: input of block %d differs by %.2g of the largest value", i, l, s)
							}
						}
					})
				}
			})
		}
	}
}

func widen(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}
