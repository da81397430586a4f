package prune

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"optin/kernels"
	"optin/kernels/cpu"
)

func processor(t *testing.T, workers int) kernels.Device {
	t.Helper()
	d, err := cpu.New(cpu.Options{Threads: workers, Guard: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestProcessorProbesLikeTheReference(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic", "deit-distilled"} {
		m := deep(t, name)
		var all []*Probes
		for _, threads := range []int{1, 2} {
			all = append(all, probe(t, processor(t, threads), m, samples(m), options(6)))
		}
		if fmt.Sprint(all[0].G, all[0].Scores()) != fmt.Sprint(all[1].G, all[1].Scores()) {
			t.Errorf("%s: 1 and 2 workers give different probes", name)
		}
		want := probe(t, reference(t, 2), m, samples(m), options(6))
		for i, row := range want.G {
			largest := 0.0
			for _, v := range row {
				largest = max(largest, math.Abs(float64(v)))
			}
			for u, v := range row {
				within(t, fmt.Sprintf("%s: row %d unit %d", name, i, u), float64(all[0].G[i][u]), float64(v), 1e-3, 1e-5*largest)
			}
		}
	}
}

// Scores from probes rank units as exact ones do, as far as the second order
// goes.
func TestEstimatesFollowExactScores(t *testing.T) {
	m, dev := deep(t, "vit-basic"), reference(t, 2)
	exact, err := Trajectory(context.Background(), dev, m, samples(m), DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := probe(t, dev, m, samples(m), options(32))
	for kind, a := range Compare(m.Sites(), p.Weigh(exact), p.Scores()) {
		if !(a.Spearman > 0.9) {
			t.Errorf("%v: %v", kind, a)
		}
	}
}

func TestProbesRefuse(t *testing.T) {
	m := deep(t, "bert-basic")
	for word, change := range map[string]func(o *ProbeOptions){
		"score.probes": func(o *ProbeOptions) { o.Probes = 0 },
		"rank":         func(o *ProbeOptions) { o.Rank = 33 },
		"score.tau":    func(o *ProbeOptions) { o.Tau = math.NaN() },
		"score.lambda": func(o *ProbeOptions) { o.Lambda = -1 },
		"balance":      func(o *ProbeOptions) { o.Balance = BalanceUnit },
		"neither":      func(o *ProbeOptions) { o.NoMD, o.Lambda = true, 0 },
	} {
		o := options(1)
		change(&o)
		if _, err := Probe(context.Background(), reference(t, 1), m, samples(m), o, nil); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %v", word, err)
		}
	}
	if _, err := Probe(context.Background(), reference(t, 1), m, nil, options(1), nil); err == nil {
		t.Error("probes of no samples")
	}
}

// With enough probes, scores are the second-order loss: that of masks that are
// hardly moved, by the exact trajectory of a model whose consumers shrink.
func TestScoresConverge(t *testing.T) {
	for _, name := range []string{"bert-basic", "bert-regression", "deit-distilled"} {
		t.Run("model="+name, func(t *testing.T) {
			m, dev := deep(t, name), reference(t, 2)
			ins := samples(m)
			o := options(1024)
			o.Separate, o.Rows, o.Whole = true, 0, true
			p := probe(t, processor(t, 2), m, ins, o)
			const step = 1.0 / 64
			base := look(t, dev, m, ins, ones(m.Sites()), ones(m.Sites()))
			for s, site := range m.Sites() {
				for _, u := range []int{0, site.Units - 1} {
					at := ones(m.Sites())
					at[s][u] -= step
					md, kd := distances(m, look(t, dev, m, ins, at, ones(m.Sites())), base, o.Tau)
					// The mean of 1024 squares of normal numbers is off by 4 %, one deviation;
					// with so few tokens, these are not quite normal.
					within(t, fmt.Sprintf("%v unit %d: MD", site, u), p.Parts.MD[s][u], md/(step*step), 0.3, 1e-12)
					within(t, fmt.Sprintf("%v unit %d: KD", site, u), p.Parts.KD[s][u], kd/(step*step), 0.3, 1e-12)
				}
			}
		})
	}
}
