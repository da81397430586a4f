package prune

import (
	"context"
	"reflect"
	"testing"

	"optin/bench/model"
)

// TestSurgeonSearch: one step is Spend; of two, the second takes from what the
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
	once, err := Spend(m.Sites(), curves, c, b)
	if err != nil {
		t.Fatal(err)
	}
	if got := find(b, 1); !reflect.DeepEqual(got, once) {
		t.Errorf("one step: %v, Spend says %v", got, once)
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
