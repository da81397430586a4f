package prune

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"optin/bench/measure"
	"optin/bench/model"
	"optin/kernels"
	"optin/kernels/ref"
)

func TestIsotonicFit(t *testing.T) {
	for _, c := range []struct{ x, want []float64 }{
		{nil, nil},
		{[]float64{1, 2, 2, 3}, []float64{1, 2, 2, 3}},
		{[]float64{3, 1}, []float64{2, 2}},
		{[]float64{1, 5, 3, 4, 6, 0}, []float64{1, 3.6, 3.6, 3.6, 3.6, 3.6}},
		{[]float64{4, 3, 2, 7}, []float64{3, 3, 3, 7}},
	} {
		got := isotonic(c.x)
		if len(got) != len(c.want) {
			t.Fatalf("%v: %v", c.x, got)
		}
		for i := range got {
			if math.Abs(got[i]-c.want[i]) > 1e-12 {
				t.Errorf("%v: %v, want %v", c.x, got, c.want)
			}
		}
	}
	// The projection on a cone: what is left over is orthogonal to it, and adds up
	// to nothing, for constants are in the cone with both signs.
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, 40)
	for i := range x {
		x[i] = float64(i)/10 + rng.NormFloat64()
	}
	got := isotonic(x)
	if !slices.IsSorted(got) {
		t.Errorf("falls: %v", got)
	}
	var off, inner float64
	for i := range x {
		off += x[i] - got[i]
		inner += (x[i] - got[i]) * got[i]
	}
	if math.Abs(off) > 1e-9 || math.Abs(inner) > 1e-9 {
		t.Errorf("the residual adds up to %g and has an inner product of %g with the fit", off, inner)
	}
}

func openModel(t *testing.T, name string) model.Model {
	t.Helper()
	m, closeModel, err := model.Open(filepath.Join("../model/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeModel() })
	return m
}

func point(units int, microseconds float64) LatencyPoint {
	return LatencyPoint{units, measure.Estimate{Value: microseconds * 1e-6}}
}

func TestLatencyTableIsInterpolated(t *testing.T) {
	m := openModel(t, "bert-basic") // 2 layers of 4 heads of 8 and 64 neurons, width 32
	table := &LatencyTable{
		Heads:   []LatencyPoint{point(0, 10), point(1, 14), point(2, 13), point(3, 20), point(4, 25)},
		Neurons: []LatencyPoint{point(0, 30), point(16, 46), point(64, 70)},
		Empty:   2e-6, Outside: 5e-6, Hidden: 32, Unit: 8,
	}
	text, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	again := &LatencyTable{}
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	c, err := again.Costs(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		site, kept int
		cost       int64
	}{{0, 0, 0}, {0, 1, 3500}, {0, 2, 3500}, {2, 3, 10000}, {2, 4, 15000}, {1, 0, 0}, {1, 1, 1000}, {1, 16, 16000}, {3, 40, 28000}, {3, 64, 40000}} {
		if got := c.site(want.site, want.kept); got != want.cost {
			t.Errorf("site %d with %d units costs %d ns, want %d", want.site, want.kept, got, want.cost)
		}
	}
	if c.Fixed != 4000 || c.Outside != 5000 || c.Dense() != 4000+2*(15000+40000) {
		t.Errorf("%v: fixed %d, outside %d", c, c.Fixed, c.Outside)
	}
	if got := c.String(); got != "114µs in the encoder, 119µs in the model" {
		t.Errorf("costs read %q", got)
	}
	for _, wrong := range []LatencyTable{
		{Heads: table.Heads, Neurons: table.Neurons, Hidden: 64, Unit: 8},
		{Heads: table.Heads[:4], Neurons: table.Neurons, Hidden: 32, Unit: 8},
	} {
		if _, err := wrong.Costs(m); err == nil {
			t.Error("a table of another model is accepted")
		}
	}
}

func openDevice(t *testing.T, workers int) kernels.Device {
	t.Helper()
	d, err := ref.New(workers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func someTexts() []*model.Input {
	text := func(lengths ...int) *model.Input {
		var ids, types [][]int32
		for _, n := range lengths {
			ids, types = append(ids, make([]int32, n)), append(types, make([]int32, n))
		}
		return model.Text(ids, types)
	}
	return []*model.Input{text(5, 7), text(9)}
}

// Every case must run the layers it names, in the shapes it names.
func TestCasesOfLatencyRunTheirShapes(t *testing.T) {
	m, d := openModel(t, "bert-basic"), openDevice(t, 2)
	for _, pieces := range [][]*model.Input{someTexts(), someTexts()[:1]} {
		l := &stopwatch{ctx: context.Background(), dev: d, dense: m, pieces: pieces, o: LatencyOptions{Points: 1, Multiple: 16, Layers: 2}}
		if err := l.embed(); err != nil {
			t.Fatal(err)
		}
		lengths := LengthsOf(pieces...)
		costs := CountMACs(m, lengths)
		check := func(name string, run func() error, want int64) {
			t.Helper()
			before := d.Tally()
			if err := run(); err != nil {
				t.Fatal(err)
			}
			if got := d.Tally().Sub(before).MACs; got != want {
				t.Errorf("%s: %d MACs, want %d", name, got, want)
			}
		}
		for kind, counts := range map[model.Kind][]int{model.Heads: {0, 1, 2, 3, 4}, model.Neurons: {0, 16, 32, 64}} {
			c, err := l.curve(kind)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, run := range c {
				got = append(got, run.units)
				heads, neurons := run.units, 32
				if kind == model.Neurons {
					heads, neurons = 2, run.units
				}
				check(l.cases[run.at].Name, l.cases[run.at].Func, costs.Encoder([]int{heads, neurons, heads, neurons}))
			}
			if !slices.Equal(got, counts) {
				t.Errorf("%v are measured for %v, want %v", kind, got, counts)
			}
		}
		check("outside", l.call(l.outside), costs.Outside)
		l.close()
	}
}

func TestCountsOfNeuronsToMeasure(t *testing.T) {
	for _, c := range []struct {
		points, multiple, most int
		want                   string
	}{
		{2, 16, 96, "[0 16 32 64 96]"}, {8, 16, 3072, "[0 16 336 688 1024 1360 1712 2048 2384 2736 3072]"},
		{8, 16, 20, "[0 16 20]"}, {0, 1, 7, "[0 1 7]"}, {3, 16, 10, "[0 10]"},
	} {
		l := &stopwatch{o: LatencyOptions{Points: c.points, Multiple: c.multiple}}
		if got := fmt.Sprint(l.counts(model.Neurons, c.most)); got != c.want {
			t.Errorf("%d of %d neurons in multiples of %d: %s, want %s", c.points, c.most, c.multiple, got, c.want)
		}
	}
}

func quickOptions() LatencyOptions {
	o := DefaultLatencyOptions()
	o.Points, o.Timing.MinSamples, o.Timing.MinTime, o.Timing.MinSample = 1, 3, 0, 0
	o.Timing.MaxTime, o.Timing.WarmupTime = 200*time.Millisecond, 0
	return o
}

func TestMeasuredLatency(t *testing.T) {
	m, d := openModel(t, "bert-basic"), openDevice(t, 2)
	table, err := MeasureLatency(context.Background(), d, m, someTexts(), quickOptions())
	if err != nil {
		t.Fatal(err)
	}
	if table.Sequences != 3 || table.Tokens != 21 || table.Pieces != 2 || !(table.Empty > 0) || !(table.Outside > 0) {
		t.Errorf("the table is of %d sequences, %d tokens, %d pieces; empty %v, outside %v", table.Sequences, table.Tokens, table.Pieces, table.Empty, table.Outside)
	}
	c, err := table.Costs(m)
	if err != nil {
		t.Fatal(err)
	}
	if everything := []int{4, 64, 4, 64}; c.Encoder(everything) != c.Dense() || c.Dense() < c.Fixed || c.Fixed <= 0 {
		t.Errorf("the model costs %d ns, its parts %d, empty layers %d", c.Dense(), c.Encoder(everything), c.Fixed)
	}
	if _, err := MeasureLatency(context.Background(), d, m, nil, quickOptions()); err == nil {
		t.Error("a call of no examples is accepted")
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := MeasureLatency(stopped, d, m, someTexts(), quickOptions()); err == nil {
		t.Error("measures after it was stopped")
	}
}
