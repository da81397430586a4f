package prune

import (
	"context"
	"math"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/mat"

	"optin/bench/model"
)

// TestSurveyOfOneToken: of a single token the Kronecker product is the second
// derivative itself, so values and curvature give what the probes see of every
// unit alone.
func TestSurveyOfOneToken(t *testing.T) {
	for _, c := range []struct {
		name       string
		noMD, noKD bool
	}{{name: "both"}, {name: "md", noKD: true}, {name: "kd", noMD: true}} {
		t.Run(c.name, func(t *testing.T) {
			m, dev, ctx := deep(t, "bert-basic"), reference(t, 1), context.Background()
			ins := []*model.Input{model.Text([][]int32{{7}}, [][]int32{{1}})}
			o := DefaultProbeOptions()
			o.Probes, o.NoMD, o.NoKD = 5, c.noMD, c.noKD
			p, err := Probe(ctx, dev, m, ins, o, nil)
			if err != nil {
				t.Fatal(err)
			}
			pr := newProber(dev, m, nil, ins, p.options, nil)
			defer pr.close()
			if err := pr.dense(ctx); err != nil {
				t.Fatal(err)
			}
			curvature, err := pr.curvature(ctx, p.kdSize())
			if err != nil {
				t.Fatal(err)
			}
			scores := p.Scores()
			for s, site := range m.Sites() {
				values, err := pr.valueMoments(ctx, s)
				if err != nil {
					t.Fatal(err)
				}
				w, err := consumerOf(m, site)
				if err != nil {
					t.Fatal(err)
				}
				for u := range site.Units {
					want := scores[s][u]
					got := lossAlone(site, values, curvature[s], w, u)
					if !(math.Abs(got-want) <= 1e-5*want+1e-12) {
						t.Errorf("%v, unit %d: values and curvature give %g, the probes see %g", site, u, got, want)
					}
				}
			}
		})
	}
}

// lossAlone is tr(V_uu W_u' C W_u), what unit u loses without any refitting.
func lossAlone(site model.Site, values, curvature *mat.SymDense, w *mat.Dense, u int) float64 {
	from, to := u*site.Width, (u+1)*site.Width
	hidden, _ := w.Dims()
	wu := w.Slice(0, hidden, from, to)
	var bent, cross, loss mat.Dense
	bent.Mul(curvature, wu)
	cross.Mul(wu.T(), &bent)
	loss.Mul(values.SliceSym(from, to), &cross)
	return mat.Trace(&loss)
}

func TestSurveyDoesNotDependOnWorkers(t *testing.T) {
	m, ctx := deep(t, "vit-basic"), context.Background()
	var all [][]Curve
	for _, workers := range []int{1, 2} {
		dev := reference(t, workers)
		o := DefaultProbeOptions()
		o.Probes = 3
		p, err := Probe(ctx, dev, m, samples(m), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		curves, err := p.Survey(ctx, dev, m, samples(m), Budget{MinHeads: 1, MinNeurons: 2}, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, curves)
	}
	if !reflect.DeepEqual(all[0], all[1]) {
		t.Error("curves differ between one worker and two")
	}
	for s, site := range m.Sites() {
		least := 1
		if site.Kind == model.Neurons {
			least = 2
		}
		if got := len(all[0][s].Order); got != site.Units-least {
			t.Errorf("%v of %d units: a curve of %d removals", site, site.Units, got)
		}
	}
}
