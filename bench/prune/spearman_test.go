package prune

import (
	"context"
	"math"
	"testing"

	"optin/bench/model"
)

func TestSpearman(t *testing.T) {
	for _, k := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{1, 2, 3, 4}, []float64{10, 200, 3000, 1e9}, 1}, // ranks alone count
		{[]float64{1, 2, 3, 4}, []float64{4, 3, 2, 1}, -1},
		{[]float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5}, 1 - 6*4./(5*24)}, // 1 - 6 sum d^2 / (n (n^2-1))
		{[]float64{1, 1, 2}, []float64{1, 2, 3}, math.Sqrt(3) / 2},            // ranks 1.5 1.5 3
	} {
		if got := Spearman(k.x, k.y); !(math.Abs(got-k.want) < 1e-12) {
			t.Errorf("Spearman(%v, %v) = %v, want %v", k.x, k.y, got, k.want)
		}
	}
	for _, x := range [][]float64{{}, {1}, {2, 2, 2}} {
		if got := Spearman(x, x); !math.IsNaN(got) {
			t.Errorf("Spearman(%v) = %v, want NaN", x, got)
		}
	}
}

func TestCompareTakesWhatIsExact(t *testing.T) {
	nan := math.NaN()
	sites := []model.Site{{Kind: model.Heads, Units: 2}, {Kind: model.Neurons, Units: 6}, {Kind: model.Neurons, Units: 1}}
	exact := [][]float64{{2, 1}, {4, nan, 3, 2, 1, nan}, {nan}}
	estimated := [][]float64{{1, 2}, {4, 9, 1, 3, 2, 9}, {9}}
	got := Compare(sites, exact, estimated)
	if want := (Agreement{2, -1, 0}); got[model.Heads] != want {
		t.Errorf("heads: %v, want %v", got[model.Heads], want)
	}
	// Ranks 4 3 2 1 and 4 1 3 2; the better halves are units 0, 2 and 0, 3.
	if n := got[model.Neurons]; n.Units != 4 || math.Abs(n.Spearman-0.4) > 1e-12 || n.TopHalf != 0.5 {
		t.Errorf("neurons: %v", n)
	}
	known := Known(sites, exact, estimated, model.Neurons)
	for s, want := range [][]float64{{1, 2}, {4, 9, 3, 2, 1, 9}, {9}} {
		for u, v := range want {
			if known[s][u] != v {
				t.Errorf("known score of unit %d at site %d: %v, want %v", u, s, known[s][u], v)
			}
		}
	}
}

func TestSampleIsScoredAsAmongAll(t *testing.T) {
	m, dev := deep(t, "bert-basic"), reference(t, 2)
	all, err := Trajectory(context.Background(), dev, m, samples(m), DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	scored := 0
	some, err := SampleExact(context.Background(), dev, m, samples(m), DefaultOptions(), 9, 3, func(n int) { scored += n })
	if err != nil {
		t.Fatal(err)
	}
	neurons := 0
	for s, site := range m.Sites() {
		for u, md := range some.MD[s] {
			if math.IsNaN(md) && site.Kind == model.Neurons {
				continue
			}
			if site.Kind == model.Neurons {
				neurons++
			}
			if md != all.MD[s][u] || some.KD[s][u] != all.KD[s][u] {
				t.Errorf("%v unit %d: %v and %v, among all %v and %v", site, u, md, some.KD[s][u], all.MD[s][u], all.KD[s][u])
			}
		}
	}
	if heads := 4 * 4; neurons != 9 || scored != heads+9 {
		t.Errorf("%d neurons sampled, want 9; %d units scored, want %d", neurons, scored, heads+9)
	}
	other := sample(m.Sites(), 9, 4)
	if again := sample(m.Sites(), 9, 3); len(again[1])+len(again[3])+len(again[5])+len(again[7]) != 9 || equal(again, other) {
		t.Error("seeds 3 and 4 draw the same neurons")
	}
}

func equal(a, b [][]int) bool {
	for s := range a {
		for i := range a[s] {
			if i >= len(b[s]) || a[s][i] != b[s][i] {
				return false
			}
		}
	}
	return true
}
