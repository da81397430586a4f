//go:build cuda

package cuda

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/ref"
)

// The whole way from a model's files to a smaller model, as the reference goes it.
func TestModelsLikeTheReference(t *testing.T) {
	for _, name := range []string{"bert-basic", "deit-distilled"} {
		t.Run("model="+name, func(t *testing.T) {
			m, shut, err := model.Open(filepath.Join("..", "bench", "model", "testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			defer shut()
			exact, err := ref.New(1)
			if err != nil {
				t.Fatal(err)
			}
			defer exact.Close()
			d := open(t, 1, false)
			defer d.Close()
			ins := someInput(m)
			want, got := runModel(t, exact, m, ins), runModel(t, d, m, ins)

			near(t, "logits", got.logits, want.logits, 1e-5, 1e-5)
			near(t, "manifold scores", got.parts.MD, want.parts.MD, 1e-3, 1e-9)
			near(t, "divergence scores", got.parts.KD, want.parts.KD, 1e-3, 1e-9)
			if fmt.Sprint(got.mask) != fmt.Sprint(want.mask) {
				t.Errorf("the search keeps\n%v, the reference\n%v", got.mask, want.mask)
			}
			if err := got.verified.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// outcome is what pruning a model gives.
type outcome struct {
	logits   [][]float64
	parts    *prune.Parts
	mask     prune.Mask
	verified prune.Verification
}

func runModel(t *testing.T, d kernels.Device, m model.Model, ins []*model.Input) outcome {
	t.Helper()
	var o outcome
	var err error
	ctx := context.Background()
	if o.logits, err = prune.Logits(ctx, d, m, prune.Full(m.Sites()), ins); err != nil {
		t.Fatal(err)
	}
	options := prune.DefaultOptions()
	options.Rows = 64
	if o.parts, err = prune.Trajectory(ctx, d, m, ins, options, nil); err != nil {
		t.Fatal(err)
	}
	scores := prune.Weigh(m, o.parts, prune.DefaultWeighing())
	costs := prune.CountMACs(m, prune.LengthsOf(ins...))
	if o.mask, err = prune.Additive(m.Sites(), scores, costs, prune.Budget{Keep: 0.6, MinHeads: 1, MinNeurons: 1}); err != nil {
		t.Fatal(err)
	}
	small, err := prune.Compact(m, o.mask)
	if err != nil {
		t.Fatal(err)
	}
	if o.verified, err = prune.Verify(ctx, d, m, small, o.mask, ins); err != nil {
		t.Fatal(err)
	}
	return o
}

// someInput is three sequences of different lengths, or three images.
func someInput(m model.Model) []*model.Input {
	c := m.Config()
	if !c.Text() {
		pixels := make([]float32, 3*c.Channels*c.ImageHeight*c.ImageWidth)
		for i := range pixels {
			pixels[i] = float32(math.Sin(float64(i*i%1009))) * 1.5
		}
		return []*model.Input{model.Images(c, pixels)}
	}
	ids, types := make([][]int32, 3), make([][]int32, 3)
	for i, n := range []int{3, 7, 5} {
		for j := range n {
			ids[i] = append(ids[i], int32((31*i+17*j+5)%c.Vocab))
			types[i] = append(types[i], int32(j%2))
		}
	}
	return []*model.Input{model.Text(ids, types)}
}

// near wants got within relative of want, and within share of the largest of want.
func near(t *testing.T, what string, got, want [][]float64, relative, share float64) {
	t.Helper()
	largest := 0.0
	for _, list := range want {
		for _, v := range list {
			largest = max(largest, math.Abs(v))
		}
	}
	for i := range want {
		for j, w := range want[i] {
			if !(math.Abs(got[i][j]-w) <= relative*math.Abs(w)+share*largest) {
				t.Errorf("%s [%d][%d]: %g, the reference has %g", what, i, j, got[i][j], w)
			}
		}
	}
}
