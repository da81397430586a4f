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

// view is one probe of the definition, with V written out.
type view struct {
	o ProbeOptions
	c *model.Config
	v [][][]float64 // by block
	e [][]float64   // signs of the logits, by example
}

func newView(o ProbeOptions, c *model.Config, probe int, s seen) *view {
	draw, w := signs{uint64(o.Seed)}, &view{o: o, c: c}
	for k := range s.phi {
		n := len(s.phi[k])
		v := make([][]float64, n)
		for i := range v {
			v[i] = make([]float64, n)
			for j := range v[i] {
				for r := range o.Rank {
					v[i][j] += sign(draw.word(k, probe, i, 0), r) * sign(draw.word(k, probe, j, 0), 32+r) / math.Sqrt(float64(o.Rank))
				}
			}
		}
		w.v = append(w.v, v)
	}
	for n, logits := range s.logits {
		w.e = append(w.e, nil)
		for i := range logits {
			w.e[n] = append(w.e[n], sign(draw.word(logitSigns, probe, n, 0), i))
		}
	}
	return w
}

// of is what the probe sees of a against base: the sum over blocks from to to of
// <V, Phi Phi' - Phi0 Phi0'>, and of the logits.
func (w *view) of(a, base seen, from, to int) (md, kd float64) {
	for k := from; k <= to; k++ {
		for i := range a.phi[k] {
			for j, v := range w.v[k][i] {
				md += v * (inner(a.phi[k][i], a.phi[k][j]) - inner(base.phi[k][i], base.phi[k][j]))
			}
		}
	}
	for n := range a.logits {
		p, q := make([]float64, len(a.logits[n])), make([]float64, len(a.logits[n]))
		softmax(p, base.logits[n], w.o.Tau)
		softmax(q, a.logits[n], w.o.Tau)
		for i, eps := range w.e[n] {
			if w.c.Regression {
				kd += eps * (a.logits[n][i] - base.logits[n][i])
			} else {
				kd += eps * math.Sqrt2 * w.o.Tau * (math.Sqrt(q[i]) - math.Sqrt(p[i]))
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
	for _, name := range []string{"bert-basic", "bert-regression", "vit-basic"} {
		t.Run("model="+name, func(t *testing.T) {
			m, dev := deep(t, name), reference(t, 2)
			ins := samples(m)
			o := ProbeOptions{Probes: 2, Rank: 2, Seed: 7, Tau: 2, Lambda: 0.3, Rows: 2, Whole: true}
			p, err := Probe(context.Background(), dev, m, ins, o, nil)
			if err != nil {
				t.Fatal(err)
			}
			at := ones(m.Sites())
			d := derivative{t: t, m: m, dev: dev, ins: ins, base: look(t, dev, m, ins, at, ones(m.Sites()))}
			for i := range p.G {
				d.views = append(d.views, newView(o, m.Config(), i, d.base))
			}
			d.check(p, at, 0)
			o.Depth = 2
			d.check(probe(t, dev, m, ins, o), at, 2)
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
			for i, v := range d.views {
				md, kd := v.of(now, d.base, 1, 3)
				within(t, fmt.Sprintf("residual %d", i), p.Residual[i], md+p.kdSize()*kd, 1e-4, 1e-3)
			}
			d.check(p, at, 0)
		})
	}
}

type derivative struct {
	t     *testing.T
	m     model.Model
	dev   kernels.Device
	ins   []*model.Input
	base  seen
	views []*view
}

// check compares some columns of p, of which depth later blocks count (0: all).
func (d *derivative) check(p *Probes, at [][]float32, depth int) {
	d.t.Helper()
	last, size := d.m.Config().Layers-1, p.kdSize()
	const step = 1.0 / 256
	first := 0
	for s, site := range d.m.Sites() {
		for _, u := range []int{0, site.Units - 1} {
			was := at[s][u]
			at[s][u] = was + step
			up := look(d.t, d.dev, d.m, d.ins, at, ones(d.m.Sites()))
			at[s][u] = was - step
			down := look(d.t, d.dev, d.m, d.ins, at, ones(d.m.Sites()))
			at[s][u] = was
			from, to := min(site.Layer+1, last), last
			if depth > 0 {
				to = min(to, site.Layer+depth)
			}
			for i, v := range d.views {
				md1, kd1 := v.of(up, d.base, from, to)
				md0, kd0 := v.of(down, d.base, from, to)
				want := -(md1 - md0 + size*(kd1-kd0)) / (2 * step)
				within(d.t, fmt.Sprintf("%v unit %d probe %d, depth %d", site, u, i, depth), float64(p.G[i][first+u]), want, 1e-3, 1e-4)
			}
		}
		first += site.Units
	}
}

// within compares within a share of the wanted value and something beside it.
func within(t *testing.T, what string, got, want, share, least float64) {
	t.Helper()
	if !(math.Abs(got-want) <= share*math.Abs(want)+least) {
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

func probe(t *testing.T, dev kernels.Device, m model.Model, ins []*model.Input, o ProbeOptions) *Probes {
	t.Helper()
	p, err := Probe(context.Background(), dev, m, ins, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// options are cheap ones; rows of everything are kept.
func options(probes int) ProbeOptions {
	return ProbeOptions{Probes: probes, Rank: 4, Seed: 5, Tau: 4, Lambda: 0.1, Rows: 1 << 20}
}

// The rows of a probe by example add up to its only row with Whole, and those of
// the logits are what the example gives without the others.
func TestRowsByExample(t *testing.T) {
	m, dev := deep(t, "bert-basic"), reference(t, 2)
	ins := samples(m)
	o := options(5)
	o.Balance = BalanceNone
	apart := probe(t, dev, m, ins, o)
	o.Whole = true
	whole := probe(t, dev, m, ins, o)
	if apart.Rows != 3 || whole.Rows != 1 || len(apart.G) != 15 || len(whole.G) != 5 {
		t.Fatalf("%d and %d rows a probe, %d and %d in all", apart.Rows, whole.Rows, len(apart.G), len(whole.G))
	}
	for i, row := range whole.G {
		for u, want := range row {
			sum := 0.0
			for e := range 3 {
				sum += float64(apart.G[3*i+e][u])
			}
			within(t, fmt.Sprintf("probe %d unit %d: sum over examples", i, u), sum, float64(want), 1e-4, 1e-5)
		}
	}
	o.NoMD = true
	first := probe(t, dev, m, []*model.Input{model.Text([][]int32{ins[0].IDs[:5]}, [][]int32{ins[0].Types[:5]})}, o)
	o.Whole = false
	all := probe(t, dev, m, ins, o)
	for i, row := range first.G {
		for u, want := range row {
			within(t, fmt.Sprintf("probe %d unit %d: logits of the first example", i, u), float64(all.G[3*i][u]), float64(want), 1e-4, 1e-7)
		}
	}
}

// Bits depend neither on the number of workers nor, but for what micro-batches
// round, on how the samples are cut.
func TestProbesDoNotDependOnWorkers(t *testing.T) {
	m := deep(t, "vit-basic")
	o := options(9)
	one, three := probe(t, reference(t, 1), m, samples(m), o), probe(t, reference(t, 3), m, samples(m), o)
	if fmt.Sprint(one.G, one.Scores(), one.Factor) != fmt.Sprint(three.G, three.Scores(), three.Factor) {
		t.Error("1 and 3 workers give different probes")
	}
	c := m.Config()
	size := c.Channels * c.ImageHeight * c.ImageWidth
	pixels := slices.Concat(samples(m)[0].Pixels, samples(m)[1].Pixels)
	cut := probe(t, reference(t, 2), m, []*model.Input{model.Images(c, pixels[:size]), model.Images(c, pixels[size:])}, o)
	for i, row := range one.G {
		for u, want := range row {
			within(t, fmt.Sprintf("row %d unit %d", i, u), float64(cut.G[i][u]), float64(want), 1e-4, 1e-5)
		}
	}
}

// distances are the two losses from the N x N matrices.
func distances(m model.Model, a, base seen, tau float64) (md, kd float64) {
	for k := 1; k < len(a.phi); k++ {
		for i := range a.phi[k] {
			for j := range a.phi[k] {
				d := inner(a.phi[k][i], a.phi[k][j]) - inner(base.phi[k][i], base.phi[k][j])
				md += d * d
			}
		}
	}
	for n := range a.logits {
		p, q := make([]float64, len(a.logits[n])), make([]float64, len(a.logits[n]))
		softmax(p, base.logits[n], tau)
		softmax(q, a.logits[n], tau)
		for i := range p {
			if m.Config().Regression {
				kd += (a.logits[n][i] - base.logits[n][i]) * (a.logits[n][i] - base.logits[n][i])
			} else {
				kd += tau * tau * p[i] * math.Log(p[i]/q[i])
			}
		}
	}
	return md, kd
}
