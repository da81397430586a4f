package prune

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"optin/bench/model"
)

// stairs are tables that rise in steps, and not by the same.
func stairs(rng *rand.Rand, sites []model.Site) [][]int64 {
	var tables [][]int64
	for _, site := range sites {
		table := []int64{0}
		for n := 1; n <= site.Units; n++ {
			rise := int64(0)
			if n%4 == 1 || site.Kind == model.Heads {
				rise = 5 + rng.Int64N(40)
			}
			table = append(table, table[n-1]+rise)
		}
		tables = append(tables, table)
	}
	return tables
}

func siteStack(n, heads, neurons int) []model.Site {
	p := published{Layers: n, Heads: heads, Neurons: neurons, HeadSize: 1}
	return p.sites()
}

func randomScores(rng *rand.Rand, sites []model.Site) [][]float64 {
	var scores [][]float64
	for _, site := range sites {
		row := make([]float64, site.Units)
		for u := range row {
			row[u] = rng.ExpFloat64()
		}
		scores = append(scores, row)
	}
	return scores
}

func TestTableOfALineIsTheLine(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	p := published{Layers: 3, Heads: 4, Neurons: 20, HeadSize: 8, Hidden: 32, Tokens: 20}
	sites, line := p.sites(), p.macs()
	var tables [][]int64
	for s, site := range sites {
		table := make([]int64, site.Units+1)
		for n := range table {
			table[n] = 100 + int64(n)*line.Unit[s]
		}
		tables = append(tables, table)
	}
	fixed := -100 * int64(len(sites))
	table, err := Tabulated(MACs, sites, tables, fixed, 77)
	if err != nil {
		t.Fatal(err)
	}
	line.Outside = 77
	for range 20 {
		scores, b := randomScores(rng, sites), Budget{Keep: 0.2 + 0.8*rng.Float64(), MinHeads: rng.IntN(2), MinNeurons: rng.IntN(5), WholeModel: rng.IntN(2) == 0}
		want, err := Additive(sites, scores, line, b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Additive(sites, scores, table, b)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("keep %v: the masks differ", b.Keep)
		}
		kept := got.Kept()
		if fmt.Sprint(table.Share(kept)) != fmt.Sprint(line.Share(kept)) {
			t.Error("the shares differ")
		}
	}
	if table.String() != line.String() {
		t.Errorf("costs are %v by a table, %v by a line", table, line)
	}
}

func TestSavingsAddUp(t *testing.T) {
	sites := siteStack(2, 3, 10)
	tables, err := Tabulated(Latency, sites, stairs(rand.New(rand.NewPCG(1, 1)), sites), 40, 3)
	if err != nil {
		t.Fatal(err)
	}
	p := published{Layers: 2, Heads: 3, Neurons: 10, HeadSize: 8, Hidden: 16, Tokens: 9}
	for _, c := range []Costs{tables, p.macs()} {
		left := c.Dense()
		for s, site := range sites {
			for n := site.Units; n > 0; n-- {
				left -= c.Saving(s, n)
			}
		}
		if left != c.Fixed {
			t.Errorf("%v: %d is left of %d with nothing kept", c.Resource, left, c.Fixed)
		}
	}
}

// The mask fits the exact budget, keeps what it must, and leaves no neuron out
// that still fits.
func TestAdditiveUnderTables(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	sites := siteStack(4, 4, 30)
	for range 30 {
		c, err := Tabulated(Latency, sites, stairs(rng, sites), 25, 10)
		if err != nil {
			t.Fatal(err)
		}
		scores, b := randomScores(rng, sites), Budget{Keep: 0.3 + 0.6*rng.Float64(), MinHeads: 1, MinNeurons: rng.IntN(3)}
		mask, err := Additive(sites, scores, c, b)
		if err != nil {
			t.Fatal(err)
		}
		kept := mask.Kept()
		left := b.limit(c) - c.Encoder(kept)
		if left < 0 {
			t.Errorf("%d over the budget", -left)
		}
		for s, site := range sites {
			if kept[s] < b.least(site) {
				t.Errorf("%v keeps %d, less than %d", site, kept[s], b.least(site))
			}
			if site.Kind == model.Neurons && kept[s] < site.Units && c.Saving(s, kept[s]+1) <= left {
				t.Errorf("%v: another neuron for %d fits into the %d left", site, c.Saving(s, kept[s]+1), left)
			}
		}
	}
}

// Tables must not limit what a line finds: of units with one price, the best.
func TestAdditiveTakesWhatIsFree(t *testing.T) {
	sites := siteStack(1, 1, 8)
	c, err := Tabulated(Latency, sites, [][]int64{{0, 10}, {0, 40, 40, 40, 40, 80, 80, 80, 80}}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	scores := [][]float64{{1}, {8, 7, 6, 5, 4, 3, 2, 1}}
	mask, err := Additive(sites, scores, c, Budget{Keep: 0.7, MinNeurons: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(mask.Kept()); got != "[1 4]" {
		t.Errorf("keeps %v, want a head and the step that is paid for", got)
	}
}

func TestWrongTablesAreRefused(t *testing.T) {
	sites := siteStack(1, 2, 3)
	for what, tables := range map[string][][]int64{
		"a site without": {{0, 1, 2}},
		"too short":      {{0, 1, 2}, {0, 1, 2}},
		"falling":        {{0, 1, 2}, {0, 2, 1, 3}},
	} {
		if _, err := Tabulated(Latency, sites, tables, 0, 0); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	c := Costs{Resource: MACs, Unit: []int64{1, 1}, units: []int{2, 3}}
	if _, err := PTFLatency(sites, randomScores(rand.New(rand.NewPCG(1, 1)), sites), c, Budget{Keep: 0.5}, false); err == nil {
		t.Error("the latency search accepts costs without a table")
	}
}

// The minima hold, and forbid to drop a layer.
func TestPTFLatencyKeepsItsMinima(t *testing.T) {
	p := readPublished(t)
	sites, scores, c := p.sites(), Fisher(p.gradients(), 0), p.latency(t)
	b := Budget{Keep: 0.55, MinHeads: 2, MinNeurons: 20}
	mask, err := PTFLatency(sites, scores, c, b, false)
	if err != nil {
		t.Fatal(err)
	}
	for s, n := range mask.Kept() {
		if n < b.least(sites[s]) {
			t.Errorf("%v keeps %d", sites[s], n)
		}
	}
	b.Keep = 0.2
	if _, err := PTFLatency(sites, scores, c, b, false); err == nil {
		t.Error("a fifth of the time suffices for half of the heads")
	}
}
