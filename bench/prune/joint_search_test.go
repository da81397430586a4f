package prune

import (
	"context"
	"fmt"
	"testing"

	"optin/bench/model"
)

// faint is m with the consumers of some units shrunk, and the mask that removes
// those: a change small enough to be of second order.
func faint(t *testing.T, m model.Model, factor float32) (model.Model, Mask) {
	t.Helper()
	mask, params := Full(m.Sites()), m.Params()
	for s, site := range m.Sites() {
		chosen := []int{0, 2, site.Units - 1}
		for _, u := range chosen {
			mask[s][u] = false
		}
		p := *params.Get(site.Consumer)
		cols, read := site.Units*site.Width, p.Read
		p.Read = func(dst []float32) error {
			err := read(dst)
			for i := range dst {
				if !mask[s][i%cols/site.Width] {
					dst[i] *= factor
				}
			}
			return err
		}
		params = params.With(&p)
	}
	shrunk, err := model.New(m.Config(), params)
	if err != nil {
		t.Fatal(err)
	}
	return shrunk, mask
}

// The true loss of a set is its definition, and what probes estimate where the
// set changes little.
func TestTrueLoss(t *testing.T) {
	for _, name := range []string{"bert-basic", "bert-regression", "vit-basic"} {
		t.Run("model="+name, func(t *testing.T) {
			m, mask := faint(t, deep(t, name), 1./64)
			dev, ins, o := reference(t, 2), samples(m), options(200)
			o.Whole, o.Balance, o.Lambda = true, BalanceNone, 1
			truth, err := NewTruth(context.Background(), dev, m, ins, o.Tau)
			if err != nil {
				t.Fatal(err)
			}
			defer truth.Close()
			md, kd, err := truth.Loss(context.Background(), mask)
			if err != nil {
				t.Fatal(err)
			}
			at := ones(m.Sites())
			base := look(t, dev, m, ins, at, at)
			for s := range mask {
				for u, on := range mask[s] {
					if !on {
						at[s][u] = 0
					}
				}
			}
			wantMD, wantKD := distances(m, look(t, dev, m, ins, at, ones(m.Sites())), base, o.Tau)
			within(t, "MD", md, wantMD, 1e-4, 1e-12)
			within(t, "KD", kd, wantKD, 1e-4, 1e-12)
			for part, want := range []float64{md, kd} {
				o.NoMD, o.NoKD = part == 1, part == 0
				// The mean of 200 squares of normal numbers is off by 10 %, one deviation.
				within(t, fmt.Sprintf("part %d by probes", part), probe(t, dev, m, ins, o).Loss(mask), want, 0.4, 0)
			}
		})
	}
}

func TestJointSearch(t *testing.T) {
	m := deep(t, "bert-basic")
	ins, costs, b := samples(m), CountMACs(m, LengthsOf(samples(m)...)), Budget{Keep: 0.5, MinHeads: 1, MinNeurons: 1}
	o := JointOptions{Shrink: []float64{0.2, 0.6}, Swaps: 50}
	ctx, results := context.Background(), map[string]bool{}
	for _, workers := range []int{1, 3} {
		dev := reference(t, workers)
		first := probe(t, dev, m, ins, options(8))
		truth, err := NewTruth(ctx, dev, m, ins, 4)
		if err != nil {
			t.Fatal(err)
		}
		defer truth.Close()
		for _, steps := range []int{1, 3} {
			done := 0
			mask, report, err := JointSearch(ctx, dev, m, ins, first, costs, b, o, steps, func(n int) { done += n })
			if err != nil {
				t.Fatal(err)
			}
			if got := costs.Encoder(mask.Kept()); got > b.limit(costs) || float64(got) < 0.99*float64(b.limit(costs)) {
				t.Errorf("%d steps: %d MACs of %d", steps, got, b.limit(costs))
			}
			md, kd, err := truth.Loss(ctx, mask)
			if err != nil {
				t.Fatal(err)
			}
			if want := first.weigh(md, kd); report.True != want || !(report.True <= report.TrueAdditive) || done != steps || report.Probes != 6 {
				t.Errorf("%d steps of 6 probes, true loss %g: %+v after %d", steps, want, report, done)
			}
			results[fmt.Sprint(steps, mask, report)] = true
		}
	}
	if len(results) != 2 {
		t.Errorf("1 and 3 workers, 1 and 3 steps give %d results, want 2", len(results))
	}
	dev := reference(t, 1)
	unkept := options(8)
	unkept.Rows = 0
	first := probe(t, dev, m, ins, unkept)
	if _, _, err := JointSearch(ctx, dev, m, ins, first, costs, b, o, 1, nil); err == nil {
		t.Error("a search by probes whose rows were not kept found something")
	}
	if _, _, err := JointSearch(ctx, dev, m, ins, first, costs, b, o, 0, nil); err == nil {
		t.Error("a search in 0 steps found something")
	}
}
