package prune

import (
	"context"
	"math"
	"slices"
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
}

func TestSampleIsScoredAsAmongAll(t *testing.T) {
	m, dev := deep(t, "bert-basic"), reference(t, 2)
	all, err := Trajectory(context.Background(), dev, m, samples(m), DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	scored := 0
	o := DefaultOptions()
	o.Only = [][]int{{0, 1, 2, 3}, {2, 3, 7}, {1}, nil, nil, {0}, nil, nil}
	some, err := Trajectory(context.Background(), dev, m, samples(m), o, func(n int) { scored += n })
	if err != nil {
		t.Fatal(err)
	}
	for s, site := range m.Sites() {
		for u, md := range some.MD[s] {
			if !slices.Contains(o.Only[s], u) {
				if !math.IsNaN(md) || !math.IsNaN(some.KD[s][u]) {
					t.Errorf("%v unit %d was not asked for: %v and %v", site, u, md, some.KD[s][u])
				}
				continue
			}
			if md != all.MD[s][u] || some.KD[s][u] != all.KD[s][u] {
				t.Errorf("%v unit %d: %v and %v, among all %v and %v", site, u, md, some.KD[s][u], all.MD[s][u], all.KD[s][u])
			}
		}
	}
	if scored != 9 {
		t.Errorf("%d units scored, want 9", scored)
	}
}
