package model_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/grad"
)

// goldenGradients is a file of testdata/gradients: see README.md there.
type goldenGradients struct {
	Format     int              `json:"format"`
	Labels     []int            `json:"labels"`
	Losses     []float64        `json:"losses"`
	Masks      []array          `json:"masks"`
	Parameters map[string]array `json:"parameters"`
}

func readGradients(t *testing.T, path string) *goldenGradients {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := gzip.NewReader(file)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	g := &goldenGradients{}
	if err := json.NewDecoder(data).Decode(g); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if g.Format != 1 {
		t.Fatalf("%s: golden format %d, want 1: run make golden", path, g.Format)
	}
	return g
}

// Gradients may differ from autograd's in float64 by this much of a tensor's
// largest. ref computes in float64 too and differs by how the golden is stored,
// 6e-8. cpu computes in float32: gradients that come through all blocks are off
// by up to 5e-6.
var gradientTolerance = map[string]float64{"ref": 1e-7, "cpu": 2e-5}

func TestGradientsAgreeWithAutograd(t *testing.T) {
	files, err := filepath.Glob("testdata/gradients/*.json.gz")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d golden gradients, want at least 5 (%v)", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json.gz")
		for _, d := range devices(t) {
			t.Run("case="+name+"/device="+d.Name(), func(t *testing.T) {
				dir := filepath.Join("testdata", name)
				want, m := readGradients(t, file), openModel(t, dir)
				in := readGolden(t, dir).input(t, m.Config(), 0, len(want.Labels))
				got := pullLoss(t, d, m, in, want.Labels)
				tolerance, worst := gradientTolerance[d.Name()], 0.0
				check := func(what string, got, want []float64, yardstick []float64) {
					s := distance(got, want) / distance(yardstick, make([]float64, len(yardstick)))
					if worst = max(worst, s); !(s <= tolerance) {
						t.Errorf("%s: differs by %.2g of the largest, want at most %.0e", what, s, tolerance)
					}
				}
				check("loss", got.loss, []float64{sum(want.Losses)}, want.Losses)
				for s, site := range m.Sites() {
					values := widen(want.Masks[s].values(t))
					check("mask of "+site.String(), got.masks[s], values, values)
				}
				for name, golden := range want.Parameters {
					// A key's bias changes all scores of a query alike, so its gradient is
					// zero but for rounding: of the size of the query's.
					yardstick := want.Parameters[strings.Replace(name, "key.bias", "query.bias", 1)]
					check(name, got.parameters[name], widen(golden.values(t)), widen(yardstick.values(t)))
				}
				t.Logf("%.2g of the largest, %.0f %% of the tolerance", worst, 100*worst/tolerance)
			})
		}
	}
}

func sum(values []float64) float64 {
	total := 0.0
	for _, v := range values {
		total += v
	}
	return total
}

// distance is the largest difference; NaN for NaN, infinite for other lengths.
func distance(x, y []float64) float64 {
	if len(x) != len(y) {
		return math.Inf(1)
	}
	worst := 0.0
	for i, v := range x {
		worst = max(worst, math.Abs(v-y[i]))
	}
	return worst
}

// lossGradients are gradients of a sum of cross-entropies.
type lossGradients struct {
	loss       []float64
	masks      [][]float64 // per site [examples, units]
	parameters map[string][]float64
}

// pullLoss runs the model on a tape with masks of ones and pulls the gradients
// of its loss.
func pullLoss(t *testing.T, d kernels.Device, m model.Model, in *model.Input, labels []int) (got lossGradients) {
	t.Helper()
	var tapeErr error
	run(t, d, func(ops kernels.Ops) {
		tape, err := grad.New(ops)
		if err != nil {
			tapeErr = err
			return
		}
		zeros := func(rows, cols int) *kernels.Tensor { return ops.Upload(rows, cols, make([]float32, rows*cols)) }
		var pull grad.Pull
		var masks []*kernels.Tensor
		for _, site := range m.Sites() {
			mask := tape.Mask(site.Units)
			masks = append(masks, mask)
			pull.Masks = append(pull.Masks,
				grad.MaskSum{Mask: mask, Dst: zeros(in.Examples(), site.Units), Segments: in.Seq})
		}
		logits := model.Forward(m, &model.Pass{Ops: tape, Seq: in.Seq, Masks: masks}, in)
		loss, one := ops.New(kernels.F64, 1, 1), ops.New(kernels.F64, 1, 1)
		one.F64[0] = 1
		tape.KLDivergence(loss, logits, certain(ops, logits, labels), 1)
		pull.Results, pull.Gradients = []*kernels.Tensor{loss}, []*kernels.Tensor{one}

		sums := map[string]*kernels.Tensor{}
		pull.Weights = func(w *kernels.Weight) *kernels.Tensor {
			if sums[w.Name] == nil {
				sums[w.Name] = zeros(w.Rows, w.Cols)
			}
			return sums[w.Name]
		}
		tape.Pull(pull)
		got.loss = download(ops, loss)
		got.parameters = map[string][]float64{}
		for name, sum := range sums {
			got.parameters[name] = download(ops, sum)
		}
		for _, mask := range pull.Masks {
			got.masks = append(got.masks, download(ops, mask.Dst))
		}
	})
	if tapeErr != nil {
		t.Fatal(tapeErr)
	}
	return got
}

func download(ops kernels.Ops, x *kernels.Tensor) []float64 {
	values := make([]float64, x.Len())
	ops.Download(x, values)
	return values
}

// certain are logits whose softmax is one at the label: the divergence of other
// logits from them is the cross-entropy.
func certain(ops kernels.Ops, logits *kernels.Tensor, labels []int) *kernels.Tensor {
	values := make([]float32, logits.Len())
	for i := range values {
		if i%logits.Cols != labels[i/logits.Cols] {
			values[i] = -1e4 // of which the exponential is 0, also in float64
		}
	}
	return ops.Upload(logits.Rows, logits.Cols, values)
}
