package prune

import (
	"context"
	"reflect"
	"testing"

	"optin/bench/model"
)

// TestSurgeonSearch: one step spends the budget by the first curves; of two, the second takes from what the
// first has left, by what that refitted model says.
func TestSurgeonSearch(t *testing.T) {
	m, dev, ctx := deep(t, "bert-basic"), reference(t, 1), context.Background()
	ins := []*model.Input{model.Text([][]int32{{7, 3, 9, 12}, {5, 8}, {2, 4, 6, 1, 11}}, [][]int32{{1, 1, 1, 1}, {1, 1}, {1, 1, 1, 1, 1}})}
	o, c := DefaultProbeOptions(), CountMACs(m, LengthsOf(ins...))
	o.Probes, o.NoMD = 4, true
	b := Budget{Keep: 0.4, MinHeads: 1, MinNeurons: 1}
	p, err := Probe(ctx, dev, m, ins, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	curves, err := p.Survey(ctx, dev, m, ins, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	find := func(b Budget, steps int) Mask {
		t.Helper()
		mask, err := SurgeonSearch(ctx, dev, m, ins, o, curves, c, b, steps, nil)
		if err != nil {
			t.Fatal(err)
		}
		if spent := c.Encoder(mask.Kept()); spent > b.limit(c) {
			t.Errorf("%d steps to %v: costs %d of %d", steps, b.Keep, spent, b.limit(c))
		}
		return mask
	}
	once := spend(Full(m.Sites()), curves, c, b.limit(c))
	if got := find(b, 1); !reflect.DeepEqual(got, once) {
		t.Errorf("one step: %v, spending says %v", got, once)
	}
	half, twice := find(Budget{Keep: 0.6325, MinHeads: 1, MinNeurons: 1}, 1), find(b, 2)
	for s := range twice {
		for u, kept := range twice[s] {
			if kept && !half[s][u] {
				t.Fatalf("site %d: unit %d is back after the first step", s, u)
			}
		}
	}
	second, err := resurvey(ctx, dev, m, half, ins, o, b)
	if err != nil {
		t.Fatal(err)
	}
	if want := spend(half, second, c, b.limit(c)); !reflect.DeepEqual(twice, want) {
		t.Errorf("two steps: %v, want %v", twice, want)
	}
	for s, kept := range half.Kept() {
		if got := len(second[s].Order) + b.least(m.Sites()[s]); got != kept {
			t.Errorf("site %d: the second survey saw %d units, %d are left", s, got, kept)
		}
	}
	if _, err := SurgeonSearch(ctx, dev, m, ins, o, curves, c, Budget{Keep: 0.01, MinHeads: 1, MinNeurons: 1}, 2, nil); err == nil {
		t.Error("an impossible budget was met")
	}
}

// TestSurveyOfFewProbes: the second survey takes fewer probes for the same curves.
func TestSurveyOfFewProbes(t *testing.T) {
	m, dev, ctx := deep(t, "bert-basic"), reference(t, 1), context.Background()
	ins := []*model.Input{model.Text([][]int32{{7, 3, 9, 12}, {5, 8}}, [][]int32{{1, 1, 1, 1}, {1, 1}})}
	b := Budget{Keep: 0.5, MinHeads: 1, MinNeurons: 1}
	for name, change := range map[string]func(*ProbeOptions){
		"both": func(*ProbeOptions) {}, "kd": func(o *ProbeOptions) { o.NoMD = true }, "separate": func(o *ProbeOptions) { o.Separate = true },
		"fewer": func(o *ProbeOptions) { o.Probes = 2 },
	} {
		o := DefaultProbeOptions()
		o.Probes = 6
		change(&o)
		p, err := Probe(ctx, dev, m, ins, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := p.Survey(ctx, dev, m, ins, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := survey(ctx, dev, m, ins, o, b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: other curves", name)
		}
	}
}

// TestSurgeonEmptiesSites: a site that loses all its units in the first step is no
// site of what the second step surveys.
func TestSurgeonEmptiesSites(t *testing.T) {
	m, dev, ctx := deep(t, "bert-basic"), reference(t, 1), context.Background()
	ins := []*model.Input{model.Text([][]int32{{7, 3, 9, 12}, {5, 8}, {2, 4, 6, 1, 11}}, [][]int32{{1, 1, 1, 1}, {1, 1}, {1, 1, 1, 1, 1}})}
	o, c := DefaultProbeOptions(), CountMACs(m, LengthsOf(ins...))
	o.Probes, o.NoMD = 4, true
	p, err := Probe(ctx, dev, m, ins, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	curves, err := p.Survey(ctx, dev, m, ins, Budget{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []int{0, 3} { // all of it goes for nothing
		clear(curves[s].Loss)
	}
	b := Budget{Keep: 0.4}
	mask, err := SurgeonSearch(ctx, dev, m, ins, o, curves, c, b, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	kept := mask.Kept()
	if kept[0] != 0 || kept[3] != 0 || c.Encoder(kept) > b.limit(c) {
		t.Errorf("kept %v at a cost of %d of %d", kept, c.Encoder(kept), b.limit(c))
	}
}
