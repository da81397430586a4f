package prune_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"optin/bench/model"
	"optin/bench/prune"
	"optin/kernels"
	"optin/kernels/ref"
)

func open(t *testing.T, name string) model.Model {
	t.Helper()
	m, closeModel, err := model.Open(filepath.Join("../model/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeModel() })
	return m
}

// sentences are the golden's, as token and segment ids.
func sentences(t *testing.T, name string) (ids, types [][]int32) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../model/testdata", name, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Sequences []struct {
			IDs   []int32 `json:"ids"`
			Types []int32 `json:"type_ids"`
		}
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	for _, s := range g.Sequences {
		ids, types = append(ids, s.IDs), append(types, s.Types)
	}
	return ids, types
}

// batches cuts the golden's inputs into micro-batches of about rows rows.
func batches(t *testing.T, m model.Model, name string, rows int) []*model.Input {
	t.Helper()
	var list []*model.Input
	if !m.Config().Text() {
		c := m.Config()
		size := c.Channels * c.ImageHeight * c.ImageWidth
		pixels := make([]float32, 5*size)
		for i := range pixels {
			pixels[i] = float32(math.Sin(float64(i*i%1009))) * 1.5
		}
		lengths := make([]int, 5)
		for i := range lengths {
			lengths[i] = c.Tokens()
		}
		from := 0
		for _, to := range prune.Cut(lengths, rows) {
			list = append(list, model.Images(c, pixels[from*size:to*size]))
			from = to
		}
		return list
	}
	ids, types := sentences(t, name)
	lengths := make([]int, len(ids))
	for i := range ids {
		lengths[i] = len(ids[i])
	}
	from := 0
	for _, to := range prune.Cut(lengths, rows) {
		list = append(list, model.Text(ids[from:to], types[from:to]))
		from = to
	}
	return list
}

func device(t *testing.T, workers int) kernels.Device {
	t.Helper()
	d, err := ref.New(workers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// trace is one forward of one batch as plain numbers: what is tapped of every
// block, row by row, and the logits.
type trace struct {
	tapped [][][]float64
	logits [][]float64
}

// forward runs whole batches with masks, with none of the scorer's short cuts.
func forward(t *testing.T, d kernels.Device, m model.Model, ins []*model.Input, mask prune.Mask, tap model.Tap) trace {
	t.Helper()
	tr := trace{tapped: make([][][]float64, m.Config().Layers)}
	err := d.One(context.Background(), func(ops kernels.Ops) error {
		for _, in := range ins {
			p := model.NewPass(ops, in)
			p.Tap = tap
			p.Masks = make([]*kernels.Tensor, len(mask))
			for s := range mask {
				row := make([]float32, len(mask[s]))
				for u, on := range mask[s] {
					if on {
						row[u] = 1
					}
				}
				p.Masks[s] = ops.Upload(1, len(row), row)
			}
			x := m.Embed(p, in)
			for l := range m.Config().Layers {
				var tapped *kernels.Tensor
				x, tapped = m.Block(p, l, x)
				tr.tapped[l] = append(tr.tapped[l], matrix(ops, tapped)...)
			}
			tr.logits = append(tr.logits, matrix(ops, m.Head(p, x))...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func matrix(ops kernels.Ops, x *kernels.Tensor) [][]float64 {
	flat := make([]float64, x.Len())
	ops.Download(x, flat)
	rows := make([][]float64, x.Rows)
	for r := range rows {
		rows[r] = flat[r*x.Cols : (r+1)*x.Cols]
	}
	return rows
}

// manifold is the loss by its definition: N x N similarities of unit rows.
func manifold(a, b [][]float64) float64 {
	var sum float64
	for i := range a {
		for j := range a {
			d := cosine(a[i], a[j]) - cosine(b[i], b[j])
			sum += d * d
		}
	}
	return sum
}

func cosine(x, y []float64) float64 {
	var xy, xx, yy float64
	for i := range x {
		xy += x[i] * y[i]
		xx += x[i] * x[i]
		yy += y[i] * y[i]
	}
	return xy / math.Sqrt(xx*yy)
}

func divergence(base, x [][]float64, tau float64) float64 {
	var sum float64
	for b := range base {
		p, q := softmax(base[b], tau), softmax(x[b], tau)
		for c := range p {
			sum += p[c] * math.Log(p[c]/q[c])
		}
	}
	return tau * tau * sum
}

func softmax(z []float64, tau float64) []float64 {
	out := make([]float64, len(z))
	var sum float64
	for i, v := range z {
		out[i] = math.Exp(v / tau)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if !(math.Abs(got-want) <= 1e-6*math.Abs(want)+1e-18) {
		t.Errorf("%s: %.12g, want %.12g", what, got, want)
	}
}

func TestScoresAreTheDefinition(t *testing.T) {
	for _, name := range []string{"bert-odd", "vit-basic", "deit-distilled", "bert-regression"} {
		for _, rows := range []int{40, 4096} { // several micro-batches; several variants in one
			for _, tap := range []model.Tap{model.TapBlock, model.TapFFN} {
				t.Run(fmt.Sprintf("model=%s/rows=%d/tap=%d", name, rows, tap), func(t *testing.T) {
					m, d := open(t, name), device(t, 2)
					ins := batches(t, m, name, rows)
					o := prune.DefaultOptions()
					o.Rows, o.Tap = rows, tap
					parts, err := prune.Trajectory(context.Background(), d, m, ins, o, nil)
					if err != nil {
						t.Fatal(err)
					}
					dense := forward(t, d, m, ins, prune.Full(m.Sites()), tap)
					for s, site := range m.Sites() {
						for _, u := range []int{0, site.Units / 2, site.Units - 1} {
							mask := prune.Full(m.Sites())
							mask[s][u] = false
							got := forward(t, d, m, ins, mask, tap)
							var md, kd float64
							for k := min(site.Layer+1, m.Config().Layers-1); k < m.Config().Layers; k++ {
								md += manifold(dense.tapped[k], got.tapped[k])
							}
							if m.Config().Regression {
								for b := range got.logits {
									kd += math.Pow(got.logits[b][0]-dense.logits[b][0], 2)
								}
							} else {
								kd = divergence(dense.logits, got.logits, o.Tau)
							}
							at := fmt.Sprintf("%v unit %d", site, u)
							near(t, at+" MD", parts.MD[s][u], md)
							near(t, at+" KD", parts.KD[s][u], kd)
						}
					}
				})
			}
		}
	}
}

func TestScoresDoNotDependOnWorkers(t *testing.T) {
	m := open(t, "bert-odd")
	ins := batches(t, m, "bert-odd", 40)
	var first *prune.Parts
	for _, workers := range []int{1, 2} {
		parts, err := prune.Trajectory(context.Background(), device(t, workers), m, ins, prune.Options{Tau: 4, Rows: 40}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = parts
		} else if fmt.Sprint(first) != fmt.Sprint(parts) {
			t.Error("scores of 1 and 2 workers differ")
		}
	}
}

func TestMicroBatchesDoNotChangeScores(t *testing.T) {
	m := open(t, "bert-basic")
	var first *prune.Parts
	for _, rows := range []int{10, 60, 100000} {
		for _, o := range []prune.Options{{Tau: 2, Rows: rows}} {
			parts, err := prune.Trajectory(context.Background(), device(t, 1), m, batches(t, m, "bert-basic", rows), o, nil)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = parts
				continue
			}
			for s := range parts.MD {
				for u := range parts.MD[s] {
					near(t, "MD", parts.MD[s][u], first.MD[s][u])
					near(t, "KD", parts.KD[s][u], first.KD[s][u])
				}
			}
		}
	}
}

// Groups, chosen tokens and depth change what is summed, and nothing else.
func TestSwitchesOfTheManifoldLoss(t *testing.T) {
	const name, size = "bert-odd", 3
	m, d := open(t, name), device(t, 2)
	chosen := []int{0, 1, 2}
	for _, rows := range []int{25, 4096} {
		ins := batches(t, m, name, rows)
		dense := forward(t, d, m, ins, prune.Full(m.Sites()), model.TapBlock)
		mask := prune.Full(m.Sites())
		mask[1][5] = false // layer 0, a neuron
		got := forward(t, d, m, ins, mask, model.TapBlock)
		var lengths []int
		for _, in := range ins {
			for b := range in.Seq.Count() {
				lengths = append(lengths, in.Seq.Len(b))
			}
		}
		for _, c := range []struct {
			name string
			o    prune.Options
		}{
			{"group", prune.Options{Tau: 4, Rows: rows, Group: size}},
			{"tokens", prune.Options{Tau: 4, Rows: rows, Group: size, TokenList: chosen}},
			{"mean", prune.Options{Tau: 4, Rows: rows, Group: size, MeanOfGram: true}},
			{"mean, tokens", prune.Options{Tau: 4, Rows: rows, Group: size, MeanOfGram: true, TokenList: chosen}},
			{"depth", prune.Options{Tau: 4, Rows: rows, Group: size, Depth: 1}},
			{"all in one", prune.Options{Tau: 4, Rows: rows}},
			{"all in one, tokens", prune.Options{Tau: 4, Rows: rows, TokenList: chosen}},
		} {
			t.Run(fmt.Sprintf("switch=%s/rows=%d", c.name, rows), func(t *testing.T) {
				parts, err := prune.Trajectory(context.Background(), d, m, ins, c.o, nil)
				if err != nil {
					t.Fatal(err)
				}
				last := m.Config().Layers - 1
				if c.o.Depth > 0 {
					last = c.o.Depth
				}
				var want float64
				for k := 1; k <= last; k++ {
					row := 0
					for g := 0; g < len(lengths); g += max(1, c.o.Group) {
						n := 0
						if c.o.Group == 0 {
							g = len(lengths)
							n = len(dense.tapped[k])
						} else {
							for _, l := range lengths[g:min(len(lengths), g+size)] {
								n += l
							}
						}
						a, b := dense.tapped[k][row:row+n], got.tapped[k][row:row+n]
						if c.o.TokenList != nil {
							a, b = a[:len(chosen)], b[:len(chosen)]
						}
						loss := manifold(a, b)
						if c.o.MeanOfGram {
							loss /= float64(len(a) * len(a))
						}
						want += loss
						row += n
					}
				}
				near(t, "MD", parts.MD[1][5], want)
			})
		}
	}
}

func TestLastHeadSwitch(t *testing.T) {
	const name = "bert-odd"
	m, d := open(t, name), device(t, 1)
	ins := batches(t, m, name, 60)
	parts, err := prune.Trajectory(context.Background(), d, m, ins, prune.Options{Tau: 4, Rows: 60, LastHead: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	dense := forward(t, d, m, ins, prune.Full(m.Sites()), model.TapBlock)
	last := m.Config().Layers - 1
	for s, site := range m.Sites() {
		if site.Kind != model.Heads || site.Layer != last {
			continue
		}
		mask := prune.Full(m.Sites())
		for i, other := range m.Sites() {
			if other.Kind == model.Heads && other.Layer < last {
				mask[i][other.Units-1] = false
			}
		}
		mask[s][0] = false
		got := forward(t, d, m, ins, mask, model.TapBlock)
		near(t, "MD", parts.MD[s][0], manifold(dense.tapped[last], got.tapped[last]))
		near(t, "KD", parts.KD[s][0], divergence(dense.logits, got.logits, 4))
	}
}

func TestPaddingSwitchRunsHiddenTokens(t *testing.T) {
	const name = "bert-basic"
	m, d := open(t, name), device(t, 1)
	ids, types := sentences(t, name)
	lengths := make([]int, len(ids))
	for i := range ids {
		lengths[i] = m.Config().Positions
	}
	padded, packed := model.PaddedText(ids, types, lengths, 0), model.Text(ids, types)
	if padded.Seq.Rows() <= packed.Seq.Rows() {
		t.Fatalf("%d padded rows, %d packed", padded.Seq.Rows(), packed.Seq.Rows())
	}
	full := prune.Full(m.Sites())
	a := forward(t, d, m, []*model.Input{padded}, full, model.TapBlock).logits
	b := forward(t, d, m, []*model.Input{packed}, full, model.TapBlock).logits
	for i := range a {
		for c := range a[i] {
			near(t, "logit", a[i][c], b[i][c])
		}
	}
}

func TestDeadUnitsScoreZero(t *testing.T) {
	for _, name := range []string{"bert-basic", "vit-basic"} {
		m, d := open(t, name), device(t, 2)
		mask := prune.Full(m.Sites())
		mask[0][1], mask[1][3], mask[3][0] = false, false, false
		dead, err := prune.Zeroed(m, mask)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := prune.Trajectory(context.Background(), d, dead, batches(t, m, name, 50), prune.Options{Tau: 4, Rows: 50}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for s := range mask {
			for u, on := range mask[s] {
				zero := parts.MD[s][u] == 0 && parts.KD[s][u] == 0
				if zero == on {
					t.Errorf("%s: %v unit %d: kept %v but scores MD %g, KD %g", name, m.Sites()[s], u, on, parts.MD[s][u], parts.KD[s][u])
				}
			}
		}
	}
}

func TestTrajectoryStopsWhenCancelled(t *testing.T) {
	m, d := open(t, "bert-basic"), device(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	scored := 0
	_, err := prune.Trajectory(ctx, d, m, batches(t, m, "bert-basic", 60), prune.DefaultOptions(), func(n int) {
		if scored += n; scored > 3 {
			cancel()
		}
	})
	if err == nil {
		t.Error("a cancelled run ended without an error")
	}
}
