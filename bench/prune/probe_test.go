package prune

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/ref"
)

// deep is a test model with its two blocks repeated: four, so that some have
// blocks before and after them.
func deep(t *testing.T, name string) model.Model {
	t.Helper()
	dir := filepath.Join("../model/testdata", name)
	shallow, closeModel, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeModel() })
	text, err := os.ReadFile(filepath.Join(dir, model.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.ParseConfig(bytes.Replace(text, []byte(`"num_hidden_layers": 2`), []byte(`"num_hidden_layers": 4`), 1))
	if err != nil {
		t.Fatal(err)
	}
	params := shallow.Params()
	for _, name := range params.Names() {
		if at, rest, ok := strings.Cut(name, ".layer."); ok {
			again := *params.Get(name)
			again.Name = fmt.Sprintf("%s.layer.%d%s", at, 2+int(rest[0]-'0'), rest[1:])
			params = params.With(&again)
		}
	}
	m, err := model.New(c, params)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func reference(t *testing.T, workers int) kernels.Device {
	t.Helper()
	d, err := ref.New(workers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// samples are a few inputs in two micro-batches.
func samples(m model.Model) []*model.Input {
	if !m.Config().Text() {
		return []*model.Input{someInput(m), someInput(m)}
	}
	return []*model.Input{someInput(m), model.Text([][]int32{{7, 3, 9, 11}}, [][]int32{{0, 1, 1, 1}})}
}

// seen is what is compared of a model whose masks may have any values: the
// normalized output of every block, its own masks being those of own, and the
// logits.
type seen struct {
	phi    [][][]float64 // by block, rows
	logits [][]float64
}

func look(t *testing.T, dev kernels.Device, m model.Model, ins []*model.Input, values, own [][]float32) seen {
	t.Helper()
	s := seen{phi: make([][][]float64, m.Config().Layers)}
	err := dev.One(context.Background(), func(ops kernels.Ops) error {
		for _, in := range ins {
			pass, alone := model.NewPass(ops, in), model.NewPass(ops, in)
			for i := range values {
				pass.Masks = append(pass.Masks, ops.Upload(1, len(values[i]), values[i]))
				alone.Masks = append(alone.Masks, ops.Upload(1, len(own[i]), own[i]))
			}
			x := m.Embed(pass, in)
			for k := range s.phi {
				out, _ := m.Block(pass, k, x)
				compared := out
				if k < len(s.phi)-1 {
					compared, _ = m.Block(alone, k, x)
				}
				s.phi[k] = append(s.phi[k], table(ops, ops.NormalizeRows(compared))...)
				x = out
			}
			s.logits = append(s.logits, table(ops, m.Head(pass, x))...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func table(ops kernels.Ops, x *kernels.Tensor) [][]float64 {
	flat := make([]float64, x.Len())
	ops.Download(x, flat)
	return slices.Collect(slices.Chunk(flat, x.Cols))
}

// project is what a probe sees of a against base, straight from the definition:
// the sum over blocks of <V, Phi Phi' - Phi0 Phi0'>, with V written out, and
// what it sees of the logits, by first (what both are at first order) or as the
// residual is defined.
func project(o ProbeOptions, c *model.Config, probe int, a, base seen) (md, kd float64) {
	draw := signs{uint64(o.Seed)}
	for k := range a.phi {
		if k == 0 && len(a.phi) > 1 {
			continue
		}
		for i := range a.phi[k] {
			for j := range a.phi[k] {
				v := 0.0
				for r := range o.Rank {
					v += sign(draw.word(k, probe, i, 0), r) * sign(draw.word(k, probe, j, 0), 32+r)
				}
				v /= math.Sqrt(float64(o.Rank))
				md += v * (inner(a.phi[k][i], a.phi[k][j]) - inner(base.phi[k][i], base.phi[k][j]))
			}
		}
	}
	for n := range a.logits {
		p, q := make([]float64, len(a.logits[n])), make([]float64, len(a.logits[n]))
		softmax(p, base.logits[n], o.Tau)
		softmax(q, a.logits[n], o.Tau)
		for i := range p {
			eps := sign(draw.word(logitSigns, probe, n, 0), i)
			if c.Regression {
				kd += eps * (a.logits[n][i] - base.logits[n][i])
			} else {
				kd += eps * math.Sqrt2 * o.Tau * (math.Sqrt(q[i]) - math.Sqrt(p[i]))
			}
		}
	}
	return md, kd
}

func sign(bits uint64, i int) float64 { return 1 - 2*float64(bits>>i&1) }

func inner(x, y []float64) (sum float64) {
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

func ones(sites []model.Site) [][]float32 {
	var values [][]float32
	for _, s := range sites {
		values = append(values, slices.Repeat([]float32{1}, s.Units))
	}
	return values
}

// Every entry of G is the derivative of what its probe sees, and every residual
// is what it sees, at the dense model and at a pruned one: by central
// differences of the definition, one mask and one layer's view of it at a time.
func TestProbesAreDerivativesOfWhatTheySee(t *testing.T) {
	for _, name := range []string{"bert-basic", "bert-regression", "vit-basic", "deit-distilled"} {
		for _, pruned := range []bool{false, true} {
			t.Run(fmt.Sprintf("model=%s/pruned=%t", name, pruned), func(t *testing.T) {
				m, dev := deep(t, name), reference(t, 2)
				ins := samples(m)
				o := ProbeOptions{Probes: 3, Rank: 2, Seed: 7, Tau: 2, Lambda: 0.3}
				p, err := Probe(context.Background(), dev, m, ins, o, nil)
				if err != nil {
					t.Fatal(err)
				}
				at, size := ones(m.Sites()), math.Sqrt(0.3*p.Factor)
				base := look(t, dev, m, ins, at, ones(m.Sites()))
				if pruned {
					mask := Full(m.Sites())
					for s := range mask {
						for _, u := range []int{0, 2, len(mask[s]) - 1}[:s%4] {
							mask[s][u], at[s][u] = false, 0
						}
					}
					if p, err = p.Again(context.Background(), dev, m, mask, ins, nil); err != nil {
						t.Fatal(err)
					}
					now := look(t, dev, m, ins, at, ones(m.Sites()))
					for i := range p.G {
						md, kd := project(o, m.Config(), i, now, base)
						close(t, fmt.Sprintf("residual %d", i), p.Residual[i], md+size*kd, 1e-4, 1e-3)
					}
				}
				checkColumns(t, m, dev, ins, o, p, at, base, size)
			})
		}
	}
}

func checkColumns(t *testing.T, m model.Model, dev kernels.Device, ins []*model.Input, o ProbeOptions, p *Probes, at [][]float32, base seen, size float64) {
	const step = 1.0 / 256
	first := 0
	for s, site := range m.Sites() {
		for _, u := range []int{0, 1, site.Units - 1} {
			was := at[s][u]
			at[s][u] = was + step
			up := look(t, dev, m, ins, at, ones(m.Sites()))
			at[s][u] = was - step
			down := look(t, dev, m, ins, at, ones(m.Sites()))
			at[s][u] = was
			for i := range p.G {
				md1, kd1 := project(o, m.Config(), i, up, base)
				md0, kd0 := project(o, m.Config(), i, down, base)
				want := -(md1 - md0 + size*(kd1-kd0)) / (2 * step)
				close(t, fmt.Sprintf("%v unit %d probe %d", site, u, i), float64(p.G[i][first+u]), want, 1e-3, 1e-4)
			}
		}
		first += site.Units
	}
}

// close compares within a share of the wanted value and something beside it.
func close(t *testing.T, what string, got, want, share, least float64) {
	t.Helper()
	if !(math.Abs(got-want) <= share*math.Abs(want)+least) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}
