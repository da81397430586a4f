//go:build cuda

package cuda

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/kerneltest"
	"optin/kernels/ref"
)

// openIn opens device 0 once for each worker in a precision.
func openIn(t testing.TB, p Precision, workers int, guard bool) *device {
	t.Helper()
	d, err := New(Options{Devices: make([]int, workers), Guard: guard, Images: images(), Precision: p})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*device)
}

func TestConformanceInLowPrecision(t *testing.T) {
	for p := range formats() {
		t.Run("precision="+string(p), func(t *testing.T) {
			kerneltest.RunRounded(t, func(t *testing.T, workers int) kernels.Device { return openIn(t, p, workers, true) }, p.Rounding())
		})
	}
}

// TestTiesInLowPrecision multiplies what lies in the middle of two numbers of the format, and
// beside it, by 1: the device must round it, and a weight, as Rounding does.
func TestTiesInLowPrecision(t *testing.T) {
	for p, f := range formats() {
		t.Run("precision="+string(p), func(t *testing.T) {
			d := openIn(t, p, 1, true)
			defer d.Close()
			var values []float32
			for i := range 16 {
				half := math.Ldexp(1, -f.fraction-1)
				values = append(values, float32(1+float64(i)*half), float32(-2-4*float64(i)*half), float32(1+float64(i)*half+half/64))
			}
			one := kernels.WeightOf("one", 1, 1, []float32{1})
			w := kernels.WeightOf("values", len(values), 1, values)
			got := make([]float64, 2*len(values))
			each(t, d, func(o *ops) {
				o.Download(o.Linear(o.Upload(len(values), 1, values), one, kernels.Epilogue{}), got[:len(values)])
				o.Download(o.Linear(o.Upload(1, 1, []float32{1}), w, kernels.Epilogue{}), got[len(values):])
			})
			for i, v := range got {
				x := values[i%len(values)]
				if want := p.Rounding()(x); float32(v) != want {
					t.Errorf("%v becomes %v, want %v", x, v, want)
				}
			}
		})
	}
}

// Tiles of either size and parts of sums are right for all shapes, whichever a chip takes for
// them.
func TestTilesInLowPrecision(t *testing.T) {
	for p := range formats() {
		f := formatOf(p)
		for multiprocessors, wanted := range map[int][]string{
			0:             {f.round, f.large},
			math.MaxInt32: {f.round, f.small, "optin_linear_sum"},
		} {
			t.Run(fmt.Sprintf("precision=%s/multiprocessors=%d", p, multiprocessors), func(t *testing.T) {
				ran := make(launches)
				d := &watched{openIn(t, p, 1, true), ran}
				d.gpus[0].multiprocessors = multiprocessors
				results, err := kerneltest.Check(d, kerneltest.Options{Seed: 1, Quick: true, Ops: []string{"Linear"}, Round: p.Rounding()})
				if err = errors.Join(err, d.Close()); err != nil {
					t.Fatal(err)
				}
				for _, r := range results {
					if !r.OK {
						t.Error(r)
					}
				}
				ran.want(t, func(name string) bool { return slices.Contains(wanted, name) })
				for _, other := range []string{f.small, f.large, "optin_linear_sum"} {
					if ran[other] && !slices.Contains(wanted, other) {
						t.Errorf("%s was launched too", other)
					}
				}
			})
		}
	}
}

// TestCut has the shapes of BERT-base on A100 (108 multiprocessors) and H100 (132).
func TestCut(t *testing.T) {
	for _, c := range []struct {
		rows, cols, steps, multiprocessors int
		want                               tiling
	}{
		{4096, 3072, 24, 108, tiling{128, 768, 1}},
		{4096, 768, 96, 132, tiling{128, 192, 1}},
		{4096, 768, 96, 193, tiling{64, 768, 1}}, // one large tile too few
		{1024, 768, 24, 108, tiling{64, 192, 1}},
		{128, 3072, 24, 108, tiling{64, 96, 1}}, // a pass more would cost what parts spare
		{128, 768, 24, 108, tiling{64, 24, 1}},
		{128, 768, 96, 108, tiling{64, 24, 9}}, // of 11 steps
		{128, 768, 96, 132, tiling{64, 24, 11}},
		{1, 2, 1 << 20, 132, tiling{64, 1, 264}},
		{1, 2, 28, 132, tiling{64, 1, 4}}, // of 8 steps at least
		{1, 2, 27, 132, tiling{64, 1, 1}},
		{1, 2, 0, 132, tiling{64, 1, 1}},
	} {
		if got := cut(c.rows, c.cols, c.steps, c.multiprocessors); got != c.want {
			t.Errorf("%d x %d, %d steps, %d multiprocessors: %+v, want %+v", c.rows, c.cols, c.steps, c.multiprocessors, got, c.want)
		}
	}
}

// The logits of whole models err at most twice as much as those of the plain low-precision
// path, which err.
func TestModelsInLowPrecision(t *testing.T) {
	for p := range formats() {
		for _, name := range []string{"bert-basic", "bert-odd", "deit-distilled", "deit-odd"} {
			t.Run("precision="+string(p)+"/model="+name, func(t *testing.T) {
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
				d := openIn(t, p, 1, false)
				defer d.Close()
				want := logits(t, exact, m)
				plain := distance(logits(t, kerneltest.Rounded(exact, p.Rounding()), m), want)
				got := distance(logits(t, d, m), want)
				t.Logf("error %.3g, of the plain path %.3g", got, plain)
				if !(got <= 2*plain) || got == 0 {
					t.Errorf("error %.3g, more than twice the plain path's %.3g, or none", got, plain)
				}
			})
		}
	}
}

func logits(t *testing.T, d kernels.Device, m model.Model) [][]float64 {
	t.Helper()
	list, err := prune.Logits(context.Background(), d, m, prune.Full(m.Sites()), someInput(m))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// distance is the largest difference, as a share of the largest of want.
func distance(got, want [][]float64) float64 {
	most, size := 0.0, 0.0
	for i := range want {
		for j, w := range want[i] {
			size = max(size, math.Abs(w))
			most = max(most, math.Abs(got[i][j]-w))
		}
	}
	return most / size
}

// A kernel gets no more shared memory than a block may have.
func TestMemoryOfBlocksIsLimited(t *testing.T) {
	d := openIn(t, BF16, 1, false)
	defer d.Close()
	err := d.gpus[0].do(func() error {
		f, err := d.gpus[0].function(d.format.large)
		if err != nil {
			t.Fatal(err)
		}
		return allowShared(f, 1<<20)
	})
	if err == nil || !strings.Contains(err.Error(), "1048576 bytes of shared memory") {
		t.Errorf("error %v", err)
	}
}

func TestPrecisionIsKnown(t *testing.T) {
	if _, err := New(Options{Precision: "fp8"}); err == nil || !strings.Contains(err.Error(), `precision "fp8": want float32, tf32, bf16 or fp16`) {
		t.Errorf("error %v", err)
	}
	d := openIn(t, BF16, 1, false)
	defer d.Close()
	if text := d.Describe(); !strings.Contains(text, "Linear in bf16") {
		t.Errorf("the device describes itself as %q", text)
	}
}

// A rounded weight is on the device once, at half of float32's bytes.
func TestRoundedWeightsAreSmall(t *testing.T) {
	d := openIn(t, BF16, 2, false)
	defer d.Close()
	const n = 512
	w := kernels.WeightOf("w", n, n, make([]float32, n*n))
	before := d.bytes.Load()
	err := d.Each(context.Background(), 2, func(o kernels.Ops, _ int) error {
		o.Linear(o.Upload(1, n, make([]float32, n)), w, kernels.Epilogue{})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if grown := d.bytes.Load() - before - d.ArenaBytes(); grown != 2*n*n {
		t.Errorf("%d bytes for a weight of %d elements, want 2 for each", grown, n*n)
	}
	d.Forget(w)
	if left := d.bytes.Load() - before - d.ArenaBytes(); left != 0 {
		t.Errorf("%d bytes are left of a weight that is forgotten", left)
	}
}
