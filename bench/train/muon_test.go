package train

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"optin/kernels"
)

// TestOrthogonalize brings all singular values near to 1 and keeps the singular
// vectors, of matrices that are wide, tall and square.
func TestOrthogonalize(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 0))
	for _, shape := range [][2]int{{4, 9}, {9, 4}, {6, 6}} {
		rows, cols := shape[0], shape[1]
		values := make([]float32, rows*cols)
		wide := make([]float64, len(values))
		for i := range values {
			values[i] = float32(rng.NormFloat64() / 100)
			wide[i] = float64(values[i])
		}
		out := make([]float64, len(values))
		err := reference(t, 1).One(context.Background(), func(ops kernels.Ops) error {
			ops.Download(orthogonalize(ops.(kernels.Backward), ops.Upload(rows, cols, values)), out)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var svd mat.SVD
		if !svd.Factorize(mat.NewDense(rows, cols, wide), mat.SVDThin) {
			t.Fatal("no singular values")
		}
		var u, v, left, middle mat.Dense
		svd.UTo(&u)
		svd.VTo(&v)
		left.Mul(u.T(), mat.NewDense(rows, cols, out))
		middle.Mul(&left, &v)
		for i := range min(rows, cols) {
			for j := range min(rows, cols) {
				got := middle.At(i, j)
				if i == j && !(got > 0.6 && got < 1.3) || i != j && !(math.Abs(got) < 1e-6) {
					t.Errorf("%v: entry %d, %d in singular vectors is %v", shape, i, j, got)
				}
			}
		}
	}
}

// TestMuon follows a step on the host.
func TestMuon(t *testing.T) {
	s := quick(func(s *Settings) { s.Optimizer, s.Clip, s.Average = Muon, 0, 0 })
	tr := trainer(t, reference(t, 1), "bert-basic", 12, s, nil)
	before := tr.read(t, tr.vectors.params)
	p := advance(t, tr, 1)[0]
	after, mean := tr.read(t, tr.vectors.params), tr.read(t, tr.vectors.first)
	moved := 0
	for _, slot := range tr.vectors.layout.slots {
		if !slot.muon {
			continue
		}
		moved++
		rows, cols := slot.shape[0], slot.shape[1]
		x := make([]float32, slot.len)
		for i := range x { // after one step the mean is 0.05 G, and 0.95 M + 0.05 G is along it
			x[i] = float32(mean[slot.from+i])
		}
		step := make([]float64, slot.len)
		err := tr.dev.One(context.Background(), func(ops kernels.Ops) error {
			ops.Download(orthogonalize(ops.(kernels.Backward), ops.Upload(rows, cols, x)), step)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rate := p.Rate * slot.factor
		for i, d := range step {
			want := (1-rate*s.Decay)*before[slot.from+i] - rate*0.2*math.Sqrt(float64(max(rows, cols)))*d
			if got := after[slot.from+i]; !(math.Abs(got-want) < 1e-6) {
				t.Fatalf("%s[%d] is %v, want %v", slot.name, i, got, want)
			}
		}
	}
	if moved != 2*6 {
		t.Errorf("%d matrices moved by Muon", moved)
	}
}
