package prune_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
)

// goals are targets for batches: classes in turn, or values.
func goals(m model.Model, ins []*model.Input) [][]float64 {
	var list [][]float64
	n := 0
	for _, in := range ins {
		row := make([]float64, in.Examples())
		for e := range row {
			row[e] = float64(n % len(m.Config().Labels))
			if m.Config().Regression {
				row[e] = 0.3*float64(n) - 1
			}
			n++
		}
		list = append(list, row)
	}
	return list
}

// losses runs m with the unit's mask at the given value, all others being 1.
func losses(t *testing.T, d kernels.Device, m model.Model, ins []*model.Input, targets [][]float64, site, unit int, value float32) []float64 {
	t.Helper()
	var list []float64
	err := d.One(context.Background(), func(ops kernels.Ops) error {
		for b, in := range ins {
			p := model.NewPass(ops, in)
			p.Masks = make([]*kernels.Tensor, len(m.Sites()))
			for s, at := range m.Sites() {
				row := make([]float32, at.Units)
				for u := range row {
					row[u] = 1
				}
				if s == site {
					row[unit] = value
				}
				p.Masks[s] = ops.Upload(1, at.Units, row)
			}
			logits := model.Forward(m, p, in)
			z := make([]float64, logits.Len())
			ops.Download(logits, z)
			for e, y := range targets[b] {
				list = append(list, taskLoss(z[e*logits.Cols:(e+1)*logits.Cols], y, m.Config().Regression))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func taskLoss(z []float64, y float64, regression bool) float64 {
	if regression {
		return (z[0] - y) * (z[0] - y)
	}
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v)
	}
	return math.Log(sum) - z[int(y)]
}

// Against central differences of the loss in float64.
func TestMaskGradientsAreDerivatives(t *testing.T) {
	for _, name := range []string{"bert-basic", "bert-regression", "vit-basic", "deit-distilled"} {
		t.Run("model="+name, func(t *testing.T) {
			m, d := open(t, name), device(t, 2)
			ins := batches(t, m, name, 40)
			targets := goals(m, ins)
			examples := 0
			g, err := prune.MaskGradients(context.Background(), d, m, ins, targets, func(n int) { examples += n })
			if err != nil {
				t.Fatal(err)
			}
			if examples != g.Examples() {
				t.Errorf("%d examples done of %d", examples, g.Examples())
			}
			largest := 0.0
			for _, v := range g.Values {
				largest = max(largest, math.Abs(float64(v)))
			}
			const h = 1.0 / 1024
			for s, site := range m.Sites() {
				for u := 0; u < site.Units; u += 1 + site.Units/3 {
					above := losses(t, d, m, ins, targets, s, u, 1+h)
					below := losses(t, d, m, ins, targets, s, u, 1-h)
					for e := range above {
						got, want := float64(g.Site(e, s)[u]), (above[e]-below[e])/(2*h)
						if !(math.Abs(got-want) <= 1e-5*largest) {
							t.Errorf("example %d, %v unit %d: %g, the difference is %g", e, site, u, got, want)
						}
					}
				}
			}
		})
	}
}

func TestMaskGradientsDoNotDependOnWorkers(t *testing.T) {
	m := open(t, "bert-basic")
	ins := batches(t, m, "bert-basic", 20)
	var all []string
	for _, workers := range []int{1, 3} {
		g, err := prune.MaskGradients(context.Background(), device(t, workers), m, ins, goals(m, ins), nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(g.Values))
	}
	if all[0] != all[1] {
		t.Error("gradients of 1 and 3 workers differ")
	}
}

// In float32 a gradient is as exact as it is large beside the largest.
func TestProcessorDifferentiatesLikeTheReference(t *testing.T) {
	for _, name := range []string{"bert-odd", "bert-regression", "vit-basic"} {
		m := open(t, name)
		ins := batches(t, m, name, 40)
		var all []*prune.Gradients
		for _, d := range []kernels.Device{device(t, 2), processor(t, 1), processor(t, 2)} {
			g, err := prune.MaskGradients(context.Background(), d, m, ins, goals(m, ins), nil)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, g)
		}
		largest, worst := 0.0, 0.0
		for i, want := range all[0].Values {
			largest = max(largest, math.Abs(float64(want)))
			if d := math.Abs(float64(all[1].Values[i] - want)); !(d <= worst) {
				worst = d
			}
			if all[1].Values[i] != all[2].Values[i] {
				t.Fatalf("%s: gradient %d of 1 and 2 workers differs", name, i)
			}
		}
		if !(worst <= 1e-5*largest) {
			t.Errorf("%s: a gradient is wrong by %g, the largest is %g", name, worst, largest)
		}
	}
}

func TestWrongTargetsAreRefused(t *testing.T) {
	for name, wrong := range map[string][]float64{"bert-basic": {-1, 3, 0.5, math.NaN()}, "bert-regression": {math.NaN(), math.Inf(1)}} {
		m, d := open(t, name), device(t, 1)
		ins := batches(t, m, name, 1000)
		for _, y := range wrong {
			targets := goals(m, ins)
			targets[0][1] = y
			if _, err := prune.MaskGradients(context.Background(), d, m, ins, targets, nil); err == nil {
				t.Errorf("%s: target %v is accepted", name, y)
			}
		}
		if _, err := prune.MaskGradients(context.Background(), d, m, ins, [][]float64{{0}}, nil); err == nil {
			t.Error("too few targets are accepted")
		}
	}
}
