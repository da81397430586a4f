package prune

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"optin/bench/model"
)

// published is testdata/ptf.json: see scripts/golden_ptf.py.
type published struct {
	Layers, Heads, Neurons, Batch, Scale, Hidden, Tokens int

	HeadSize              int         `json:"head_size"`
	HeadTable             []int64     `json:"head_nanoseconds"` // of 1, 2, ... heads
	NeuronTable           []int64     `json:"neuron_nanoseconds"`
	FisherHeads           [][]float64 `json:"fisher_heads"` // by layer
	FisherNeurons         [][]float64 `json:"fisher_neurons"`
	FisherHeadsPerBatch   [][]float64 `json:"fisher_heads_per_batch"`
	FisherNeuronsPerBatch [][]float64 `json:"fisher_neurons_per_batch"`
	Gradients             [][]float64 // [examples][units], in 1/Scale
	Cases                 []publishedCase
}

type publishedCase struct {
	Search            string
	Keep              float64
	PerBatch          int     `json:"per_batch"`
	Heads, Neurons    [][]int // kept, by layer
	RearrangedHeads   [][]int `json:"rearranged_heads"`
	RearrangedNeurons [][]int `json:"rearranged_neurons"`
}

func readPublished(t *testing.T) *published {
	t.Helper()
	text, err := os.ReadFile("testdata/ptf.json")
	if err != nil {
		t.Fatal(err)
	}
	p := &published{}
	if err := json.Unmarshal(text, p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *published) sites() []model.Site {
	var sites []model.Site
	for l := range p.Layers {
		sites = append(sites,
			model.Site{Layer: l, Kind: model.Heads, Units: p.Heads, Width: p.HeadSize},
			model.Site{Layer: l, Kind: model.Neurons, Units: p.Neurons, Width: 1})
	}
	return sites
}

func (p *published) gradients() *Gradients {
	g := &Gradients{Offsets: []int{0}}
	for _, site := range p.sites() {
		g.Offsets = append(g.Offsets, g.columns()+site.Units)
	}
	for _, row := range p.Gradients {
		for _, v := range row {
			g.Values = append(g.Values, float32(v/float64(p.Scale)))
		}
	}
	return g
}

// macs are costs as of texts of the golden's length.
func (p *published) macs() Costs {
	c := Costs{Resource: MACs}
	t, d, w := int64(p.Tokens), int64(p.Hidden), int64(p.HeadSize)
	for _, site := range p.sites() {
		unit := 2 * t * d
		if site.Kind == model.Heads {
			unit = 4*t*d*w + 2*t*t*w
		}
		c.Unit, c.units = append(c.Unit, unit), append(c.units, site.Units)
	}
	return c
}

func (p *published) latency(t *testing.T) Costs {
	t.Helper()
	var tables [][]int64
	for _, site := range p.sites() {
		rest := p.HeadTable
		if site.Kind == model.Neurons {
			rest = p.NeuronTable
		}
		tables = append(tables, append([]int64{0}, rest...))
	}
	c, err := Tabulated(Latency, p.sites(), tables, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// unitsKept is the kept units of one kind, by layer.
func unitsKept(sites []model.Site, mask Mask, kind model.Kind) [][]int {
	var list [][]int
	for s, site := range sites {
		if site.Kind == kind {
			list = append(list, append([]int{}, kept(mask[s])...))
		}
	}
	return list
}

func TestMasksAreThoseOfPTF(t *testing.T) {
	p := readPublished(t)
	sites, g := p.sites(), p.gradients()
	for _, c := range p.Cases {
		t.Run(fmt.Sprintf("search=%s/keep=%v/per_batch=%d", c.Search, c.Keep, c.PerBatch), func(t *testing.T) {
			scores, b := Fisher(g, c.PerBatch), Budget{Keep: c.Keep}
			var mask Mask
			var err error
			if c.Search == "macs" {
				mask, err = Additive(sites, scores, p.macs(), b)
			} else {
				mask, err = PTFLatency(sites, scores, p.latency(t), b, c.Search == "released latency")
			}
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, got, want any) {
				t.Helper()
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s: keeps\n%v, want\n%v", what, got, want)
				}
			}
			check("heads", unitsKept(sites, mask, model.Heads), c.Heads)
			check("neurons", unitsKept(sites, mask, model.Neurons), c.Neurons)
			moved := Rearrange(mask, g.Grouped(c.PerBatch), 1)
			check("rearranged heads", unitsKept(sites, moved, model.Heads), c.RearrangedHeads)
			check("rearranged neurons", unitsKept(sites, moved, model.Neurons), c.RearrangedNeurons)
		})
	}
}

func TestFisherIsThatOfPTF(t *testing.T) {
	p := readPublished(t)
	for perBatch, want := range map[int][2][][]float64{
		0: {p.FisherHeads, p.FisherNeurons}, 1: {p.FisherHeads, p.FisherNeurons},
		p.Batch: {p.FisherHeadsPerBatch, p.FisherNeuronsPerBatch},
	} {
		got := Fisher(p.gradients(), perBatch)
		for s, site := range p.sites() {
			for u, v := range got[s] {
				if w := want[site.Kind][site.Layer][u]; !(math.Abs(v-w) <= 1e-6*w) { // means are kept in float32
					t.Errorf("per_batch %d, %v unit %d: %g, want %g", perBatch, site, u, v, w)
				}
			}
		}
	}
}

// The last batch is smaller: its mean is over what there is.
func TestGroupedGradients(t *testing.T) {
	g := &Gradients{Offsets: []int{0, 1, 2}, Values: []float32{1, 10, 3, 30, 7, 70}}
	if got := fmt.Sprint(g.Grouped(2).Values); got != "[2 20 7 70]" {
		t.Errorf("means of 2, of 3 examples: %v", got)
	}
	if got := fmt.Sprint(Fisher(g, 2)); got != fmt.Sprint([][]float64{{(4 + 49) / 2.}, {(400 + 4900) / 2.}}) {
		t.Errorf("Fisher of batches: %v", got)
	}
	minus := &Gradients{Offsets: []int{0, 1}, Values: []float32{1, -4}}
	if got := Taylor(minus)[0][0]; got != 1.5 {
		t.Errorf("Taylor: %v, want 1.5", got)
	}
	if err := g.check(); err != nil {
		t.Error(err)
	}
	g.Values[3] = float32(math.NaN())
	if err := g.check(); err == nil {
		t.Error("a gradient that is not a number passes")
	}
}
